"""TFLite files through Google's ai-edge-quantizer; needs the extra ``quantize``."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from exporters.exporter import ExportError
from workspace.errors import InputError

if TYPE_CHECKING:
    from exporters.artifact import Artifact
    from exporters.quantize import Feeds, Quantization

TOOL = "ai-edge-quantizer"


def quantized(
    artifact: Artifact, to: Quantization, calibration: Sequence[Feeds], *, float_io: bool
) -> tuple[bytes, str]:
    """The bytes of the quantized file, and the tool that made them.

    Raises:
        InputError: If the extra is not installed.
        ExportError: If the tool fails.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ModuleNotFoundError as error:
        msg = f"this needs {TOOL}, which is not installed: pip install 'pocketnas[quantize]'"
        raise InputError(msg) from error

    tool = quantizer.Quantizer(str(artifact.path))
    _configure(tool, to, float_io=float_io)
    said = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of all tensors that calibration keeps
            scales = None
            if tool.need_calibration:
                data = {"serving_default": [dict(sample) for sample in calibration]}
                scales = tool.calibrate(data, num_threads=1)
            made = tool.quantize(scales, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        msg = f"{TOOL} cannot quantize {artifact.path.name!r}: {' '.join(str(error).split())}"
        raise ExportError(msg) from error
    return bytes(made.quantized_model), f"{TOOL}-{version(TOOL)}"


def _configure(tool: Any, to: Quantization, *, float_io: bool) -> None:  # noqa: ANN401 - untyped
    from ai_edge_quantizer import qtyping, quantizer

    from exporters.quantize import Quantization

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    match to:
        case Quantization.DYNAMIC:
            tool.add_dynamic_config(regex=".*", operation_name=every, num_bits=8)
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
            if float_io:
                names = qtyping.TFLOperationName
                for end in (names.INPUT, names.OUTPUT):
                    tool.update_quantization_recipe(
                        ".*", end, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE
                    )
