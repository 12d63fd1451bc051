"""Builds a ``Graph`` operator by operator, as a network is traced."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.exporter import ExportError
from exporters.fusion import Affine, Step, fuse
from exporters.graph import (
    Binary,
    BinaryKind,
    Constant,
    Graph,
    Node,
    Operator,
    Reshape,
    Shape,
    Unary,
    UnaryKind,
)
from exporters.shared_strides import with_shared_strides

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TensorNumber(int):
    """The number of a tensor, told apart from the whole numbers that a module computes with."""


Named = tuple[tuple[str, TensorNumber], ...]


def channels_last(shape: Shape) -> Shape:
    """`[N, C, H, W]` as `[N, H, W, C]`, clips likewise; others as they are."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) >= 4 else shape


def last_axis(axis: int, rank: int) -> int:
    """Where an axis of torch's lies in the channels-last layout.

    >>> [last_axis(axis, 4) for axis in (0, 1, 2, -1)], last_axis(1, 2)
    ([0, 3, 1, 2], 1)
    """
    found = axis % rank
    if rank < 4 or found == 0:
        return found
    return rank - 1 if found == 1 else found - 1


class GraphBuilder:
    """Numbers tensors and appends operators; shapes given and kept are torch's."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._steps: list[Step] = []

    def tensor(self, shape: Shape) -> TensorNumber:
        """The number of a new tensor."""
        self._shapes.append(tuple(int(length) for length in shape))
        return TensorNumber(len(self._shapes) - 1)

    def shape(self, tensor: TensorNumber) -> Shape:
        """Of a tensor, channels first."""
        return self._shapes[tensor]

    def append(
        self,
        operator: Operator | Affine,
        inputs: tuple[TensorNumber, ...],
        shape: Shape,
        name: str,
    ) -> TensorNumber:
        """The tensor that a new operator makes of ``inputs``."""
        output = self.tensor(shape)
        self._steps.append(Step(operator=operator, inputs=inputs, output=output, name=name))
        return output

    def constant(self, value: NDArray[Any], name: str) -> TensorNumber:
        """Numbers that no input changes, in torch's layout, of one dimension at least."""
        array = np.asarray(value, np.float32)
        turned = np.moveaxis(array, 1, -1) if array.ndim >= 4 else array
        constant = Constant(value=np.ascontiguousarray(turned))
        return self.append(constant, (), array.shape, name)

    def reshaped(self, tensor: TensorNumber, shape: Shape, name: str) -> TensorNumber:
        """The same numbers in the same order, channels last; ``shape`` is torch's.

        Raises:
            ExportError: If the numbers are not as many.
        """
        if math.prod(shape) != math.prod(self.shape(tensor)):
            msg = f"{self.shape(tensor)} has not as many numbers as {shape}"
            raise ExportError(msg)
        return self.append(Reshape(), (tensor,), shape, name)

    def unary(self, tensor: TensorNumber, kind: UnaryKind, name: str) -> TensorNumber:
        """``tensor`` after an element-wise operator."""
        return self.append(Unary(kind=kind), (tensor,), self.shape(tensor), name)

    def silu(self, tensor: TensorNumber, name: str) -> TensorNumber:
        """``x * sigmoid(x)``."""
        gate = self.unary(tensor, UnaryKind.SIGMOID, f"{name}.sigmoid")
        return self.binary(BinaryKind.MUL, tensor, gate, name)

    def hard_sigmoid(self, tensor: TensorNumber, name: str) -> TensorNumber:
        """``relu6(x + 3) / 6``."""
        three = self.constant(np.array([3]), f"{name}.three")
        moved = self.binary(BinaryKind.ADD, tensor, three, f"{name}.add")
        cut = self.unary(moved, UnaryKind.RELU6, f"{name}.relu6")
        sixth = self.constant(np.array([1 / 6]), f"{name}.sixth")
        return self.binary(BinaryKind.MUL, cut, sixth, name)

    def binary(
        self, kind: BinaryKind, first: TensorNumber, second: TensorNumber, name: str
    ) -> TensorNumber:
        """Two tensors combined, the shorter axes repeated.

        Raises:
            ExportError: If their shapes do not go together in the channels-last layout.
        """
        shape = _broadcast(self.shape(first), self.shape(second))
        return self.append(Binary(kind=kind), (first, second), shape, name)

    def graph(self, inputs: Named, outputs: Named) -> Graph:
        """What was built and leads to ``outputs``, fused, in operators that XNNPACK takes.

        Raises:
            ExportError: If a batch norm cannot be expressed.
        """
        results = [tensor for _, tensor in outputs]
        fused = fuse(self._steps, self._shapes, results)
        nodes = with_shared_strides(fused, self._shapes, results)
        used: set[int] = {*results, *(tensor for _, tensor in inputs)}
        used |= {tensor for node in nodes for tensor in (*node.inputs, node.output)}
        number = {tensor: i for i, tensor in enumerate(sorted(used))}
        return Graph(
            shapes=tuple(channels_last(self._shapes[tensor]) for tensor in number),
            nodes=tuple(_renumbered(node, number) for node in nodes),
            inputs=tuple((name, number[tensor]) for name, tensor in inputs),
            outputs=tuple((name, number[tensor]) for name, tensor in outputs),
        )


def _renumbered(node: Node, number: dict[int, int]) -> Node:
    inputs = tuple(number[tensor] for tensor in node.inputs)
    return replace(node, inputs=inputs, output=number[node.output])


def _broadcast(first: Shape, second: Shape) -> Shape:
    if (1,) in (first, second):
        return max(first, second, key=len)
    fits = len(first) == len(second) and all(
        a == b or 1 in (a, b) for a, b in zip(first, second, strict=True)
    )
    if not fits:
        msg = f"combines tensors of shapes {first} and {second}, which have no common layout"
        raise ExportError(msg)
    return tuple(max(a, b) for a, b in zip(first, second, strict=True))
