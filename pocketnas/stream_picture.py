"""A network of several streams as a picture: its levels, and how much goes through connections.

Stems are on the left and the head is on the right; a column is a level, the streams of a level
are below each other, and darker boxes look at frames that are farther apart. A line is as thick as
the weight of its connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketnas.drawing import (
    BOX_HEIGHT,
    STEM_COLOUR,
    Box,
    Connection,
    Picture,
    Point,
    thickness,
)
from search_space.guidance import checked_weights
from search_space.stream_graph import LEVELS, StemKind, StreamGraph

if TYPE_CHECKING:
    from search_space.assemblenet import MultiStreamArchitecture

_SHADES = ("#d5e6da", "#a9cdb6", "#7cb492", "#57966f", "#3c7753")
"""Of temporal dilations 1, 2, 4, 8, and more."""

_COLUMN, _ROW, _LEFT, _TOP, _WIDE = 150, 64, 60, 76, 50  # pixels
_UNWEIGHED = 1.2


def picture_of(
    network: MultiStreamArchitecture, told: Mapping[str, Sequence[float]] | None = None
) -> Picture:
    """The network's picture.

    Connections without a weight, because they are single or not trained yet, are thin and dashed.

    Args:
        network: What is drawn.
        told: What its training told of its connections' weights; None for those that are fixed.

    Raises:
        InputError: If the training told other weights than this network has.
    """
    graph = network.graph
    columns: list[list[int]] = [[] for _ in range(LEVELS + 1)]
    for number in range(graph.size):
        columns[graph.level_of(number) + 1].append(number)
    height = _ROW * max(map(len, columns))
    centres = {
        number: (_LEFT + _COLUMN * column, _TOP + height * (place + 0.5) / len(numbers))
        for column, numbers in enumerate(columns)
        for place, number in enumerate(numbers)
    }
    head = (_LEFT + _COLUMN * (LEVELS + 1.0) - 30, _TOP + height / 2)
    weights = _weights(graph, told)
    connections = [
        _connection(centres[source], centres[target], weights.get((source, target)))
        for source, target in graph.edges
    ]
    ends = [number for number in columns[-1] if number in graph.live]
    connections += [
        replace(_connection(centres[number], head, None), is_dashed=False) for number in ends
    ]
    boxes = [_box(network, number, centres[number]) for number in range(graph.size)]
    labels = [((_LEFT - _WIDE / 2, _TOP - 10.0), "stems")]
    labels += [
        ((_LEFT + _COLUMN * (level + 1.0) - _WIDE / 2, _TOP - 10.0), f"level {level}")
        for level in range(LEVELS)
    ]
    labels.append(((8.0, 48.0), "line: as thick as its weight, from 0 to 1; dashed: without"))
    return Picture(
        title=network.key,
        size=(head[0] + 50, _TOP + height + 16.0),
        boxes=(
            *boxes,
            Box(centre=head, colour=STEM_COLOUR, text="head", width=_WIDE, is_end=True),
        ),
        connections=tuple(connections),
        labels=tuple(labels),
        key=_key(graph),
    )


def _weights(
    graph: StreamGraph, told: Mapping[str, Sequence[float]] | None
) -> dict[tuple[int, int], float]:
    """Of each connection that has one."""
    found: dict[tuple[int, int], float] = {}
    if told is not None:
        counts = {name: len(edges) for name, edges in graph.gates.items()}
        checked = checked_weights(told, counts)
        for name, edges in graph.gates.items():
            found.update(zip(edges, checked[name], strict=True))
        return found
    for number, node in enumerate(graph.nodes, start=len(graph.stems)):
        for source, gate in zip(node.inputs, node.gates or (), strict=False):
            found[source, number] = gate
    return found


def _box(network: MultiStreamArchitecture, number: int, centre: Point) -> Box:
    graph = network.graph
    is_dead = number not in graph.live
    if number < len(graph.stems):
        stem = graph.stems[number]
        note = f"every {stem.dilation}" if stem.kind is StemKind.RGB else ""
        text = f"{number} {stem.kind}"
        return Box(
            centre=centre, colour=STEM_COLOUR, text=text, note=note, width=68, is_dead=is_dead
        )
    node = graph.node(number)
    note = f"{network.width_of(node)} ch, every {node.dilation}"
    return Box(
        centre=centre,
        colour=_shade(node.dilation),
        text=str(number),
        note=note,
        width=_WIDE,
        is_dead=is_dead,
    )


def _key(graph: StreamGraph) -> tuple[tuple[Point, str, str], ...]:
    """Shades of the temporal resolutions that there are."""
    dilations = sorted({node.dilation for node in graph.nodes})
    texts = ["every frame" if each == 1 else f"every {each} frames" for each in dilations]
    pairs = zip(dilations, texts, strict=True)
    return tuple(
        ((8.0 + 130.0 * place, 12.0), _shade(dilation), text)
        for place, (dilation, text) in enumerate(pairs)
    )


def _shade(dilation: int) -> str:
    return _SHADES[min(dilation.bit_length(), len(_SHADES)) - 1]


def _connection(source: Point, target: Point, weight: float | None) -> Connection:
    """Leaves on the right, arrives on the left; over columns between it passes above boxes."""
    start, end = (source[0] + _WIDE / 2, source[1]), (target[0] - _WIDE / 2, target[1])
    reach = max(20.0, (end[0] - start[0]) / 2)
    crossed = max(0.0, (end[0] - start[0]) / _COLUMN - 1)
    lift = -BOX_HEIGHT * crossed
    lean = (start[0] + reach, start[1] + lift), (end[0] - reach, end[1] + lift)
    width = _UNWEIGHED if weight is None else thickness(weight)
    return Connection(curve=(start, *lean, end), width=width, is_dashed=weight is None)
