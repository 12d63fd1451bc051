"""Reads what a ``.tflite`` file says of itself; needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exporters.artifact import Artifact, ModelFormat, Precision
from workspace.errors import InputError
from workspace.files import sha256_of

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite file (schema version 3)."""


def read(path: Path) -> Artifact:
    """The file as an artifact.

    Raises:
        InputError: If it is not there, or no TFLite file that the runtime loads.
    """
    _check_identifier(path)
    from exporters.litert_runtime import LiteRtModel

    model = LiteRtModel(path)
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=sha256_of(path),
        precision=_precision(path),
        inputs=model.inputs,
        outputs=model.outputs,
        tool="unknown",
    )


def operators(path: Path) -> tuple[str, ...]:
    """Names of the file's operators, e.g. ``"CONV_2D"``, in order.

    Raises:
        InputError: If it is not there, or no TFLite file.
    """
    schema, model = _parsed(path)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    graph = model.subgraphs[0]
    return tuple(
        names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        for operator in graph.operators
    )


def _check_identifier(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        msg = f"the model file {str(path)!r} cannot be read: {error.strerror}"
        raise InputError(msg) from error
    if start[4:8] != IDENTIFIER:
        msg = f"{str(path)!r} is no TFLite file: it does not have {IDENTIFIER.decode()} at byte 4"
        raise InputError(msg)


def _parsed(path: Path) -> tuple[Any, Any]:
    """The generated schema, and the file as its objects."""
    _check_identifier(path)
    from ai_edge_litert import schema_py_generated as schema

    return schema, schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def _precision(path: Path) -> Precision:
    """What most of its weights are kept as."""
    schema, model = _parsed(path)
    sizes: dict[int, int] = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + len(data)
    largest = max(sizes, key=lambda kind: sizes[kind], default=schema.TensorType.FLOAT32)
    return {
        schema.TensorType.FLOAT16: Precision.FP16,
        schema.TensorType.INT8: Precision.INT8,
        schema.TensorType.UINT8: Precision.INT8,
    }.get(largest, Precision.FP32)
