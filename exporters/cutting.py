"""Cuts a graph where blocks end, so that what each takes can be found by differences.

A runtime that fuses a whole network into one operator tells nothing of its parts. A network that
ends after block ``i`` can be timed like any other, and block ``i`` takes what it takes longer than
the one that ends before. A cut is possible where only one tensor is still to be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from exporters.exporter import ExportError
from exporters.graph import Constant, Graph, Node

_INDEX = re.compile(r"^\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Nodes that follow one another, and end where the graph can be cut.

    Attributes:
        name: In the module.
        nodes: In order, at least one.
        macs: Multiply-adds.
        parameters: Numbers in weights and biases.
    """

    name: str
    nodes: tuple[Node, ...]
    macs: int
    parameters: int


def block_name(path: str) -> str:
    """The block that a layer's path lies in: up to its last number but one, or the first part.

    >>> block_name("stages.2.0.expand.conv"), block_name("head.conv"), block_name("blocks.3.bn")
    ('stages.2.0', 'head', 'blocks.3')
    """
    parts = path.split(".")
    last = max((i for i, part in enumerate(parts[:3]) if _INDEX.match(part)), default=0)
    return ".".join(parts[: last + 1])


def blocks(graph: Graph, name_of: Callable[[str], str] = block_name) -> tuple[Block, ...]:
    """The graph's blocks in order; all nodes are in one.

    Args:
        graph: Of one input.
        name_of: The block of a node, by the node's name.
    """
    last_read = {tensor: at for at, node in enumerate(graph.nodes) for tensor in node.inputs}
    constants = {n.output for n in graph.nodes if isinstance(n.operator, Constant)}
    last_read |= {tensor: len(graph.nodes) for _, tensor in graph.outputs}
    found: list[Block] = []
    begin, living = 0, {tensor for _, tensor in graph.inputs}
    for at, node in enumerate(graph.nodes):
        living |= {node.output} - constants
        living = {tensor for tensor in living if last_read.get(tensor, -1) > at}
        is_last = at + 1 == len(graph.nodes)
        following = "" if is_last else name_of(graph.nodes[at + 1].name)
        if is_last or (living == {node.output} and following != name_of(node.name)):
            found.append(_block(graph, begin, at + 1, name_of))
            begin = at + 1
    return tuple(found)


def prefixes(graph: Graph, parts: tuple[Block, ...]) -> tuple[Graph, ...]:
    """The graphs that end after each block; the last one is the whole.

    Raises:
        ExportError: If the graph has several inputs, which a prefix might not read.
    """
    if len(graph.inputs) != 1:
        msg = f"a network of {len(graph.inputs)} inputs cannot be cut into blocks"
        raise ExportError(msg)
    ends, count = [], 0
    for part in parts[:-1]:
        count += len(part.nodes)
        ends.append(_prefix(graph, count))
    return (*ends, graph)


def _block(graph: Graph, begin: int, end: int, name_of: Callable[[str], str]) -> Block:
    nodes = graph.nodes[begin:end]
    names = dict.fromkeys(name_of(node.name) for node in nodes)
    parameters = 0
    for node in nodes:
        for part in ("weights", "bias"):
            parameters += getattr(getattr(node.operator, part, None), "size", 0)
    return Block(
        name=" + ".join(names),
        nodes=nodes,
        macs=sum(graph.macs(node) for node in nodes),
        parameters=parameters,
    )


def _prefix(graph: Graph, count: int) -> Graph:
    nodes = graph.nodes[:count]
    used = sorted(
        {tensor for _, tensor in graph.inputs}
        | {tensor for node in nodes for tensor in (*node.inputs, node.output)}
    )
    number = {tensor: i for i, tensor in enumerate(used)}
    return replace(
        graph,
        shapes=tuple(graph.shapes[tensor] for tensor in used),
        nodes=tuple(
            replace(
                node,
                inputs=tuple(number[tensor] for tensor in node.inputs),
                output=number[node.output],
            )
            for node in nodes
        ),
        inputs=tuple((name, number[tensor]) for name, tensor in graph.inputs),
        outputs=(("output", number[nodes[-1].output]),),
    )
