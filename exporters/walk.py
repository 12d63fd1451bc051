"""Walks over what torch.fx traced and builds the graph, operator by operator."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from exporters.exporter import ExportError, NamedInput
from exporters.graph_builder import GraphBuilder, Named, TensorNumber
from exporters.operators import Call, lower_call, lower_layer

if TYPE_CHECKING:
    from torch import nn

    from exporters.graph import Graph

_ARITHMETIC = ("_operator", "math", "builtins")
"""Modules whose functions are computed at once where no tensor takes part: sizes, mostly."""


class NodeError(ExportError):
    """A node that cannot be expressed.

    Attributes:
        node: Its name.
        layer: The part of the module it is in, for people; nothing for the module itself.
    """

    def __init__(self, text: str, node: str, layer: tuple[str, ...]) -> None:
        super().__init__(text)
        self.node = node
        self.layer = layer


class Walk:
    """One pass over a traced module.

    Args:
        module: What was traced, in eval mode.
        inputs: One for each argument of its ``forward``.
    """

    def __init__(self, module: nn.Module, inputs: tuple[NamedInput, ...]) -> None:
        self._modules = dict(module.named_modules())
        self._inputs = list(inputs)
        self._builder = GraphBuilder()
        self._values: dict[fx.Node, Any] = {}
        self._named: list[tuple[str, TensorNumber]] = []
        self._outputs: Named = ()

    def graph(self, traced: fx.Graph) -> Graph:
        """The whole module.

        Raises:
            NodeError: If an operator has no counterpart.
            ExportError: If the inputs or the whole do not fit.
        """
        for node in traced.nodes:
            try:
                self._values[node] = self._value(node)
            except ExportError as error:
                raise NodeError(str(error), node.name, _layer_of(node)) from error
        if self._inputs:
            taken = len(self._named)
            msg = f"the module takes {taken} inputs, {taken + len(self._inputs)} were given"
            raise ExportError(msg)
        return self._builder.graph(tuple(self._named), self._outputs)

    def _value(self, node: fx.Node) -> object:
        """What a node is: a tensor's number, or a size or the like."""
        args, kwargs = self._resolved(node)
        match node.op:
            case "placeholder":
                return self._placeholder(node)
            case "get_attr":
                msg = f"{node.target!r}, no input, is read outside of a layer of torch's own"
                raise ExportError(msg)
            case "call_module":
                return self._layer(str(node.target), Call("forward", args, kwargs))
            case "output":
                self._outputs = self._named_outputs(args[0])
                return None
        return self._call(node, Call(node.target, args, kwargs))

    def _placeholder(self, node: fx.Node) -> TensorNumber:
        if not self._inputs:
            msg = f"the module takes an input {node.target!r} that was not given"
            raise ExportError(msg)
        given = self._inputs.pop(0)
        number = self._builder.tensor(tuple(given.value.shape))
        self._named.append((given.name, number))
        return number

    def _layer(self, path: str, call: Call) -> TensorNumber:
        layer = self._modules[path]
        source = call.tensor(0, "input")
        made = lower_layer(self._builder, source, layer, path)
        if getattr(layer, "inplace", False):
            self._overwrite(source, made)
        return made

    def _call(self, node: fx.Node, call: Call) -> object:
        read = (self._values[value] for value in node.all_input_nodes)
        if not any(isinstance(value, TensorNumber) for value in read):
            return _computed(call)
        if call.target == "size" or (call.target is getattr and call.args[1] == "shape"):
            shape = self._builder.shape(call.tensor(0, "input"))
            axis = call.argument(1, "dim")
            return shape[axis] if isinstance(axis, int) else shape
        made = lower_call(self._builder, call, node.name)
        if call.is_in_place:
            self._overwrite(call.tensor(0, "input"), made)
        return made

    def _overwrite(self, old: TensorNumber, new: TensorNumber) -> None:
        """Whoever reads ``old`` from here on reads ``new``: an operator changed it in place."""
        for node, value in self._values.items():
            if isinstance(value, TensorNumber) and value == old:
                self._values[node] = new

    def _resolved(self, node: fx.Node) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        def known(value: fx.Node) -> Any:  # noqa: ANN401
            return self._values[value]

        args: Any = fx.node.map_arg(node.args, known)
        kwargs: Any = fx.node.map_arg(node.kwargs, known)
        return args, kwargs

    def _named_outputs(self, given: object) -> Named:
        if isinstance(given, Mapping):
            named = [(str(name), value) for name, value in given.items()]
        elif isinstance(given, tuple | list):
            named = [(f"output_{i}", value) for i, value in enumerate(given)]
        else:
            named = [("output", given)]
        if len(named) == 1 and not isinstance(given, Mapping):
            named = [("output", named[0][1])]
        for name, value in named:
            if not isinstance(value, TensorNumber):
                msg = f"{name!r} is no tensor: {value!r}"
                raise ExportError(msg)
        return tuple(named)


def _layer_of(node: fx.Node) -> tuple[str, ...]:
    """The part of the module that a node comes from."""
    path = next(reversed(node.meta.get("nn_module_stack") or {}), "")
    return (f"layer {path!r}",) if path else ()


def _computed(call: Call) -> object:
    """What arithmetic on sizes gives; an assertion about them gives nothing.

    Raises:
        ExportError: If it is something else, like a new tensor.
    """
    if call.target is torch._assert:
        return None
    if call.target is operator.getitem or getattr(call.target, "__module__", "") in _ARITHMETIC:
        function: Any = call.target
        return function(*call.args, **call.kwargs)
    msg = f"operator {call.name!r} reads no input of the module: it has no counterpart in TFLite"
    raise ExportError(msg)
