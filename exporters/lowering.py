"""What each torch layer becomes: weights turned, padding named, batch norms folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from exporters.exporter import ExportError
from exporters.graph import (
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Mean,
    Pad,
    Padding,
    Pool,
    PoolKind,
    Reshape,
)
from exporters.graph_builder import GraphBuilder

Pair = tuple[int, int]


def lower_convolution(
    build: GraphBuilder, source: int, layer: nn.Conv2d, name: str, *, tf_same: bool
) -> int:
    """A convolution: plain, grouped, or of each channel apart."""
    channels = _image(build, source, name)[1]
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        msg = f"{name!r} pads by {layer.padding_mode!r}, {layer.padding!r}: only numbers of zeros"
        raise ExportError(msg)
    kernel, stride, dilation = (
        _pair(v) for v in (layer.kernel_size, layer.stride, layer.dilation)
    )
    reach = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    amounts = None if tf_same else _pair(layer.padding)
    source, padding, size = _padded(build, source, reach, stride, amounts, name)
    shape = (build.shape(source)[0], layer.out_channels, *size)
    weights = _array(layer.weight)
    bias = _bias(layer.bias, layer.out_channels)
    if layer.groups == channels and channels > 1:
        depthwise = Depthwise(
            weights=np.ascontiguousarray(weights.transpose(1, 2, 3, 0)),
            bias=bias,
            multiplier=layer.out_channels // channels,
            stride=stride,
            dilation=dilation,
            padding=padding,
        )
        return build.append(depthwise, (source,), shape, name)
    plain = Convolution(
        weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        bias=bias,
        stride=stride,
        dilation=dilation,
        padding=padding,
    )
    return build.append(plain, (source,), shape, name)


def lower_batch_norm(
    build: GraphBuilder, source: int, layer: nn.BatchNorm2d | nn.BatchNorm1d, name: str
) -> int:
    """Folded into the layer before: ``gamma / sqrt(var + eps)`` into weights, the rest into bias.

    Computed in float64 and rounded once.
    """
    maker = build.maker(source)
    if layer.running_mean is None or layer.running_var is None:
        msg = f"batch norm {name!r} keeps no running statistics"
        raise ExportError(msg)
    foldable = isinstance(maker, Convolution | Depthwise | Dense) and maker.fused is Fused.NONE
    if not foldable:
        msg = f"batch norm {name!r} has no convolution or linear layer of its own just before it"
        raise ExportError(msg)
    count = layer.num_features
    gamma = _array(layer.weight).astype(np.float64) if layer.affine else np.ones(count)
    beta = _array(layer.bias).astype(np.float64) if layer.affine else np.zeros(count)
    scale = gamma / np.sqrt(_array(layer.running_var).astype(np.float64) + layer.eps)
    folded = cast("Convolution | Depthwise | Dense", maker)
    axis = -1 if isinstance(folded, Depthwise) else 0
    along = [1] * folded.weights.ndim
    along[axis] = -1
    bias = (folded.bias - _array(layer.running_mean).astype(np.float64)) * scale + beta
    weights = folded.weights * scale.reshape(along)
    return build.replace_maker(
        source,
        replace(folded, weights=weights.astype(np.float32), bias=bias.astype(np.float32)),
    )


def lower_linear(build: GraphBuilder, source: int, layer: nn.Linear, name: str) -> int:
    """A fully connected layer on `[N, inputs]`."""
    shape = build.shape(source)
    if len(shape) != 2:
        msg = f"linear layer {name!r} needs [N, features], got {shape}"
        raise ExportError(msg)
    dense = Dense(weights=_array(layer.weight), bias=_bias(layer.bias, layer.out_features))
    return build.append(dense, (source,), (shape[0], layer.out_features), name)


def lower_average_pool(
    build: GraphBuilder, source: int, layer: nn.AvgPool2d, name: str, *, tf_same: bool
) -> int:
    """Average pooling whose padding, if any, is not counted, as in TensorFlow."""
    window = _pair(layer.kernel_size)
    stride = _pair(layer.stride)
    amounts = None if tf_same else _pair(layer.padding)
    counted = not tf_same and amounts != (0, 0) and layer.count_include_pad
    if counted or layer.divisor_override or (layer.ceil_mode and not tf_same):
        msg = f"average pooling {name!r} counts its padding, which TFLite's does not"
        raise ExportError(msg)
    return _pool(build, source, PoolKind.AVERAGE, window, stride, amounts, name)


def lower_max_pool(build: GraphBuilder, source: int, layer: nn.MaxPool2d, name: str) -> int:
    """Maximum pooling, without dilation."""
    if layer.dilation not in (1, (1, 1)) or layer.ceil_mode or layer.return_indices:
        msg = f"maximum pooling {name!r} has a dilation, ceil mode or indices: none in TFLite"
        raise ExportError(msg)
    window, stride, amounts = (_pair(v) for v in (layer.kernel_size, layer.stride, layer.padding))
    return _pool(build, source, PoolKind.MAX, window, stride, amounts, name)


def lower_to_one_pixel(build: GraphBuilder, source: int, name: str) -> int:
    """The mean of each channel, as an image of one pixel."""
    batch, channels, _, _ = _image(build, source, name)
    return build.append(Mean(axes=(1, 2), keep=True), (source,), (batch, channels, 1, 1), name)


def lower_mean(build: GraphBuilder, source: int, axes: object, keep: bool, name: str) -> int:  # noqa: FBT001
    """The mean over the pixels of an image, its only mean in TFLite's layout."""
    given = axes if isinstance(axes, Sequence) else (axes,)
    rank = len(build.shape(source))
    if rank != 4 or sorted(int(str(axis)) % rank for axis in given if axis is not None) != [2, 3]:
        msg = f"{name!r} takes the mean over {axes!r}; only (2, 3) of an image has a counterpart"
        raise ExportError(msg)
    batch, channels, _, _ = build.shape(source)
    shape = (batch, channels, 1, 1) if keep else (batch, channels)
    return build.append(Mean(axes=(1, 2), keep=keep), (source,), shape, name)


def lower_flatten(build: GraphBuilder, source: int, start: int, end: int, name: str) -> int:
    """All but the batch in one axis; of an image only if it has a single pixel or channel."""
    shape = build.shape(source)
    rank = len(shape)
    if (start % rank, end % rank) != (1, rank - 1):
        msg = f"{name!r} flattens axes {start} to {end}; only all but the batch has a counterpart"
        raise ExportError(msg)
    if rank == 4 and shape[1] > 1 and shape[2] * shape[3] > 1:
        msg = f"{name!r} flattens an image of {shape}, whose channels are last in TFLite"
        raise ExportError(msg)
    flat = (shape[0], int(np.prod(shape[1:])))
    return source if flat == shape else build.append(Reshape(), (source,), flat, name)


def lower_pad(build: GraphBuilder, source: int, amounts: tuple[int, ...], name: str) -> int:
    """Zeros left, right, top and bottom of an image."""
    batch, channels, height, width = _image(build, source, name)
    if len(amounts) != 4:
        msg = f"{name!r} pads by {amounts}; only left, right, top, bottom has a counterpart"
        raise ExportError(msg)
    left, right, top, bottom = amounts
    pad = Pad(amounts=((0, 0), (top, bottom), (left, right), (0, 0)))
    shape = (batch, channels, height + top + bottom, width + left + right)
    return build.append(pad, (source,), shape, name)


def _pool(
    build: GraphBuilder,
    source: int,
    kind: PoolKind,
    window: Pair,
    stride: Pair,
    amounts: Pair | None,
    name: str,
) -> int:
    batch, channels, _, _ = _image(build, source, name)
    if amounts not in (None, (0, 0)) and not _is_same(build, source, window, stride, amounts):
        msg = f"pooling {name!r} pads by {amounts}, which is neither SAME nor VALID here"
        raise ExportError(msg)
    source, padding, size = _padded(build, source, window, stride, amounts, name)
    pool = Pool(kind=kind, window=window, stride=stride, padding=padding)
    return build.append(pool, (source,), (batch, channels, *size), name)


def _padded(
    build: GraphBuilder, source: int, reach: Pair, stride: Pair, amounts: Pair | None, name: str
) -> tuple[int, Padding, Pair]:
    """The tensor to read, how it is padded, and the rows and columns that come out.

    Args:
        build: Where a PAD is put if neither SAME nor VALID will do.
        source: The image.
        reach: Rows and columns that one output pixel sees.
        stride: Rows, columns.
        amounts: Zeros on each side; None for what TensorFlow's SAME does.
        name: Of the layer.
    """
    height, width = build.shape(source)[2:]
    if amounts is None or _is_same(build, source, reach, stride, amounts):
        return source, Padding.SAME, (-(-height // stride[0]), -(-width // stride[1]))
    rows, columns = amounts
    if amounts != (0, 0):
        source = lower_pad(build, source, (columns, columns, rows, rows), f"{name}.pad")
    size = (
        (height + 2 * rows - reach[0]) // stride[0] + 1,
        (width + 2 * columns - reach[1]) // stride[1] + 1,
    )
    return source, Padding.VALID, size


def _is_same(
    build: GraphBuilder, source: int, reach: Pair, stride: Pair, amounts: Pair | None
) -> bool:
    """Whether TensorFlow's SAME puts just ``amounts`` on both sides of this image."""
    if amounts is None:
        return True
    for size, far, step, amount in zip(
        build.shape(source)[2:], reach, stride, amounts, strict=True
    ):
        total = max((-(-size // step) - 1) * step + far - size, 0)
        if total != 2 * amount:
            return False
    return True


def _image(build: GraphBuilder, source: int, name: str) -> tuple[int, int, int, int]:
    shape = build.shape(source)
    if len(shape) != 4:
        msg = f"{name!r} needs an image [N, C, H, W], got {shape}"
        raise ExportError(msg)
    batch, channels, height, width = shape
    return batch, channels, height, width


def _pair(value: object) -> Pair:
    if isinstance(value, tuple):
        first, second = value
        return int(first), int(second)
    return int(cast("int", value)), int(cast("int", value))


def _array(value: Tensor) -> NDArray[np.float32]:
    return np.asarray(value.detach().cpu().numpy(), dtype=np.float32)


def _bias(value: Tensor | None, count: int) -> NDArray[np.float32]:
    return np.zeros(count, np.float32) if value is None else _array(value)
