"""A network's curve under load, for people and as JSON."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from devices.device import ModelFile
from latency.model_files import ModelFiles
from latency.source import SourceSettings, Subject
from pocketnas.cli.output import print_json
from workspace.errors import InputError

if TYPE_CHECKING:
    from latency.sustained import Curve, Point


def show(
    subject: Subject, on: str, settings: SourceSettings, *, minutes: float, as_json: bool
) -> None:
    """Run ``subject`` without a pause on one device and print what became of its latency.

    Raises:
        InputError: If ``on`` is not one device.
        DeviceError: If a session fails.
    """
    from devices.pool import lease, open_device
    from latency.protocol import Bench
    from latency.sustained import sustained

    require_one_device(on, "a sustained curve")
    artifact = ModelFiles(settings.exporter, settings.precision).of(subject)
    model = ModelFile(path=artifact.path, sha256=artifact.sha256)
    with lease(on, wait_s=60.0) as held, closing(open_device(on, settings.recovery)) as device:
        bench = Bench(device=device, placement=settings.placement, guard=held.require)
        told = _nothing if as_json else _say
        curve = sustained(bench, model, minutes=minutes, on_point=told)
    curve = replace(curve, labels=(*curve.labels, *_accepted(curve)))
    if as_json:
        print_json(facts(curve))
    else:
        ratio = curve.last_minute_ms / curve.first_minute_ms
        typer.echo(
            f"first minute {curve.first_minute_ms:.4g} ms, last minute "
            f"{curve.last_minute_ms:.4g} ms ({ratio - 1:+.1%})"
        )
        setup = curve.conditions.setup
        for stand_in in (setup.info.stand_in, setup.runner.stand_in):
            if stand_in:
                typer.echo(f"  stand-in: {stand_in}")
        for label in curve.labels:
            typer.echo(f"  label: {label}")


def _accepted(curve: Curve) -> tuple[str, ...]:
    """What the device's acceptance test said; nothing if it never had one."""
    from latency.history import History
    from latency.store import MeasurementStore

    found = History(MeasurementStore.shared()).acceptance(curve.conditions.setup.info.unit)
    return () if found is None else (found.sentence(),)


def require_one_device(on: str, what: str) -> None:
    """Refuse a source that is none or several.

    Raises:
        InputError: If ``on`` is not one device.
    """
    if on != "host" and (not on.startswith("adb:") or on == "adb:any"):
        msg = f"{what} is one device's, got {on!r}: give --on host or --on adb:SERIAL"
        raise InputError(msg)


def facts(curve: Curve) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "first_minute_ms": curve.first_minute_ms,
        "last_minute_ms": curve.last_minute_ms,
        "points": [asdict(point) for point in curve.points],
        "labels": list(curve.labels),
        "conditions": curve.conditions.flat(),
    }


def _say(point: Point) -> None:
    heat = "" if point.temperature_c is None else f", {point.temperature_c:g} C"
    typer.echo(f"{point.at_s:6.0f} s  {point.value_ms:.4g} ms{heat}")


def _nothing(_: Point) -> None:
    """JSON comes at the end."""
