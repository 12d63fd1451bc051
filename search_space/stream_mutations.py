"""Changes to a network of streams, each to a legal one by construction.

Merging and splitting keep the sum of filters of each level; what reads and what is read stays
(AssembleNet, Ryoo et al., ICLR 2020, section 3.3). No gate outlives a change: what is changed is
trained anew.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from search_space.guidance import Edge, Redrawn, Threshold, redrawn
from search_space.stream_graph import StemKind, StreamGraph, StreamNode, StreamStem


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnection:
    """A graph with its connections redrawn.

    Attributes:
        graph: The child, numbered in its own order.
        edges: What became of the parent's edges, by the parent's numbers, before repair.
        repaired: Nodes that were left without an input, by the parent's numbers, and were given
            one of those they may read.
    """

    graph: StreamGraph
    edges: Redrawn
    repaired: tuple[int, ...]


def reconnected(
    graph: StreamGraph,
    weights: Mapping[Edge, float],
    threshold: Threshold,
    rng: random.Random,
) -> Reconnection:
    """The graph with its connections redrawn by their weights; see ``guidance.redrawn``.

    Args:
        graph: The parent.
        weights: Of the edges of ``graph.gates``; all other edges stay.
        threshold: B.
        rng: Draws, then repairs node by node.
    """
    found = redrawn(set(graph.edges), graph.possible_edges, weights, threshold, rng)
    edges, repaired = set(found.kept | found.drawn), []
    for number, node in enumerate(graph.nodes, start=len(graph.stems)):
        if not any(target == number for _, target in edges):
            edges.add((rng.choice(graph.lower_than(node.level)), number))
            repaired.append(number)
    return Reconnection(graph=with_edges(graph, edges), edges=found, repaired=tuple(repaired))


def with_edges(graph: StreamGraph, edges: set[Edge]) -> StreamGraph:
    """The same nodes with other connections."""
    nodes = tuple(
        replace(node, inputs=tuple(s for s, target in edges if target == number), gates=None)
        for number, node in enumerate(graph.nodes, start=len(graph.stems))
    )
    return replace(graph, nodes=nodes)


def merged(graph: StreamGraph, first: int, second: int) -> StreamGraph:
    """The graph with two nodes of one level as one, which has the filters of both.

    It reads what either read, what read either reads it, and it has the first's dilation.

    Raises:
        ValueError: If they are not two nodes of one level.
    """
    level = graph.level_of(first)
    if first == second or level < 0 or graph.level_of(second) != level:
        msg = f"only two nodes of one level can be merged, got {first} and {second}"
        raise ValueError(msg)
    one, other = graph.node(first), graph.node(second)
    inputs = tuple(sorted({*one.inputs, *other.inputs}))
    new = replace(one, inputs=inputs, filters=one.filters + other.filters, gates=None)
    number = {i: i - (i > second) for i in range(graph.size)}
    number[second] = number[first]
    nodes = []
    for i, node in enumerate(graph.nodes, start=len(graph.stems)):
        if i != second:
            chosen = new if i == first else node
            reads = tuple(sorted({number[each] for each in chosen.inputs}))
            nodes.append(replace(chosen, inputs=reads, gates=None))
    return replace(graph, nodes=tuple(nodes))


def split(graph: StreamGraph, number: int, filters: int) -> StreamGraph:
    """The graph with one node as two, which share its filters.

    Both read what it read, and what read it reads both.

    Args:
        graph: The parent.
        number: Of the node.
        filters: Of its first half, fewer than it has; the second has the rest.
    """
    node = graph.node(number)
    halves = (
        replace(node, filters=filters, gates=None),
        replace(node, filters=node.filters - filters, gates=None),
    )
    kept = (*graph.nodes[: number - len(graph.stems)], halves[0])
    later = graph.nodes[number - len(graph.stems) + 1 :]
    nodes = [*kept, *later, halves[1]]
    new = graph.size
    return replace(graph, nodes=tuple(_reading_both(each, number, new) for each in nodes))


def with_dilation(graph: StreamGraph, number: int, dilation: int) -> StreamGraph:
    """The graph with another temporal dilation of one stem or node."""
    if number < len(graph.stems):
        stems = list(graph.stems)
        stems[number] = replace(stems[number], dilation=dilation)
        return ungated(replace(graph, stems=tuple(stems)))
    nodes = list(graph.nodes)
    place = number - len(graph.stems)
    nodes[place] = replace(nodes[place], dilation=dilation)
    return ungated(replace(graph, nodes=tuple(nodes)))


def ungated(graph: StreamGraph) -> StreamGraph:
    """The same graph, whose network learns its gates."""
    return replace(graph, nodes=tuple(replace(node, gates=None) for node in graph.nodes))


def has_dilation(vertex: StreamStem | StreamNode) -> bool:
    """Whether there is a convolution over frames in it, as far as it is known by itself."""
    return isinstance(vertex, StreamNode) or vertex.kind is StemKind.RGB


def _reading_both(node: StreamNode, number: int, new: int) -> StreamNode:
    """A node that reads ``new`` too where it reads ``number``."""
    reads = (*node.inputs, new) if number in node.inputs else node.inputs
    return replace(node, inputs=reads, gates=None)
