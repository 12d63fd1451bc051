"""Reads what a ``.tflite`` file says of itself; needs no torch."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.artifact import Artifact, ModelFormat, Precision
from workspace.errors import InputError
from workspace.files import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite file (schema version 3)."""


def read(path: Path) -> Artifact:
    """The file as an artifact; its tool is what the file's description says.

    Raises:
        InputError: If it is not there, or no TFLite file that the runtime loads.
    """
    _check_identifier(path)
    from exporters.litert_runtime import LiteRtModel

    runtime = LiteRtModel(path)  # first: it checks every offset before it follows one
    schema, model = _parsed(path)
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=sha256_of(path),
        precision=_precision(schema, model),
        inputs=runtime.inputs,
        outputs=runtime.outputs,
        tool=(model.description or b"unknown").decode(errors="replace"),
    )


def operators(path: Path) -> tuple[str, ...]:
    """Names of the file's operators, e.g. ``"CONV_2D"``, in order, of all its subgraphs.

    Raises:
        InputError: If it is not there, or no TFLite file.
    """
    schema, model = _parsed(path)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    # Files from before schema 3a have their codes in the field that holds at most 127 today.
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes or ()]
    return tuple(
        names.get(codes[operator.opcodeIndex], "UNKNOWN")
        for subgraph in model.subgraphs
        for operator in subgraph.operators or ()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOperator:
    """One operator of a file.

    Attributes:
        name: E.g. ``"CONV_2D"``.
        shapes: Of its inputs, in order; empty for an input that is left out.
        output: Shape of its first output.
        output_name: Of the tensor.
        options: As the schema has them; None for operators without.
        constants: The numbers of constant int32 inputs, and of those of one number, by position.
        reads: Its inputs' numbers in the file.
        makes: Its outputs' numbers.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    output_name: str
    options: Any
    constants: Mapping[int, NDArray[Any]]
    reads: tuple[int, ...]
    makes: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of a convolution or fully connected layer, else none."""
        if self.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            return 0
        weights = math.prod(self.shapes[1])
        if self.name == "FULLY_CONNECTED":
            return weights * math.prod(self.shapes[0]) // self.shapes[1][-1]
        return weights * math.prod(self.output[:-1])


def read_operators(path: Path) -> tuple[FileOperator, ...]:
    """All operators of a file's first graph, in order.

    Raises:
        InputError: If it is not there, or no TFLite file.
    """
    schema, model = _parsed(path)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes or ()]
    graph = model.subgraphs[0]
    return tuple(
        _operator(schema, model, graph, names.get(codes[each.opcodeIndex], "UNKNOWN"), each)
        for each in graph.operators or ()
    )


def _operator(schema: Any, model: Any, graph: Any, name: str, operator: Any) -> FileOperator:  # noqa: ANN401 - generated without types
    def shape(tensor: int) -> tuple[int, ...]:
        found = () if tensor < 0 else graph.tensors[tensor].shape
        return tuple(int(length) for length in (() if found is None else found))

    kinds = schema.TensorType
    types = {kinds.INT32: "int32", kinds.FLOAT32: "float32", kinds.INT8: "int8"}
    constants = {}
    for position, number in enumerate(operator.inputs):
        tensor = graph.tensors[number]
        data = model.buffers[tensor.buffer].data if number >= 0 else None
        if data is None or tensor.type not in types:
            continue
        dtype = np.dtype(types[tensor.type])
        if tensor.type == kinds.INT32 or len(data) == dtype.itemsize:
            constants[position] = np.frombuffer(bytes(data), dtype).reshape(shape(number))
    return FileOperator(
        name=name,
        shapes=tuple(shape(int(number)) for number in operator.inputs),
        output=shape(int(operator.outputs[0])),
        output_name=(graph.tensors[operator.outputs[0]].name or b"").decode(errors="replace"),
        options=operator.builtinOptions,
        constants=constants,
        reads=tuple(int(number) for number in operator.inputs),
        makes=tuple(int(number) for number in operator.outputs),
    )


def _check_identifier(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        msg = f"the model file {str(path)!r} cannot be read: {error.strerror}"
        raise InputError(msg) from error
    if not start:
        msg = f"{str(path)!r} is no TFLite file: it is empty"
        raise InputError(msg)
    if start[4:8] != IDENTIFIER:
        msg = f"{str(path)!r} is no TFLite file: it does not have {IDENTIFIER.decode()} at byte 4"
        raise InputError(msg)


def _parsed(path: Path) -> tuple[Any, Any]:
    """The generated schema, and the file as its objects."""
    _check_identifier(path)
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        msg = f"{str(path)!r} is no whole TFLite file: {error}"
        raise InputError(msg) from error
    if not model.subgraphs:
        msg = f"{str(path)!r} is no whole TFLite file: it has no graph"
        raise InputError(msg)
    return schema, model


def _precision(schema: Any, model: Any) -> Precision:  # noqa: ANN401 - generated without types
    """What most of its weights are kept as; int8 ones with no int8 activations are dynamic."""
    kinds, graph = schema.TensorType, model.subgraphs[0]
    ends = {*map(int, graph.inputs), *map(int, graph.outputs)}
    kept: Counter[int] = Counter()
    inside, outside = set[int](), set[int]()
    for number, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None:
            kept[tensor.type] += len(data)
        else:
            (outside if number in ends else inside).add(tensor.type)
    (largest, _), *_ = kept.most_common(1) or [(kinds.FLOAT32, 0)]
    if largest in (kinds.INT8, kinds.UINT8):
        is_float = kinds.FLOAT32 in inside | outside
        is_whole = not inside.isdisjoint({kinds.INT8, kinds.UINT8, kinds.INT16})
        return Precision.DYNAMIC if is_float and not is_whole else Precision.INT8
    return Precision.FP16 if largest == kinds.FLOAT16 else Precision.FP32
