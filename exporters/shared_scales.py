"""Quantized files without what they say again and again: scales and zero points of tensors.

A zero point takes eight bytes a channel, and nearly all of them are 0. The schema lets tables of a
flatbuffer share a vector, so equal ones stand in the file once: a twelfth of a small int8 network.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from exporters.flatbuffer import MAX_BYTES, Buffer

Written = dict[tuple[str, tuple[float, ...]], int]
"""Where vectors of a file are, by kind and content."""


class SharedScales:
    """Scales and zero points of a tensor; equal vectors of a file are written once.

    Args:
        scales: Of each channel, or one of all.
        zero_points: As many.
        axis: Of the channels.
        written: Of the file; the same object for all of its tensors.
    """

    def __init__(
        self, scales: Sequence[float], zero_points: Sequence[int], axis: int, written: Written
    ) -> None:
        self._scales = tuple(np.asarray(scales, np.float32).tolist())
        self._zero_points = tuple(int(each) for each in zero_points)
        self._axis = axis
        self._written = written

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's protocol
        """Write them; their offset."""
        scales = self._vector(builder, "scale", self._scales)
        zero_points = self._vector(builder, "zero point", self._zero_points)
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scales)
        schema.QuantizationParametersAddZeroPoint(builder, zero_points)
        schema.QuantizationParametersAddQuantizedDimension(builder, self._axis)
        return int(schema.QuantizationParametersEnd(builder))

    def _vector(self, builder: flatbuffers.Builder, kind: str, values: tuple[float, ...]) -> int:
        offset = self._written.get((kind, values))
        if offset is None:
            dtype = np.float32 if kind == "scale" else np.int64
            offset = int(builder.CreateNumpyVector(np.array(values, dtype)))
            self._written[kind, values] = offset
        return offset


def compacted(content: bytes) -> bytes:
    """A quantized file that says the same in fewer bytes; larger ones than a flatbuffer stay.

    Args:
        content: Of a TFLite file, its buffers inside or behind the flatbuffer.
    """
    size = len(content) + 2**20
    if size > MAX_BYTES:
        return content
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    model.buffers = [_inside(content, buffer) for buffer in model.buffers]
    written: Written = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.quantization = _shared(tensor.quantization, written)
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(memoryview(builder.Bytes)[builder.head :])


def _inside(content: bytes, buffer: schema.BufferT) -> Buffer:
    """A buffer with its data, wherever that was; offsets of 0 and 1 mean that it is inside."""
    if buffer.offset > 1:
        data = np.frombuffer(content, np.uint8, count=buffer.size, offset=buffer.offset)
        return Buffer(data)
    return Buffer(None if buffer.data is None else np.asarray(buffer.data, np.uint8))


def _shared(
    parameters: schema.QuantizationParametersT | None, written: Written
) -> SharedScales | schema.QuantizationParametersT | None:
    """Those of a tensor; as they are where there is more to them than scales and zero points."""
    if parameters is None or parameters.details is not None or parameters.scale is None:
        return parameters
    if parameters.zeroPoint is None or parameters.min is not None or parameters.max is not None:
        return parameters
    return SharedScales(
        parameters.scale, parameters.zeroPoint, parameters.quantizedDimension, written
    )
