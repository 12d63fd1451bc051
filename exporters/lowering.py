"""What torch's layers with weights become: weights turned to channels last, padding named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from exporters.exporter import ExportError
from exporters.fusion import Affine
from exporters.graph import Convolution, Dense, Depthwise
from exporters.windows import Window, image_shape, padded, pair

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from exporters.graph_builder import GraphBuilder, TensorNumber


def lower_convolution(
    build: GraphBuilder, source: TensorNumber, layer: nn.Conv2d, name: str, *, tf_same: bool
) -> TensorNumber:
    """A convolution: plain, grouped, or of each channel apart."""
    batch, channels, _, _ = image_shape(build, source)
    _check_width(channels, layer.in_channels)
    if layer.padding_mode != "zeros":
        msg = f"a convolution that pads with {layer.padding_mode!r} has no counterpart in TFLite"
        raise ExportError(msg)
    kernel, dilation = pair(layer.kernel_size), pair(layer.dilation)
    window = Window(
        rows=dilation[0] * (kernel[0] - 1) + 1,
        columns=dilation[1] * (kernel[1] - 1) + 1,
        stride=pair(layer.stride),
        amounts=None if tf_same or layer.padding == "same" else _amounts(layer.padding),
    )
    source, padding, size = padded(build, source, window, name)
    weights, bias = _array(layer.weight), _bias(layer.bias, layer.out_channels)
    shape = (batch, layer.out_channels, *size)
    if layer.groups == channels and channels > 1:
        depthwise = Depthwise(
            weights=np.ascontiguousarray(weights.transpose(1, 2, 3, 0)),
            bias=bias,
            multiplier=layer.out_channels // channels,
            stride=window.stride,
            dilation=dilation,
            padding=padding,
        )
        return build.append(depthwise, (source,), shape, name)
    plain = Convolution(
        weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
        bias=bias,
        stride=window.stride,
        dilation=dilation,
        padding=padding,
    )
    return build.append(plain, (source,), shape, name)


def lower_batch_norm(
    build: GraphBuilder,
    source: TensorNumber,
    layer: nn.BatchNorm3d | nn.BatchNorm2d | nn.BatchNorm1d,
    name: str,
) -> TensorNumber:
    """``gamma / sqrt(var + eps)`` times each channel, plus the rest, in float64."""
    if layer.running_mean is None or layer.running_var is None:
        msg = "a batch norm without running statistics has no counterpart in TFLite"
        raise ExportError(msg)
    count = layer.num_features
    _check_width(build.shape(source)[1], count)
    gamma = _array(layer.weight).astype(np.float64) if layer.affine else np.ones(count)
    beta = _array(layer.bias).astype(np.float64) if layer.affine else np.zeros(count)
    scale = gamma / np.sqrt(_array(layer.running_var).astype(np.float64) + layer.eps)
    shift = beta - _array(layer.running_mean) * scale
    return build.append(Affine(scale=scale, shift=shift), (source,), build.shape(source), name)


def lower_linear(
    build: GraphBuilder, source: TensorNumber, layer: nn.Linear, name: str
) -> TensorNumber:
    """A fully connected layer on `[N, inputs]`."""
    shape = build.shape(source)
    if len(shape) != 2:
        msg = f"a linear layer on {shape} has no counterpart in TFLite; [N, features] has"
        raise ExportError(msg)
    _check_width(shape[1], layer.in_features)
    dense = Dense(weights=_array(layer.weight), bias=_bias(layer.bias, layer.out_features))
    return build.append(dense, (source,), (shape[0], layer.out_features), name)


def _check_width(found: int, wanted: int) -> None:
    if found != wanted:
        msg = f"the layer takes {wanted} channels or features, got {found}"
        raise ExportError(msg)


def _amounts(padding: Any) -> tuple[int, int]:  # noqa: ANN401 - torch says str or a pair
    return (0, 0) if padding == "valid" else pair(padding)


def _array(value: Tensor) -> NDArray[np.float32]:
    """The numbers of a parameter; float32 ones on the CPU are shared with it, not copied."""
    if value.is_meta:
        msg = "a layer on the meta device has no weights to write"
        raise ExportError(msg)
    return np.asarray(value.detach().to("cpu", torch.float32).numpy())


def _bias(value: Tensor | None, count: int) -> NDArray[np.float32]:
    return np.zeros(count, np.float32) if value is None else _array(value)
