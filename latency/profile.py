"""Where a network's time goes, block by block.

Two ways, named in the result:

* ``differences``: networks that end after each block are timed, interleaved, and a block takes
  what the network that ends with it takes longer than the one before. It works on every device,
  also where one operator of a delegate hides all others; half-widths say how well it is known.
* ``operators``: a phone's ``benchmark_model`` tells the time of each operator, in a session of its
  own that gives no latency of the whole (the profiler slows it down).
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from devices.device import DevicePermanentError, ModelFile, RunSettings
from exporters.artifact import Precision
from exporters.cutting import Block, blocks, prefixes
from exporters.graph import Graph
from exporters.tflite import write
from latency.measurement import Conditions
from latency.operator_times import by_node
from latency.presets import SEARCH, exactly
from latency.protocol import Bench, Candidate, Measured, measure_batch

if TYPE_CHECKING:
    from devices.op_profile import OperatorProfile

PROTOCOL = replace(
    exactly(SEARCH, 5), preset="profile/5", warmup_min_s=0.1, timed_min_s=0.3, sentinel_every=0
)
"""Five short sessions of each network that ends after a block: there are twenty and more."""


class Method(StrEnum):
    """How the time of a block was found."""

    DIFFERENCES = "differences"
    OPERATORS = "operators"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTime:
    """One block.

    Attributes:
        name: In the module.
        ms: That it takes; a difference may be below zero by its half-width.
        half_width_ms: Of the 95 % interval of ``ms``; None where the tool tells none.
        macs: Multiply-adds.
        parameters: Numbers in weights and biases.
        operators: Kinds of its operators, in order.
    """

    name: str
    ms: float
    half_width_ms: float | None
    macs: int
    parameters: int
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockProfile:
    """All blocks.

    Attributes:
        method: How it was found.
        whole_ms: Of the whole network, by the same sessions; of operators, their sum.
        blocks: In order.
        conditions: Of all sessions; None where a profiler ran, which no other figure goes with.
        labels: What could not be held, read or told.
    """

    method: Method
    whole_ms: float
    blocks: tuple[BlockTime, ...]
    conditions: Conditions | None
    labels: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """With the share of each block."""
        return {
            "method": self.method.value,
            "whole_ms": self.whole_ms,
            "blocks": [
                {**asdict(block), "share": block.ms / self.whole_ms} for block in self.blocks
            ],
            "conditions": None if self.conditions is None else self.conditions.flat(),
            "labels": list(self.labels),
        }


class Profiling(Protocol):
    """A device whose program tells the time of each operator."""

    def profile(self, model: ModelFile, settings: RunSettings) -> OperatorProfile:
        """How long each operator takes.

        Raises:
            DeviceError: If it fails; for good where the program writes no table.
        """
        ...


def by_differences(
    bench: Bench, graph: Graph, *, precision: Precision = Precision.FP32, seed: int = 0
) -> BlockProfile:
    """Time the networks that end after each block.

    Args:
        bench: The device.
        graph: Of one input.
        precision: Of the files that are timed.
        seed: Of the order of sessions.

    Raises:
        ExportError: If the graph cannot be cut or written.
        DeviceError: If a network could not be timed.
    """
    parts = blocks(graph)
    with tempfile.TemporaryDirectory() as folder:
        ends = [write(each, Path(folder), precision) for each in prefixes(graph, parts)]
        candidates = [
            Candidate(
                model=ModelFile(path=end.path, sha256=end.sha256),
                precision=precision,
                protocol=PROTOCOL,
            )
            for end in ends
        ]
        found = {}
        for result in measure_batch(bench, candidates, seed=seed):
            if not isinstance(result, Measured):
                raise result.error
            found[result.index] = result.measurement
    times, before_ms, before_half = [], 0.0, 0.0
    for index, part in enumerate(parts):
        interval = found[index].interval
        half = (interval.high_ms - interval.low_ms) / 2
        times.append(
            _block_time(
                part, found[index].median_ms - before_ms, half=math.hypot(half, before_half)
            )
        )
        before_ms, before_half = found[index].median_ms, half
    last = found[len(parts) - 1]
    return BlockProfile(
        method=Method.DIFFERENCES,
        whole_ms=last.median_ms,
        blocks=tuple(times),
        conditions=last.conditions,
        labels=last.labels,
    )


def by_operators(
    device: Profiling, model: ModelFile, graph: Graph, settings: RunSettings
) -> BlockProfile:
    """Ask a phone's program for the time of each operator of ``model``, the file of ``graph``.

    Raises:
        DeviceError: If it fails; for good where the table does not fit the graph, as where a
            delegate tells nothing of its inside.
    """
    told = device.profile(model, settings)
    ms_of = by_node(told, graph)
    if ms_of is None:
        msg = "its program's table does not tell which operator is which: time by differences"
        raise DevicePermanentError(model.path.name, msg)
    parts = blocks(graph)
    times = tuple(
        _block_time(part, sum(ms_of.get(node.output, 0.0) for node in part.nodes))
        for part in parts
    )
    return BlockProfile(
        method=Method.OPERATORS,
        whole_ms=sum(ms_of.values()),
        blocks=times,
        conditions=None,
        labels=("profiled: operators are timed one by one, which takes longer than the whole",),
    )


def _block_time(part: Block, ms: float, half: float | None = None) -> BlockTime:
    return BlockTime(
        name=part.name,
        ms=ms,
        half_width_ms=half,
        macs=part.macs,
        parameters=part.parameters,
        operators=tuple(type(node.operator).__name__ for node in part.nodes),
    )
