"""Where a network's time goes, for people, as JSON, and for the report of its run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from controller.counted_figures import example_inputs
from devices.device import DevicePermanentError, ModelFile
from latency.model_files import ModelFiles
from latency.profile import BlockProfile, BlockTime, by_differences, by_operators
from latency.protocol import Bench
from latency.source import NetworkSubject, SourceSettings
from pocketnas.cli.output import print_json, print_table
from pocketnas.networks import Found
from workspace.files import write_whole

if TYPE_CHECKING:
    from exporters.graph import Graph

PROFILE = "profile.json"
"""In the folder ``best`` of a run, of its best network, whose ``index`` it holds."""


def show(found: Found, on: str, settings: SourceSettings, *, as_json: bool) -> None:
    """Time ``found`` block by block on one device and print it; a run's best keeps it.

    Raises:
        InputError: If ``on`` names no device.
        ExportError: If the network cannot be traced.
        DeviceError: If it could not be timed.
    """
    profile = _profile(found, on, settings)
    facts = {"device": on, **profile.to_json()}
    kept = keep(found, facts)
    if as_json:
        print_json(facts)
        return
    typer.echo(f"{profile.whole_ms:.4g} ms on {on}, by {profile.method.value}")
    rows = [
        (
            block.name,
            _ms(block),
            f"{block.ms / profile.whole_ms:.1%}",
            f"{block.macs / 1e6:.4g}",
            f"{block.parameters / 1e3:.4g}",
            f"{len(block.operators)}",
        )
        for block in profile.blocks
    ]
    print_table(("block", "ms", "share", "million MACs", "thousand parameters", "operators"), rows)
    for label in profile.labels:
        typer.echo(f"  label: {label}")
    if kept is not None:
        typer.echo(f"kept in {kept}, for the run's report")


def _ms(block: BlockTime) -> str:
    half = block.half_width_ms
    return f"{block.ms:.4g}" if half is None else f"{block.ms:.4g} ± {half:.2g}"


def _profile(found: Found, on: str, settings: SourceSettings) -> BlockProfile:
    from devices.adb import AdbDevice
    from devices.pool import lease, open_device

    graph = _graph(found)
    device = open_device(on, settings.recovery)
    try:
        with lease(on, wait_s=60.0) as held:
            if isinstance(device, AdbDevice):
                subject = NetworkSubject(architecture=found.architecture, head=found.head)
                artifact = ModelFiles(settings.exporter, settings.precision).of(subject)
                model = ModelFile(path=artifact.path, sha256=artifact.sha256)
                try:
                    with device.hold(settings.placement):
                        return by_operators(device, model, graph, settings.placement)
                except DevicePermanentError as error:
                    typer.echo(f"{error}: timing by differences", err=True)
            bench = Bench(device=device, placement=settings.placement, guard=held.require)
            return by_differences(bench, graph, precision=settings.precision)
    finally:
        device.close()


def _graph(found: Found) -> Graph:
    inputs = example_inputs(found.architecture)
    from exporters.trace import to_graph

    return to_graph(found.architecture.build(found.head), inputs)


def keep(found: Found, facts: Mapping[str, object]) -> Path | None:
    """Write a profile's facts beside the export of its run's best network, if it is of that.

    Returns:
        Where; None for another network, or the same at another size or with another head.
    """
    from pocketnas.exported import read_export
    from pocketnas.runs import trial_of

    if found.run is None:
        return None
    exported = read_export(found.run)
    if exported is None or exported["index"] != found.index:
        return None
    if found != trial_of(found.run, f"{found.index}"):
        return None
    path = found.run / "best" / PROFILE
    write_whole(path, json.dumps({"index": found.index, **facts}, indent=1).encode())
    return path
