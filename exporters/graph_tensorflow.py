"""Each operator of a graph as TensorFlow's; both are channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from exporters.graph import (
    Binary,
    BinaryKind,
    Concat,
    Constant,
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Graph,
    Mean,
    Node,
    Pad,
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


def compute(tensorflow: Any, graph: Graph, values: Sequence[Any]) -> dict[str, Any]:  # noqa: ANN401
    """The outputs by name, of tensors for the inputs in order.

    Args:
        tensorflow: The library, which is not imported here.
        graph: What to compute.
        values: One for each input.
    """
    tensors = {tensor: value for (_, tensor), value in zip(graph.inputs, values, strict=True)}
    for node in graph.nodes:
        read = [tensors[tensor] for tensor in node.inputs]
        tensors[node.output] = _computed(tensorflow, node, read, graph.shapes[node.output])
    return {
        name: tensorflow.identity(tensors[tensor], name=name) for name, tensor in graph.outputs
    }


def _computed(tf: Any, node: Node, read: list[Any], shape: Shape) -> Any:  # noqa: ANN401
    nn = tf.nn
    match node.operator:
        case Convolution() as conv:
            kernel = conv.weights.transpose(1, 2, 3, 0)
            made = nn.conv2d(
                read[0], kernel, conv.stride, conv.padding.value, dilations=conv.dilation
            )
            return _activated(tf, nn.bias_add(made, conv.bias), conv.fused)
        case Depthwise() as conv:
            return _depthwise(tf, conv, read[0])
        case Dense() as dense:
            made = tf.linalg.matmul(read[0], dense.weights, transpose_b=True)
            return _activated(tf, nn.bias_add(made, dense.bias), dense.fused)
        case Pool() as pool:
            function = nn.avg_pool2d if pool.kind is PoolKind.AVERAGE else nn.max_pool2d
            return function(read[0], pool.window, pool.stride, pool.padding.value)
        case Mean() as mean:
            return tf.reduce_mean(read[0], mean.axes, keepdims=mean.keep)
        case Unary() as unary:
            return _unary(tf, unary.kind, read[0])
        case Binary() as binary:
            functions = {
                BinaryKind.ADD: tf.add,
                BinaryKind.SUB: tf.subtract,
                BinaryKind.MUL: tf.multiply,
                BinaryKind.DIV: tf.divide,
            }
            return _activated(tf, functions[binary.kind](read[0], read[1]), binary.fused)
        case Softmax():
            return nn.softmax(read[0])
        case Constant() as constant:
            return tf.constant(constant.value)
        case Concat() as concat:
            return tf.concat(read, concat.axis)
        case Slice() as part:
            return tf.slice(read[0], part.begin, shape)
        case Resize() as resize:
            return _resized(tf, resize, read[0], shape)
        case Reshape():
            return tf.reshape(read[0], shape)
        case Pad() as pad:
            return tf.pad(read[0], pad.amounts, constant_values=pad.value)
    assert_never(node.operator)


def _depthwise(tf: Any, conv: Depthwise, image: Any) -> Any:  # noqa: ANN401
    rows, columns, filters = conv.weights.shape[1:]
    kernel = conv.weights.reshape(rows, columns, filters // conv.multiplier, conv.multiplier)
    down, right = conv.stride
    if down != right:  # TensorFlow's own takes equal strides alone
        single = conv.weights.reshape(rows, columns, 1, filters)  # a convolution in groups
        made = tf.nn.conv2d(
            image, single, conv.stride, conv.padding.value, dilations=conv.dilation
        )
    else:
        made = tf.nn.depthwise_conv2d(
            image, kernel, (1, down, right, 1), conv.padding.value, dilations=conv.dilation
        )
    return _activated(tf, tf.nn.bias_add(made, conv.bias), conv.fused)


def _activated(tf: Any, value: Any, fused: Fused) -> Any:  # noqa: ANN401
    match fused:
        case Fused.NONE:
            return value
        case Fused.RELU:
            return tf.nn.relu(value)
        case Fused.RELU6:
            return tf.nn.relu6(value)
    assert_never(fused)


def _unary(tf: Any, kind: UnaryKind, value: Any) -> Any:  # noqa: ANN401
    match kind:
        case UnaryKind.RELU:
            return tf.nn.relu(value)
        case UnaryKind.RELU6:
            return tf.nn.relu6(value)
        case UnaryKind.SIGMOID:
            return tf.sigmoid(value)
        case UnaryKind.TANH:
            return tf.tanh(value)
        case UnaryKind.SQRT:
            return tf.sqrt(value)
        case UnaryKind.HARD_SWISH:
            return value * tf.nn.relu6(value + 3.0) * (1 / 6)
        case UnaryKind.GELU | UnaryKind.GELU_TANH:
            return tf.nn.gelu(value, approximate=kind is UnaryKind.GELU_TANH)
    assert_never(kind)


def _resized(tf: Any, resize: Resize, image: Any, shape: Shape) -> Any:  # noqa: ANN401
    nearest = resize.kind is ResizeKind.NEAREST
    operators = tf.raw_ops
    function = operators.ResizeNearestNeighbor if nearest else operators.ResizeBilinear
    return function(
        images=image,
        size=shape[1:3],
        align_corners=resize.align_corners,
        half_pixel_centers=resize.half_pixel,
    )
