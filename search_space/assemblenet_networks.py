"""AssembleNet and AssembleNet++: structures and connection weights of the published code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from search_space.assemblenet import (
    Attention,
    ModuleKind,
    MultiStreamArchitecture,
    StreamStemLayers,
)
from search_space.stream_graph import StemKind, StreamGraph, StreamNode, StreamStem

Row = tuple[int, tuple[int, ...], int, int]
"""One node: level, inputs, filters, temporal dilation."""

DEPTHS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        26: (2, 2, 2, 2),
        38: (2, 4, 4, 2),
        50: (3, 4, 6, 3),
        68: (3, 4, 12, 3),
        77: (3, 4, 15, 3),
        101: (3, 4, 23, 3),
    }
)
"""Residual modules by level, by the number of layers that they make in a ResNet."""

_RGB, _FLOW, _OBJECT = StemKind.RGB, StemKind.FLOW, StemKind.OBJECT

_STEMS = ((_RGB, 4), (_RGB, 4), (_FLOW, 1), (_FLOW, 1))
_ASSEMBLENET_50: tuple[Row, ...] = (  # found on Moments in Time; model_structures.py
    (0, (1,), 32, 1),
    (0, (0,), 32, 4),
    (0, (0, 1, 2, 3), 32, 1),
    (0, (2, 3), 32, 2),
    (1, (0, 4, 5, 6, 7), 64, 2),
    (1, (0, 2, 4, 7), 64, 1),
    (1, (0, 5, 7), 64, 4),
    (1, (0, 5), 64, 1),
    (2, (4, 8, 10, 11), 256, 1),
    (2, (8, 9), 256, 4),
    (3, (12, 13), 512, 2),
)
_FILTERS_101: Mapping[int, int] = MappingProxyType({2: 192, 3: 256})
"""Of AssembleNet-101 where they differ, by level."""

_GATES: Mapping[int, tuple[float, ...]] = MappingProxyType(
    {
        6: (0.13810564577579498, 0.8465337157249451, 0.3072969317436218, 0.2867436408996582),
        7: (0.5846117734909058, 0.6066334843635559),
        8: (
            0.16382087767124176,
            0.8852924704551697,
            0.4039595425128937,
            0.6823437809944153,
            0.5331538319587708,
        ),
        9: (0.028569204732775688, 0.10333596915006638, 0.7517264485359192, 0.9260114431381226),
        10: (0.28832191228866577, 0.7627848982810974, 0.404977947473526),
        11: (0.23474831879138947, 0.7841425538063049),
        12: (0.27616503834724426, 0.9514784812927246, 0.6568767428398132, 0.9547983407974243),
        13: (0.5047007203102112, 0.8876819610595703),
        14: (0.9892204403877258, 0.8454614877700806),
    }
)
"""What the search learned, of both, by the node's number, in the order of its inputs."""

_PLUS_STEMS = ((_RGB, 2), (_RGB, 4), (_FLOW, 2), (_FLOW, 1), (_OBJECT, 4))
_PLUS_50: tuple[Row, ...] = (  # found on Charades
    (0, (0, 1, 2, 3, 4), 32, 1),
    (0, (0, 1, 4), 32, 4),
    (0, (2, 3, 4), 32, 8),
    (0, (2, 3, 4), 32, 1),
    (1, (0, 1, 2, 4, 5, 6, 7, 8), 64, 4),
    (1, (2, 3, 4, 7, 8), 64, 1),
    (1, (0, 4, 5, 6, 7), 128, 8),
    (2, (4, 11), 256, 8),
    (2, (2, 3, 4, 5, 6, 7, 8, 10, 11), 256, 4),
    (3, (12, 13), 512, 2),
)

_LITE_STEMS = ((_RGB, 1), (_FLOW, 1))
_LITE: tuple[Row, ...] = (
    (0, (0, 1), 12, 1),
    (0, (0, 1), 12, 4),
    (1, (0, 1, 2, 3), 24, 2),
    (1, (0, 1, 2, 3), 24, 1),
    (1, (0, 1, 2, 3), 24, 4),
    (1, (0, 1, 2, 3), 24, 1),
    (2, (0, 1, 2, 3, 4, 5, 6, 7), 68, 1),
    (2, (0, 1, 2, 3, 4, 5, 6, 7), 68, 4),
    (3, (2, 3, 4, 5, 6, 7, 8, 9), 192, 2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A published list of stems and nodes, and what it is made a network with.

    Attributes:
        stems: Kind and temporal dilation of each.
        rows: The nodes after them.
        repeats: Residual modules by level.
        filters: By level, where they are not those of the rows; None where all are.
        gates: Fixed, by the number of the node; None where they are learned.
        attention: Of the connections.
        lite: Whether it is of the mobile family.
    """

    stems: tuple[tuple[StemKind, int], ...] = _STEMS
    rows: tuple[Row, ...] = _ASSEMBLENET_50
    repeats: tuple[int, ...]
    filters: Mapping[int, int] | None = None
    gates: Mapping[int, tuple[float, ...]] | None = None
    attention: Attention = Attention.NONE
    lite: bool = False

    def architecture(self) -> MultiStreamArchitecture:
        """The network."""
        graph = self.graph()
        if self.lite:
            return MultiStreamArchitecture(
                size=224,
                graph=graph,
                repeats=self.repeats,
                inner=LITE_INNER,
                strides=(2, 2, 2, 2),
                stem=LITE_STEM,
                module=ModuleKind.INVERTED,
                attention=self.attention,
                flow_iterations=20,
                head_filters=(432, 2048),
            )
        return MultiStreamArchitecture(
            size=224,
            graph=graph,
            repeats=self.repeats,
            stem=StreamStemLayers(filters=128 // len(self.stems)),
            attention=self.attention,
        )

    def graph(self) -> StreamGraph:
        """Its stems and nodes."""
        own, gates = self.filters or {}, self.gates or {}
        return StreamGraph(
            stems=tuple(StreamStem(kind=kind, dilation=rate) for kind, rate in self.stems),
            nodes=tuple(
                StreamNode(
                    level=level,
                    inputs=inputs,
                    filters=own.get(level, filters),
                    dilation=dilation,
                    gates=gates.get(number),
                )
                for number, (level, inputs, filters, dilation) in enumerate(
                    self.rows, start=len(self.stems)
                )
            ),
        )


LITE_STEM = StreamStemLayers(filters=24, kernel=3, temporal_kernel=3, reduction=2)
"""Of the mobile family."""

LITE_INNER = (27, 54, 152, 432)
"""Filters inside of the mobile family's modules, by level."""

STRUCTURES: Mapping[str, Structure] = MappingProxyType(
    {
        "assemblenet-26": Structure(repeats=DEPTHS[26], gates=_GATES),
        "assemblenet-38": Structure(repeats=DEPTHS[38], gates=_GATES),
        "assemblenet-50": Structure(repeats=DEPTHS[50], gates=_GATES),
        "assemblenet-68": Structure(repeats=DEPTHS[68], filters=_FILTERS_101, gates=_GATES),
        "assemblenet-77": Structure(repeats=DEPTHS[77], filters=_FILTERS_101, gates=_GATES),
        "assemblenet-101": Structure(repeats=DEPTHS[101], filters=_FILTERS_101, gates=_GATES),
        "assemblenet-plus-50": Structure(
            stems=_PLUS_STEMS,
            rows=_PLUS_50,
            repeats=DEPTHS[50],
            attention=Attention.PEER,
        ),
        "assemblenet-plus-lite": Structure(
            stems=_LITE_STEMS,
            rows=_LITE,
            repeats=(3, 5, 11, 7),
            attention=Attention.PEER,
            lite=True,
        ),
    }
)
"""Networks by name; 26 and 38 have the structure of 50, 68 and 77 that of 101."""


def create(name: str) -> MultiStreamArchitecture:
    """The network called ``name``, one of ``STRUCTURES``."""
    return STRUCTURES[name].architecture()
