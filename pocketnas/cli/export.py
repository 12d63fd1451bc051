"""``pocketnas export``: a network as files that phones run, each one checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketnas.cli.arch import Architectures, Classes, HeadName, Size
from pocketnas.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from delivery.export import Plan
    from exporters.quantize import Quantization
    from pocketnas.exported import Exported
    from pocketnas.networks import Found


def export(
    architecture: Architectures,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write into, made if missing; with --bundle a new one.",
        ),
    ] = Path("exported"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="One or several, with commas: tflite, litert, onnx, savedmodel, tensorflow, "
            "package.module:NAME.",
        ),
    ] = "tflite",
    quantize: Annotated[
        str,
        typer.Option(help="One or several, with commas: none, fp16, dynamic, int8."),
    ] = "none",
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Whose training data calibrates int8, and whose test split checks accuracy.",
            show_default="the run's",
        ),
    ] = None,
    calibration_samples: Annotated[
        int, typer.Option(help="Training examples that int8 scales come from.")
    ] = 128,
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to time the files: host, adb:SERIAL or package.module:NAME; may be given "
            "again. The first is the chosen device.",
            show_default="nowhere, with --bundle every device at hand, the run's own first",
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="How hard timing tries: quick, search or final.")
    ] = "search",
    warn: Annotated[
        list[str] | None,
        typer.Option(
            help="A gate that only warns: parity, layout, delegation, macs, size, accuracy, "
            "latency, int8-speed; may be given again.",
            show_default="none",
        ),
    ] = None,
    int8_io: Annotated[
        bool,
        typer.Option("--int8-io", help="int8 TFLite files take and give int8 instead of float32."),
    ] = False,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Make one folder with all that an app needs.")
    ] = False,
    size: Size = None,
    classes: Classes = None,
    head: HeadName = None,
    as_json: AsJson = False,
) -> None:
    """Write a network as model files, or as a bundle; a file that fails a gate is not delivered.

    A run's best network has the weights of its short training; a catalog network has untrained
    ones, and the output says which.

    Example: pocketnas export runs/first:best --quantize none,int8 --on host --bundle -o bundle
    """
    from delivery.gates import GateError
    from pocketnas.exported import export as deliver
    from pocketnas.exported import network_of
    from pocketnas.networks import resolve

    found = resolve(architecture, size=size, classes=classes, head=head)
    found = _fitted(found, dataset, classes)
    plan = _plan(
        found,
        formats=_list(formats),
        quantizations=_quantizations(quantize),
        calibration_samples=calibration_samples,
        warn=warn or [],
        on=on or [],
        preset=preset,
        float_io=not int8_io,
    )
    if bundle and not on:
        plan = replace(plan, sources=_at_hand(found), are_named=False)
    network = network_of(found, dataset=dataset, name=architecture)
    try:
        exported = deliver(network, plan, output, bundle=bundle, say=_progress)
    except GateError as error:
        if as_json:
            print_json({"failed": str(error), **_checked(error.checked), "files": []})
        raise
    if as_json:
        print_json(exported.to_json())
    else:
        _print(exported)


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _quantizations(text: str) -> tuple[Quantization, ...]:
    from exporters.quantize import Quantization
    from workspace.errors import InputError

    for name in _list(text):
        if name not in set(Quantization):
            msg = f"unknown quantization {name!r}; there are {', '.join(Quantization)}"
            raise InputError(msg)
    return tuple(Quantization(name) for name in _list(text))


def _fitted(found: Found, dataset: str | None, classes: int | None) -> Found:
    """A network that is of no run ends in what its dataset needs."""
    if dataset is None or found.run is not None or classes is not None:
        return found
    from training.task import create

    return replace(found, head=create(dataset).head)


def _plan(
    found: Found,
    *,
    formats: tuple[str, ...],
    quantizations: tuple[Quantization, ...],
    calibration_samples: int,
    warn: list[str],
    on: list[str],
    preset: str,
    float_io: bool,
) -> Plan:
    from delivery.export import Plan
    from delivery.gates import gates_named
    from exporters.exporter import create
    from latency.presets import preset as preset_named
    from pocketnas.exported import host_settings_of, settings_of

    preset_named(preset)
    for name in formats:
        create(name)
    return Plan(
        formats=formats,
        quantizations=quantizations,
        calibration_samples=calibration_samples,
        only_warn=gates_named(warn),
        sources=tuple(dict.fromkeys(on)),
        settings=settings_of(found),
        host_settings=host_settings_of(found),
        preset=preset,
        float_io=float_io,
    )


def _at_hand(found: Found) -> tuple[str, ...]:
    """The device of the network's run, or this computer, then every one that can be used now."""
    from devices.pool import discover
    from pocketnas.exported import HOST, own_source

    ready = (each.id for each in discover() if not each.problem)
    return tuple(dict.fromkeys((own_source(found) or HOST, *ready)))


def _progress(text: str) -> None:
    typer.echo(text, err=True)


def _checked(checked: Any) -> dict[str, Any]:  # noqa: ANN401 - of delivery.gates, imported late
    from delivery.gates import Gate

    return {
        "gates": [each.to_json() for each in checked if isinstance(each, Gate)],
        "not_run": [each.to_json() for each in checked if not isinstance(each, Gate)],
    }


def _print(exported: Exported) -> None:
    facts = exported.to_json()
    for file in facts["files"]:
        typer.echo(file["path"])
        typer.echo(f"  {file['bytes']:,} bytes, {file['precision']}, written by {file['tool']}")
        for spec in (*file["inputs"], *file["outputs"]):
            typer.echo(f"  {spec['name']} {spec['shape']} {spec['dtype']}")
        typer.echo(f"  weights {file['weights']}")
        if file["note"]:
            typer.echo(f"  note: {file['note']}")
        name = Path(file["path"]).name
        for gate in facts["gates"]:
            if gate["file"] == name:
                mark = "ok" if gate["passed"] else "warning"
                typer.echo(f"  {mark:8} {gate['gate']:11} {gate['text']}")
        for gate in facts["not_run"]:
            if gate["file"] == name:
                typer.echo(f"  {'not run':8} {gate['gate']:11} {gate['why']}")
    if facts["bundle"]:
        typer.echo(f"bundle {facts['bundle']}: check it again with pocketnas verify, or with")
        typer.echo(f"  python {facts['bundle']}/verify.py")
