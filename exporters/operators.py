"""Which counterpart each torch layer and function has: what can be exported."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from exporters.exporter import ExportError
from exporters.functional import (
    lower_average_pool_call,
    lower_batch_norm_call,
    lower_convolution_call,
    lower_linear_call,
    lower_max_pool_call,
)
from exporters.graph import BinaryKind, UnaryKind
from exporters.graph_builder import TensorNumber
from exporters.lowering import lower_batch_norm, lower_convolution, lower_linear
from exporters.reshaping import (
    lower_concat,
    lower_flatten,
    lower_index,
    lower_mean,
    lower_reshape,
    lower_softmax,
    lower_split,
    lower_sum,
    lower_to_one_pixel,
)
from exporters.resizing import lower_resize
from exporters.temporal import lower_convolution_3d, lower_pool_3d
from exporters.windows import lower_average_pool, lower_max_pool, lower_pad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exporters.graph_builder import GraphBuilder

_COUNTERPARTS: Mapping[str, tuple[object, ...]] = {
    "add": (operator.add, operator.iadd, torch.add, "add", "add_"),
    "sub": (operator.sub, operator.isub, torch.sub, "sub", "sub_"),
    "mul": (operator.mul, operator.imul, torch.mul, "mul", "mul_"),
    "div": (operator.truediv, operator.itruediv, torch.div, "div", "div_"),
    "neg": (operator.neg, torch.neg, "neg"),
    "relu": (functional.relu, functional.relu_, torch.relu, torch.relu_, "relu", "relu_"),
    "relu6": (functional.relu6,),
    "sigmoid": (torch.sigmoid, torch.sigmoid_, functional.sigmoid, "sigmoid", "sigmoid_"),
    "tanh": (torch.tanh, functional.tanh, "tanh", "tanh_"),
    "sqrt": (torch.sqrt, "sqrt", "sqrt_"),
    "silu": (functional.silu,),
    "hard_swish": (functional.hardswish,),
    "hard_sigmoid": (functional.hardsigmoid,),
    "gelu": (functional.gelu,),
    "softmax": (torch.softmax, functional.softmax, "softmax"),
    "cat": (torch.cat, torch.concat, torch.concatenate),
    "chunk": (torch.chunk, "chunk"),
    "split": (torch.split, "split"),
    "index": (operator.getitem,),
    "interpolate": (functional.interpolate,),
    "linear": (functional.linear,),
    "conv2d": (functional.conv2d, torch.conv2d),
    "batch_norm": (functional.batch_norm,),
    "max_pool2d": (functional.max_pool2d,),
    "avg_pool2d": (functional.avg_pool2d,),
    "mean": (torch.mean, "mean"),
    "sum": (torch.sum, "sum"),
    "flatten": (torch.flatten, "flatten"),
    "reshape": (torch.reshape, "reshape", "view"),
    "one pixel": (functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d),
    "pad": (functional.pad,),
    "nothing": (functional.dropout, functional.dropout2d, "contiguous", "clone", "detach"),
}
_ONE = (1, (1, 1), [1, 1], (1, 1, 1), [1, 1, 1])
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

    def tensors(self) -> tuple[TensorNumber, ...]:
        """Of the first argument, several.

        Raises:
            ExportError: If one is something else.
        """
        values = self.argument(0, "tensors")
        if not all(isinstance(value, TensorNumber) for value in values):
            msg = f"operator {self.name!r} needs tensors, got {values!r}"
            raise ExportError(msg)
        return tuple(values)

    @property
    def name(self) -> str:
        """For people."""
        return str(getattr(self.target, "__name__", self.target))

    @property
    def is_in_place(self) -> bool:
        """Whether its first argument is changed."""
        if self.target in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
            return True
        writes = self.name.endswith("_") and not self.name.endswith("__")
        return writes or self.argument(1, "inplace") is True or self.kwargs.get("inplace") is True


def is_one_operator(layer: nn.Module) -> bool:
    """Whether a layer that is none of torch's own is exported whole, not looked into."""
    return (
        pads_like_tensorflow(layer)
        or is_only_in_training(layer)
        or _is_batch_norm_with_activation(layer)
    )


def pads_like_tensorflow(layer: nn.Module) -> bool:
    """Whether a layer pads as 'SAME' does: it says so, or is timm's ``Conv2dSame``."""
    return bool(getattr(layer, "tf_same", False)) or type(layer).__name__ == "Conv2dSame"


def is_only_in_training(layer: nn.Module) -> bool:
    """Whether a layer says that it gives what it takes, but while training."""
    return bool(getattr(layer, "only_in_training", False))


def float_parts(module: nn.Module) -> tuple[str, ...]:
    """Paths of the parts that say that they stay in float32 where a file is quantized."""
    return tuple(
        path for path, part in module.named_modules() if getattr(part, "stays_float", False)
    )


def lower_layer(
    build: GraphBuilder, source: TensorNumber, layer: nn.Module, name: str
) -> TensorNumber:
    """The tensor that a layer makes of ``source``.

    Raises:
        ExportError: If it has no counterpart.
    """
    same = pads_like_tensorflow(layer)
    if is_only_in_training(layer):
        return source
    if _is_batch_norm_with_activation(layer):
        return _batch_norm_with_activation(build, source, layer, name)
    match layer:
        case nn.Conv2d():
            return lower_convolution(build, source, layer, name, tf_same=same)
        case nn.Conv3d():
            return lower_convolution_3d(build, source, layer, name, tf_same=same)
        case nn.BatchNorm2d() | nn.BatchNorm1d() | nn.BatchNorm3d():
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
        case nn.Tanh():
            return build.unary(source, UnaryKind.TANH, name)
        case nn.SiLU():
            return build.silu(source, name)
        case nn.Hardswish():
            return build.unary(source, UnaryKind.HARD_SWISH, name)
        case nn.Hardsigmoid():
            return build.hard_sigmoid(source, name)
        case nn.GELU():
            return build.unary(source, _gelu(layer.approximate), name)
        case nn.Softmax():
            return lower_softmax(build, source, layer.dim, name)
        case nn.Dropout() | nn.Dropout2d() | nn.Dropout3d() | nn.Identity():
            return source
        case (
            nn.AdaptiveAvgPool2d(output_size=1 | (1, 1))
            | nn.AdaptiveAvgPool3d(output_size=1 | (1, 1, 1))
        ):
            return lower_to_one_pixel(build, source, name)
        case nn.MaxPool3d() | nn.AvgPool3d():
            return lower_pool_3d(build, source, layer, name, tf_same=same)
        case nn.Upsample():
            return lower_resize(
                build,
                source,
                size=layer.size,
                scale=layer.scale_factor,
                mode=layer.mode,
                align_corners=bool(layer.align_corners),
                name=name,
            )
        case nn.AvgPool2d():
            return lower_average_pool(build, source, layer, name, tf_same=same)
        case nn.MaxPool2d():
            return lower_max_pool(build, source, layer, name, tf_same=same)
        case nn.Flatten():
            return lower_flatten(build, source, layer.start_dim, layer.end_dim, name)
        case nn.ZeroPad2d():
            return lower_pad(build, source, tuple(layer.padding), name)
    msg = f"operator {type(layer).__name__!r} has no counterpart in TFLite"
    raise ExportError(msg)


Made = TensorNumber | tuple[TensorNumber, ...]


def lower_call(build: GraphBuilder, call: Call, name: str) -> Made:
    """The tensor, or the parts of one, that a function or method makes of its arguments.

    Raises:
        ExportError: If it has no counterpart.
    """
    match _NAMES.get(call.target):
        case "add" | "sub" | "mul" | "div" as kind:
            return _binary(build, call, BinaryKind(kind), name)
        case "neg":
            minus = build.constant(np.array([-1]), f"{name}.minus")
            return build.binary(BinaryKind.MUL, call.tensor(0, "input"), minus, name)
        case "relu" | "relu6" | "sigmoid" | "tanh" | "sqrt" | "hard_swish" as kind:
            return build.unary(call.tensor(0, "input"), UnaryKind(kind), name)
        case "silu":
            return build.silu(call.tensor(0, "input"), name)
        case "hard_sigmoid":
            return build.hard_sigmoid(call.tensor(0, "input"), name)
        case "gelu":
            curve = _gelu(call.argument(1, "approximate", "none"))
            return build.unary(call.tensor(0, "input"), curve, name)
        case "softmax":
            return lower_softmax(build, call.tensor(0, "input"), call.argument(1, "dim"), name)
        case "nothing":
            return call.tensor(0, "input")
        case "cat":
            return lower_concat(build, call.tensors(), call.argument(1, "dim", 0), name)
        case "chunk" | "split" as kind:
            return _split(build, call, name, chunks=kind == "chunk")
        case "index":
            return lower_index(build, call.tensor(0, "input"), call.argument(1, "index"), name)
        case "linear":
            return lower_linear_call(build, call, name)
        case "conv2d":
            return lower_convolution_call(build, call, name)
        case "batch_norm":
            return lower_batch_norm_call(build, call, name)
        case "max_pool2d":
            return lower_max_pool_call(build, call, name)
        case "avg_pool2d":
            return lower_average_pool_call(build, call, name)
        case "interpolate" if not call.argument(6, "antialias", default=False):
            return _resized(build, call, name)
        case "mean" | "sum" as kind:
            keep = bool(call.argument(2, "keepdim", default=False))
            source, axes = call.tensor(0, "input"), call.argument(1, "dim")
            lower = lower_mean if kind == "mean" else lower_sum
            return lower(build, source, axes, name, keep=keep)
        case "flatten":
            start, end = call.argument(1, "start_dim", 0), call.argument(2, "end_dim", -1)
            return lower_flatten(build, call.tensor(0, "input"), start, end, name)
        case "reshape":
            return lower_reshape(build, call.tensor(0, "input"), _wanted_shape(call), name)
        case "one pixel" if call.argument(1, "output_size") in _ONE:
            return lower_to_one_pixel(build, call.tensor(0, "input"), name)
        case "pad" if _pads_with_a_number(call):
            amounts, value = tuple(call.argument(1, "pad")), call.argument(3, "value") or 0.0
            return lower_pad(build, call.tensor(0, "input"), amounts, name, value=float(value))
    msg = f"operator {call.name!r} with these arguments has no counterpart in TFLite"
    raise ExportError(msg)


def _binary(build: GraphBuilder, call: Call, kind: BinaryKind, name: str) -> TensorNumber:
    """Two tensors, or one and a constant; divided by a constant is multiplied by its inverse."""
    for option, usual in (("alpha", 1), ("rounding_mode", None)):
        if call.kwargs.get(option, usual) != usual:
            msg = f"operator {call.name!r} with {option}={call.kwargs[option]} has no counterpart"
            raise ExportError(msg)
    first, second = call.argument(0, "input"), call.argument(1, "other")
    if not isinstance(second, TensorNumber):
        value = _number(second, call)
        if kind is BinaryKind.DIV:
            kind, value = BinaryKind.MUL, (1 / value.astype(np.float64)).astype(np.float32)
        neutral = 1 if kind is BinaryKind.MUL else 0
        if value.size == 1 and value.flat[0] == neutral:
            return call.tensor(0, "input")
        second = _constant(build, value, first, f"{name}.constant")
    elif not isinstance(first, TensorNumber):
        value = _number(first, call)
        if kind is BinaryKind.ADD and value.size == 1 and value.flat[0] == 0:
            return second  # of sum([a, b])
        first = _constant(build, value, second, f"{name}.constant")
    return build.binary(kind, first, second, name)


def _number(value: object, call: Call) -> NDArray[np.float32]:
    """A number or a tensor that no input changes."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().to("cpu", torch.float32).numpy())
    if isinstance(value, int | float) and not isinstance(value, TensorNumber):
        return np.asarray(value, np.float32)
    msg = f"operator {call.name!r} needs tensors or numbers, got {value!r}"
    raise ExportError(msg)


def _constant(
    build: GraphBuilder, value: NDArray[np.float32], other: TensorNumber, name: str
) -> TensorNumber:
    """In as many dimensions as the tensor that it meets."""
    rank = len(build.shape(other))
    if value.size == 1:
        value = value.reshape(1)
    elif value.ndim < rank:
        value = value.reshape((1,) * (rank - value.ndim) + value.shape)
    return build.constant(value, name)


def _split(build: GraphBuilder, call: Call, name: str, *, chunks: bool) -> Made:
    source = call.tensor(0, "input")
    asked = call.argument(1, "chunks" if chunks else "split_size")
    axis = call.argument(2, "dim", 0)
    whole = build.shape(source)[axis]
    if isinstance(asked, int):
        step = -(-whole // asked) if chunks else asked
        lengths = [min(step, whole - begin) for begin in range(0, whole, step)]
    else:
        lengths = list(asked)
    return lower_split(build, source, lengths, axis, name)


def _resized(build: GraphBuilder, call: Call, name: str) -> TensorNumber:
    return lower_resize(
        build,
        call.tensor(0, "input"),
        size=call.argument(1, "size"),
        scale=call.argument(2, "scale_factor"),
        mode=str(call.argument(3, "mode", "nearest")),
        align_corners=bool(call.argument(4, "align_corners")),
        name=name,
    )


def _gelu(approximate: str) -> UnaryKind:
    return UnaryKind.GELU_TANH if approximate == "tanh" else UnaryKind.GELU


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
