"""The space of AssembleNets: all graphs over some streams, with as many filters at each level.

The paper gives no list of choices (dilations, nodes a level); the defaults are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from search_space.architecture import Architecture
from search_space.assemblenet import MultiStreamArchitecture
from search_space.decisions import Point
from search_space.stream_graph import LEVELS, StreamGraph
from search_space.stream_points import SHARES, StreamPoints
from workspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembleNetSpace:
    """All networks that differ from a frame in their graph alone; a ``SearchSpace``.

    Attributes:
        name: See ``SearchSpace.name``.
        frame: A network whose all but graph every member has, and whose stems they read.
        filters: The sum of the filters of each level's nodes, multiples of ``SHARES``.
        nodes: At most so many a level.
        dilations: That nodes and stems over frames may have, rising.
        points: See ``SearchSpace.points``; a ``GuidedPointSpace``.
    """

    name: str
    frame: MultiStreamArchitecture
    filters: tuple[int, ...]
    nodes: int
    dilations: tuple[int, ...]
    points: StreamPoints = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.filters) != LEVELS or any(each < 1 or each % SHARES for each in self.filters):
            msg = f"filters of {LEVELS} levels must be multiples of {SHARES}, got {self.filters}"
            raise InputError(msg)
        points = StreamPoints(
            stems=tuple(stem.kind for stem in self.frame.graph.stems),
            nodes=self.nodes,
            dilations=self.dilations,
            temporal=tuple(map(self.frame.has_temporal, range(LEVELS))),
        )
        object.__setattr__(self, "points", points)

    @property
    def count(self) -> int:
        """See ``SearchSpace.count``; of points, several of which may stand for one graph."""
        return self.points.count

    def decode(self, point: Point) -> MultiStreamArchitecture:
        """See ``SearchSpace.decode``."""
        graph = self.points.graph_of(point)
        return replace(self.frame, graph=self._with_filters(graph))

    def encode(self, architecture: Architecture) -> Point:
        """See ``SearchSpace.encode``: nodes by level, in the order that ``StreamGraph`` has."""
        network = self._checked(architecture)
        nodes = []
        for node in network.graph.nodes:
            share = self.filters[node.level] // SHARES
            if node.filters % share:
                msg = (
                    f"not in the space {self.name!r}: a node of level {node.level} has "
                    f"{node.filters} filters, no multiple of {share}"
                )
                raise InputError(msg)
            nodes.append(replace(node, filters=node.filters // share))
        try:
            return self.points.point_of(StreamGraph(stems=network.graph.stems, nodes=tuple(nodes)))
        except InputError as error:
            msg = f"not in the space {self.name!r}: {error}"
            raise InputError(msg) from error

    def _with_filters(self, graph: StreamGraph) -> StreamGraph:
        nodes = (
            replace(node, filters=node.filters * self.filters[node.level] // SHARES)
            for node in graph.nodes
        )
        return replace(graph, nodes=tuple(nodes))

    def _checked(self, architecture: Architecture) -> MultiStreamArchitecture:
        """A network that differs from the frame in its graph alone, and learns its gates.

        Raises:
            InputError: If it is none.
        """
        msg = f"not in the space {self.name!r}: "
        if not isinstance(architecture, MultiStreamArchitecture):
            msg += f"its family is {architecture.family}, not multi_stream"
            raise InputError(msg)
        for each in architecture.__dataclass_fields__:
            wanted, found = getattr(self.frame, each), getattr(architecture, each)
            if each != "graph" and wanted != found:
                msg += f"its {each} is {found}, not {wanted}"
                raise InputError(msg)
        if any(node.gates is not None for node in architecture.graph.nodes):
            msg += "its gates are fixed, not learned"
            raise InputError(msg)
        return architecture
