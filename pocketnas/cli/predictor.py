"""``pocketnas predictor``: latencies of a new device from a few measurements and other devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.help import Command, Commands
from pocketnas.cli.output import AsJson, print_json, print_table
from pocketnas.cli.table_build import Bits, Threads, Tier, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from latency.predictor import Predictions
    from latency.source import NetworkSubject
    from pocketnas.other_devices import Asked
    from pocketnas.predicting import Checked

app = typer.Typer(
    cls=Commands,
    help="Predictors of a device, from a few measurements of it and from other devices.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="PREDICTOR", help="A predictor's name or path.")]
Space = Annotated[
    str,
    typer.Option(
        help="mnasnet, proxyless, efficientnet, efficientnetv2, spinenet, spinenet_v2, "
        "spinenet_mbconv, spinenet_scaling or package.module:NAME."
    ),
]
SpaceOptions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Setting of the space; may be repeated."),
]
Classes = Annotated[
    int | None,
    typer.Option(
        help="Classes of the networks' heads.",
        min=1,
        show_default="1000, of a detector 91, of videos 339, as published networks have",
    ),
]
HeadKind = Annotated[
    str | None,
    typer.Option(
        help="What the networks end in: classifier, detector or videoclassifier.",
        show_default="videoclassifier where they take clips, else classifier",
    ),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="DEVICE",
        help="Another device: table:NAME, predictor:NAME, or a .csv of architecture and "
        "latency_ms; may be repeated.",
    ),
]
On = Annotated[str | None, typer.Option(help="What measures: host, adb:SERIAL or adb:any.")]
Measurements = Annotated[
    Path | None,
    typer.Option(
        help="A .csv of architecture and latency_ms, measured already, in place of --on."
    ),
]

_OF_DEVICES = ("threads", "clock_tier", "precision")
_MEASURED_ALREADY = "--measurements has what was measured"


@app.command(cls=Command)
def fit(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="That the predictor gets.")],
    *,
    space: Space,
    space_option: SpaceOptions = None,
    classes: Classes = None,
    head: HeadKind = None,
    others: Others = None,
    on: On = None,
    measurements: Measurements = None,
    samples: Annotated[int, typer.Option(help="Networks to measure.", min=5)] = 10,
    threads: Threads = 1,
    clock_tier: Tier = "T3",
    precision: Bits = "fp32",
    seed: Annotated[int, typer.Option(help="Of the networks among which is chosen.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a predictor of that name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Fit a predictor to a device: a few networks are chosen by design, and measured.

    Example: pocketnas predictor fit lab-phone --space mnasnet --from table:other-phone \
      --on adb:any
    """
    from pocketnas.cli.given import refuse_given
    from pocketnas.predicting import fit

    if measurements is not None:
        refuse_given(context, ("samples", *_OF_DEVICES), _MEASURED_ALREADY)
    settings = settings_of(threads, clock_tier, precision)
    record = fit(
        name,
        _asked(space, space_option, head, classes, others, samples, seed),
        _measured(on, measurements),
        settings,
        force=force,
        say=_say,
    )
    facts = {
        "predictor": record.name,
        "networks": len(record.networks),
        "other_devices": list(record.predictor.prior.names),
        "parts": len(record.predictor.prior.basis.parts),
        "labels": list(record.labels),
        "conditions": dict(record.conditions),
    }
    if as_json:
        print_json(facts)
        return
    typer.echo(f"{record.name}: fitted to {facts['networks']} networks")
    for label in record.labels:
        typer.echo(f"  label: {label}")
    typer.echo(f"  check it: pocketnas predictor validate {name} --on …")
    typer.echo(f"  use it: pocketnas search --latency {record.name} …")


@app.command(cls=Command)
def validate(
    context: typer.Context,
    name: Name,
    *,
    on: On = None,
    measurements: Measurements = None,
    networks: Annotated[int, typer.Option(help="Random networks to measure.", min=5)] = 20,
    threads: Threads = 1,
    clock_tier: Tier = "T3",
    precision: Bits = "fp32",
    seed: Annotated[
        int | None, typer.Option(help="Of the networks.", show_default="new ones each time")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Predicted against measured, as .png or .html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold a predictor against networks that it has not seen.

    Exit code 1 if it is off, or its intervals hold too few of them.
    """
    from pocketnas.accuracy_plot import require_drawable
    from pocketnas.cli.given import refuse_given
    from pocketnas.predicting import check

    if measurements is not None:
        refuse_given(context, ("networks", "seed", *_OF_DEVICES), _MEASURED_ALREADY)
    if plot is not None:
        require_drawable(plot)
    record, checked = check(
        name,
        _measured(on, measurements),
        settings_of(threads, clock_tier, precision),
        networks=networks,
        seed=seed,
        say=_say,
    )
    last = record.validations[-1]
    if plot is not None:
        _draw(f"{record.name}, {last.date}", checked, plot)
    if as_json:
        print_json({"predictor": record.name, **last.numbers, "alarm": checked.alarm})
    else:
        typer.echo(f"{record.name}: {_sentence(last.numbers)}")
    if checked.alarm:
        typer.echo(f"pocketnas: {checked.alarm}", err=True)
        raise typer.Exit(1)


@app.command(cls=Command)
def suggest(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PREDICTOR", help="To be improved.", show_default="a new one of --space"
        ),
    ] = None,
    *,
    space: Annotated[str | None, typer.Option(help="Of a predictor that is to be made.")] = None,
    space_option: SpaceOptions = None,
    classes: Classes = None,
    head: HeadKind = None,
    others: Others = None,
    count: Annotated[
        int | None, typer.Option(help="Networks.", show_default="1, or 10 for a new one", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the networks among which is chosen.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write them to, as JSON for other commands.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which networks to measure next: those that would teach most.

    Example: pocketnas predictor suggest lab-phone --count 3 --out next
    """
    from pocketnas.cli.given import refuse_given
    from pocketnas.predicting import keep_networks, suggest_first, suggest_next
    from workspace.errors import InputError

    if (name is None) == (space is None):
        msg = "suggest takes a predictor, or --space for one that is to be made"
        raise InputError(msg)
    predictions = None
    if name is not None:
        refuse_given(
            context, ("space_option", "classes", "head", "others"), "the predictor has its own"
        )
        chosen, predictions = suggest_next(name, count or 1, seed)
    else:
        asked = _asked(str(space), space_option, head, classes, others, count or 10, seed)
        chosen = suggest_first(asked, count or 10, _say)
    paths = keep_networks(chosen, out) if out is not None else []
    _print_suggested(chosen, predictions, [str(path) for path in paths], as_json=as_json)


def _asked(
    space: str,
    space_option: list[str] | None,
    head: str | None,
    classes: int | None,
    others: list[str] | None,
    samples: int,
    seed: int,
) -> Asked:
    from pocketnas.config import options_from
    from pocketnas.networks import head_for_space
    from pocketnas.other_devices import Asked

    options = options_from(space_option or [], "--space-option")
    return Asked(
        space=space,
        options=options,
        head=head_for_space(space, options, head, classes),
        others=tuple(others or ()),
        samples=samples,
        seed=seed,
    )


def _measured(on: str | None, measurements: Path | None) -> str | Path:
    from workspace.errors import InputError

    if on is not None and measurements is not None:
        msg = "--on measures, --measurements has what was measured: give one of them"
        raise InputError(msg)
    return measurements if measurements is not None else (on or "host")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _draw(title: str, checked: Checked, path: Path) -> None:
    from pocketnas.accuracy_plot import Compared, write_plot

    found = checked.predictions
    compared = Compared(
        title=title,
        predicted_ms=found.latency_ms.tolist(),
        measured_ms=checked.measured_ms,
        low_ms=found.low_ms.tolist(),
        high_ms=found.high_ms.tolist(),
    )
    write_plot(compared, path)


def _sentence(found: Mapping[str, float]) -> str:
    return (
        f"{found['networks']:.0f} networks it was not fitted to: {found['within_10']:.0%} within "
        f"10 %, median error {found['median_error']:.1%}, 95th percentile "
        f"{found['p95_error']:.1%}, Spearman {found['spearman']:.3f}, {found['bias']:+.1%} off "
        f"(median), {found['interval_coverage']:.0%} inside their 90 % intervals"
    )


def _print_suggested(
    chosen: Sequence[NetworkSubject],
    predictions: Predictions | None,
    paths: Sequence[str],
    *,
    as_json: bool,
) -> None:
    listed = []
    for place, subject in enumerate(chosen):
        facts: dict[str, object] = {
            "key": subject.architecture.key,
            "path": paths[place] if paths else None,
        }
        if predictions is not None:
            facts["predicted_ms"] = float(predictions.latency_ms[place])
            facts["low_ms"] = float(predictions.low_ms[place])
            facts["high_ms"] = float(predictions.high_ms[place])
        if as_json:
            facts["architecture"] = subject.architecture.to_json()
        listed.append(facts)
    if as_json:
        print_json({"networks": listed})
        return
    rows = [
        (
            str(facts["path"] or facts["key"]),
            f"{facts['predicted_ms']:.4g}" if "predicted_ms" in facts else "-",
            f"{facts['low_ms']:.4g}" if "low_ms" in facts else "-",
            f"{facts['high_ms']:.4g}" if "high_ms" in facts else "-",
        )
        for facts in listed
    ]
    print_table(("network", "predicted ms", "90 % from", "to"), rows)
