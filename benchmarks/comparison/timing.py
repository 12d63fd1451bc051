"""Latencies of compared networks on this computer, in one batch of interleaved sessions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison.log import Log, key_of
from benchmarks.comparison.networks import Network
from latency.source import FileSubject, LatencyEstimate, LatencyRequest, SourceSettings, create
from search_space.architecture import Head, Json
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import nn

    from exporters.artifact import Artifact
    from exporters.cost import Cost
    from exporters.exporter import NamedInput


def exported(module: nn.Module, size: int, folder: Path) -> tuple[Artifact, Cost]:
    """A TFLite file in fp32 of a network for one grey image, and what it costs.

    Args:
        module: Takes `[1, 1, size, size]`.
        size: In pixels.
        folder: Made if it is not there.

    Raises:
        ExportError: If it cannot be expressed in the format.
    """
    from exporters.exporter import create as create_exporter

    folder.mkdir(parents=True, exist_ok=True)
    made = create_exporter("tflite").export(module.eval(), _grey(size), folder)
    return made, cost_of(module, size)


def cost_of(module: nn.Module, size: int) -> Cost:
    """What a network for one grey image costs.

    Args:
        module: Takes `[1, 1, size, size]`.
        size: In pixels.
    """
    from exporters.cost import count

    return count(module.eval(), _grey(size))


def _grey(size: int) -> tuple[NamedInput]:
    import torch

    from exporters.exporter import NamedInput

    return (NamedInput("image", torch.zeros(1, 1, size, size)),)


def timed(files: Mapping[str, Artifact], preset: str, log: Log) -> dict[str, tuple[float, ...]]:
    """Session values in ms of each file, all measured together; from the log if they were before.

    Args:
        files: By name.
        preset: How hard to try, with the number of sessions, e.g. ``search/10``.
        log: Where they are kept.

    Raises:
        OperationError: If one cannot be measured, without which the rest compares to nothing.
    """
    digests: list[Json] = [files[name].sha256 for name in sorted(files)]
    key = key_of("together", preset, digests)
    known = log.find(key)
    if known is None:
        log.add(key, {name: list(values) for name, values in _measured(files, preset).items()})
        known = log.find(key)
    assert known is not None
    return {name: _numbers(known[name]) for name in files}


def timed_untrained(
    networks: Mapping[str, Network], head: Head, size: int, preset: str, log: Log
) -> dict[str, tuple[float, ...]]:
    """The same of networks that nobody has trained yet; weights make none faster.

    They are known by what they compute, so that another computer, whose files may differ in a last
    bit, does not measure them again.

    Args:
        networks: By name, for grey images.
        head: That they end in.
        size: Of the images, in pixels.
        preset: How hard to try, with the number of sessions.
        log: Where they are kept.

    Raises:
        ExportError: If one cannot be expressed in the format.
        OperationError: If one cannot be measured.
    """
    keys: dict[str, Json] = {name: networks[name].key for name in sorted(networks)}
    key = key_of("untrained", preset, size, repr(head), keys)
    known = log.find(key)
    if known is None:
        with tempfile.TemporaryDirectory() as folder:
            files = {
                name: exported(one.build(head, 0), size, Path(folder))[0]
                for name, one in networks.items()
            }
            log.add(key, {name: list(its) for name, its in _measured(files, preset).items()})
        known = log.find(key)
    assert known is not None
    return {name: _numbers(known[name]) for name in networks}


def _measured(files: Mapping[str, Artifact], preset: str) -> dict[str, tuple[float, ...]]:
    requests = [
        LatencyRequest(id=name, subject=FileSubject(artifact=artifact), preset=preset)
        for name, artifact in files.items()
    ]
    source = create("host", SourceSettings(reuse=False))
    found: dict[str, tuple[float, ...]] = {}
    try:
        for answer in source.estimate(requests):
            if not isinstance(answer, LatencyEstimate) or answer.measurement is None:
                msg = f"not all networks were measured together: {answer}"
                raise OperationError(msg)
            found[answer.request_id] = answer.measurement.session_values_ms
    finally:
        source.close()
    return found


def _numbers(values: Json) -> tuple[float, ...]:
    assert isinstance(values, list)
    return tuple(float(str(value)) for value in values)
