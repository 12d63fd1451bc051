"""Functions with weights among their arguments, as the layers that do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from exporters.exporter import ExportError
from exporters.lowering import lower_batch_norm, lower_convolution, lower_linear
from exporters.windows import lower_average_pool, lower_max_pool

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder, TensorNumber
    from exporters.operators import Call


def lower_linear_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """``linear(input, weight, bias)``."""
    weight, bias = _weights(call)
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    return lower_linear(build, call.tensor(0, "input"), _given(layer, weight, bias), name)


def lower_convolution_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """``conv2d(input, weight, bias, stride, padding, dilation, groups)``."""
    weight, bias = _weights(call)
    groups = int(call.argument(6, "groups", 1))
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride=call.argument(3, "stride", 1),
        padding=call.argument(4, "padding", 0),
        dilation=call.argument(5, "dilation", 1),
        groups=groups,
        bias=bias is not None,
        device="meta",
    )
    source = call.tensor(0, "input")
    return lower_convolution(build, source, _given(layer, weight, bias), name, tf_same=False)


def lower_batch_norm_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """``batch_norm(input, mean, var, weight, bias, training, momentum, eps)``, in eval mode."""
    mean, variance = call.argument(1, "running_mean"), call.argument(2, "running_var")
    if call.argument(5, "training", default=False) or not isinstance(mean, Tensor):
        msg = "a batch norm without running statistics has no counterpart in TFLite"
        raise ExportError(msg)
    weight, bias = call.argument(3, "weight"), call.argument(4, "bias")
    epsilon = float(call.argument(7, "eps", 1e-5))
    layer = nn.BatchNorm2d(len(mean), eps=epsilon, device="meta")
    layer.running_mean, layer.running_var = mean, variance
    ones = torch.ones_like(mean)
    layer.weight = nn.Parameter(ones if weight is None else weight, requires_grad=False)
    zeros = torch.zeros_like(mean)
    layer.bias = nn.Parameter(zeros if bias is None else bias, requires_grad=False)
    return lower_batch_norm(build, call.tensor(0, "input"), layer, name)


def lower_max_pool_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """``max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)``."""
    layer = nn.MaxPool2d(
        call.argument(1, "kernel_size"),
        call.argument(2, "stride"),
        call.argument(3, "padding", 0),
        call.argument(4, "dilation", 1),
        return_indices=bool(call.argument(6, "return_indices", default=False)),
        ceil_mode=bool(call.argument(5, "ceil_mode", default=False)),
    )
    return lower_max_pool(build, call.tensor(0, "input"), layer, name)


def lower_average_pool_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """``avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)``."""
    layer = nn.AvgPool2d(
        call.argument(1, "kernel_size"),
        call.argument(2, "stride"),
        call.argument(3, "padding", 0),
        ceil_mode=bool(call.argument(4, "ceil_mode", default=False)),
        count_include_pad=bool(call.argument(5, "count_include_pad", default=True)),
        divisor_override=call.argument(6, "divisor_override"),
    )
    return lower_average_pool(build, call.tensor(0, "input"), layer, name, tf_same=False)


def _weights(call: Call) -> tuple[Tensor, Tensor | None]:
    """The weights and the bias, which no input may change.

    Raises:
        ExportError: If one does.
    """
    weight, bias = call.argument(1, "weight"), call.argument(2, "bias")
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        msg = f"operator {call.name!r} with weights that depend on an input has no counterpart"
        raise ExportError(msg)
    return weight, bias


def _given(layer: Any, weight: Tensor, bias: Tensor | None) -> Any:  # noqa: ANN401 - either layer
    """The layer with these weights, shared."""
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer
