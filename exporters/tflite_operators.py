"""Each operator of a graph as TFLite's builtin one: code, options, constant inputs, version."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from exporters.graph import (
    Binary,
    BinaryKind,
    Concat,
    Constant,
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Mean,
    Node,
    Pad,
    Padding,
    Pool,
    PoolKind,
    Reshape,
    Resize,
    ResizeKind,
    Shape,
    Slice,
    Softmax,
    Unary,
    UnaryKind,
)

BUILTIN = schema.BuiltinOperator
"""Codes of operators, by name."""

_FUSED = {
    Fused.NONE: schema.ActivationFunctionType.NONE,
    Fused.RELU: schema.ActivationFunctionType.RELU,
    Fused.RELU6: schema.ActivationFunctionType.RELU6,
}
_PADDING = {Padding.SAME: schema.Padding.SAME, Padding.VALID: schema.Padding.VALID}
_UNARY = {
    UnaryKind.RELU: BUILTIN.RELU,
    UnaryKind.RELU6: BUILTIN.RELU6,
    UnaryKind.SIGMOID: BUILTIN.LOGISTIC,
    UnaryKind.TANH: BUILTIN.TANH,
    UnaryKind.SQRT: BUILTIN.SQRT,
    UnaryKind.HARD_SWISH: BUILTIN.HARD_SWISH,
    UnaryKind.GELU: BUILTIN.GELU,
    UnaryKind.GELU_TANH: BUILTIN.GELU,
}
_BINARY = {
    BinaryKind.ADD: (BUILTIN.ADD, schema.AddOptionsT),
    BinaryKind.SUB: (BUILTIN.SUB, schema.SubOptionsT),
    BinaryKind.MUL: (BUILTIN.MUL, schema.MulOptionsT),
    BinaryKind.DIV: (BUILTIN.DIV, schema.DivOptionsT),
}

Constants = list[tuple[str, NDArray[Any]]]


def lowered(node: Node, shape: Shape) -> tuple[int, Any, Constants]:
    """Builtin operator, its options, and its constant inputs.

    Args:
        node: Anything but a constant.
        shape: Of its result.
    """
    match node.operator:
        case Convolution() as conv:
            weights: Constants = [("weights", conv.weights), ("bias", conv.bias)]
            return BUILTIN.CONV_2D, _window(schema.Conv2DOptionsT(), conv), weights
        case Depthwise() as conv:
            options = _window(schema.DepthwiseConv2DOptionsT(), conv)
            options.depthMultiplier = conv.multiplier
            weights = [("weights", conv.weights), ("bias", conv.bias)]
            return BUILTIN.DEPTHWISE_CONV_2D, options, weights
        case Dense() as dense:
            options = schema.FullyConnectedOptionsT()
            options.fusedActivationFunction = _FUSED[dense.fused]
            weights = [("weights", dense.weights), ("bias", dense.bias)]
            return BUILTIN.FULLY_CONNECTED, options, weights
        case Pool() as pool:
            return _pool_code(pool), _pool_options(pool), []
        case Mean() as mean:
            options = schema.ReducerOptionsT()
            options.keepDims = mean.keep
            return BUILTIN.MEAN, options, [("axes", np.array(mean.axes, np.int32))]
        case Unary() as unary:
            return _UNARY[unary.kind], _unary_options(unary.kind), []
        case Binary() as binary:
            builtin, options_type = _BINARY[binary.kind]
            options = options_type()
            options.fusedActivationFunction = _FUSED[binary.fused]
            return builtin, options, []
        case Softmax():
            options = schema.SoftmaxOptionsT()
            options.beta = 1.0
            return BUILTIN.SOFTMAX, options, []
        case Concat() as concat:
            options = schema.ConcatenationOptionsT()
            options.axis = concat.axis
            return BUILTIN.CONCATENATION, options, []
        case Slice() as part:
            ends: Constants = [
                ("begin", np.array(part.begin, np.int32)),
                ("size", np.array(shape, np.int32)),
            ]
            return BUILTIN.SLICE, schema.SliceOptionsT(), ends
        case Resize() as resize:
            return *_resized(resize), [("size", np.array(shape[1:3], np.int32))]
        case Reshape():
            options = schema.ReshapeOptionsT()
            options.newShape = list(shape)
            return BUILTIN.RESHAPE, options, [("shape", np.array(shape, np.int32))]
        case Pad() as pad:
            amounts: Constants = [("amounts", np.array(pad.amounts, np.int32))]
            if pad.value == 0:
                return BUILTIN.PAD, schema.PadOptionsT(), amounts
            value = np.array([pad.value], np.float32)
            return BUILTIN.PADV2, schema.PadV2OptionsT(), [*amounts, ("value", value)]
        case Constant():
            msg = "a constant is a tensor, no operator"
            raise ValueError(msg)
    assert_never(node.operator)


def level(node: Node, shape: Shape) -> int:
    """The oldest version of the operator that does this, as TensorFlow's own converter counts.

    Gaps came to depthwise convolutions with version 2, groups to convolutions with version 6, half
    pixels to resizing with version 3 (tensorflow/lite/tools/versioning/op_version.cc).

    Args:
        node: Anything but a constant.
        shape: Of its first input.
    """
    match node.operator:
        case Convolution(weights=weights) if weights.shape[-1] != shape[-1]:
            return 6
        case Depthwise(dilation=dilation) if dilation != (1, 1):
            return 2
        case Resize(half_pixel=True):
            return 3
    return 1


def _window(options: Any, conv: Convolution | Depthwise) -> Any:  # noqa: ANN401 - untyped schema
    options.padding = _PADDING[conv.padding]
    options.strideH, options.strideW = conv.stride
    options.dilationHFactor, options.dilationWFactor = conv.dilation
    options.fusedActivationFunction = _FUSED[conv.fused]
    return options


def _pool_code(pool: Pool) -> int:
    average = pool.kind is PoolKind.AVERAGE
    return int(BUILTIN.AVERAGE_POOL_2D if average else BUILTIN.MAX_POOL_2D)


def _pool_options(pool: Pool) -> schema.Pool2DOptionsT:
    options = schema.Pool2DOptionsT()
    options.padding = _PADDING[pool.padding]
    options.strideH, options.strideW = pool.stride
    options.filterHeight, options.filterWidth = pool.window
    return options


def _unary_options(kind: UnaryKind) -> Any:  # noqa: ANN401 - untyped schema
    if kind not in (UnaryKind.GELU, UnaryKind.GELU_TANH):
        return None
    options = schema.GeluOptionsT()
    options.approximate = kind is UnaryKind.GELU_TANH
    return options


def _resized(resize: Resize) -> tuple[int, Any]:
    if resize.kind is ResizeKind.NEAREST:
        nearest = schema.ResizeNearestNeighborOptionsT()
        nearest.alignCorners, nearest.halfPixelCenters = resize.align_corners, resize.half_pixel
        return BUILTIN.RESIZE_NEAREST_NEIGHBOR, nearest
    bilinear = schema.ResizeBilinearOptionsT()
    bilinear.alignCorners, bilinear.halfPixelCenters = resize.align_corners, resize.half_pixel
    return BUILTIN.RESIZE_BILINEAR, bilinear
