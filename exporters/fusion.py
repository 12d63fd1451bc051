"""Makes few operators of many: batch norms go into weights, activations and padding into layers.

All need a tensor that nobody else reads: in ``relu(y) + y`` the relu stays an operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from exporters.exporter import ExportError
from exporters.graph import (
    Binary,
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Node,
    Operator,
    Pad,
    Padding,
    Reshape,
    Shape,
    Unary,
    UnaryKind,
)
from exporters.windows import same

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FUSED = {UnaryKind.RELU: Fused.RELU, UnaryKind.RELU6: Fused.RELU6}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """Each channel times a factor plus a summand: a batch norm in eval mode.

    Attributes:
        scale: `[C]` float64.
        shift: `[C]` float64.
    """

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of the graph as it was traced; the attributes are those of ``graph.Node``."""

    operator: Operator | Affine
    inputs: tuple[int, ...]
    output: int
    name: str


def fuse(steps: Sequence[Step], shapes: Sequence[Shape], outputs: Iterable[int]) -> list[Node]:
    """The nodes that compute ``outputs``, as few as can be.

    Args:
        steps: In order; one whose result nobody reads is left out.
        shapes: Of each tensor, by its number.
        outputs: Tensors that the graph gives.

    Raises:
        ExportError: If a batch norm on anything but an image follows no layer with weights.
    """
    results = tuple(outputs)
    live = _live(steps, results)
    readers = Counter(chain(results, *(step.inputs for step in live)))
    made = _Made(shapes, readers)
    for step in live:
        made.add(step)
    return made.nodes


class _Made:
    """The nodes so far.

    Args:
        shapes: Of each tensor, by its number.
        readers: Of each tensor, outputs of the graph included.
    """

    def __init__(self, shapes: Sequence[Shape], readers: Mapping[int, int]) -> None:
        self.nodes: list[Node] = []
        self._shapes = shapes
        self._readers = readers
        self._position: dict[int, int] = {}

    def add(self, step: Step) -> None:
        """One more step, as a node or as part of an earlier one."""
        last = self._maker(step.inputs[0]) if step.inputs else None
        if last is None or not (self._joins(last, step) or self._joins_before(last, step)):
            self._position[step.output] = len(self.nodes)
            self.nodes.append(_alone(step, self._shapes))
            return
        self.nodes[last] = replace(self.nodes[last], output=step.output)
        self._position[step.output] = last

    def _maker(self, tensor: int) -> int | None:
        """Where the node is that makes a tensor which only one step reads."""
        return self._position.get(tensor) if self._readers[tensor] == 1 else None

    def _joins(self, at: int, step: Step) -> bool:
        node = self.nodes[at]
        if isinstance(node.operator, Pad):
            merged = _padded_alike(node.operator, step.operator, self._shapes[node.inputs[0]])
        else:
            merged = _merged(node.operator, step.operator)
        if merged is not None:
            self.nodes[at] = replace(node, operator=merged)
        return merged is not None

    def _joins_before(self, at: int, step: Step) -> bool:
        """Likewise for the node before a new shape, which leaves the channels where they are."""
        node = self.nodes[at]
        if not isinstance(node.operator, Reshape) or isinstance(step.operator, Reshape):
            return False
        before = self._maker(node.inputs[0])
        channels = {_channels(self._shapes[tensor]) for tensor in (node.inputs[0], node.output)}
        return before is not None and len(channels) == 1 and self._joins(before, step)


def _live(steps: Sequence[Step], outputs: tuple[int, ...]) -> list[Step]:
    read = set(outputs)
    live = []
    for step in reversed(steps):
        if step.output in read:
            read.update(step.inputs)
            live.append(step)
    return live[::-1]


def _merged(before: Operator, after: Operator | Affine) -> Operator | None:
    """One operator for two, the second reading what only it reads; None if there is none."""
    match before, after:
        case Convolution() | Depthwise() | Dense(), Affine() if before.fused is Fused.NONE:
            return _scaled(before, after)
        case Convolution() | Depthwise() | Dense() | Binary(), Unary(kind=kind) if (
            before.fused is Fused.NONE and kind in _FUSED
        ):
            return replace(before, fused=_FUSED[kind])
        case Reshape(), Reshape():
            return before
    return None


def _padded_alike(pad: Pad, layer: Operator | Affine, shape: Shape) -> Operator | None:
    """The layer with padding SAME, where that is just what ``pad`` puts around an image.

    Args:
        pad: Before the layer.
        layer: What reads it.
        shape: `[N, C, H, W]`, before ``pad``.
    """
    if not isinstance(layer, Convolution | Depthwise) or layer.padding is not Padding.VALID:
        return None
    if pad.value != 0:
        return None
    kernel = layer.weights.shape[1:3]
    reach = ((each - 1) * gap + 1 for each, gap in zip(kernel, layer.dilation, strict=True))
    sides = zip(shape[2:], reach, layer.stride, strict=True)
    alike = ((0, 0), *(same(*side) for side in sides), (0, 0))
    return replace(layer, padding=Padding.SAME) if pad.amounts == alike else None


def _channels(shape: Shape) -> int:
    return shape[1] if len(shape) > 1 else shape[0]


def _scaled(
    layer: Convolution | Depthwise | Dense, affine: Affine
) -> Convolution | Depthwise | Dense:
    """The layer with weights and bias scaled and shifted, in float64, rounded once."""
    along = [1] * layer.weights.ndim
    along[-1 if isinstance(layer, Depthwise) else 0] = -1
    weights = layer.weights * affine.scale.reshape(along)
    bias = layer.bias * affine.scale + affine.shift
    return replace(layer, weights=weights.astype(np.float32), bias=bias.astype(np.float32))


def _alone(step: Step, shapes: Sequence[Shape]) -> Node:
    operator = step.operator
    if isinstance(operator, Affine):
        operator = _pixelwise(operator, shapes[step.inputs[0]], step.name)
    return Node(operator=operator, inputs=step.inputs, output=step.output, name=step.name)


def _pixelwise(affine: Affine, shape: Shape, name: str) -> Depthwise:
    """A depthwise convolution of one pixel, which does what a batch norm does."""
    if len(shape) != 4:
        msg = f"batch norm {name!r} on {shape} follows no layer whose weights could take it"
        raise ExportError(msg)
    return Depthwise(
        weights=affine.scale.astype(np.float32).reshape(1, 1, 1, -1),
        bias=affine.shift.astype(np.float32),
        multiplier=1,
        stride=(1, 1),
        dilation=(1, 1),
        padding=Padding.VALID,
    )
