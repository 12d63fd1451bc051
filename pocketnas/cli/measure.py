"""``pocketnas measure``: what a file or a network costs on a device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.arch import HeadName
from pocketnas.cli.output import AsJson, print_json, teller

if TYPE_CHECKING:
    from devices.device import ClockTier, Delegate
    from exporters.artifact import Precision
    from latency.measurement import LatencyMeasurement
    from latency.source import SourceSettings, Subject


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
    head: HeadName = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    delegate: Annotated[str, typer.Option(help="What computes: cpu or gpu.")] = "cpu",
    clock_tier: Annotated[
        str,
        typer.Option(
            help="A phone's clock: T1 one frequency (root), T2 fixed performance mode, T3 free."
        ),
    ] = "T3",
    precision: Annotated[
        str, typer.Option(help="Of a network's file: fp32, fp16 or int8 (stand-in scales).")
    ] = "fp32",
    preset: Annotated[
        str | None,
        typer.Option(
            help="How hard to try: quick, search or final (five minutes and more).",
            show_default="search",
        ),
    ] = None,
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
    profile: Annotated[
        bool, typer.Option("--profile", help="Time a network block by block instead.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again even if the store has an answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Time a model file or a network: median of process starts, 95 % interval, verdict.

    Example: pocketnas measure mnasnet-a1 --on adb:any --json
    """
    from latency.source import LatencyRequest, SourceSettings, create
    from pocketnas.latency_text import facts, require_estimate, sentence, tell_what_goes_on

    asked = _preset(preset or "search", sessions)
    settings = SourceSettings(
        threads=threads,
        delegate=_delegate(delegate),
        reuse=not fresh,
        clock_tier=clock_tier_of(clock_tier),
        precision=precision_of(precision),
        in_app=_in_app(mode, apk),
        apk="" if apk is None else str(apk),
    )
    if on.startswith(("table:", "predictor:")):
        _refuse_for_a_table(settings, sessions)
    minutes = None if sustained is None else _minutes(sustained)
    if minutes is not None:
        _refuse_beside_sustained(preset, sessions, settings)
    if profile:
        _refuse_beside_profile(preset, sessions, settings, minutes)
        from pocketnas.networks import resolve
        from pocketnas.profiled import show as show_profile
        from pocketnas.sustained import require_one_device

        require_one_device(on, "a profile")
        _refuse_file(model)
        found = resolve(model, size=size, classes=classes, head=head)
        show_profile(found, on, settings, as_json=as_json)
        return
    subject = subject_of(
        model, size=size, classes=classes, head=head, precision=settings.precision
    )
    if minutes is not None:
        from pocketnas.sustained import show

        show(subject, on, settings, minutes=minutes, as_json=as_json)
        return
    source = create(on, settings)
    tell_what_goes_on(source, teller())
    try:
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
        for name, text in _beside(estimate.measurement):
            typer.echo(f"  {name:18} {text}")


def _beside(measurement: LatencyMeasurement) -> Iterator[tuple[str, str]]:
    """Other objectives that the sessions told; that there is none is said too."""
    memory_mb, energy_mj = measurement.peak_memory_mb, measurement.energy_mj
    yield "peak memory", "not available" if memory_mb is None else f"{memory_mb:.4g} MB"
    yield "energy", "not available" if energy_mj is None else f"{energy_mj:.4g} mJ a session"


def _delegate(name: str) -> Delegate:
    from devices.device import Delegate
    from workspace.errors import InputError

    try:
        return Delegate(name)
    except ValueError:
        msg = f"unknown delegate {name!r}; there are {', '.join(Delegate)}"
        raise InputError(msg) from None


def precision_of(name: str) -> Precision:
    """The precision of that name, if files for timing have it.

    Raises:
        InputError: If there is none.
    """
    from exporters.artifact import Precision
    from workspace.errors import InputError

    if name not in ("fp32", "fp16", "int8"):
        msg = f"unknown precision {name!r}; there are fp32, fp16 and int8"
        raise InputError(msg)
    return Precision(name)


def clock_tier_of(name: str) -> ClockTier:
    """The tier of that name.

    Raises:
        InputError: If there is none.
    """
    from devices.device import ClockTier
    from workspace.errors import InputError

    try:
        return ClockTier(name)
    except ValueError:
        msg = f"unknown clock tier {name!r}; there are {', '.join(ClockTier)}"
        raise InputError(msg) from None


def _preset(name: str, sessions: int | None) -> str:
    """As a request names it: ``search``, or ``search/7`` for a fixed number of sessions."""
    from latency.presets import exactly, preset

    protocol = preset(name)
    return name if sessions is None else exactly(protocol, sessions).preset


def _in_app(mode: str, apk: Path | None) -> bool:
    from workspace.errors import InputError

    if mode not in ("tool", "app"):
        msg = f"unknown mode {mode!r}; there are tool and app"
        raise InputError(msg)
    if apk is not None and mode != "app":
        msg = f"--apk {str(apk)!r} is for --mode app, got --mode {mode}"
        raise InputError(msg)
    return mode == "app"


def _refuse_for_a_table(settings: SourceSettings, sessions: int | None) -> None:
    """A table has its own conditions; nothing runs."""
    from latency.source import SourceSettings
    from workspace.errors import InputError

    if sessions is not None or replace(settings, reuse=True) != SourceSettings():
        msg = (
            "a table answers under the conditions that it was measured under: leave out "
            "--threads, --delegate, --clock-tier, --precision, --sessions, --mode"
        )
        raise InputError(msg)


def _refuse_beside_sustained(
    preset: str | None, sessions: int | None, settings: SourceSettings
) -> None:
    """A curve has sessions of its own."""
    from workspace.errors import InputError

    if preset is not None or sessions is not None or settings.in_app:
        msg = "--sustained has sessions of its own: leave out --preset, --sessions and --mode app"
        raise InputError(msg)


def _refuse_beside_profile(
    preset: str | None, sessions: int | None, settings: SourceSettings, minutes: float | None
) -> None:
    """A profile has sessions of its own."""
    from workspace.errors import InputError

    if preset is not None or sessions is not None or settings.in_app or minutes is not None:
        msg = (
            "--profile has sessions of its own: leave out --preset, --sessions, --mode app and "
            "--sustained"
        )
        raise InputError(msg)


def _minutes(text: str) -> float:
    """Of ``20m``, ``90s`` or ``0.5h``."""
    from workspace.errors import InputError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)", text)
    if found is None or float(found[1]) == 0:
        msg = f"--sustained takes a time such as 20m, 90s or 0.5h, got {text!r}"
        raise InputError(msg)
    return float(found[1]) * {"s": 1 / 60, "m": 1.0, "h": 60.0}[found[2]]


def _refuse_file(text: str) -> None:
    """Blocks are those of a network; a file has none."""
    from workspace.errors import InputError

    if _is_file(text):
        msg = f"--profile takes a network, whose blocks it names; {text!r} is a model file"
        raise InputError(msg)


def _is_file(text: str) -> bool:
    """Whether a model file is meant, no network."""
    path = Path(text)
    return path.suffix in (".tflite", ".onnx") or (path.is_file() and path.suffix != ".json")


def subject_of(
    text: str,
    *,
    size: int | None,
    classes: int | None,
    precision: Precision,
    head: str | None = None,
) -> Subject:
    """The file at ``text``, or the network that it names."""
    from exporters.artifact import Precision
    from latency.source import FileSubject, NetworkSubject
    from workspace.errors import InputError

    if _is_file(text):
        from exporters.tflite_file import read

        given = (size, classes, head) != (None, None, None)
        if given or precision is not Precision.FP32:
            msg = (
                "--size, --classes, --head and --precision are for a network; the file "
                f"{text!r} has its own"
            )
            raise InputError(msg)
        return FileSubject(artifact=read(Path(text)))
    from pocketnas.networks import resolve

    found = resolve(text, size=size, classes=classes, head=head)
    return NetworkSubject(architecture=found.architecture, head=found.head)
