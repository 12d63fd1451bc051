"""A model file and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ModelFormat(StrEnum):
    """File formats that devices can run."""

    ONNX = "onnx"
    TFLITE = "tflite"


class Precision(StrEnum):
    """Number format of weights and arithmetic."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


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
        path: Where the file lies.
        format: What it holds.
        sha256: Hex digest of its bytes; measurements refer to this, never to the path.
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
