"""``pocketnas scale``: a network deeper, wider and finer, or the search for how much of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, assert_never

import typer

from pocketnas.cli.arch import Architectures, Classes, HeadName, Size
from pocketnas.cli.given import refuse_given
from pocketnas.cli.output import AsJson, print_json, print_table, teller
from training.task import FORMS

if TYPE_CHECKING:
    from controller.scaling_search import ScalingPlan
    from pocketnas.networks import Found
    from pocketnas.scaling import Asked, Grown, HowToScale
    from search_space.scaling import ScalingRule

_OF_A_SEARCH = (
    "dataset", "samples", "batch", "learning_rate", "seeds", "cost", "growth", "step", "most",
    "tolerance", "lanes", "train_command", "train_deadline_s", "run",
)  # fmt: skip
_OF_A_NETWORK = ("rule", "alpha", "beta", "gamma", "out")


def scale(
    context: typer.Context,
    architecture: Architectures,
    *,
    phi: Annotated[
        float | None,
        typer.Option(help="Compound coefficient: about 2^PHI times the cost; may be negative."),
    ] = None,
    to_ms: Annotated[
        float | None, typer.Option(help="As large as takes so many ms --on a source.")
    ] = None,
    to_macs: Annotated[
        float | None, typer.Option(help="As large as has so many multiply-adds, e.g. 6e8.")
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Find the constants for this network instead.")
    ] = False,
    rule: Annotated[
        str,
        typer.Option(
            help="How much of each: efficientnet (powers of 1.2, 1.1, 1.15), released (B1 to B8's "
            "factors), fast or fast@ALPHA (Dollar et al.), depth, width, resolution, tpu, gpu, h "
            "(EfficientNet-X's tables), or the folder of a --search."
        ),
    ] = "efficientnet",
    alpha: Annotated[
        float | None, typer.Option(help="Constants of your own instead: of depth, at least 1.")
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Of width, at least 1.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Of resolution, at least 1.")] = None,
    rounding: Annotated[
        str | None,
        typer.Option(
            help="To whole numbers: efficientnet, efficientnetv2 or pycls.",
            show_default="the family's where ARCH is of the catalog, else efficientnet",
        ),
    ] = None,
    fixed_ends: Annotated[
        bool | None,
        typer.Option(
            "--fixed-ends/--no-fixed-ends",
            help="Keep stem, last convolution, and layers of the first and last stage.",
            show_default="of efficientnet-lite alone",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="What times: host, adb:SERIAL, adb:any, table:NAME, predictor:NAME."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="How hard that tries: quick, search or final.")
    ] = "search",
    size: Size = None,
    classes: Classes = None,
    head: HeadName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the network there, JSON that ARCH may name."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help=f"Of --search: what networks are trained on: {FORMS}.")
    ] = "digits",
    samples: Annotated[
        int | None,
        typer.Option(
            help="Training images or clips of each.", show_default="the data set's", min=1
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Images or clips a step.", show_default="the data set's", min=1),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak.", show_default="the data set's")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.", min=1)] = 1,
    cost: Annotated[
        str,
        typer.Option(
            help="What all points have in common: macs (really theirs), latency (--on a source), "
            "product (the paper's alpha * beta^2 * gamma^2)."
        ),
    ] = "macs",
    growth: Annotated[float, typer.Option(help="Times the baseline's cost.")] = 2.0,
    step: Annotated[float, typer.Option(help="Between two values of a constant.")] = 0.1,
    most: Annotated[float, typer.Option(help="Largest value of a constant.")] = 2.0,
    tolerance: Annotated[float, typer.Option(help="Share by which the cost may miss.")] = 0.1,
    lanes: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    train_command: Annotated[
        str, typer.Option(help="Your own training, as of search.", show_default="ours")
    ] = "",
    train_deadline_s: Annotated[
        float, typer.Option(help="Seconds after which a training is killed.")
    ] = 3600.0,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search; one that was cut off goes on.", show_default="scaling"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Scale a network: deeper, wider and finer at once.

    A scale-permuted network gets more repeats of its blocks, more filters, and larger images; one
    of several streams more modules a node, more filters, and larger frames, as many a clip as
    before.

    With --search: train the points of a grid of constants that cost the same (EfficientNet, step
    1 of section 3.3) and say which is the most accurate; --rule FOLDER then scales by it.

    Examples:
      pocketnas scale mnasnet-a1 --phi 1 -o larger.json
      pocketnas scale runs/1:best --to-ms 40 --on adb:any
      pocketnas scale runs/1:best --search --dataset fashion-mnist --cost latency --on host
    """
    from pocketnas.networks import resolve
    from pocketnas.scaling import Asked

    _require_one(phi=phi, to_ms=to_ms, to_macs=to_macs, search=search)
    if on is None:
        refuse_given(context, ("preset",), "nothing is timed")
    asked = None if on is None else Asked(source=on, preset=preset, tell=teller())
    found = resolve(architecture, size=size, classes=classes, head=head)
    how = _how(found, rounding, fixed_ends=fixed_ends)
    if search:
        refuse_given(context, _OF_A_NETWORK, "--search looks for constants")
        if (cost == "latency") != (on is not None):
            _fail("--cost latency needs --on SOURCE, and no other cost does")
        if train_command:
            from training.command_executor import asked_by

            untold = {"batch", "learning_rate"} - asked_by(train_command)
            refuse_given(context, tuple(untold), "the training command does not ask for it")
        plan = _plan(
            found, how, dataset, samples, batch, learning_rate, seeds, cost,
            {"growth": growth, "step": step, "most": most, "tolerance": tolerance},
            train_command, train_deadline_s,
        )  # fmt: skip
        _search(run or Path("scaling"), plan, asked, lanes, as_json=as_json)
        return
    refuse_given(context, _OF_A_SEARCH, "--search is not given")
    if (to_ms is None) != (on is None):
        _fail("--to-ms needs --on SOURCE, and nothing else does")
    chosen = _rule(rule, alpha, beta, gamma, context)
    grown = _grown(found, chosen, how, phi=phi, to_ms=to_ms, to_macs=to_macs, on=asked)
    if out is not None:
        _write(out, grown)
    if as_json:
        print_json(_facts(grown))
    else:
        _print(grown)


def _require_one(**given: Any) -> None:  # noqa: ANN401 - options as they came
    if sum(value is not None and value is not False for value in given.values()) != 1:
        _fail("give exactly one of --phi, --to-ms, --to-macs and --search")


def _fail(text: str) -> None:
    from workspace.errors import InputError

    raise InputError(text)


def _how(base: Found, rounding: str | None, *, fixed_ends: bool | None) -> HowToScale:
    """As its family is scaled, but for what was given."""
    from pocketnas.scaling import HowToScale
    from search_space.scaling import Rounding

    if rounding is not None and rounding not in set(Rounding):
        _fail(f"unknown rounding {rounding!r}; there are {', '.join(Rounding)}")
    usual = HowToScale.of_family(base)
    return HowToScale(
        rounding=usual.rounding if rounding is None else Rounding(rounding),
        fixed_ends=usual.fixed_ends if fixed_ends is None else fixed_ends,
    )


def _rule(
    name: str,
    alpha: float | None,
    beta: float | None,
    gamma: float | None,
    context: typer.Context,
) -> ScalingRule:
    from pocketnas.scaling import rule_named
    from search_space.scaling import CompoundRule

    if alpha is None and beta is None and gamma is None:
        return rule_named(name)
    refuse_given(context, ("rule",), "--alpha, --beta and --gamma are the rule")
    return CompoundRule(
        alpha=1.0 if alpha is None else alpha,
        beta=1.0 if beta is None else beta,
        gamma=1.0 if gamma is None else gamma,
    )


def _grown(
    base: Found,
    rule: ScalingRule,
    how: HowToScale,
    *,
    phi: float | None,
    to_ms: float | None,
    to_macs: float | None,
    on: Asked | None,
) -> Grown:
    from pocketnas import scaling

    for name, target in (("--to-ms", to_ms), ("--to-macs", to_macs)):
        if target is not None and not 0 < target < float("inf"):
            _fail(f"{name} must be a number above 0, got {target:g}")
    if to_ms is not None and on is not None:
        return scaling.to_ms(base, rule, how, to_ms, on)
    if to_macs is not None:
        return scaling.to_macs(base, rule, how, to_macs)
    return scaling.by_coefficient(base, rule, how, 0.0 if phi is None else phi)


def _facts(grown: Grown) -> dict[str, object]:
    from pocketnas.latency_text import facts

    return {
        "phi": grown.phi,
        "factors": grown.factors.named,
        "rounding": grown.how.rounding.value,
        "fixed_ends": grown.how.fixed_ends,
        "limit": None if grown.limit is None else grown.limit.value,
        "key": grown.network.key,
        "input_shape": [1, *grown.network.inputs[0].shape],
        **{name: new for name, (_, new) in grown.costs.items()},
        **{f"base_{name}": old for name, (old, _) in grown.costs.items()},
        "latency": None if grown.estimate is None else facts(grown.estimate),
        "architecture": grown.network.to_json(),
    }


def _print(grown: Grown) -> None:
    from pocketnas.latency_text import sentence

    factors = ", ".join(f"{name} x{value:.4g}" for name, value in grown.factors.named.items())
    typer.echo(f"{'phi':22} {grown.phi:.4g}")
    typer.echo(f"{'factors':22} {factors}")
    typer.echo(f"{'rounding':22} {grown.how}")
    typer.echo(f"{'key':22} {grown.network.key}")
    for name, (old, new) in grown.costs.items():
        typer.echo(f"{name:22} {new:,} ({new / old:.2f} times {old:,})")
    limit = _limit(grown)
    if limit:
        typer.echo(f"{'limit':22} {limit}")
    if grown.estimate is not None:
        typer.echo(sentence(grown.estimate))


def _limit(grown: Grown) -> str:
    """What kept the network below its target; empty where nothing did."""
    from controller.scaling_target import Limit

    match grown.limit:
        case None | Limit.TARGET:
            return ""
        case Limit.MEMORY:
            return "memory: a larger one would keep the target, and not fit this computer's memory"
        case Limit.RULE:
            return "rule: it has no larger one, which would keep the target"
        case Limit.SOURCE:
            return "source: it cannot tell what a larger one takes"
    assert_never(grown.limit)


def _write(path: Path, grown: Grown) -> None:
    from workspace.files import write_whole

    try:
        write_whole(path, json.dumps(grown.network.to_json(), indent=1).encode())
    except OSError as error:
        _fail(f"{str(path)!r} cannot be written: {error.strerror}")


def _plan(
    base: Found,
    how: HowToScale,
    dataset: str,
    samples: int | None,
    batch: int | None,
    learning_rate: float | None,
    seeds: int,
    cost: str,
    grid: dict[str, float],
    train_command: str,
    train_deadline_s: float,
) -> ScalingPlan:
    from dataclasses import replace

    from controller.scaling_search import CostAxis, Grid, ScalingPlan
    from pocketnas.heads import require_head
    from pocketnas.training_runs import require_channels
    from training.task import create as create_task
    from training.task import seen_by

    if cost not in set(CostAxis):
        _fail(f"unknown cost {cost!r}; there are {', '.join(CostAxis)}")
    task = create_task(dataset)
    require_head(base.architecture, task.head, dataset)
    if not train_command:
        require_channels(base.architecture, seen_by(task, base.architecture.inputs))
    given = {"samples": samples, "batch": batch, "learning_rate": learning_rate}
    chosen = {name: value for name, value in given.items() if value is not None}
    return ScalingPlan(
        base=base.architecture,
        head=task.head,
        task=dataset,
        schedule=replace(task.proxy.schedule, **chosen),  # type: ignore[arg-type] # by name
        seeds=seeds,
        deadline_s=train_deadline_s,
        grid=Grid(**grid),
        axis=CostAxis(cost),
        rounding=how.rounding,
        fixed_ends=how.fixed_ends,
        program=train_command,
    )


def _search(
    folder: Path,
    plan: ScalingPlan,
    on: Asked | None,
    lanes: int,
    *,
    as_json: bool,
) -> None:
    from controller.scaling_search import NothingTrainedError, TrainedPoint
    from pocketnas.scaling import HowToScale
    from pocketnas.scaling_run import REPORT, facts, search_constants
    from training import executor as executors
    from training.executor import ExecutorSettings
    from workspace.errors import OperationError

    executor = executors.create(ExecutorSettings(command=plan.program, lanes=lanes))
    try:
        found = search_constants(
            folder, plan, executor, on, lambda text: typer.echo(text, err=True)
        )
    except NothingTrainedError:
        raise
    except (KeyboardInterrupt, OperationError):
        typer.echo(f"cut off; the same command goes on from {folder}", err=True)
        raise
    finally:
        executor.close()
    if as_json:
        print_json(facts(plan, found, on))
        return
    rows = [
        (
            "baseline" if one is found.base else one.point.name,
            f"{one.point.growth:.2f}",
            f"{one.point.macs:,}",
            "-" if one.point.latency_ms is None else f"{one.point.latency_ms:.4g}",
            str(one.point.network.inputs[0].shape[-1]),
            f"{one.accuracy:.2%}" if isinstance(one, TrainedPoint) else "failed",
        )
        for one in found.rows
    ]
    print_table(("alpha/beta/gamma", "growth", "MACs", "ms", "pixels", "accuracy"), rows)
    best = found.best.point.name
    if found.tied:
        typer.echo(f"best: {best}, not separated from {len(found.tied)} others")
    else:
        typer.echo(f"best: {best}")
    if found.failures:
        typer.echo(f"{found.failures} trainings failed; the same command tries them again")
    how = HowToScale(rounding=plan.rounding, fixed_ends=plan.fixed_ends)
    typer.echo(f"rounding: {how}")
    typer.echo(f"report: {folder / REPORT}; scale by it: pocketnas scale ARCH --rule {folder}")
