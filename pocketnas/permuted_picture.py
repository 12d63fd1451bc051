"""A scale-permuted network as the field draws it: blocks by level over depth, and what they read.

As in figure 1 of SpineNet (Du et al., CVPR 2020): from the stem on the left to the outputs, deep
levels with few pixels at the bottom. Of a gated network that was trained, a line is as thick as
the weight of its connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketnas.drawing import STEM_COLOUR, Box, Connection, Picture, Point, thickness
from search_space.guidance import Edge, Told, checked_weights
from search_space.permuted_blocks import STEM, BlockKind

if TYPE_CHECKING:
    from search_space.spinenet import ScalePermutedArchitecture

_COLOURS = {
    BlockKind.BOTTLENECK: "#8fb8a0",
    BlockKind.RESIDUAL: "#f0d08a",
    BlockKind.MBCONV: "#9db9d6",
}
_STEP, _ROW, _LEFT, _TOP, _SIDE, _UNWEIGHED = 56, 60, 76, 44, 34, 1.2  # pixels


def picture_of(network: ScalePermutedArchitecture, told: Told | None = None) -> Picture:
    """The network's picture; what is added as it is, without resampling, is dashed.

    Args:
        network: What is drawn.
        told: What its training told of its connections' weights; None for lines of one width.

    Raises:
        InputError: If the training told other weights than this network has.
    """
    weights = {} if told is None else _weights(network, told)
    levels = sorted({*network.stem_levels, *(block.level for block in network.blocks)})
    row = {level: _TOP + _ROW * (i + 0.5) for i, level in enumerate(levels)}
    live = len(network.live_blocks)
    boxes = [
        Box(centre=(_LEFT + _STEP * (i + 0.5), row[level]), colour=STEM_COLOUR, text=str(i))
        for i, level in enumerate(network.stem_levels)
    ]
    boxes += [
        Box(
            centre=(_LEFT + _STEP * (i + STEM + 0.5), row[block.level]),
            colour=_COLOURS[block.kind],
            text=str(i + STEM),
            note=f"P{block.level}" if block.is_output else "",
            width=_SIDE,
            is_end=block.is_output,
            is_dead=i >= live,
        )
        for i, block in enumerate(network.blocks)
    ]
    connections = [
        _connection(
            boxes[source].centre,
            boxes[i].centre,
            weights.get((source, i)),
            adds=source in block.adds,
        )
        for i, block in enumerate(network.blocks, start=STEM)
        for source in block.reads
    ]
    kinds = sorted({block.kind for block in network.blocks})
    key: list[tuple[Point, str, str]] = [((_LEFT, 12.0), STEM_COLOUR, "stem")]
    key += [
        ((_LEFT + 110.0 * (i + 1), 12.0), _COLOURS[kind], kind.value)
        for i, kind in enumerate(kinds)
    ]
    labels = [
        ((8.0, row[level] + 4), f"L{level}  1/{network.stride_at(level)}") for level in levels
    ]
    if weights:
        labels.append(((_LEFT, 40.0), "line: as thick as its weight, from 0 to 1"))
    return Picture(
        title=network.key,
        size=(_LEFT + _STEP * (len(boxes) + 1.0), _TOP + _ROW * len(levels) + 10.0),
        boxes=tuple(boxes),
        connections=tuple(connections),
        labels=tuple(labels),
        key=tuple(key),
    )


def _weights(network: ScalePermutedArchitecture, told: Told) -> dict[Edge, float]:
    """Of each connection that has one."""
    gated = network.gated_edges
    checked = checked_weights(told, {name: len(edges) for name, edges in gated.items()})
    return {
        edge: weight
        for name, edges in gated.items()
        for edge, weight in zip(edges, checked[name], strict=True)
    }


def _connection(source: Point, target: Point, weight: float | None, *, adds: bool) -> Connection:
    """Leaves on the right, arrives on the left; bent upwards where boxes lie between."""
    start, end = (source[0] + _SIDE / 2, source[1]), (target[0] - _SIDE / 2, target[1])
    reach = max(14.0, (end[0] - start[0]) / 2)
    lift = -0.35 * _ROW if source[1] == target[1] and end[0] - start[0] > _STEP else 0.0
    lean = (start[0] + reach, start[1] + lift), (end[0] - reach, end[1] + lift)
    width = _UNWEIGHED if weight is None else thickness(weight)
    return Connection(curve=(start, *lean, end), width=width, is_dashed=adds)
