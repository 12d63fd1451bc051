"""The bytes of a LiteRT file (schema version 3) for an operator graph."""

from __future__ import annotations

from typing import Any, assert_never

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from exporters.exporter import ExportError
from exporters.graph import (
    Binary,
    BinaryKind,
    Convolution,
    Dense,
    Depthwise,
    Fused,
    Graph,
    Mean,
    Node,
    Pad,
    Padding,
    Pool,
    PoolKind,
    Reshape,
    Shape,
    Unary,
    UnaryKind,
)

ALIGNMENT = 16
"""Bytes; what the schema asks of a buffer's data."""

MAX_BYTES = 2**31 - 1
"""Of a flatbuffer, whose offsets have 31 bits."""

_BUILTIN = schema.BuiltinOperator
_OPTIONS = schema.BuiltinOptions
_FUSED = {
    Fused.NONE: schema.ActivationFunctionType.NONE,
    Fused.RELU: schema.ActivationFunctionType.RELU,
    Fused.RELU6: schema.ActivationFunctionType.RELU6,
}
_PADDING = {Padding.SAME: schema.Padding.SAME, Padding.VALID: schema.Padding.VALID}
_UNARY = {
    UnaryKind.RELU: _BUILTIN.RELU,
    UnaryKind.RELU6: _BUILTIN.RELU6,
    UnaryKind.SIGMOID: _BUILTIN.LOGISTIC,
}
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}


def serialize(graph: Graph) -> bytes:
    """A whole file; equal graphs give equal bytes.

    Raises:
        ExportError: If it would be larger than the format allows.
    """
    return _Writer(graph).bytes()


class _Buffer:
    """Bytes of a constant, packed at an aligned place without a copy in between."""

    def __init__(self, data: NDArray[Any] | None = None) -> None:
        self.data = data

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's protocol
        """Write the buffer; its offset."""
        vector = None
        if self.data is not None:
            raw = np.ascontiguousarray(self.data).data.cast("B")
            builder.StartVector(1, len(raw), ALIGNMENT)
            end = builder.head
            builder.head = end - len(raw)
            builder.Bytes[builder.head : end] = raw
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class _Writer:
    """Turns nodes into operators, and their weights into tensors and buffers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._buffers = [_Buffer()]  # the schema's empty buffer, of all that is computed
        self._tensors = [
            self._tensor(f"tensor_{i}", shape) for i, shape in enumerate(graph.shapes)
        ]
        for name, tensor in (*graph.inputs, *graph.outputs):
            self._tensors[tensor].name = name.encode()
        self._codes: dict[tuple[int, int], int] = {}
        self._operators = [self._operator(node) for node in graph.nodes]

    def bytes(self) -> bytes:
        """The file."""
        model = schema.ModelT()
        model.version = 3
        model.description = b"PocketNAS"
        model.operatorCodes = [_code(builtin, level) for builtin, level in self._codes]
        model.subgraphs = [self._subgraph()]
        model.buffers = self._buffers
        model.signatureDefs = [self._signature()]
        size = sum(b.data.nbytes + 64 for b in self._buffers if b.data is not None)
        size += 1024 * (len(self._tensors) + 16)
        if size > MAX_BYTES:
            msg = f"a TFLite file holds at most {MAX_BYTES} bytes, this one would have {size}"
            raise ExportError(msg)
        builder = flatbuffers.Builder(size)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(memoryview(builder.Bytes)[builder.head :])

    def _subgraph(self) -> schema.SubGraphT:
        subgraph = schema.SubGraphT()
        subgraph.name = b"main"
        subgraph.tensors = self._tensors
        subgraph.inputs = [tensor for _, tensor in self._graph.inputs]
        subgraph.outputs = [tensor for _, tensor in self._graph.outputs]
        subgraph.operators = self._operators
        return subgraph

    def _signature(self) -> schema.SignatureDefT:
        signature = schema.SignatureDefT()
        signature.signatureKey = b"serving_default"
        signature.subgraphIndex = 0
        signature.inputs = [_map(name, tensor) for name, tensor in self._graph.inputs]
        signature.outputs = [_map(name, tensor) for name, tensor in self._graph.outputs]
        return signature

    def _tensor(self, name: str, shape: Shape, data: NDArray[Any] | None = None) -> schema.TensorT:
        tensor = schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = list(shape)
        tensor.type = schema.TensorType.FLOAT32 if data is None else _TYPES[data.dtype]
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self._buffers)
            self._buffers.append(_Buffer(data))
        return tensor

    def _constant(self, name: str, data: NDArray[Any]) -> int:
        self._tensors.append(self._tensor(name, data.shape, data))
        return len(self._tensors) - 1

    def _operator(self, node: Node) -> schema.OperatorT:
        shapes = self._graph.shapes
        builtin, options, constants = _lowered(node, shapes[node.output])
        level = _level(node, shapes[node.inputs[0]])
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((builtin, level), len(self._codes))
        inputs = [self._constant(f"{node.name}.{name}", data) for name, data in constants]
        operator.inputs = [*node.inputs, *inputs]
        operator.outputs = [node.output]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(_OPTIONS, type(options).__name__[:-1])
        return operator


Constants = list[tuple[str, NDArray[Any]]]


def _lowered(node: Node, shape: Shape) -> tuple[int, Any, Constants]:
    """Builtin operator, its options, and its constant inputs."""
    match node.operator:
        case Convolution() as conv:
            weights: Constants = [("weights", conv.weights), ("bias", conv.bias)]
            return _BUILTIN.CONV_2D, _window(schema.Conv2DOptionsT(), conv), weights
        case Depthwise() as conv:
            options = _window(schema.DepthwiseConv2DOptionsT(), conv)
            options.depthMultiplier = conv.multiplier
            weights = [("weights", conv.weights), ("bias", conv.bias)]
            return _BUILTIN.DEPTHWISE_CONV_2D, options, weights
        case Dense() as dense:
            options = schema.FullyConnectedOptionsT()
            options.fusedActivationFunction = _FUSED[dense.fused]
            weights = [("weights", dense.weights), ("bias", dense.bias)]
            return _BUILTIN.FULLY_CONNECTED, options, weights
        case Pool() as pool:
            return _pool_code(pool), _pool_options(pool), []
        case Mean() as mean:
            options = schema.ReducerOptionsT()
            options.keepDims = mean.keep
            return _BUILTIN.MEAN, options, [("axes", np.array(mean.axes, np.int32))]
        case Unary() as unary:
            return _UNARY[unary.kind], None, []
        case Binary() as binary:
            adds = binary.kind is BinaryKind.ADD
            options = schema.AddOptionsT() if adds else schema.MulOptionsT()
            options.fusedActivationFunction = _FUSED[binary.fused]
            return (_BUILTIN.ADD if adds else _BUILTIN.MUL), options, []
        case Reshape():
            options = schema.ReshapeOptionsT()
            options.newShape = list(shape)
            return _BUILTIN.RESHAPE, options, [("shape", np.array(shape, np.int32))]
        case Pad() as pad:
            amounts: Constants = [("amounts", np.array(pad.amounts, np.int32))]
            if pad.value == 0:
                return _BUILTIN.PAD, schema.PadOptionsT(), amounts
            value = np.array([pad.value], np.float32)
            return _BUILTIN.PADV2, schema.PadV2OptionsT(), [*amounts, ("value", value)]
    assert_never(node.operator)


def _level(node: Node, shape: Shape) -> int:
    """The oldest version of the operator that does this, as TensorFlow's own converter counts.

    Gaps came to depthwise convolutions with version 2, groups to convolutions with version 6
    (tensorflow/lite/tools/versioning/op_version.cc).
    """
    match node.operator:
        case Convolution(weights=weights) if weights.shape[-1] != shape[-1]:
            return 6
        case Depthwise(dilation=dilation) if dilation != (1, 1):
            return 2
    return 1


def _window(options: Any, conv: Convolution | Depthwise) -> Any:  # noqa: ANN401 - untyped schema
    options.padding = _PADDING[conv.padding]
    options.strideH, options.strideW = conv.stride
    options.dilationHFactor, options.dilationWFactor = conv.dilation
    options.fusedActivationFunction = _FUSED[conv.fused]
    return options


def _pool_code(pool: Pool) -> int:
    average = pool.kind is PoolKind.AVERAGE
    return int(_BUILTIN.AVERAGE_POOL_2D if average else _BUILTIN.MAX_POOL_2D)


def _pool_options(pool: Pool) -> schema.Pool2DOptionsT:
    options = schema.Pool2DOptionsT()
    options.padding = _PADDING[pool.padding]
    options.strideH, options.strideW = pool.stride
    options.filterHeight, options.filterWidth = pool.window
    return options


def _code(builtin: int, level: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = min(builtin, 127)  # what readers before schema 3a look at
    code.version = level
    return code


def _map(name: str, tensor: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name = name.encode()
    entry.tensorIndex = tensor
    return entry
