"""``pocketnas table build`` and ``validate``: what needs a device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from latency.builder import BuildProgress
    from latency.source import SourceSettings
    from latency.table import LatencyTable, Validation
    from latency.table_validation import Compared

_TITLE = ("device_model", "runner", "delegate", "threads", "clock_tier", "precision")
"""Conditions that a plot names."""

EVERY_S = 10.0
"""Between plain lines, where there is no terminal."""

On = Annotated[str, typer.Option(help="What measures: host, adb:SERIAL or adb:any.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]
Tier = Annotated[str, typer.Option(help="A phone's clock: T1, T2 or T3 (see 'measure --help').")]
Bits = Annotated[str, typer.Option(help="Of the files: fp32, fp16 or int8 (stand-in scales).")]


def build(
    *,
    space: Annotated[
        str,
        typer.Option(
            help="mnasnet, proxyless, efficientnet, efficientnetv2, spinenet, spinenet_v2, "
            "spinenet_mbconv, spinenet_scaling, assemblenet, assemblenet_mobile or "
            "package.module:NAME."
        ),
    ],
    on: On = "host",
    name: Annotated[
        str | None, typer.Option(help="Of the table.", show_default="SPACE-DEVICE")
    ] = None,
    space_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Setting of the space; may be repeated."),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            help="Classes of the networks' heads.",
            min=1,
            show_default="1000, of a detector 91, of videos 339, as published networks have",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="What the networks end in: classifier, detector or videoclassifier.",
            show_default="videoclassifier where they take clips, else classifier",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="At most so long, e.g. 30m or 2h: what matters most is measured, the rest "
            "predicted.",
            show_default="all layers",
        ),
    ] = None,
    sessions: Annotated[
        int | None, typer.Option(help="Process starts of each file.", show_default="5")
    ] = None,
    threads: Threads = 1,
    clock_tier: Tier = "T3",
    precision: Bits = "fp32",
    seed: Annotated[int, typer.Option(help="Of the whole networks that are drawn.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be timed, and how long.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a table of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a latency table of a space on a device: every layer, then whole networks.

    Layers are timed by differences between small networks, the correction is fitted on whole ones
    and validated on others. Cut off at any point, the same command goes on where it was.

    Example: pocketnas table build --space mnasnet --on adb:any --budget 2h --name lab-phone
    """
    from pocketnas.config import options_from
    from pocketnas.networks import head_for_space
    from pocketnas.table_building import Asked, build, plans, space_text

    options = options_from(space_option or [], "--space-option")
    asked = Asked(
        space=space,
        options=options,
        head=head_for_space(space, options, head, classes),
        budget_s=None if budget is None else seconds(budget, "--budget"),
        sessions=sessions,
        seed=seed,
    )
    called = name or _name(space_text(space, asked.options), on)
    if dry_run:
        everything, affordable = plans(asked, 1)
        facts: dict[str, object] = {
            "layers": len(everything.pieces),
            "measured": len(affordable.pieces),
            "files": affordable.files,
            "device_hours": affordable.device_hours(),
        }
        _print(facts, as_json=as_json)
        return
    settings = settings_of(threads, clock_tier, precision)
    with progress(quiet=as_json) as (say, tell):
        table = build(asked, on, settings, called, force=force, say=say, tell=tell)
    _print_built(table, as_json=as_json)


def validate(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A table's name or path.")],
    *,
    on: On = "host",
    networks: Annotated[int, typer.Option(help="Random networks to measure.", min=5)] = 20,
    seed: Annotated[
        int | None, typer.Option(help="Of the networks.", show_default="new ones each time")
    ] = None,
    threads: Threads = 1,
    clock_tier: Tier = "T3",
    precision: Bits = "fp32",
    plot: Annotated[
        Path | None, typer.Option(help="Predicted against measured, as .png or .html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure whole networks that a table has not seen, and say how far it is off.

    Exit code 1 if the device has drifted from the table, or the table is off too far.
    """
    from pocketnas.accuracy_plot import require_drawable
    from pocketnas.table_building import check

    if plot is not None:
        require_drawable(plot)
    settings = settings_of(threads, clock_tier, precision)
    table, compared = check(
        name,
        on,
        settings,
        networks=networks,
        seed=seed,
        say=lambda text: typer.echo(text, err=True),
    )
    if plot is not None:
        _draw(table, compared, plot)
    last = table.validations[-1]
    if as_json:
        print_json({"table": table.name, **_facts(last), "alarm": compared.alarm})
    else:
        typer.echo(f"{table.name}: {_sentence(last)}")
    if compared.alarm:
        typer.echo(f"pocketnas: {compared.alarm}", err=True)
        raise typer.Exit(1)


def _draw(table: LatencyTable, compared: Compared, path: Path) -> None:
    from pocketnas.accuracy_plot import Compared as Drawn
    from pocketnas.accuracy_plot import write_plot

    conditions = table.conditions
    under = (f"{name} {conditions[name]}" for name in _TITLE if name in conditions)
    title = f"{table.name}, {', '.join(under)}, {table.validations[-1].date}"
    drawn = Drawn(
        title=title, predicted_ms=compared.predicted_ms, measured_ms=compared.measured_ms
    )
    write_plot(drawn, path)


def seconds(text: str, flag: str) -> float:
    """Of ``20m``, ``90s`` or ``0.5h``.

    Raises:
        InputError: If it is no such time.
    """
    from workspace.errors import InputError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)", text)
    if found is None or float(found[1]) == 0:
        msg = f"{flag} takes a time such as 20m, 90s or 0.5h, got {text!r}"
        raise InputError(msg)
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def settings_of(threads: int, clock_tier: str, precision: str) -> SourceSettings:
    """What a source of devices is to be like."""
    from latency.source import SourceSettings
    from pocketnas.cli.measure import clock_tier_of, precision_of

    return SourceSettings(
        threads=threads, clock_tier=clock_tier_of(clock_tier), precision=precision_of(precision)
    )


@contextmanager
def progress(
    *, quiet: bool
) -> Iterator[tuple[Callable[[str], None], Callable[[BuildProgress], None]]]:
    """What to say things to, and what to tell how far it is: a bar on a terminal, else lines."""
    import sys

    if quiet:
        yield (lambda _: None), (lambda _: None)
    elif not sys.stderr.isatty():
        yield (lambda text: typer.echo(text, err=True)), _Lines().tell
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=None)

            def tell(told: BuildProgress) -> None:
                bar.update(task, completed=told.done, total=told.total, description=_left(told))

            yield (lambda text: bar.console.print(text, highlight=False)), tell


class _Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._last_s = -EVERY_S

    def tell(self, told: BuildProgress) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= EVERY_S or told.done == told.total:
            self._last_s = now_s
            typer.echo(f"{told.done} of {told.total} files, {_left(told)}", err=True)


def _left(told: BuildProgress) -> str:
    known = f", {told.stored} known before" if told.stored else ""
    if told.left_s is None:
        return f"{told.what}{known}"
    minutes, rest = divmod(round(told.left_s), 60)
    return f"{told.what}{known}, {minutes}:{rest:02d} left"


def _name(space: str, on: str) -> str:
    """A table's name where none was given."""
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{space}-{on}").strip("-.")


def _print(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for label, value in facts.items():
        shown = f"{value:.3g}" if isinstance(value, float) else value
        typer.echo(f"{label:14} {shown}")


def _print_built(table: LatencyTable, *, as_json: bool) -> None:
    from latency.table_file import path_of

    name = table.name.removeprefix("table:")
    last = table.validations[-1]
    if as_json:
        facts = {
            "table": table.name,
            "path": str(path_of(name)),
            "entries": len(table.entries),
            "predicted": table.predicted,
            **_facts(last),
            "conditions": dict(table.conditions),
        }
        print_json(facts)
        return
    typer.echo(f"{path_of(name)}: {len(table.entries)} entries, {table.predicted} predicted")
    typer.echo(f"  {_sentence(last)}")
    for label in table.labels:
        typer.echo(f"  label: {label}")
    typer.echo(f"  use it: pocketnas search --latency {table.name} …")


def _facts(validation: Validation) -> dict[str, object]:
    return {**validation.numbers, "additivity_error": validation.additivity_error}


def _sentence(validation: Validation) -> str:
    found = validation.numbers
    return (
        f"{found['networks']:.0f} networks it was not fitted to: {found['within_5']:.0%} within "
        f"5 %, {found['within_10']:.0%} within 10 %, median error {found['median_error']:.1%}, "
        f"95th percentile {found['p95_error']:.1%}, Spearman {found['spearman']:.3f}, Kendall "
        f"{found['kendall']:.3f}, sums alone off by {validation.additivity_error:.1%}"
    )
