"""Makes few operators of many: folds batch norms into weights, and activations into their maker.

Both need a tensor that nobody else reads: in ``relu(y) + y`` the relu stays an operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
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
    Padding,
    Shape,
    Unary,
    UnaryKind,
)

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
    nodes: list[Node] = []
    position: dict[int, int] = {}
    for step in live:
        source = step.inputs[0]
        at = position.get(source) if readers[source] == 1 else None
        merged = None if at is None else _merged(nodes[at].operator, step.operator)
        if at is None or merged is None:
            at = len(nodes)
            nodes.append(_alone(step, shapes[source]))
        else:
            nodes[at] = replace(nodes[at], operator=merged, output=step.output)
        position[step.output] = at
    return nodes


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
    return None


def _scaled(
    layer: Convolution | Depthwise | Dense, affine: Affine
) -> Convolution | Depthwise | Dense:
    """The layer with weights and bias scaled and shifted, in float64, rounded once."""
    along = [1] * layer.weights.ndim
    along[-1 if isinstance(layer, Depthwise) else 0] = -1
    weights = layer.weights * affine.scale.reshape(along)
    bias = layer.bias * affine.scale + affine.shift
    return replace(layer, weights=weights.astype(np.float32), bias=bias.astype(np.float32))


def _alone(step: Step, shape: Shape) -> Node:
    operator = step.operator
    if isinstance(operator, Affine):
        operator = _pixelwise(operator, shape, step.name)
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
