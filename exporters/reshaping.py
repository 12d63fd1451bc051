"""Means and new shapes, where torch's order of numbers and the channels-last one agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exporters.exporter import ExportError
from exporters.graph import Mean, Reshape, Shape
from exporters.windows import image_shape

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder, TensorNumber


def lower_to_one_pixel(build: GraphBuilder, source: TensorNumber, name: str) -> TensorNumber:
    """The mean of each channel, as an image of one pixel."""
    return lower_mean(build, source, (2, 3), name, keep=True)


def lower_mean(
    build: GraphBuilder, source: TensorNumber, axes: object, name: str, *, keep: bool
) -> TensorNumber:
    """The mean over the pixels of an image."""
    batch, channels, _, _ = image_shape(build, source)
    given = axes if isinstance(axes, Sequence) else (axes,)
    if sorted(int(str(axis)) % 4 for axis in given if axis is not None) != [2, 3]:
        msg = f"a mean over axes {axes} has no counterpart; over (2, 3) of an image has"
        raise ExportError(msg)
    shape = (batch, channels, 1, 1) if keep else (batch, channels)
    return build.append(Mean(axes=(1, 2), keep=keep), (source,), shape, name)


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
    if not (_keeps_order(shape) and _keeps_order(whole)):
        msg = f"a reshape of {shape} to {whole} has no counterpart: channels are last in TFLite"
        raise ExportError(msg)
    return build.append(Reshape(), (source,), whole, name)


def _keeps_order(shape: Shape) -> bool:
    """Whether the numbers lie in the same order channels first and last."""
    return len(shape) != 4 or shape[1] == 1 or shape[2] * shape[3] == 1
