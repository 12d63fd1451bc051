"""Entries from what ``benchmark_model`` tells of the operators of a network.

Operators are timed one by one there, so that a part takes longer than inside a network that
nobody watches: such entries are for comparing parts, and for a correction to scale down.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from exporters.cutting import Block, blocks
from latency.operator_times import by_node
from latency.table import Entry
from workspace.errors import InputError

if TYPE_CHECKING:
    from devices.op_profile import OperatorProfile
    from exporters.graph import Graph
    from latency.signatures import Parts

LABEL = "from a profile, which times operators one by one and knows no spread from run to run"
"""Of a table of such entries."""


def from_profile(told: OperatorProfile, graph: Graph, parts: Parts) -> dict[str, Entry]:
    """One entry for each distinct part of a network: mean and variance over where it comes.

    Args:
        told: Of a file that our writer made of ``graph``.
        graph: Of the network.
        parts: Of the network, from input to output.

    Raises:
        InputError: If the profile is not of this network, or hides operators in a delegate.
    """
    ms_of = by_node(told, graph)
    if ms_of is None:
        raise InputError(_misfit(told, graph))
    found: dict[str, list[float]] = {}
    for part, nodes in zip(parts, _nodes_of(graph, parts), strict=True):
        took_ms = sum(ms_of.get(tensor, 0.0) for tensor in nodes)
        found.setdefault(part.key, []).append(took_ms)
    return {key: _entry(times) for key, times in found.items()}


def _entry(times_ms: list[float]) -> Entry:
    """Of one part, of every place it comes in."""
    return Entry(
        ms=statistics.fmean(times_ms),
        variance_ms2=statistics.variance(times_ms) if len(times_ms) > 1 else 0.0,
        count=len(times_ms),
        sessions=1,
    )


def _nodes_of(graph: Graph, parts: Parts) -> list[list[int]]:
    """The tensors that the nodes of each part make; what has no weights belongs to what follows.

    So the mean over the last image is the classifier's. But swish, which is operators of its own,
    belongs to the convolution before it, in the same part of the module.
    """
    found: list[list[Block]] = [[]]
    for block in blocks(graph):
        if not (block.macs or found[-1]) and _follows(block, found):
            found[-2].append(block)
            continue
        found[-1].append(block)
        if block.macs:
            found.append([])
    *full, rest = found
    full[-1] += rest
    macs = [sum(block.macs for block in each) for each in full]
    if macs != [part.macs for part in parts]:
        msg = (
            f"the network's graph has {len(full)} blocks, which are not its {len(parts)} parts: "
            "its profile says nothing of them"
        )
        raise InputError(msg)
    return [[node.output for block in each for node in block.nodes] for each in full]


def _follows(block: Block, found: list[list[Block]]) -> bool:
    """Whether a block is in the part of the module that the last one with weights is in."""
    if len(found) < 2:
        return False
    ours, last = (one.name.rpartition(".")[0] for one in (block, found[-2][-1]))
    return ours == last != ""


def _misfit(told: OperatorProfile, graph: Graph) -> str:
    types = {row.type for row in told.operators}
    hidden = sorted(each for each in types if "delegate" in each.lower())
    if hidden:
        return (
            f"the profile hides the operators inside {hidden[0]!r}: run benchmark_model with "
            "--use_xnnpack=false, or a build that tells of a delegate's inside"
        )
    return (
        f"the profile's {len(told.operators)} operators are not those of this network, which has "
        f"{len(graph.nodes)}: name the one whose file, exported by pocketnas, was profiled"
    )
