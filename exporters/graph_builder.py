"""Builds a ``Graph`` operator by operator, fusing what can be fused as it goes."""

from __future__ import annotations

from dataclasses import replace

from exporters.exporter import ExportError
from exporters.graph import (
    Binary,
    BinaryKind,
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Graph,
    Node,
    Operator,
    Shape,
    Unary,
    UnaryKind,
)

_FUSES = (Convolution, Depthwise, Dense, Binary)


def channels_last(shape: Shape) -> Shape:
    """`[N, C, H, W]` as `[N, H, W, C]`; others as they are."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


class GraphBuilder:
    """Numbers tensors and appends operators; shapes given and kept are torch's."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._nodes: list[Node] = []
        self._maker: dict[int, int] = {}
        self._uses: dict[int, int] = {}

    def tensor(self, shape: Shape) -> int:
        """The number of a new tensor."""
        self._shapes.append(tuple(int(length) for length in shape))
        return len(self._shapes) - 1

    def shape(self, tensor: int) -> Shape:
        """Of a tensor, channels first."""
        return self._shapes[tensor]

    def append(self, operator: Operator, inputs: tuple[int, ...], shape: Shape, name: str) -> int:
        """The tensor that a new operator makes of ``inputs``."""
        output = self.tensor(shape)
        for tensor in inputs:
            self._uses[tensor] = self._uses.get(tensor, 0) + 1
        self._maker[output] = len(self._nodes)
        self._nodes.append(Node(operator=operator, inputs=inputs, output=output, name=name))
        return output

    def maker(self, tensor: int) -> Operator | None:
        """The operator that makes ``tensor`` for nobody else so far."""
        if tensor not in self._maker or self._uses.get(tensor):
            return None
        return self._nodes[self._maker[tensor]].operator

    def replace_maker(self, tensor: int, operator: Operator) -> int:
        """Let ``operator`` make ``tensor`` instead, from the same inputs."""
        position = self._maker[tensor]
        self._nodes[position] = replace(self._nodes[position], operator=operator)
        return tensor

    def activate(self, tensor: int, fused: Fused, name: str) -> int:
        """``tensor`` after an activation, fused into its maker where nothing else reads it yet."""
        maker = self.maker(tensor)
        if isinstance(maker, _FUSES) and maker.fused is Fused.NONE:
            return self.replace_maker(tensor, replace(maker, fused=fused))
        return self.unary(tensor, UnaryKind(fused.value), name)

    def unary(self, tensor: int, kind: UnaryKind, name: str) -> int:
        """``tensor`` after an element-wise operator."""
        return self.append(Unary(kind=kind), (tensor,), self.shape(tensor), name)

    def silu(self, tensor: int, name: str) -> int:
        """``x * sigmoid(x)``."""
        gate = self.unary(tensor, UnaryKind.SIGMOID, f"{name}.sigmoid")
        return self.multiply(tensor, gate, name)

    def add(self, first: int, second: int, name: str) -> int:
        """The sum of two tensors."""
        return self._binary(BinaryKind.ADD, first, second, name)

    def multiply(self, first: int, second: int, name: str) -> int:
        """The product of two tensors."""
        return self._binary(BinaryKind.MUL, first, second, name)

    def _binary(self, kind: BinaryKind, first: int, second: int, name: str) -> int:
        shape = _broadcast(self.shape(first), self.shape(second), name)
        return self.append(Binary(kind=kind), (first, second), shape, name)

    def graph(
        self, inputs: tuple[tuple[str, int], ...], outputs: tuple[tuple[str, int], ...]
    ) -> Graph:
        """What was built."""
        return Graph(
            shapes=tuple(channels_last(shape) for shape in self._shapes),
            nodes=tuple(self._nodes),
            inputs=inputs,
            outputs=outputs,
        )


def _broadcast(first: Shape, second: Shape, name: str) -> Shape:
    if len(first) != len(second):
        msg = f"{name!r} combines tensors of different rank, {first} and {second}"
        raise ExportError(msg)
    for a, b in zip(first, second, strict=True):
        if a != b and 1 not in (a, b):
            msg = f"{name!r} combines tensors that do not broadcast, {first} and {second}"
            raise ExportError(msg)
    return tuple(max(a, b) for a, b in zip(first, second, strict=True))
