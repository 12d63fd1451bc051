"""Maxima whose windows leave pixels out between them, in a form that XNNPACK takes.

XNNPACK leaves a pool to others whose stride is longer than its window. Where a convolution of one
pixel alone reads it, the pool takes steps of a part of its stride that its window reaches over,
and the convolution the rest: windows that the convolution skips are computed for nothing, and all
that comes out is the same, to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from exporters.graph import Convolution, Depthwise, Node, Padding, Pool, PoolKind, Shape
from exporters.windows import same


def with_shared_strides(
    nodes: Sequence[Node], shapes: list[Shape], outputs: Iterable[int]
) -> list[Node]:
    """The same graph; such pools, and the convolutions that read them, as two shorter steps.

    Args:
        nodes: Fused, in order.
        shapes: Of each tensor by its number, `[N, C, H, W]`; those between the two are changed.
        outputs: Tensors that the graph gives.
    """
    readers = Counter(chain(outputs, *(node.inputs for node in nodes)))
    place = {node.output: index for index, node in enumerate(nodes)}
    made = list(nodes)
    for index, node in enumerate(nodes):
        reader = node.operator
        if not isinstance(reader, Convolution | Depthwise) or not _is_of_one_pixel(reader):
            continue
        (source,) = node.inputs
        before = made[place[source]] if source in place and readers[source] == 1 else None
        pool = before.operator if before is not None else None
        if before is None or not isinstance(pool, Pool) or pool.kind is not PoolKind.MAX:
            continue
        batch, channels, *size = shapes[before.inputs[0]]
        shorter = _shorter(pool, (size[0], size[1]))
        if shorter is None:
            continue
        rest = (pool.stride[0] // shorter.stride[0], pool.stride[1] // shorter.stride[1])
        shapes[source] = (batch, channels, *_counts(shorter, (size[0], size[1])))
        made[place[source]] = replace(before, operator=shorter)
        made[index] = replace(node, operator=replace(reader, stride=rest, padding=Padding.VALID))
    return made


def _is_of_one_pixel(reader: Convolution | Depthwise) -> bool:
    return reader.weights.shape[1:3] == (1, 1) and reader.stride == (1, 1)


def _shorter(pool: Pool, size: tuple[int, int]) -> Pool | None:
    """The pool with steps that its window reaches over; None if it has, or none fit ``size``.

    Every so many of its windows have to lie where those of ``pool`` do.
    """
    (rows, columns), (down, across) = pool.window, pool.stride
    stride = (_step(down, rows), _step(across, columns))
    if stride == pool.stride:
        return None
    if pool.padding is Padding.VALID:
        return replace(pool, stride=stride)
    axes = tuple(zip(size, pool.window, pool.stride, stride, strict=True))
    if all(same(pixels, window, step) == (0, 0) for pixels, window, step, _ in axes):
        return replace(pool, stride=stride, padding=Padding.VALID)
    if all(same(n, window, step)[0] == same(n, window, part)[0] for n, window, step, part in axes):
        return replace(pool, stride=stride)
    return None


def _step(stride: int, window: int) -> int:
    """The longest that ``stride`` is a multiple of and ``window`` reaches over."""
    return max(step for step in range(1, min(stride, window) + 1) if stride % step == 0)


def _counts(pool: Pool, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that come out."""
    spare = (0, 0) if pool.padding is Padding.SAME else (pool.window[0] - 1, pool.window[1] - 1)
    rows, columns = (
        -(-(pixels - less) // step)
        for pixels, less, step in zip(size, spare, pool.stride, strict=True)
    )
    return rows, columns
