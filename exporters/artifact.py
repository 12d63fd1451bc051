"""A model file and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

STAND_IN_INT8 = "stand-in int8 scales: for timing only"
"""Part of ``Artifact.tool`` of a file whose outputs mean nothing (``exporters.int8_stand_in``)."""


class ModelFormat(StrEnum):
    """File formats; devices run the first two."""

    ONNX = "onnx"
    TFLITE = "tflite"
    SAVED_MODEL = "savedmodel"


class Precision(StrEnum):
    """Number format of weights and arithmetic; dynamic: int8 weights, activations in float."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    DYNAMIC = "dynamic"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A named input or output of a model file.

    Attributes:
        name: As the file's signature names it.
        shape: As the file lays it out, batch included: `[1, H, W, C]` for an image in TFLite.
        dtype: NumPy's name, e.g. ``"float32"``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A model file.

    Attributes:
        path: Where the file lies; of a SavedModel, the folder.
        format: What it holds.
        sha256: Hex digest of its bytes; measurements refer to this, never to the path. Of a
            folder, ``workspace.files.sha256_of_folder``.
        precision: Number format of its weights and arithmetic.
        inputs: In the order of the exported module's arguments.
        outputs: In the order of the exported module's results.
        tool: Writer and version, e.g. ``"pocketnas-0.1.0"``.
    """

    path: Path
    format: ModelFormat
    sha256: str
    precision: Precision = Precision.FP32
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tool: str
