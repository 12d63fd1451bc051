"""The bytes of a LiteRT file (schema version 3) for an operator graph."""

from __future__ import annotations

from typing import Any, assert_never

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from exporters.artifact import Precision
from exporters.exporter import ExportError
from exporters.graph import Constant, Graph, Node, Shape
from exporters.tflite_operators import BUILTIN, level, lowered

ALIGNMENT = 16
"""Bytes; what the schema asks of a buffer's data."""

MAX_BYTES = 2**31 - 1
"""Of a flatbuffer, whose offsets have 31 bits."""

_OPTIONS = schema.BuiltinOptions
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
}


def serialize(graph: Graph, precision: Precision = Precision.FP32) -> bytes:
    """A whole file; equal graphs give equal bytes.

    Args:
        graph: What it computes.
        precision: Of its weights; int8 is for timing alone, see ``exporters.int8_stand_in``.

    Raises:
        ExportError: If it would be larger than the format allows, or the precision cannot be
            written without calibration.
    """
    match precision:
        case Precision.FP32:
            return FileWriter(graph).content()
        case Precision.FP16:
            return HalfWriter(graph).content()
        case Precision.INT8:
            from exporters.int8_stand_in import StandInInt8Writer

            return StandInInt8Writer(graph).content()
        case Precision.DYNAMIC:
            msg = "weights of int8 and float arithmetic are made by exporters.quantize"
            raise ExportError(msg)
    assert_never(precision)


class Buffer:
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


class FileWriter:
    """Turns nodes into operators, and their weights into tensors and buffers.

    Args:
        graph: What the file computes; all of it in float32.
    """

    description = "PocketNAS"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._buffers = [Buffer()]  # the schema's empty buffer, of all that is computed
        self._names = tensor_names(graph)
        self._tensors = [
            self._tensor(name, shape)
            for name, shape in zip(self._names, graph.shapes, strict=True)
        ]
        self._codes: dict[tuple[int, int], int] = {}
        self._operators: list[schema.OperatorT] = []
        self._inputs = self._entries()
        for node in graph.nodes:
            self._add(node)
        self._outputs = self._exits()
        for name, tensor in (*self._inputs, *self._outputs):
            self._tensors[tensor].name = name.encode()

    def content(self) -> bytes:
        """The file.

        Raises:
            ExportError: If it would be too large.
        """
        model = schema.ModelT()
        model.version = 3
        model.description = self.description.encode()
        model.operatorCodes = [_code(builtin, version) for builtin, version in self._codes]
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

    def _entries(self) -> list[tuple[str, int]]:
        """Names and tensors of the file's inputs."""
        return list(self._graph.inputs)

    def _exits(self) -> list[tuple[str, int]]:
        """Names and tensors of the file's outputs."""
        return list(self._graph.outputs)

    def _add(self, node: Node) -> None:
        shapes = self._graph.shapes
        if isinstance(node.operator, Constant):
            self._keep(node.output, node.operator.value)
            return
        builtin, options, constants = lowered(node, shapes[node.output])
        inputs = [
            self._constant(node, name, data)
            if data.dtype == np.float32
            else self._plain(self._part(node, name), data)
            for name, data in constants
        ]
        version = self._version(node)
        self._append(builtin, version, [*node.inputs, *inputs], node.output, options)

    def _append(
        self,
        builtin: int,
        version: int,
        inputs: list[int],
        output: int,
        options: Any = None,  # noqa: ANN401 - untyped schema
    ) -> None:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((builtin, version), len(self._codes))
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(_OPTIONS, type(options).__name__[:-1])
        self._operators.append(operator)

    def _version(self, node: Node) -> int:
        return level(node, self._graph.shapes[node.inputs[0]])

    def _constant(self, node: Node, name: str, data: NDArray[Any]) -> int:
        """The tensor of a float32 constant that an operator reads."""
        return self._plain(self._part(node, name), data)

    def _part(self, node: Node, name: str) -> str:
        """The name of what an operator reads beside its inputs."""
        return f"{self._names[node.output]}.{name}"

    def _keep(self, tensor: int, value: NDArray[Any]) -> None:
        """Give a tensor of the graph the numbers of a constant."""
        self._fill(self._tensors[tensor], value)

    def _plain(self, name: str, data: NDArray[Any]) -> int:
        """A new tensor with these numbers."""
        tensor = self._tensor(name, data.shape)
        self._fill(tensor, data)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _fill(self, tensor: schema.TensorT, data: NDArray[Any]) -> None:
        tensor.type = _TYPES[data.dtype]
        tensor.buffer = len(self._buffers)
        self._buffers.append(Buffer(data))

    def _tensor(self, name: str, shape: Shape) -> schema.TensorT:
        tensor = schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = list(shape)
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = 0
        return tensor

    def _subgraph(self) -> schema.SubGraphT:
        subgraph = schema.SubGraphT()
        subgraph.name = b"main"
        subgraph.tensors = self._tensors
        subgraph.inputs = [tensor for _, tensor in self._inputs]
        subgraph.outputs = [tensor for _, tensor in self._outputs]
        subgraph.operators = self._operators
        return subgraph

    def _signature(self) -> schema.SignatureDefT:
        signature = schema.SignatureDefT()
        signature.signatureKey = b"serving_default"
        signature.subgraphIndex = 0
        signature.inputs = [_map(name, tensor) for name, tensor in self._inputs]
        signature.outputs = [_map(name, tensor) for name, tensor in self._outputs]
        return signature


class HalfWriter(FileWriter):
    """Keeps constants as float16; runtimes turn them into float32 as they load, or compute so."""

    def _constant(self, node: Node, name: str, data: NDArray[Any]) -> int:
        half = self._plain(self._part(node, f"{name}.half"), _half(data))
        self._tensors.append(self._tensor(self._part(node, name), data.shape))
        whole = len(self._tensors) - 1
        self._append(BUILTIN.DEQUANTIZE, 3, [half], whole)
        return whole

    def _keep(self, tensor: int, value: NDArray[Any]) -> None:
        half = self._plain(f"{self._names[tensor]}.half", _half(value))
        self._append(BUILTIN.DEQUANTIZE, 3, [half], tensor)


def tensor_names(graph: Graph) -> list[str]:
    """A name of its own for each tensor: of what made it, numbered where that made several."""
    given = {tensor: name for name, tensor in graph.inputs}
    wanted = given | {node.output: node.name for node in graph.nodes}
    seen: dict[str, int] = {}
    names = []
    for tensor in range(len(graph.shapes)):
        name = wanted[tensor]
        seen[name] = seen.get(name, -1) + 1
        names.append(f"{name}#{seen[name]}" if seen[name] else name)
    return names


def _half(data: NDArray[Any]) -> NDArray[np.float16]:
    """The nearest float16; numbers beyond its range become its largest."""
    largest = np.finfo(np.float16).max
    half: NDArray[np.float16] = np.clip(data, -largest, largest).astype(np.float16)
    return half


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
