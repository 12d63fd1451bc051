"""A torch module as a ``Graph``: traced with torch.fx, batch norms folded, activations fused.

torch.export takes most of a second for a mobile network; torch.fx with shapes worked out by hand
takes a few hundredths, which is what a search can afford for every candidate.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn import functional

from exporters.exporter import ExportError, NamedInput
from exporters.graph import Fused, Graph, UnaryKind
from exporters.graph_builder import GraphBuilder
from exporters.lowering import (
    lower_average_pool,
    lower_batch_norm,
    lower_convolution,
    lower_flatten,
    lower_linear,
    lower_max_pool,
    lower_mean,
    lower_pad,
    lower_to_one_pixel,
)

_ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
_MUL = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_RELU = (functional.relu, torch.relu, torch.relu_, "relu", "relu_")
_SIGMOID = (torch.sigmoid, functional.sigmoid, "sigmoid", "sigmoid_")
_SILU = (functional.silu,)
_MEAN = (torch.mean, "mean")
_FLATTEN = (torch.flatten, "flatten")
_NOTHING = (functional.dropout, functional.dropout2d, "contiguous", "clone", "detach")


class _Tracer(fx.Tracer):
    """Takes torch's own layers, and convolutions that pad like TensorFlow, as single operators."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return pads_like_tensorflow(module) or super().is_leaf_module(module, qualified_name)


def pads_like_tensorflow(module: nn.Module) -> bool:
    """Whether a layer pads as 'SAME' does: it says so, or is timm's ``Conv2dSame``."""
    return bool(getattr(module, "tf_same", False)) or type(module).__name__ == "Conv2dSame"


def to_graph(module: nn.Module, inputs: tuple[NamedInput, ...]) -> Graph:
    """``module`` as it behaves in eval mode, for inputs of just these shapes.

    Args:
        module: Any; not modified.
        inputs: One for each argument of its ``forward``, in order.

    Raises:
        ExportError: If it cannot be traced, or an operator has no counterpart; the text names it.
    """
    with in_eval_mode(module):
        try:
            traced = _Tracer().trace(module)
        except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError) as error:
            msg = f"{type(module).__name__} cannot be traced: {error}"
            raise ExportError(msg) from error
        with torch.no_grad():
            return _Lowering(module, traced, inputs).graph()


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Put ``module`` into eval mode for a while."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


class _Lowering:
    """Walks over the traced nodes and builds the graph."""

    def __init__(
        self, module: nn.Module, traced: fx.Graph, inputs: tuple[NamedInput, ...]
    ) -> None:
        self._modules = dict(module.named_modules())
        self._module = module
        self._nodes = traced.nodes
        self._inputs = list(inputs)
        self._builder = GraphBuilder()
        self._tensors: dict[fx.Node, int] = {}

    def graph(self) -> Graph:
        names = []
        outputs: list[tuple[str, int]] = []
        for node in self._nodes:
            match node.op:
                case "placeholder":
                    names.append(self._placeholder(node))
                case "get_attr":
                    self._tensors[node] = self._constant(node)
                case "call_module":
                    self._tensors[node] = self._call_module(node)
                case "call_function" | "call_method":
                    self._tensors[node] = self._call(node)
                case "output":
                    outputs = self._outputs(node)
        if self._inputs:
            msg = f"the module takes {len(names)} inputs, got {len(names) + len(self._inputs)}"
            raise ExportError(msg)
        return self._builder.graph(tuple(names), tuple(outputs))

    def _placeholder(self, node: fx.Node) -> tuple[str, int]:
        if not self._inputs:
            msg = f"the module takes an input {node.name!r} that was not given"
            raise ExportError(msg)
        given = self._inputs.pop(0)
        self._tensors[node] = self._builder.tensor(tuple(given.value.shape))
        return given.name, self._tensors[node]

    def _outputs(self, node: fx.Node) -> list[tuple[str, int]]:
        given = node.args[0]
        values = list(given) if isinstance(given, tuple | list) else [given]
        if isinstance(given, dict):
            return [(str(name), self._tensor(node, value)) for name, value in given.items()]
        names = ["output"] if len(values) == 1 else [f"output_{i}" for i in range(len(values))]
        return [
            (name, self._tensor(node, value)) for name, value in zip(names, values, strict=True)
        ]

    def _constant(self, node: fx.Node) -> int:
        msg = f"the module reads its tensor {node.target!r} directly, which has no counterpart yet"
        raise ExportError(msg)

    def _tensor(self, node: fx.Node, value: object) -> int:
        if isinstance(value, fx.Node) and value in self._tensors:
            return self._tensors[value]
        msg = f"{self._where(node)} needs a tensor, got {value!r}"
        raise ExportError(msg)

    def _call_module(self, node: fx.Node) -> int:
        layer = self._modules[str(node.target)]
        source = self._tensor(node, node.args[0])
        name = str(node.target)
        build = self._builder
        same = pads_like_tensorflow(layer)
        match layer:
            case nn.Conv2d():
                return lower_convolution(build, source, layer, name, tf_same=same)
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                return lower_batch_norm(build, source, layer, name)
            case nn.Linear():
                return lower_linear(build, source, layer, name)
            case nn.ReLU6():
                return build.activate(source, Fused.RELU6, name)
            case nn.Hardtanh() if (layer.min_val, layer.max_val) == (0.0, 6.0):
                return build.activate(source, Fused.RELU6, name)
            case nn.ReLU():
                return build.activate(source, Fused.RELU, name)
            case nn.Sigmoid():
                return build.unary(source, UnaryKind.SIGMOID, name)
            case nn.SiLU():
                return build.silu(source, name)
            case nn.Dropout() | nn.Dropout2d() | nn.Identity():
                return source
            case nn.AdaptiveAvgPool2d() if layer.output_size in (1, (1, 1)):
                return lower_to_one_pixel(build, source, name)
            case nn.AvgPool2d():
                return lower_average_pool(build, source, layer, name, tf_same=same)
            case nn.MaxPool2d():
                return lower_max_pool(build, source, layer, name)
            case nn.Flatten():
                return lower_flatten(build, source, layer.start_dim, layer.end_dim, name)
            case nn.ZeroPad2d():
                return lower_pad(build, source, cast("tuple[int, ...]", layer.padding), name)
        raise self._unknown(node, type(layer).__name__)

    def _call(self, node: fx.Node) -> int:
        target: Any = node.target
        build, name = self._builder, node.name
        args: tuple[Any, ...] = node.args
        if target in _ADD or target in _MUL:
            return self._binary(node)
        source = self._tensor(node, args[0])
        if target in _RELU:
            return build.activate(source, Fused.RELU, name)
        if target is functional.relu6:
            return build.activate(source, Fused.RELU6, name)
        if target in _SIGMOID:
            return build.unary(source, UnaryKind.SIGMOID, name)
        if target in _SILU:
            return build.silu(source, name)
        if target in _NOTHING:
            return source
        if target in _MEAN:
            axes = node.kwargs.get("dim", args[1] if len(args) > 1 else None)
            keep = node.kwargs.get("keepdim", args[2] if len(args) > 2 else False)
            return lower_mean(build, source, axes, bool(keep), name)
        if target in _FLATTEN:
            start = node.kwargs.get("start_dim", args[1] if len(args) > 1 else 0)
            end = node.kwargs.get("end_dim", args[2] if len(args) > 2 else -1)
            return lower_flatten(build, source, cast("int", start), cast("int", end), name)
        if target is functional.adaptive_avg_pool2d and args[1] in (1, (1, 1)):
            return lower_to_one_pixel(build, source, name)
        if target is functional.pad and len(args) == 2 and not node.kwargs:
            return lower_pad(build, source, tuple(args[1]), name)
        raise self._unknown(node, getattr(target, "__name__", str(target)))

    def _binary(self, node: fx.Node) -> int:
        first, second = (self._tensor(node, value) for value in node.args[:2])
        target: Any = node.target
        combine: Callable[[int, int, str], int] = (
            self._builder.add if target in _ADD else self._builder.multiply
        )
        return combine(first, second, node.name)

    def _unknown(self, node: fx.Node, what: str) -> ExportError:
        return ExportError(f"{self._where(node)}: operator {what!r} has no counterpart in TFLite")

    def _where(self, node: fx.Node) -> str:
        """The part of the module that a node comes from."""
        stack = node.meta.get("nn_module_stack") or {}
        path = next(reversed(stack), "") if stack else ""
        place = f" in {path!r}" if path else ""
        return f"{type(self._module).__name__}{place}, {node.name!r}"
