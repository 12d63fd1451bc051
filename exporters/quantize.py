"""Smaller number formats for a model file that is there already.

* ``fp16``: weights in half precision; runtimes turn them into float32, or compute in halves.
* ``dynamic``: int8 weights by output channel; activations are quantized as they come.
* ``int8``: weights and activations, with scales from calibration samples, which must be data like
  the one that the network was trained on (never the test data).

TFLite files go through Google's ai-edge-quantizer, ONNX files through onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.artifact import Artifact, ModelFormat, Precision, TensorSpec
from exporters.child import ChildDiedError, in_child
from exporters.exporter import ExportError, NotWrittenError, write_by_digest
from exporters.litert_runtime import ends_of
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Feeds = Mapping[str, "NDArray[Any]"]
"""An array for each input by name, in the file's layout."""

LEAST_SAMPLES = 16
"""Batches of calibration data; fewer miss the tails of activations."""


class Quantization(StrEnum):
    """What to make of a file."""

    NONE = "none"
    FP16 = "fp16"
    DYNAMIC = "dynamic"
    INT8 = "int8"


PRECISIONS = {
    Quantization.NONE: Precision.FP32,
    Quantization.FP16: Precision.FP16,
    Quantization.DYNAMIC: Precision.DYNAMIC,
    Quantization.INT8: Precision.INT8,
}


def quantize(
    artifact: Artifact,
    to: Quantization,
    directory: Path,
    *,
    calibration: Sequence[Feeds] = (),
    float_io: bool = True,
    float_parts: Sequence[str] = (),
) -> Artifact:
    """A quantized file beside the one that is given, named after its content.

    Args:
        artifact: Float32; a TFLite or ONNX file.
        to: What it becomes; ``NONE`` gives the artifact itself.
        directory: Must exist.
        calibration: For ``INT8``, at least ``LEAST_SAMPLES``.
        float_io: For ``INT8``, whether inputs and outputs stay float32, quantized inside.
        float_parts: For ``INT8``, paths of parts of the network that stay float32, as
            ``exporters.operators.float_parts`` finds them.

    Raises:
        InputError: If the format cannot be quantized so, or the samples are too few or do not fit.
        OperationError: If the extra is not installed.
        ExportError: If the tool fails.
        NotWrittenError: If the folder or the disk refuses the file.
    """
    if to is Quantization.NONE:
        return artifact
    if artifact.precision is not Precision.FP32:
        msg = f"only an fp32 file can be quantized, {artifact.path.name!r} is {artifact.precision}"
        raise InputError(msg)
    if to is Quantization.INT8:
        check_samples(artifact, calibration)
    match artifact.format:
        case ModelFormat.TFLITE:
            from exporters.quantize_tflite import quantized

            content, tool = quantized(
                artifact, to, calibration, float_io=float_io, float_parts=float_parts
            )
        case ModelFormat.ONNX:
            from exporters.quantize_onnx import quantized as onnx_quantized

            content, tool = onnx_quantized(
                artifact, to, calibration, float_io=float_io, float_parts=float_parts
            )
        case ModelFormat.SAVED_MODEL:
            msg = "a SavedModel is not quantized: export tflite or onnx for that"
            raise InputError(msg)
    return _written(artifact, to, directory, content, tool)


def failure(tool: str, artifact: Artifact, error: Exception) -> ExportError:
    """What a tool's exception means: it lacks something, or the disk refuses its files."""
    said = " ".join(str(error).split())[:600] or type(error).__name__
    msg = f"{tool} cannot quantize {artifact.path.name!r}: {said}"
    is_refused = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    return NotWrittenError(msg) if is_refused else ExportError(msg)


def check_samples(artifact: Artifact, calibration: Sequence[Feeds]) -> None:
    """Refuse calibration samples that are too few, or not what the file takes.

    Raises:
        InputError: The text says what is wrong.
    """
    if len(calibration) < LEAST_SAMPLES:
        msg = f"int8 needs at least {LEAST_SAMPLES} calibration samples, got {len(calibration)}"
        raise InputError(msg)
    wanted = {spec.name: (spec.shape, spec.dtype) for spec in artifact.inputs}
    for index, sample in enumerate(calibration):
        found = {name: (tuple(value.shape), value.dtype.name) for name, value in sample.items()}
        if found != wanted:
            msg = f"calibration sample {index} is {found}, the file takes {wanted}"
            raise InputError(msg)


def _written(
    artifact: Artifact, to: Quantization, directory: Path, content: bytes, tool: str
) -> Artifact:
    path, sha256 = write_by_digest(content, directory, artifact.format.value)
    try:
        inputs, outputs = _specs(path, artifact)
    except InputError as error:
        path.unlink()
        msg = f"{tool} made a file that its runtime refuses, so none was kept: {error}"
        raise ExportError(msg) from error
    except ChildDiedError as error:
        path.unlink()
        msg = f"{tool} made a file at which its runtime crashes, so none was kept: {error}"
        raise ExportError(msg) from error
    except OperationError:
        path.unlink()
        raise
    return replace(
        artifact,
        path=path,
        sha256=sha256,
        precision=PRECISIONS[to],
        inputs=inputs,
        outputs=outputs,
        tool=f"{artifact.tool}, {tool}",
    )


Specs = tuple[TensorSpec, ...]


def _specs(path: Path, artifact: Artifact) -> tuple[Specs, Specs]:
    """As the file itself tells them, in the order of the artifact.

    A TFLite file is loaded in a process of its own, which a scale that XNNPACK cannot compute
    with may end.

    Raises:
        ExportError: If they have other names.
        InputError: If the runtime refuses the file.
        ChildDiedError: If it crashes at the file.
    """
    if artifact.format is ModelFormat.TFLITE:
        inputs, outputs = in_child(ends_of, path)
        return _in_order(artifact.inputs, inputs), _in_order(artifact.outputs, outputs)
    from exporters.onnx_runtime import OnnxModel

    onnx = OnnxModel(path)
    return _in_order(artifact.inputs, onnx.inputs), _in_order(artifact.outputs, onnx.outputs)


def _in_order(before: Specs, after: Specs) -> Specs:
    by_name = {spec.name: spec for spec in after}
    wanted = [spec.name for spec in before]
    if by_name.keys() != set(wanted):
        msg = f"quantizing renamed {', '.join(wanted)} to {', '.join(by_name)}: no file was kept"
        raise ExportError(msg)
    return tuple(by_name[name] for name in wanted)
