"""Networks of several streams as a graph (AssembleNet, Ryoo et al., ICLR 2020, section 3.1).

Nodes are numbered from 0, stems first. A stem makes features of an input; a block node reads
nodes of lower levels, stems counting as the lowest, and the nodes of the last level are what the
head reads. Several nodes of one level are parallel streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from search_space.guidance import Edge
from search_space.stream_order import Vertex, canonical_order
from workspace.errors import InputError

LEVELS = 4
"""Levels of block nodes, 0 to 3."""


class StemKind(StrEnum):
    """What a stem reads."""

    RGB = "rgb"
    FLOW = "flow"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStem:
    """The first layers of a stream.

    Attributes:
        kind: Its input: frames, optical flow, or a map of object classes (AssembleNet++).
        dilation: Temporal, of the convolution over frames; 1 in stems that have none.
    """

    kind: StemKind
    dilation: int = 1

    def __post_init__(self) -> None:
        _check_count(self.dilation, f"temporal dilation of {self.kind} stems")
        if self.kind is not StemKind.RGB:
            object.__setattr__(self, "dilation", 1)

    def __str__(self) -> str:
        return f"{self.kind}{self.dilation}" if self.kind is StemKind.RGB else str(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamNode:
    """A block node.

    Attributes:
        level: 0 to 3; from level 1 on a node halves its inputs' height and width.
        inputs: Nodes of lower levels, by number; in rising order, whatever was given.
        filters: Channels of its blocks.
        dilation: Temporal, of its convolutions over frames.
        gates: In (0, 1), what each input is multiplied by; None where the network learns them. A
            node with one input has none.
    """

    level: int
    inputs: tuple[int, ...]
    filters: int
    dilation: int = 1
    gates: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.gates is not None and len(self.gates) == len(self.inputs):
            pairs = sorted(zip(self.inputs, self.gates, strict=True))
            object.__setattr__(self, "inputs", tuple(source for source, _ in pairs))
            object.__setattr__(self, "gates", tuple(gate for _, gate in pairs))
        else:
            object.__setattr__(self, "inputs", tuple(sorted(self.inputs)))
        if not self.gates and len(self.inputs) == 1:
            object.__setattr__(self, "gates", None)

    def __str__(self) -> str:
        gates = self.gates or ("",) * len(self.inputs)
        reads = zip(self.inputs, gates, strict=True)
        inputs = "-".join(f"{source}g{gate!r}" if gate else str(source) for source, gate in reads)
        return f"{self.level}f{self.filters}d{self.dilation}i{inputs}"

    def renumbered(self, number: dict[int, int]) -> StreamNode:
        """The same node where node i is called ``number[i]``."""
        return replace(self, inputs=tuple(number[each] for each in self.inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGraph:
    """Stems and block nodes.

    Graphs that differ in the order of their stems and nodes alone are equal values: what leads to
    the last level comes first, then the rest, each by level. Only what leads there is built.

    Attributes:
        stems: Nodes 0, 1, …
        nodes: The block nodes that follow, in any order when given.
    """

    stems: tuple[StreamStem, ...]
    nodes: tuple[StreamNode, ...]

    def __post_init__(self) -> None:
        _check(self.stems, self.nodes)
        order = self._order()
        number = {old: new for new, old in enumerate(order)}
        start = len(self.stems)
        nodes = tuple(self.nodes[old - start].renumbered(number) for old in order[start:])
        object.__setattr__(self, "stems", tuple(self.stems[old] for old in order[:start]))
        object.__setattr__(self, "nodes", nodes)

    @property
    def size(self) -> int:
        """Number of stems and nodes."""
        return len(self.stems) + len(self.nodes)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All connections, node by node: ``(source, target)``."""
        return tuple(
            (source, target)
            for target, node in enumerate(self.nodes, start=len(self.stems))
            for source in node.inputs
        )

    @property
    def gates(self) -> dict[str, tuple[Edge, ...]]:
        """The edges with a gate, by the name of the built node that they lead to.

        Names are the same for all graphs whose built part is the same. A node with one input has
        no gate.
        """
        return {
            node_name(place): tuple((source, number) for source in self.node(number).inputs)
            for place, number in enumerate(sorted(self.live))
            if number >= len(self.stems) and len(self.node(number).inputs) > 1
        }

    @property
    def live(self) -> frozenset[int]:
        """Numbers of the stems and nodes that lead to the last level; only they are built."""
        found = {
            number
            for number, node in enumerate(self.nodes, start=len(self.stems))
            if node.level == LEVELS - 1
        }
        left = list(found)
        while left:
            number = left.pop()
            if number >= len(self.stems):
                new = set(self.node(number).inputs) - found
                found |= new
                left += new
        return frozenset(found)

    @property
    def built(self) -> tuple[tuple[StreamStem, ...], tuple[StreamNode, ...]]:
        """Stems and nodes of ``live``, numbered as if there were no others."""
        number = {old: new for new, old in enumerate(sorted(self.live))}
        start = len(self.stems)
        stems = tuple(stem for i, stem in enumerate(self.stems) if i in number)
        nodes = (node for i, node in enumerate(self.nodes, start=start) if i in number)
        return stems, tuple(node.renumbered(number) for node in nodes)

    def node(self, number: int) -> StreamNode:
        """The block node of that number."""
        return self.nodes[number - len(self.stems)]

    def level_of(self, number: int) -> int:
        """Of a node; -1 of a stem."""
        return -1 if number < len(self.stems) else self.node(number).level

    def lower_than(self, level: int) -> tuple[int, ...]:
        """Numbers of the stems and nodes that a node of that level may read."""
        return tuple(number for number in range(self.size) if self.level_of(number) < level)

    @property
    def possible_edges(self) -> tuple[Edge, ...]:
        """All connections that a graph of these nodes may have."""
        lower = {level: self.lower_than(level) for level in range(LEVELS)}
        return tuple(
            (source, target)
            for target, node in enumerate(self.nodes, start=len(self.stems))
            for source in lower[node.level]
        )

    def filters_of(self, level: int) -> int:
        """Sum over the nodes of a level."""
        return sum(node.filters for node in self.nodes if node.level == level)

    def _order(self) -> list[int]:
        """Numbers as they are, in the order that they shall have."""
        start = len(self.stems)
        vertices = [
            Vertex(
                rank=-1,
                text=f"{list(StemKind).index(stem.kind)}/{stem.dilation:09d}",
                inputs=(),
                weights=(),
            )
            for stem in self.stems
        ] + [
            Vertex(
                rank=node.level,
                text=f"{node.filters:09d}/{node.dilation:09d}",
                inputs=node.inputs,
                weights=node.gates or (0.0,) * len(node.inputs),
            )
            for node in self.nodes
        ]
        parts = canonical_order(vertices, self.live)
        return [each for each in parts if each < start] + [each for each in parts if each >= start]


def node_name(number: int) -> str:
    """What a built node is called, by its number in ``StreamGraph.built``."""
    return f"node{number}"


def _check(stems: Sequence[StreamStem], nodes: Sequence[StreamNode]) -> None:
    """Do nothing if they are a network.

    Raises:
        InputError: If they are not; the text says which node is wrong, numbered as given.
    """
    if not stems:
        msg = "a network of streams needs at least one stem, got none"
        raise InputError(msg)
    start = len(stems)
    for number, node in enumerate(nodes, start=start):
        _check_node(number, node, start + len(nodes))
    _check_cycles(nodes, start)
    for number, node in enumerate(nodes, start=start):
        for source in node.inputs:
            level = -1 if source < start else nodes[source - start].level
            if level >= node.level:
                msg = (
                    f"node {number} (level {node.level}) reads node {source} (level {level}); "
                    "a node reads nodes of lower levels only"
                )
                raise InputError(msg)
    empty = sorted(set(range(LEVELS)).difference(node.level for node in nodes))
    if empty:
        msg = (
            f"level {empty[0]} has no node; "
            f"a network of streams needs at least one at each of the levels 0 to {LEVELS - 1}"
        )
        raise InputError(msg)


def _check_node(number: int, node: StreamNode, size: int) -> None:
    if type(node.level) is not int or not 0 <= node.level < LEVELS:
        msg = f"node {number} has level {node.level!r}; levels are from 0 to {LEVELS - 1}"
        raise InputError(msg)
    _check_count(node.filters, f"filters of node {number}")
    _check_count(node.dilation, f"temporal dilation of node {number}")
    if not node.inputs:
        msg = f"node {number} (level {node.level}) has no input"
        raise InputError(msg)
    for source in node.inputs:
        if type(source) is not int or not 0 <= source < size:
            msg = f"node {number} reads node {source!r}; nodes are numbered from 0 to {size - 1}"
            raise InputError(msg)
    if len(set(node.inputs)) != len(node.inputs):
        msg = f"node {number} reads a node twice: {', '.join(map(str, node.inputs))}"
        raise InputError(msg)
    if node.gates is not None:
        _check_gates(number, node)


def _check_gates(number: int, node: StreamNode) -> None:
    gates = node.gates or ()
    expected = len(node.inputs) if len(node.inputs) > 1 else 0
    if len(gates) != expected:
        msg = (
            f"node {number} has {len(gates)} gates for {len(node.inputs)} inputs; "
            "it has one for each of its inputs, or none where there is a single input"
        )
        raise InputError(msg)
    for gate in gates:
        if not 0 < gate < 1:
            msg = f"gates of node {number} must be between 0 and 1, both excluded, got {gate!r}"
            raise InputError(msg)


def _check_cycles(nodes: Sequence[StreamNode], start: int) -> None:
    """Do nothing if no node reads itself, directly or not."""
    left = dict(enumerate(nodes, start=start))
    while left:
        ready = [n for n, node in left.items() if not any(each in left for each in node.inputs)]
        if not ready:
            break
        for number in ready:
            left.pop(number)
    if left:
        trail = [min(left)]
        while len(set(trail)) == len(trail):
            trail.append(next(each for each in left[trail[-1]].inputs if each in left))
        cycle = trail[trail.index(trail[-1]) :]
        msg = f"nodes read each other in a cycle: {' reads '.join(map(str, cycle))}"
        raise InputError(msg)


def _check_count(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        msg = f"{what} must be a whole number of at least 1, got {value!r}"
        raise InputError(msg)
