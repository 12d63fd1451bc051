"""TFLite files through Google's ai-edge-quantizer; needs the extra ``quantize``."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.exporter import ExportError
from exporters.quantize import Quantization, failure
from exporters.tflite_file import read_operators
from workspace.errors import OperationError

if TYPE_CHECKING:
    from exporters.artifact import Artifact
    from exporters.quantize import Feeds

TOOL = "ai-edge-quantizer"

DEAD = 1e-5
"""Share of the median range of all activations below which one is taken for nothing."""

LEAST_RANGE = 1e-2
"""The range that it gets instead, as a share of that median."""


def quantized(
    artifact: Artifact,
    to: Quantization,
    calibration: Sequence[Feeds],
    *,
    float_io: bool,
    float_parts: Sequence[str] = (),
) -> tuple[bytes, str]:
    """The bytes of the quantized file, and the tool that made them.

    Raises:
        OperationError: If the extra is not installed.
        ExportError: If the tool fails.
        NotWrittenError: If the disk refuses what it goes through.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ModuleNotFoundError as error:
        msg = f"this needs {TOOL}, which is not installed: pip install 'pocketnas[quantize]'"
        raise OperationError(msg) from error

    said = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of all tensors that calibration keeps
            tool = quantizer.Quantizer(str(artifact.path))
            _configure(tool, to, artifact.path, float_io=float_io, float_parts=float_parts)
            scales = None
            if tool.need_calibration:
                data = {"serving_default": [dict(sample) for sample in calibration]}
                scales = _with_dead(tool.calibrate(data, num_threads=1))
            made = tool.quantize(scales, enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:  # its passes raise anything
        raise failure(TOOL, artifact, error) from error
    from exporters.shared_scales import compacted

    return compacted(bytes(made.quantized_model)), f"{TOOL}-{version(TOOL)}"


def _with_dead(ranges: Any) -> Any:  # noqa: ANN401 - untyped
    """The calibrated ranges, wide enough for a scale where a tensor was always about 0.

    A ReLU of which no sample came out has next to no range. The tool would give it a scale of
    1e-9 or less, which overflows the biases after it and which XNNPACK refuses; what is about 0
    is 0 under a usual scale.
    """
    widest = {
        name: max(float(np.abs(found[end]).max(initial=0.0)) for end in ("min", "max"))
        for name, found in ranges.items()
    }
    usual = float(np.median(list(widest.values()))) if widest else 0.0
    for name, found in ranges.items():
        if widest[name] < DEAD * usual:
            found["max"] = np.full_like(found["max"], LEAST_RANGE * usual)
    return ranges


def _configure(
    tool: Any,  # noqa: ANN401 - untyped
    to: Quantization,
    path: Path,
    *,
    float_io: bool,
    float_parts: Sequence[str],
) -> None:
    from ai_edge_quantizer import qtyping, quantizer

    names = qtyping.TFLOperationName
    every = names.ALL_SUPPORTED
    match to:
        case Quantization.DYNAMIC:
            tool.add_dynamic_config(regex=".*", operation_name=every, num_bits=8)
            # Runtimes of 2023 read one scale of these weights and compute nonsense with many.
            tool.add_dynamic_config(
                regex=".*", operation_name=names.FULLY_CONNECTED, num_bits=8,
                granularity=qtyping.QuantGranularity.TENSORWISE,
            )  # fmt: skip
        case Quantization.FP16:
            half = qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            )
            config = qtyping.OpQuantizationConfig(
                weight_tensor_config=half,
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            )
            casting = quantizer.AlgorithmName.FLOAT_CASTING
            tool.update_quantization_recipe(".*", every, config, casting)
        case Quantization.INT8:
            tool.add_static_config(
                regex=".*", operation_name=every, activation_num_bits=8, weight_num_bits=8
            )
            never = quantizer.AlgorithmName.NO_QUANTIZE
            # Runtimes of 2023 have no int8 DIV and SQRT; the tool fails at the number of a PADV2.
            ends = (names.INPUT, names.OUTPUT) if float_io else ()
            for name in (names.DIV, names.SQRT, names.PADV2, *ends):
                tool.update_quantization_recipe(".*", name, algorithm_key=never)
            for made in _maxima_of_padded(path):
                scope = f"(^|;){re.escape(made)}(;|$)"
                tool.update_quantization_recipe(scope, names.MAX_POOL_2D, algorithm_key=never)
            for scope in _scopes_of(float_parts, path):
                tool.update_quantization_recipe(scope, every, algorithm_key=never)


def _scopes_of(parts: Sequence[str], path: Path) -> Iterator[str]:
    """What finds the operators of parts of the network by their names.

    Raises:
        ExportError: If the file's names do not tell parts, as those of other exporters.
    """
    names = [each.output_name for each in read_operators(path)]
    for part in parts:
        scope = rf"(^|;){re.escape(part)}\."
        if not any(re.search(scope, name) for name in names):
            msg = f"{part!r} would have to stay in float32, and no operator is named after it: "
            msg += "export by tflite or onnx, or a network without (flow=given)"
            raise ExportError(msg)
        yield scope


def _maxima_of_padded(path: Path) -> Iterator[str]:
    """What pools make that read a PADV2: the lowest float in it has no int8 number."""
    found = read_operators(path)
    padded = {each.makes[0] for each in found if each.name == "PADV2"}
    for each in found:
        if each.name == "MAX_POOL_2D" and each.reads[0] in padded:
            yield each.output_name
