"""Padding by TensorFlow's two names, and what slides a window without weights.

Padding becomes SAME where TensorFlow's SAME puts just as much on all sides of this image, VALID
where there is none, and an operator PAD otherwise: 3x3 with stride 2 and padding 1 on an even
size, where SAME would put its one pixel last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.exporter import ExportError
from exporters.graph import Pad, Padding, Pool, PoolKind

if TYPE_CHECKING:
    from torch import nn

    from exporters.graph_builder import GraphBuilder, TensorNumber

Pair = tuple[int, int]

_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What slides over an image.

    Attributes:
        rows: That one output pixel sees, gaps of a dilation included.
        columns: Likewise.
        stride: Rows, columns.
        amounts: Padding on both sides of rows, of columns; None for what TensorFlow's SAME does.
    """

    rows: int
    columns: int
    stride: Pair
    amounts: Pair | None

    def pads_as_same(self, height: int, width: int) -> bool:
        """Whether TensorFlow's SAME puts just ``amounts`` on both sides of such an image."""
        if self.amounts is None:
            return True
        sides = zip(
            (height, width), (self.rows, self.columns), self.stride, self.amounts, strict=True
        )
        return all(
            same(size, reach, step) == (amount, amount) for size, reach, step, amount in sides
        )


def same(size: int, reach: int, stride: int) -> Pair:
    """What TensorFlow's SAME puts before and after ``size`` pixels.

    Args:
        size: Rows or columns.
        reach: Of the window, gaps of a dilation included.
        stride: Of the window.
    """
    both = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return both // 2, both - both // 2


def padded(
    build: GraphBuilder, source: TensorNumber, window: Window, name: str, *, fill: float = 0.0
) -> tuple[TensorNumber, Padding, Pair]:
    """The tensor to read, how it is padded, and the rows and columns that come out."""
    _, _, height, width = image_shape(build, source)
    down, right = window.stride
    if window.pads_as_same(height, width):
        return source, Padding.SAME, (-(-height // down), -(-width // right))
    if window.amounts not in (None, (0, 0)):
        rows, columns = window.amounts or (0, 0)
        around = (columns, columns, rows, rows)
        source = lower_pad(build, source, around, f"{name}.pad", value=fill)
        _, _, height, width = image_shape(build, source)
    size = ((height - window.rows) // down + 1, (width - window.columns) // right + 1)
    if min(size) < 1:
        msg = f"a window of {window.rows}x{window.columns} does not fit {height}x{width} pixels"
        raise ExportError(msg)
    return source, Padding.VALID, size


def lower_average_pool(
    build: GraphBuilder, source: TensorNumber, layer: nn.AvgPool2d, name: str, *, tf_same: bool
) -> TensorNumber:
    """Average pooling; padding that is counted becomes a PAD, as TFLite's own is not counted."""
    if layer.divisor_override or (layer.ceil_mode and not tf_same):
        msg = "average pooling with a divisor or ceil mode has no counterpart in TFLite"
        raise ExportError(msg)
    window = _window(layer, amounts=None if tf_same else pair(layer.padding))
    if window.amounts not in (None, (0, 0)):
        _, _, height, width = image_shape(build, source)
        if layer.count_include_pad:
            rows, columns = window.amounts or (0, 0)
            source = lower_pad(build, source, (columns, columns, rows, rows), f"{name}.pad")
            window = replace(window, amounts=(0, 0))
        elif not window.pads_as_same(height, width):
            msg = f"average pooling that pads by {window.amounts} and does not count it"
            msg += " has no counterpart in TFLite, unless SAME would pad alike"
            raise ExportError(msg)
    return _pool(build, source, PoolKind.AVERAGE, window, name)


def lower_max_pool(
    build: GraphBuilder,
    source: TensorNumber,
    layer: nn.MaxPool2d,
    name: str,
    *,
    tf_same: bool = False,
) -> TensorNumber:
    """Maximum pooling, without dilation."""
    if pair(layer.dilation) != (1, 1) or layer.ceil_mode or layer.return_indices:
        msg = "maximum pooling with dilation, ceil mode or indices has no counterpart in TFLite"
        raise ExportError(msg)
    window = _window(layer, amounts=None if tf_same else pair(layer.padding))
    return _pool(build, source, PoolKind.MAX, window, name)


def lower_pad(
    build: GraphBuilder,
    source: TensorNumber,
    amounts: tuple[int, ...],
    name: str,
    *,
    value: float = 0.0,
) -> TensorNumber:
    """A number left, right, above and below an image or each frame of a clip, in torch's order."""
    shape = build.shape(source)
    if len(shape) not in (4, 5):
        msg = f"needs an image [N, C, H, W] or a clip [N, C, T, H, W], got {shape}"
        raise ExportError(msg)
    if len(amounts) != 4 or min(amounts) < 0:
        msg = f"padding by {amounts} has no counterpart; (left, right, top, bottom) has"
        raise ExportError(msg)
    left, right, top, bottom = amounts
    before = ((0, 0),) * (len(shape) - 3)
    pad = Pad(amounts=(*before, (top, bottom), (left, right), (0, 0)), value=value)
    padded_shape = (*shape[:-2], shape[-2] + top + bottom, shape[-1] + left + right)
    return build.append(pad, (source,), padded_shape, name)


def image_shape(build: GraphBuilder, source: TensorNumber) -> tuple[int, int, int, int]:
    """Batch, channels, rows and columns.

    Raises:
        ExportError: If it is no image.
    """
    shape = build.shape(source)
    if len(shape) != 4:
        msg = f"needs an image [N, C, H, W], got {shape}"
        raise ExportError(msg)
    batch, channels, height, width = shape
    return batch, channels, height, width


def pair(value: Any) -> Pair:  # noqa: ANN401 - torch's own are numbers or tuples of them
    """Rows and columns of what torch takes as one number or two."""
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


def _window(layer: nn.AvgPool2d | nn.MaxPool2d, *, amounts: Pair | None) -> Window:
    rows, columns = pair(layer.kernel_size)
    return Window(rows=rows, columns=columns, stride=pair(layer.stride), amounts=amounts)


def _pool(
    build: GraphBuilder, source: TensorNumber, kind: PoolKind, window: Window, name: str
) -> TensorNumber:
    batch, channels, _, _ = image_shape(build, source)
    source, padding, size = padded(build, source, window, name, fill=_LOWEST)
    pool = Pool(
        kind=kind, window=(window.rows, window.columns), stride=window.stride, padding=padding
    )
    return build.append(pool, (source,), (batch, channels, *size), name)
