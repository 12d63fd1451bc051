"""Points that stand for networks of streams, and how they are drawn and changed.

A point is the temporal dilation of each stem, then for each level its nodes: of each the filters,
in shares of the level's, its temporal dilation and its inputs, stems counting first.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from search_space.decisions import Point
from search_space.guidance import Edge, Threshold, Told, checked_weights
from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode, StreamStem
from search_space.stream_mutations import merged, reconnected, split, with_dilation, with_edges
from workspace.errors import InputError

SHARES = 8
"""Into which the filters of a level are parted."""

_Row = tuple[int, int, tuple[int, ...]]
"""Of a node: shares, dilation, inputs."""

_TRIES = 1000
"""Of changes, until one gives another network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPoints:
    """All graphs of some stems, with a given number of filters at each level.

    A ``GuidedPointSpace`` that is ``Discerning``. Drawn and changed points number their nodes as
    ``StreamGraph`` does.

    Attributes:
        stems: What each stream reads.
        nodes: At most so many a level.
        dilations: That nodes and stems may have, rising.
        temporal: For each level whether its nodes have a convolution over frames, and so a
            dilation; the others have 1.
    """

    stems: tuple[StemKind, ...]
    nodes: int
    dilations: tuple[int, ...]
    temporal: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Number of points, exactly; the same network with its nodes in another order counts."""
        choices = math.prod(len(self.stem_dilations(kind)) for kind in self.stems)
        return choices * self._count(0, len(self.stems))

    def stem_dilations(self, kind: StemKind) -> tuple[int, ...]:
        """That a stem may have."""
        return self.dilations if kind is StemKind.RGB else (1,)

    def node_dilations(self, level: int) -> tuple[int, ...]:
        """That a node may have."""
        return self.dilations if self.temporal[level] else (1,)

    def sample(self, rng: random.Random) -> Point:
        """Draw the number of nodes of each level, then all else, each uniformly.

        So every point of as many nodes is as likely as any other, but those of few nodes, of which
        there are far fewer, are drawn as often as those of many.
        """
        stems = tuple(
            StreamStem(kind=kind, dilation=rng.choice(self.stem_dilations(kind)))
            for kind in self.stems
        )
        nodes: list[StreamNode] = []
        for level in range(LEVELS):
            lower = len(stems) + len(nodes)
            cuts = sorted(rng.sample(range(1, SHARES), rng.randint(1, self.nodes) - 1))
            for start, end in itertools.pairwise((0, *cuts, SHARES)):
                dilation = rng.choice(self.node_dilations(level))
                inputs = _subset(rng.randrange(1, 2**lower))
                nodes.append(
                    StreamNode(level=level, inputs=inputs, filters=end - start, dilation=dilation)
                )
        return self.point_of(StreamGraph(stems=stems, nodes=tuple(nodes)))

    def mutate(self, point: Point, rng: random.Random) -> Point:
        """Add or take away a connection, merge or split nodes, or change a temporal dilation.

        Each kind of change that is possible is as likely as any other. What gives the same
        network, because it changes what is not built, is drawn again.
        """
        graph = self.graph_of(point)
        changes = {"connect": _connections(graph), **self._structural(graph)}
        return self._changed(graph, changes, rng)

    def crossover(self, first: Point, second: Point, rng: random.Random) -> Point:
        """Take each level, and the stems, from one parent or the other, with equal chance.

        A node reads the nodes at the places where its inputs were in its parent; of a level with
        fewer nodes, places are counted from the first again.
        """
        parents = (self.graph_of(first), self.graph_of(second))
        stems = parents[rng.randrange(2)].stems
        places: list[list[int]] = [list(range(len(stems)))]
        nodes: list[StreamNode] = []
        for level in range(LEVELS):
            parent = parents[rng.randrange(2)]
            levels = _by_level(parent)
            for number in levels[level + 1]:
                inputs = {
                    places[row][levels[row].index(source) % len(places[row])]
                    for source in parent.node(number).inputs
                    for row in (parent.level_of(source) + 1,)
                }
                nodes.append(replace(parent.node(number), inputs=tuple(inputs)))
            size = len(stems) + len(nodes)
            places.append(list(range(size - len(levels[level + 1]), size)))
        return self.point_of(StreamGraph(stems=stems, nodes=tuple(nodes)))

    def validate(self, point: Point) -> None:
        """See ``PointSpace.validate``."""
        self.graph_of(point)

    def same_network(self, first: Point, second: Point) -> bool:
        """See ``Discerning.same_network``; what is not built makes no other network."""
        return self.graph_of(first).built == self.graph_of(second).built

    def told_weights(self, point: Point) -> Mapping[str, int]:
        """See ``GuidedPointSpace.told_weights``."""
        return {name: len(edges) for name, edges in self.graph_of(point).gates.items()}

    def reconnect(
        self, point: Point, told: Told, threshold: Threshold, rng: random.Random
    ) -> Point:
        """See ``GuidedPointSpace.reconnect``.

        Edges without a gate stay: the only input of a node, and those of nodes that nobody reads.
        A node that is left without an input is given one of all that it may read.
        """
        graph = self.graph_of(point)
        checked = checked_weights(told, self.told_weights(point))
        weights: dict[Edge, float] = {}
        for name, edges in graph.gates.items():
            weights.update(zip(edges, checked[name], strict=True))
        return self.point_of(reconnected(graph, weights, threshold, rng).graph)

    def restructure(self, point: Point, rng: random.Random) -> Point:
        """Merge or split nodes, or change a temporal dilation, each kind as likely."""
        graph = self.graph_of(point)
        return self._changed(graph, self._structural(graph), rng)

    def graph_of(self, point: Point) -> StreamGraph:
        """What ``point`` stands for, with shares as filters.

        Raises:
            InputError: If it is not in the space.
        """
        dilations, levels = _parsed(point)
        self._check(dilations, levels)
        stems = tuple(
            StreamStem(kind=kind, dilation=dilation)
            for kind, dilation in zip(self.stems, dilations, strict=True)
        )
        nodes = tuple(
            StreamNode(level=level, inputs=inputs, filters=share, dilation=dilation)
            for level, rows in enumerate(levels)
            for share, dilation, inputs in rows
        )
        return StreamGraph(stems=stems, nodes=nodes)

    def point_of(self, graph: StreamGraph) -> Point:
        """A point that stands for ``graph``, whose filters are shares; nodes come by level.

        Raises:
            InputError: If it is not in the space.
        """
        order = self._stems_in_order(graph)
        order += [number for numbers in _by_level(graph)[1:] for number in numbers]
        number = {old: new for new, old in enumerate(order)}
        rows: list[list[_Row]] = [[] for _ in range(LEVELS)]
        for old in order[len(graph.stems) :]:
            node = graph.node(old).renumbered(number)
            rows[node.level].append((node.filters, node.dilation, node.inputs))
        dilations = tuple(graph.stems[old].dilation for old in order[: len(graph.stems)])
        levels = tuple(map(tuple, rows))
        self._check(dilations, levels)
        return (dilations, *levels)

    def _check(self, dilations: tuple[int, ...], levels: tuple[tuple[_Row, ...], ...]) -> None:
        """Do nothing if all but the connections is in the space."""
        if len(dilations) != len(self.stems):
            msg = f"a point of this space has {len(self.stems)} stems, got {len(dilations)}"
            raise InputError(msg)
        for number, (kind, dilation) in enumerate(zip(self.stems, dilations, strict=True)):
            _check_option(dilation, self.stem_dilations(kind), f"dilation of stem {number}")
        for level, rows in enumerate(levels):
            if not 1 <= len(rows) <= self.nodes:
                msg = f"level {level} has 1 to {self.nodes} nodes in this space, got {len(rows)}"
                raise InputError(msg)
            shares = [share for share, _, _ in rows]
            if min(shares) < 1 or sum(shares) != SHARES:
                msg = f"the nodes of level {level} have {SHARES} shares in all, got {shares}"
                raise InputError(msg)
            for _, dilation, _ in rows:
                what = f"dilation of a node of level {level}"
                _check_option(dilation, self.node_dilations(level), what)

    def _stems_in_order(self, graph: StreamGraph) -> list[int]:
        """Its stems, as the space has them."""
        left = dict(enumerate(graph.stems))
        found = []
        for kind in self.stems:
            number = next((i for i, stem in left.items() if stem.kind is kind), None)
            if number is None:
                break
            found.append(number)
            left.pop(number)
        if left or len(found) != len(self.stems):
            kinds = ", ".join(str(stem.kind) for stem in graph.stems)
            msg = f"the stems of this space are {', '.join(self.stems)}, got {kinds}"
            raise InputError(msg)
        return found

    def _structural(self, graph: StreamGraph) -> dict[str, Sequence[_Change]]:
        """Changes to the nodes of a graph, by kind."""
        levels = _by_level(graph)[1:]
        return {
            "merge": [
                partial(merged, graph, first, second)
                for numbers in levels
                for first, second in itertools.permutations(numbers, 2)
            ],
            "split": [
                partial(split, graph, number, graph.node(number).filters // 2)
                for numbers in levels
                for number in numbers
                if len(numbers) < self.nodes and graph.node(number).filters > 1
            ],
            "dilate": [
                partial(with_dilation, graph, number, dilation)
                for number, had, options in self._dilations(graph)
                for dilation in options
                if dilation != had
            ],
        }

    def _dilations(self, graph: StreamGraph) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Number, dilation and options of each stem and node."""
        for number, stem in enumerate(graph.stems):
            yield number, stem.dilation, self.stem_dilations(stem.kind)
        for number, node in enumerate(graph.nodes, start=len(graph.stems)):
            yield number, node.dilation, self.node_dilations(node.level)

    def _changed(
        self, graph: StreamGraph, changes: Mapping[str, Sequence[_Change]], rng: random.Random
    ) -> Point:
        """Another network by one of the changes."""
        built, possible = graph.built, [kind for kind, found in changes.items() if found]
        for _ in range(_TRIES if possible else 0):
            child = rng.choice(changes[rng.choice(possible)])()
            if child.built != built:
                return self.point_of(child)
        msg = "no change of this kind gives another network of this space"
        raise InputError(msg)

    def _count(self, level: int, lower: int) -> int:
        """Of what is at and after a level, over as many stems and nodes before it."""
        if level == LEVELS:
            return 1
        one = len(self.node_dilations(level)) * (2**lower - 1)
        return sum(
            math.comb(SHARES - 1, nodes - 1) * one**nodes * self._count(level + 1, lower + nodes)
            for nodes in range(1, self.nodes + 1)
        )


_Change = Callable[[], StreamGraph]


def _connections(graph: StreamGraph) -> list[_Change]:
    """Each connection added or taken away, but the only one of a node."""
    edges = set(graph.edges)
    return [
        partial(_toggled, graph, edge)
        for edge in graph.possible_edges
        if edge not in edges or len(graph.node(edge[1]).inputs) > 1
    ]


def _toggled(graph: StreamGraph, edge: Edge) -> StreamGraph:
    return with_edges(graph, set(graph.edges) ^ {edge})


def _by_level(graph: StreamGraph) -> list[list[int]]:
    """Numbers of stems, then of the nodes of each level."""
    found: list[list[int]] = [[] for _ in range(LEVELS + 1)]
    for number in range(graph.size):
        found[graph.level_of(number) + 1].append(number)
    return found


def _subset(bits: int) -> tuple[int, ...]:
    return tuple(place for place in range(bits.bit_length()) if bits >> place & 1)


def _check_option(value: int, options: tuple[int, ...], what: str) -> None:
    if value not in options:
        msg = f"{what} must be one of {', '.join(map(str, options))}, got {value!r}"
        raise InputError(msg)


def _parsed(point: Point) -> tuple[tuple[int, ...], tuple[tuple[_Row, ...], ...]]:
    """A point in its parts, each of the right kind.

    Raises:
        InputError: If one is not.
    """
    if len(point) != 1 + LEVELS:
        msg = f"a point of this space has {1 + LEVELS} parts, stems and levels, got {len(point)}"
        raise InputError(msg)
    first, *levels = point
    return _numbers(first), tuple(tuple(map(_row, _tuple(level))) for level in levels)


def _row(value: object) -> _Row:
    row = _tuple(value)
    if len(row) != 3:
        msg = f"a node is its shares, its dilation and its inputs, got {value!r}"
        raise InputError(msg)
    share, dilation = _numbers(row[:2])
    return share, dilation, _numbers(row[2])


def _numbers(value: object) -> tuple[int, ...]:
    items = _tuple(value)
    found = tuple(item for item in items if type(item) is int)
    if len(found) != len(items):
        msg = f"whole numbers are expected in a point, got {value!r}"
        raise InputError(msg)
    return found


def _tuple(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        msg = f"a list is expected in a point, got {value!r}"
        raise InputError(msg)
    return value
