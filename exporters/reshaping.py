"""Means, sums, parts and new shapes, where torch's order of numbers and channels last agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exporters.exporter import ExportError
from exporters.graph import (
    BinaryKind,
    Concat,
    Mean,
    Padding,
    Pool,
    PoolKind,
    Reshape,
    Shape,
    Slice,
    Softmax,
    UnaryKind,
)
from exporters.graph_builder import last_axis

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder, TensorNumber


def lower_to_one_pixel(build: GraphBuilder, source: TensorNumber, name: str) -> TensorNumber:
    """The mean of each channel, as an image of one pixel or a clip of one frame of one."""
    axes = tuple(range(2, len(build.shape(source))))
    return lower_mean(build, source, axes, name, keep=True)


def lower_sum(
    build: GraphBuilder, source: TensorNumber, axes: object, name: str, *, keep: bool
) -> TensorNumber:
    """The sum over axes: their mean, times how many numbers it is of."""
    shape = build.shape(source)
    mean = lower_mean(build, source, axes, f"{name}.mean", keep=keep, what="sum")
    many = math.prod(shape[axis] for axis in _gone(axes, len(shape)))
    return build.binary(
        BinaryKind.MUL, mean, build.constant(np.array([many]), f"{name}.many"), name
    )


def lower_mean(
    build: GraphBuilder,
    source: TensorNumber,
    axes: object,
    name: str,
    *,
    keep: bool,
    what: str = "mean",
) -> TensorNumber:
    """The mean over axes of an image or clip; a clip's frames are put below each other for it."""
    shape = build.shape(source)
    rank = len(shape)
    gone = _gone(axes, rank)
    left = tuple(length for axis, length in enumerate(shape) if axis not in gone)
    kept = tuple(1 if axis in gone else length for axis, length in enumerate(shape))
    if rank < 4 or not gone or 0 in gone or not (keep or len(left) == 2 or 1 not in gone):
        msg = f"a {what} of {shape} over axes {axes} has no counterpart"
        raise ExportError(msg)
    if not keep and len(left) == 3:
        msg = f"a {what} of {shape} over axes {axes} has no counterpart without keepdim=True"
        raise ExportError(msg)
    if rank == 5 and gone == [2, 3, 4]:
        below = (shape[0], shape[1], shape[2] * shape[3], shape[4])
        source = build.reshaped(source, below, f"{name}.frames")
        made = build.append(Mean(axes=(1, 2), keep=False), (source,), shape[:2], name)
        return build.reshaped(made, kept, f"{name}.kept") if keep else made
    mean = Mean(axes=tuple(sorted(last_axis(axis, rank) for axis in gone)), keep=keep)
    return build.append(mean, (source,), kept if keep else left, name)


def _gone(axes: object, rank: int) -> list[int]:
    given = axes if isinstance(axes, Sequence) else (axes,)
    return sorted({int(str(axis)) % rank for axis in given if axis is not None})


def lower_concat(
    build: GraphBuilder, sources: Sequence[TensorNumber], axis: int, name: str
) -> TensorNumber:
    """Tensors one after another along torch's ``axis``."""
    shapes = [build.shape(source) for source in sources]
    at = axis % len(shapes[0])
    rests = {(*shape[:at], *shape[at + 1 :]) for shape in shapes}
    if len(rests) != 1:
        msg = f"tensors of shapes {shapes} cannot follow one another along axis {axis}"
        raise ExportError(msg)
    whole = sum(shape[at] for shape in shapes)
    shape = (*shapes[0][:at], whole, *shapes[0][at + 1 :])
    concat = Concat(axis=last_axis(at, len(shape)))
    return build.append(concat, tuple(sources), shape, name)


def lower_slice(
    build: GraphBuilder, source: TensorNumber, axis: int, begin: int, length: int, name: str
) -> TensorNumber:
    """``length`` of torch's ``axis`` from ``begin`` on."""
    shape = build.shape(source)
    at = axis % len(shape)
    first = [0] * len(shape)
    first[last_axis(at, len(shape))] = begin
    part = (*shape[:at], length, *shape[at + 1 :])
    return build.append(Slice(begin=tuple(first)), (source,), part, name)


def lower_split(
    build: GraphBuilder, source: TensorNumber, lengths: Sequence[int], axis: int, name: str
) -> tuple[TensorNumber, ...]:
    """Parts of these lengths along torch's ``axis``."""
    begins = [sum(lengths[:index]) for index in range(len(lengths))]
    return tuple(
        lower_slice(build, source, axis, begin, length, f"{name}.{index}")
        for index, (begin, length) in enumerate(zip(begins, lengths, strict=True))
    )


def lower_index(
    build: GraphBuilder, source: TensorNumber, index: object, name: str
) -> TensorNumber:
    """``tensor[:, 2:5]``: slices with a step of 1."""
    shape = build.shape(source)
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) > len(shape) or not all(isinstance(part, slice) for part in parts):
        msg = f"an index {index!r} has no counterpart; slices such as [:, 2:5] have"
        raise ExportError(msg)
    made = source
    for axis, part in enumerate(parts):
        begin, end, step = part.indices(shape[axis])
        if step != 1 or end <= begin:
            msg = f"a slice {part} of axis {axis} has no counterpart; one with a step of 1 has"
            raise ExportError(msg)
        if (begin, end) != (0, shape[axis]):
            made = lower_slice(build, made, axis, begin, end - begin, f"{name}.{axis}")
    return made


def lower_softmax(
    build: GraphBuilder, source: TensorNumber, axis: int | None, name: str
) -> TensorNumber:
    """Along the axis that is last in the layout of the file, or along rows, columns or frames."""
    shape = build.shape(source)
    at = None if axis is None else axis % len(shape)
    if at is not None and last_axis(at, len(shape)) == len(shape) - 1:
        return build.append(Softmax(), (source,), shape, name)
    if at is None or at == 0 or len(shape) < 4:
        msg = f"a softmax of {shape} over axis {axis} has no counterpart; over channels has"
        raise ExportError(msg)
    return _softmax_along(build, source, at, name)


def _softmax_along(
    build: GraphBuilder, source: TensorNumber, axis: int, name: str
) -> TensorNumber:
    """Of an axis that is not last, without a TRANSPOSE: exp(x) / sum(exp(x)) of x <= 0.

    TFLite's softmax is along the last axis. ``exp(x)`` is ``sigmoid(x) / (1 - sigmoid(x))``, which
    loses nothing where x, less its largest, is at most 0; and phones have that.
    """
    shape = build.shape(source)
    before, length, after = math.prod(shape[2:axis]), shape[axis], math.prod(shape[axis + 1 :])
    image = (shape[0] * before, shape[1], length, after)
    rows = build.reshaped(source, image, f"{name}.rows")
    window = (length, 1)
    pool = Pool(kind=PoolKind.MAX, window=window, stride=window, padding=Padding.VALID)
    largest = build.append(pool, (rows,), (*image[:2], 1, after), f"{name}.largest")
    below = build.binary(BinaryKind.SUB, rows, largest, f"{name}.below")
    gate = build.unary(below, UnaryKind.SIGMOID, f"{name}.sigmoid")
    one = build.constant(np.array([1]), f"{name}.one")
    rest = build.binary(BinaryKind.SUB, one, gate, f"{name}.rest")
    power = build.binary(BinaryKind.DIV, gate, rest, f"{name}.exp")
    total = lower_sum(build, power, 2, f"{name}.sum", keep=True)
    shares = build.binary(BinaryKind.DIV, power, total, f"{name}.shares")
    return build.reshaped(shares, shape, name)


def lower_flatten(
    build: GraphBuilder, source: TensorNumber, start: int, end: int, name: str
) -> TensorNumber:
    """Axes ``start`` to ``end`` as one."""
    shape = build.shape(source)
    first, last = start % len(shape), end % len(shape)
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return lower_reshape(build, source, flat, name)


def lower_reshape(
    build: GraphBuilder, source: TensorNumber, wanted: Shape, name: str
) -> TensorNumber:
    """The same numbers in another shape, one of whose lengths may be -1.

    Raises:
        ExportError: If the channels-last layout would put them in another order, as for an image
            of several channels and pixels.
    """
    shape = build.shape(source)
    known = math.prod(length for length in wanted if length != -1)
    whole = tuple(math.prod(shape) // known if length == -1 else length for length in wanted)
    if whole == shape:
        return source
    if not (_keeps_order(shape) and _keeps_order(whole)) and not _keeps_channels(shape, whole):
        msg = f"a reshape of {shape} to {whole} has no counterpart: channels are last in TFLite"
        raise ExportError(msg)
    return build.append(Reshape(), (source,), whole, name)


def _keeps_order(shape: Shape) -> bool:
    """Whether the numbers lie in the same order channels first and last."""
    return len(shape) < 4 or shape[1] == 1 or math.prod(shape[2:]) == 1


def _keeps_channels(shape: Shape, whole: Shape) -> bool:
    """Whether only pixels and frames come in other shapes: channels stay the last axis."""
    return len(shape) >= 4 and len(whole) >= 4 and shape[:2] == whole[:2]
