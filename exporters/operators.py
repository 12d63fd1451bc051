"""Which counterpart each torch layer and function has: what can be exported."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from exporters.exporter import ExportError
from exporters.graph import BinaryKind, UnaryKind
from exporters.graph_builder import TensorNumber
from exporters.lowering import lower_batch_norm, lower_convolution, lower_linear
from exporters.reshaping import lower_flatten, lower_mean, lower_reshape, lower_to_one_pixel
from exporters.windows import lower_average_pool, lower_max_pool, lower_pad

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder

_COUNTERPARTS: Mapping[str, tuple[object, ...]] = {
    "add": (operator.add, operator.iadd, torch.add, "add", "add_"),
    "mul": (operator.mul, operator.imul, torch.mul, "mul", "mul_"),
    "relu": (functional.relu, functional.relu_, torch.relu, torch.relu_, "relu", "relu_"),
    "relu6": (functional.relu6,),
    "sigmoid": (torch.sigmoid, torch.sigmoid_, functional.sigmoid, "sigmoid", "sigmoid_"),
    "silu": (functional.silu,),
    "mean": (torch.mean, "mean"),
    "flatten": (torch.flatten, "flatten"),
    "reshape": (torch.reshape, "reshape", "view"),
    "one pixel": (functional.adaptive_avg_pool2d,),
    "pad": (functional.pad,),
    "nothing": (functional.dropout, functional.dropout2d, "contiguous", "clone", "detach"),
}
_NAMES = {target: name for name, targets in _COUNTERPARTS.items() for target in targets}


@dataclass(frozen=True, slots=True)
class Call:
    """A function or method with its arguments, tensors as ``TensorNumber``.

    Attributes:
        target: The function, or the method's name.
        args: By position; of a method, the object first.
        kwargs: By name.
    """

    target: object
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def argument(self, position: int, name: str, default: object = None) -> Any:  # noqa: ANN401
        """Given by position or name; else the default."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)

    def tensor(self, position: int, name: str) -> TensorNumber:
        """Likewise, a tensor.

        Raises:
            ExportError: If it is something else.
        """
        value = self.argument(position, name)
        if not isinstance(value, TensorNumber):
            msg = f"operator {self.name!r} needs a tensor, got {value!r}"
            raise ExportError(msg)
        return value

    @property
    def name(self) -> str:
        """For people."""
        return str(getattr(self.target, "__name__", self.target))

    @property
    def is_in_place(self) -> bool:
        """Whether its first argument is changed."""
        if self.target in (operator.iadd, operator.imul):
            return True
        writes = self.name.endswith("_") and not self.name.endswith("__")
        return writes or self.argument(1, "inplace") is True or self.kwargs.get("inplace") is True


def is_one_operator(layer: nn.Module) -> bool:
    """Whether a layer that is none of torch's own is exported whole, not looked into."""
    return pads_like_tensorflow(layer) or _is_batch_norm_with_activation(layer)


def pads_like_tensorflow(layer: nn.Module) -> bool:
    """Whether a layer pads as 'SAME' does: it says so, or is timm's ``Conv2dSame``."""
    return bool(getattr(layer, "tf_same", False)) or type(layer).__name__ == "Conv2dSame"


def lower_layer(
    build: GraphBuilder, source: TensorNumber, layer: nn.Module, name: str
) -> TensorNumber:
    """The tensor that a layer makes of ``source``.

    Raises:
        ExportError: If it has no counterpart.
    """
    same = pads_like_tensorflow(layer)
    if _is_batch_norm_with_activation(layer):
        return _batch_norm_with_activation(build, source, layer, name)
    match layer:
        case nn.Conv2d():
            return lower_convolution(build, source, layer, name, tf_same=same)
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return lower_batch_norm(build, source, layer, name)
        case nn.Linear():
            return lower_linear(build, source, layer, name)
        case nn.ReLU6():
            return build.unary(source, UnaryKind.RELU6, name)
        case nn.Hardtanh(min_val=0, max_val=6):
            return build.unary(source, UnaryKind.RELU6, name)
        case nn.ReLU():
            return build.unary(source, UnaryKind.RELU, name)
        case nn.Sigmoid():
            return build.unary(source, UnaryKind.SIGMOID, name)
        case nn.SiLU():
            return build.silu(source, name)
        case nn.Dropout() | nn.Dropout2d() | nn.Identity():
            return source
        case nn.AdaptiveAvgPool2d(output_size=1 | (1, 1)):
            return lower_to_one_pixel(build, source, name)
        case nn.AvgPool2d():
            return lower_average_pool(build, source, layer, name, tf_same=same)
        case nn.MaxPool2d():
            return lower_max_pool(build, source, layer, name)
        case nn.Flatten():
            return lower_flatten(build, source, layer.start_dim, layer.end_dim, name)
        case nn.ZeroPad2d():
            return lower_pad(build, source, tuple(layer.padding), name)
    msg = f"operator {type(layer).__name__!r} has no counterpart in TFLite"
    raise ExportError(msg)


def lower_call(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    """The tensor that a function or method makes of its arguments.

    Raises:
        ExportError: If it has no counterpart.
    """
    match _NAMES.get(call.target):
        case "add" | "mul" as kind:
            return _binary(build, call, BinaryKind(kind), name)
        case "relu" | "relu6" | "sigmoid" as kind:
            return build.unary(call.tensor(0, "input"), UnaryKind(kind), name)
        case "silu":
            return build.silu(call.tensor(0, "input"), name)
        case "nothing":
            return call.tensor(0, "input")
        case "mean":
            keep = bool(call.argument(2, "keepdim", default=False))
            source, axes = call.tensor(0, "input"), call.argument(1, "dim")
            return lower_mean(build, source, axes, name, keep=keep)
        case "flatten":
            start, end = call.argument(1, "start_dim", 0), call.argument(2, "end_dim", -1)
            return lower_flatten(build, call.tensor(0, "input"), start, end, name)
        case "reshape":
            return lower_reshape(build, call.tensor(0, "input"), _wanted_shape(call), name)
        case "one pixel" if call.argument(1, "output_size") in (1, (1, 1), [1, 1]):
            return lower_to_one_pixel(build, call.tensor(0, "input"), name)
        case "pad" if _pads_with_a_number(call):
            amounts, value = tuple(call.argument(1, "pad")), call.argument(3, "value") or 0.0
            return lower_pad(build, call.tensor(0, "input"), amounts, name, value=float(value))
    msg = f"operator {call.name!r} with these arguments has no counterpart in TFLite"
    raise ExportError(msg)


def _binary(build: GraphBuilder, call: Call, kind: BinaryKind, name: str) -> TensorNumber:
    if call.kwargs.get("alpha", 1) != 1:
        msg = f"operator {call.name!r} with alpha={call.kwargs['alpha']} has no counterpart"
        raise ExportError(msg)
    return build.binary(kind, call.tensor(0, "input"), call.tensor(1, "other"), name)


def _wanted_shape(call: Call) -> tuple[int, ...]:
    """Of ``reshape(2, 3)``, ``reshape((2, 3))`` or ``reshape(shape=(2, 3))``."""
    given = call.args[1:] or (call.kwargs.get("shape"),)
    lengths = given[0] if isinstance(given[0], Sequence) else given
    if not all(type(length) is int for length in lengths):
        msg = f"a reshape to {lengths!r} has no counterpart: lengths must be known numbers"
        raise ExportError(msg)
    return tuple(lengths)


def _pads_with_a_number(call: Call) -> bool:
    return bool(call.argument(2, "mode", "constant") == "constant")


def _is_batch_norm_with_activation(layer: nn.Module) -> bool:
    return type(layer).__name__ == "BatchNormAct2d" and isinstance(layer, nn.BatchNorm2d)


def _batch_norm_with_activation(
    build: GraphBuilder,
    source: TensorNumber,
    layer: Any,  # noqa: ANN401 - timm's class, which is not imported
    name: str,
) -> TensorNumber:
    """A batch norm of timm's, which drops out and activates too."""
    source = lower_batch_norm(build, source, layer, name)
    source = lower_layer(build, source, layer.drop, f"{name}.drop")
    return lower_layer(build, source, layer.act, f"{name}.act")
