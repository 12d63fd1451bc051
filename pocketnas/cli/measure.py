"""``pocketnas measure``: what a file or a network costs on a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from devices.device import Delegate
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
    preset: Annotated[
        str, typer.Option(help="How hard to try: quick, search or final.")
    ] = "search",
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

    settings = SourceSettings(threads=threads, delegate=_delegate(delegate), reuse=not fresh)
    subject = subject_of(model, size=size, classes=classes)
    source = create(on, settings)
    try:
        request = LatencyRequest(id="measure", subject=subject, preset=preset)
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
