"""A network as a flat list of operators on channels-last tensors, free of torch.

Images are `[N, H, W, C]`, clips `[N, T, H, W, C]`, other tensors as torch has them. Batch norms
are folded and activations fused (``exporters.fusion``); every shape is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, ...]


class Fused(StrEnum):
    """The activation that an operator applies to its result."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


class Padding(StrEnum):
    """TensorFlow's names: what the output size needs, the odd pixel last; or none."""

    SAME = "SAME"
    VALID = "VALID"


class UnaryKind(StrEnum):
    """Element-wise operators of one tensor."""

    RELU = "relu"
    RELU6 = "relu6"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    SQRT = "sqrt"
    HARD_SWISH = "hard_swish"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


class BinaryKind(StrEnum):
    """Element-wise operators of two tensors, which broadcast."""

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"


class PoolKind(StrEnum):
    """What becomes of a window."""

    AVERAGE = "average"
    MAX = "max"


class ResizeKind(StrEnum):
    """How pixels are made of the ones around."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution:
    """`[N, H, W, C]` with `[filters, kernel, kernel, C / groups]` weights, and a bias.

    Attributes:
        weights: float32.
        bias: `[filters]` float32.
        stride: Rows, columns.
        dilation: Rows, columns.
        padding: Around the image.
        fused: Applied to the result.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    fused: Fused = Fused.NONE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depthwise:
    """A convolution of each channel apart, with `[1, kernel, kernel, C * multiplier]` weights.

    Attributes:
        weights: float32.
        bias: `[C * multiplier]` float32.
        multiplier: Output channels per input channel.
        stride: Rows, columns.
        dilation: Rows, columns.
        padding: Around the image.
        fused: Applied to the result.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    multiplier: int
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    fused: Fused = Fused.NONE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """`[N, inputs]` times `[outputs, inputs]` weights, and a bias.

    Attributes:
        weights: float32.
        bias: `[outputs]` float32.
        fused: Applied to the result.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    fused: Fused = Fused.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One number for each window of each channel; padding counts in neither kind.

    Attributes:
        kind: Average or maximum.
        window: Rows, columns.
        stride: Rows, columns.
        padding: Around the image.
    """

    kind: PoolKind
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean over axes.

    Attributes:
        axes: Of the channels-last tensor.
        keep: Whether they stay, with length 1.
    """

    axes: tuple[int, ...]
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary:
    """An element-wise operator of one tensor."""

    kind: UnaryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """An element-wise operator of two tensors.

    Attributes:
        kind: Which.
        fused: Applied to the result.
    """

    kind: BinaryKind
    fused: Fused = Fused.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Exponentials along the last axis, divided by their sum."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant:
    """Numbers that no input changes; a node without inputs.

    Attributes:
        value: float32, in the layout of the result.
    """

    value: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Tensors one after another.

    Attributes:
        axis: Of the channels-last tensors.
    """

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of a tensor, in the shape of the result.

    Attributes:
        begin: First index of each axis of the channels-last tensor.
    """

    begin: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """An image in other numbers of rows and columns, those of the result.

    Attributes:
        kind: How.
        align_corners: Whether corner pixels keep their numbers.
        half_pixel: Whether a pixel's place is its center; neither: its upper left corner.
    """

    kind: ResizeKind
    align_corners: bool = False
    half_pixel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same numbers in the shape of the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """A number around.

    Attributes:
        amounts: Before and after, for each axis of the channels-last tensor.
        value: The number.
    """

    amounts: tuple[tuple[int, int], ...]
    value: float = 0.0


Operator = (
    Convolution
    | Depthwise
    | Dense
    | Pool
    | Mean
    | Unary
    | Binary
    | Softmax
    | Constant
    | Concat
    | Slice
    | Resize
    | Reshape
    | Pad
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator at work.

    Attributes:
        operator: What it does.
        inputs: Numbers of the tensors it reads; none for a constant.
        output: Number of the tensor it makes.
        name: Where it comes from in the module, for people.
    """

    operator: Operator
    inputs: tuple[int, ...]
    output: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Operators in the order of execution.

    Attributes:
        shapes: Of each tensor, by its number.
        nodes: In order.
        inputs: Name and tensor of each.
        outputs: Name and tensor of each.
        float_parts: Paths of the parts of the module that stay in float32 in an int8 file.
    """

    shapes: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    float_parts: tuple[str, ...] = ()

    def stays_float(self, node: Node) -> bool:
        """Whether a node is of such a part."""
        return node.name.startswith(tuple(f"{part}." for part in self.float_parts))

    def macs(self, node: Node) -> int:
        """Multiply-adds of one node: of a convolution or fully connected layer, else none."""
        if not isinstance(node.operator, Convolution | Depthwise | Dense):
            return 0
        return math.prod(self.shapes[node.output][:-1]) * node.operator.weights.size
