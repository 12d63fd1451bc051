"""int8 files with stand-in scales: what a calibrated file computes, with wrong numbers as fast.

A calibration takes data and minutes; the time that an int8 kernel takes does not depend on the
scales of its activations. So a search times candidates with one scale for all of them, in the very
structure that quantizing gives: int8 weights by output channel, int32 biases, QUANTIZE after each
input and DEQUANTIZE before each output. The file says what it is, and its outputs mean nothing.

Fixed scales are those of the "TensorFlow Lite 8-bit quantization specification" (LOGISTIC,
SOFTMAX, TANH); operators that move numbers keep the scale of their input. DIV, SQRT and parts that
say so stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from exporters.artifact import STAND_IN_INT8
from exporters.flatbuffer import FileWriter
from exporters.graph import (
    Binary,
    BinaryKind,
    Concat,
    Constant,
    Convolution,
    Dense,
    Depthwise,
    Graph,
    Node,
    Pad,
    Pool,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Unary,
    UnaryKind,
)
from exporters.shared_scales import SharedScales, Written
from exporters.tflite_operators import BUILTIN, lowered

INT8_MOST = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What an int8 number stands for: ``scale * (number - zero_point)``."""

    scale: float
    zero_point: int


STAND_IN = Scale(scale=6 / 255, zero_point=-128)
"""Of every activation that has no fixed one: 0 to 6."""

_SHARE = Scale(scale=1 / 256, zero_point=-128)
_FIXED = {UnaryKind.SIGMOID: _SHARE, UnaryKind.TANH: Scale(scale=1 / 128, zero_point=0)}


def stand_in_scales(graph: Graph) -> tuple[Scale, ...]:
    """A scale for each tensor of the graph."""
    scales = [STAND_IN] * len(graph.shapes)
    for node in graph.nodes:
        match node.operator:
            case Unary(kind=kind) if kind in _FIXED:
                scales[node.output] = _FIXED[kind]
            case Softmax():
                scales[node.output] = _SHARE
            case Reshape() | Pool() | Pad() | Slice() | Resize():
                scales[node.output] = scales[node.inputs[0]]
            case Concat() if len({scales[tensor] for tensor in node.inputs}) == 1:
                scales[node.output] = scales[node.inputs[0]]
            case Constant(value=value):
                scales[node.output] = Scale(scale=_scale(value), zero_point=0)
    return tuple(scales)


def stays_float(graph: Graph, node: Node) -> bool:
    """Whether ``quantize`` leaves it: runtimes of 2023 have no int8 DIV and SQRT."""
    match node.operator:
        case Binary(kind=BinaryKind.DIV) | Unary(kind=UnaryKind.SQRT):
            return True
    return graph.stays_float(node)


class StandInInt8Writer(FileWriter):
    """Writes a graph in int8; inputs and outputs of the file are float32."""

    description = f"PocketNAS, {STAND_IN_INT8}"

    def __init__(self, graph: Graph) -> None:
        self._scales = stand_in_scales(graph)
        self._written: Written = {}
        self._floats: dict[int, int] = {}
        """The float32 kind of a tensor of the graph, where there is one."""
        rounding = [node for node in graph.nodes if not stays_float(graph, node)]
        self._rounded = {tensor for node in rounding for tensor in node.inputs}
        super().__init__(graph)

    def _entries(self) -> list[tuple[str, int]]:
        for tensor, scale in enumerate(self._scales):
            self._make_int8(tensor, scale)
        outside = []
        for name, tensor in self._graph.inputs:
            self._tensors.append(self._tensor(name, self._graph.shapes[tensor]))
            outside.append((name, len(self._tensors) - 1))
            self._has_float(tensor, outside[-1][1])
        return outside

    def _exits(self) -> list[tuple[str, int]]:
        outside = []
        for name, tensor in self._graph.outputs:
            if tensor in self._floats:
                outside.append((name, self._floats[tensor]))
                continue
            self._tensors.append(self._tensor(name, self._graph.shapes[tensor]))
            outside.append((name, len(self._tensors) - 1))
            options = schema.DequantizeOptionsT()
            self._append(BUILTIN.DEQUANTIZE, 2, [tensor], outside[-1][1], options)
        return outside

    def _add(self, node: Node) -> None:
        if stays_float(self._graph, node):
            self._in_float(node)
            return
        if isinstance(node.operator, Concat):
            node = replace(node, inputs=tuple(self._rescaled(node)))
        super()._add(node)

    def _in_float(self, node: Node) -> None:
        """In float32, as ``quantize`` leaves it."""
        if isinstance(node.operator, Constant):
            name = f"{self._names[node.output]}.float"
            self._has_float(node.output, self._plain(name, node.operator.value))
            return
        builtin, options, constants = lowered(node, self._graph.shapes[node.output])
        read = [self._in_floats(node, tensor) for tensor in node.inputs]
        read += [self._plain(self._part(node, name), data) for name, data in constants]
        made = self._float(node, node.output)
        self._append(builtin, super()._version(node), read, made, options)
        self._has_float(node.output, made)

    def _has_float(self, tensor: int, made: int) -> None:
        """Note the float32 kind of a tensor, and quantize it for those that read it so."""
        self._floats[tensor] = made
        if tensor in self._rounded:
            self._append(BUILTIN.QUANTIZE, 1, [made], tensor, schema.QuantizeOptionsT())

    def _in_floats(self, node: Node, tensor: int) -> int:
        """The float32 kind of a tensor."""
        if tensor not in self._floats:
            self._floats[tensor] = made = self._float(node, tensor)
            self._append(BUILTIN.DEQUANTIZE, 2, [tensor], made, schema.DequantizeOptionsT())
        return self._floats[tensor]

    def _float(self, node: Node, tensor: int) -> int:
        """A new float32 tensor of the same shape."""
        name = f"{self._part(node, self._names[tensor])}.float"
        self._tensors.append(self._tensor(name, self._graph.shapes[tensor]))
        return len(self._tensors) - 1

    def _rescaled(self, node: Node) -> Iterator[int]:
        """The inputs in the scale of the output, which the runtime wants of them."""
        wanted = self._scales[node.output]
        for tensor in node.inputs:
            if self._scales[tensor] == wanted:
                yield tensor
                continue
            name = f"{self._part(node, self._names[tensor])}.rescaled"
            self._tensors.append(self._tensor(name, self._graph.shapes[tensor]))
            made = len(self._tensors) - 1
            self._make_int8(made, wanted)
            self._append(BUILTIN.QUANTIZE, 2, [tensor], made, schema.QuantizeOptionsT())
            yield made

    def _version(self, node: Node) -> int:
        kind = node.operator
        if isinstance(kind, Concat):
            return 2
        is_first = isinstance(kind, Unary) and kind.kind is UnaryKind.HARD_SWISH
        return max(super()._version(node), 1 if is_first else _INT8_LEVELS.get(type(kind), 2))

    def _make_int8(self, tensor: int, scale: Scale) -> None:
        self._tensors[tensor].type = schema.TensorType.INT8
        self._tensors[tensor].quantization = SharedScales(
            [scale.scale], [scale.zero_point], 0, self._written
        )

    def _keep(self, tensor: int, value: NDArray[Any]) -> None:
        self._fill(self._tensors[tensor], _rounded(value / self._scales[tensor].scale))

    def _constant(self, node: Node, name: str, data: NDArray[Any]) -> int:
        match node.operator:
            case Convolution(weights=weights) | Dense(weights=weights):
                return self._weights(node, name, data, weights, axis=0)
            case Depthwise(weights=weights):
                return self._weights(node, name, data, weights, axis=3)
        lowest = np.full(data.shape, -128, np.int8)
        made = self._plain(self._part(node, name), lowest)  # what padding before a maximum is
        self._make_int8(made, self._scales[node.inputs[0]])
        return made

    def _weights(
        self,
        node: Node,
        name: str,
        data: NDArray[Any],
        weights: NDArray[np.float32],
        *,
        axis: int,
    ) -> int:
        others = tuple(i for i in range(weights.ndim) if i != axis)
        largest = np.abs(weights).max(axis=others)
        scales = np.where(largest > 0, largest, 1.0) / INT8_MOST
        if name == "weights":
            along = [1] * weights.ndim
            along[axis] = -1
            made = self._plain(self._part(node, name), _rounded(data / scales.reshape(along)))
        else:
            axis = 0
            scales = scales * self._scales[node.inputs[0]].scale
            most = np.iinfo(np.int32).max
            whole = np.clip(np.rint(data / scales), -most, most).astype(np.int32)
            made = self._plain(self._part(node, name), whole)
        zero_points = [0] * len(scales)
        self._tensors[made].quantization = SharedScales(
            scales.tolist(), zero_points, axis, self._written
        )
        return made


def _scale(value: NDArray[np.float32]) -> float:
    largest = float(np.abs(value).max(initial=0.0))
    return (largest or 1.0) / INT8_MOST


def _rounded(value: NDArray[Any]) -> NDArray[np.int8]:
    whole: NDArray[np.int8] = np.clip(np.rint(value), -INT8_MOST, INT8_MOST).astype(np.int8)
    return whole


_INT8_LEVELS = {Convolution: 3, Depthwise: 3, Dense: 4, Reshape: 1}
"""The oldest version of each operator that takes int8; 2 where nothing is said
(tensorflow/lite/tools/versioning/op_version.cc)."""
