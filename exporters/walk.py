"""Walks over what torch.fx traced and builds the graph, operator by operator."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from exporters.exporter import ExportError, NamedInput
from exporters.graph_builder import GraphBuilder, Named, TensorNumber
from exporters.operators import Call, lower_call, lower_layer

if TYPE_CHECKING:
    from torch import nn

    from exporters.graph import Graph, Shape

_ARITHMETIC = ("_operator", "math", "builtins")
"""Modules whose functions are computed at once where no input takes part: sizes, mostly."""


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
        self._module = module
        self._modules = dict(module.named_modules())
        self._inputs = list(inputs)
        self._builder = GraphBuilder()
        self._values: dict[fx.Node, Any] = {}
        self._named: list[tuple[str, TensorNumber]] = []
        self._outputs: Named = ()

    def graph(self, traced: fx.Graph) -> Graph:
        """The whole module.

        Raises:
            NodeError: If an operator has no counterpart, or fails.
            ExportError: If the inputs or the whole do not fit.
        """
        for node in traced.nodes:
            try:
                self._values[node] = self._value(node)
            except ExportError as error:
                raise NodeError(str(error), node.name, _layer_of(node)) from error
            except Exception as error:  # sizes and buffers are computed as the user wrote it
                said = " ".join(str(error).split()) or type(error).__name__
                text = f"operator {_name_of(node)!r} fails: {said}"
                raise NodeError(text, node.name, _layer_of(node)) from error
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
                return operator.attrgetter(str(node.target))(self._module)
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

    def _layer(self, path: str, call: Call) -> object:
        layer = self._modules[path]
        if isinstance(call.argument(0, "input"), Tensor):
            return layer(*call.args, **call.kwargs)
        source = call.tensor(0, "input")
        made = lower_layer(self._builder, source, layer, path)
        if getattr(layer, "inplace", False):
            self._overwrite(source, made)
        return made

    def _call(self, node: fx.Node, call: Call) -> object:
        read = [self._values[value] for value in node.all_input_nodes]
        is_part = call.target is operator.getitem and isinstance(call.args[0], tuple | list)
        if is_part or not any(_is_computed_later(value) for value in read):
            return _computed(call, constant=any(isinstance(value, Tensor) for value in read))
        if call.target in ("dim", "size") or call.target is getattr:
            return _property(call, self._builder.shape(call.tensor(0, "input")))
        made = lower_call(self._builder, call, ".".join((*_path(node), node.name)))
        if call.is_in_place and isinstance(made, TensorNumber):
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
        named = named_outputs(given, self._module)
        for name, value in named.items():
            if not isinstance(value, TensorNumber):
                msg = f"{name!r} is no tensor: {value!r}"
                raise ExportError(msg)
        return tuple(named.items())


def named_outputs(
    given: Any,  # noqa: ANN401 - whatever a forward returns
    module: nn.Module | None = None,
) -> dict[str, Any]:
    """The results of a ``forward`` by name: their own, or ``output``, ``output_0``, ….

    >>> named_outputs((3, 4)), named_outputs([5])
    ({'output_0': 3, 'output_1': 4}, {'output': 5})

    Args:
        given: What it returned.
        module: Whose it is; its ``output_names`` are theirs, where it has them.

    Raises:
        ExportError: If the module names more or fewer of them.
    """
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    names = getattr(module, "output_names", None)
    if names is not None:
        values = given if isinstance(given, tuple | list) else (given,)
        if len(values) != len(names):
            msg = f"output_names are {list(names)}, the module gives {len(values)} outputs"
            raise ExportError(msg)
        return dict(zip(names, values, strict=True))
    if not isinstance(given, tuple | list):
        return {"output": given}
    if len(given) == 1:
        return {"output": given[0]}
    return {f"output_{index}": value for index, value in enumerate(given)}


def _name_of(node: fx.Node) -> str:
    """Of what a node calls, for people."""
    return str(getattr(node.target, "__name__", node.target))


def _layer_of(node: fx.Node) -> tuple[str, ...]:
    """The part of the module that a node comes from, for people."""
    return tuple(f"layer {path!r}" for path in _path(node))


def _path(node: fx.Node) -> tuple[str, ...]:
    """Of the part of the module that a node comes from; none for the module itself."""
    path = next(reversed(node.meta.get("nn_module_stack") or {}), "")
    return (path,) if path else ()


def _is_computed_later(value: object) -> bool:
    """Whether it is a tensor that depends on an input, or several."""
    if isinstance(value, tuple | list):
        return any(_is_computed_later(each) for each in value)
    return isinstance(value, TensorNumber)


def _property(call: Call, shape: Shape) -> object:
    """What a tensor's shape tells.

    Raises:
        ExportError: If it was asked for something else.
    """
    name = call.args[1] if call.target is getattr else call.target
    if name in ("dim", "ndim"):
        return len(shape)
    if name not in ("shape", "size"):
        msg = f"{name!r} of a tensor has no counterpart; its shape has"
        raise ExportError(msg)
    axis = call.argument(1, "dim") if call.target == "size" else None
    return shape[axis] if isinstance(axis, int) else shape


def _computed(call: Call, *, constant: bool) -> object:
    """What arithmetic on sizes, parameters and buffers gives; an assertion gives nothing.

    Raises:
        ExportError: If it is something else, like a new tensor.
    """
    if call.target is torch._assert:
        return None
    if constant and call.is_in_place:
        msg = f"operator {call.name!r} changes a parameter or buffer of the module"
        raise ExportError(msg)
    if constant or call.target is operator.getitem or _is_arithmetic(call.target):
        function: Any = call.target
        if isinstance(function, str):  # a method's name
            return getattr(call.args[0], function)(*call.args[1:], **call.kwargs)
        return function(*call.args, **call.kwargs)
    msg = f"operator {call.name!r} reads no input of the module: it has no counterpart in TFLite"
    raise ExportError(msg)


def _is_arithmetic(target: object) -> bool:
    return getattr(target, "__module__", "") in _ARITHMETIC
