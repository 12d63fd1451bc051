"""``pocketnas measure``: what a file or a network costs on a device."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from devices.device import ClockTier, Delegate
    from latency.source import Subject


def measure(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|ARCH",
            help="A .tflite file, or a network as 'pocketnas arch' takes it.",
            show_default=False,
        ),
    ],
    *,
    on: Annotated[
        str, typer.Option(help="host, adb:SERIAL, adb:any, table:NAME or package.module:NAME.")
    ] = "host",
    size: Annotated[
        int | None, typer.Option(help="Input size of a network.", show_default="its own")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of its head.", show_default="1000 or the run's")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    delegate: Annotated[str, typer.Option(help="What computes: cpu or gpu.")] = "cpu",
    clock_tier: Annotated[
        str,
        typer.Option(
            help="A phone's clock: T1 one frequency (root), T2 fixed performance mode, T3 free."
        ),
    ] = "T3",
    preset: Annotated[
        str, typer.Option(help="How hard to try: quick, search or final (five minutes and more).")
    ] = "search",
    sessions: Annotated[
        int | None,
        typer.Option(help="Exactly so many process starts.", show_default="until narrow"),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="On a phone: tool, or app (inside Google's benchmark app).")
    ] = "tool",
    apk: Annotated[
        Path | None, typer.Option(help="The benchmark app, to be installed for --mode app.")
    ] = None,
    sustained: Annotated[
        str | None,
        typer.Option(help="Run without a pause for so long, e.g. 20m, and give the curve."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again even if the store has an answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Time a model file or a network: median of process starts, 95 % interval, verdict.

    Example: pocketnas measure mnasnet-a1 --on adb:any --json
    """
    from latency.source import LatencyRequest, SourceSettings, create
    from pocketnas.latency_text import facts, require_estimate, sentence

    settings = SourceSettings(
        threads=threads,
        delegate=_delegate(delegate),
        reuse=not fresh,
        clock_tier=_clock_tier(clock_tier),
        in_app=_in_app(mode),
        apk="" if apk is None else str(apk),
    )
    subject = subject_of(model, size=size, classes=classes)
    if sustained is not None:
        from pocketnas.sustained import show

        show(subject, on, settings, minutes=_minutes(sustained), as_json=as_json)
        return
    source = create(on, settings)
    try:
        asked = preset if sessions is None else f"{preset}/{sessions}"
        request = LatencyRequest(id="measure", subject=subject, preset=asked)
        (answer,) = source.estimate([request])
    finally:
        source.close()
    estimate = require_estimate(answer)
    if as_json:
        print_json({"model": model, **facts(estimate)})
        return
    typer.echo(sentence(estimate))
    if estimate.measurement is not None:
        for name, value in estimate.measurement.conditions.flat().items():
            typer.echo(f"  {name:18} {value}")


def _delegate(name: str) -> Delegate:
    from devices.device import Delegate
    from workspace.errors import InputError

    try:
        return Delegate(name)
    except ValueError:
        msg = f"unknown delegate {name!r}; there are {', '.join(Delegate)}"
        raise InputError(msg) from None


def _clock_tier(name: str) -> ClockTier:
    from devices.device import ClockTier
    from workspace.errors import InputError

    try:
        return ClockTier(name)
    except ValueError:
        msg = f"unknown clock tier {name!r}; there are {', '.join(ClockTier)}"
        raise InputError(msg) from None


def _in_app(mode: str) -> bool:
    from workspace.errors import InputError

    if mode not in ("tool", "app"):
        msg = f"unknown mode {mode!r}; there are tool and app"
        raise InputError(msg)
    return mode == "app"


def _minutes(text: str) -> float:
    """Of ``20m``, ``90s`` or ``0.5h``."""
    from workspace.errors import InputError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)", text)
    if found is None or float(found[1]) == 0:
        msg = f"--sustained takes a time such as 20m, 90s or 0.5h, got {text!r}"
        raise InputError(msg)
    return float(found[1]) * {"s": 1 / 60, "m": 1.0, "h": 60.0}[found[2]]


def subject_of(text: str, *, size: int | None, classes: int | None) -> Subject:
    """The file at ``text``, or the network that it names."""
    from latency.source import FileSubject, NetworkSubject
    from workspace.errors import InputError

    path = Path(text)
    if path.suffix in (".tflite", ".onnx") or (path.is_file() and path.suffix != ".json"):
        from exporters.tflite_file import read

        if size is not None or classes is not None:
            msg = f"--size and --classes are for a network; the file {text!r} has its own"
            raise InputError(msg)
        return FileSubject(artifact=read(path))
    from pocketnas.networks import resolve

    found = resolve(text, size=size, classes=classes)
    return NetworkSubject(architecture=found.architecture, head=found.head)
