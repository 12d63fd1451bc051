"""ONNX files through onnxruntime's quantization; needs the extra ``onnx``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.quantize import Quantization, failure
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from exporters.artifact import Artifact
    from exporters.quantize import Feeds

TOOL = "onnxruntime"


class _Samples:
    """Calibration samples, one after another; onnxruntime's ``CalibrationDataReader``."""

    def __init__(self, samples: Sequence[Feeds]) -> None:
        self._left: Iterator[dict[str, Any]] = iter([dict(sample) for sample in samples])

    def get_next(self) -> dict[str, Any] | None:
        """The next one; None after the last."""
        return next(self._left, None)


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
        InputError: If inputs and outputs are to be int8.
        OperationError: If the extra is not installed.
        ExportError: If the tool fails.
        NotWrittenError: If the disk refuses what it goes through.
    """
    if to is Quantization.INT8 and not float_io:
        msg = "an ONNX file keeps float32 inputs and outputs; only TFLite files can have int8 ones"
        raise InputError(msg)
    try:
        import onnx
        import onnxruntime.quantization as tools
    except ModuleNotFoundError as error:
        msg = f"this needs {TOOL}, which is not installed: pip install 'pocketnas[onnx]'"
        raise OperationError(msg) from error
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
            match to:
                case Quantization.FP16:
                    model = _half(onnx.load(str(artifact.path)))
                    made.write_bytes(model.SerializeToString(deterministic=True))
                case Quantization.DYNAMIC:
                    tools.quantize_dynamic(
                        str(artifact.path), str(made), per_channel=True,
                        weight_type=tools.QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"],
                    )  # fmt: skip
                case _:
                    tools.shape_inference.quant_pre_process(str(artifact.path), str(prepared))
                    whole = _of_parts(onnx.load(str(prepared)), float_parts)
                    tools.quantize_static(
                        str(prepared), str(made), _Samples(calibration), per_channel=True,
                        quant_format=tools.QuantFormat.QDQ, reduce_range=False,
                        activation_type=tools.QuantType.QInt8, weight_type=tools.QuantType.QInt8,
                        nodes_to_exclude=whole,
                    )  # fmt: skip
            return made.read_bytes(), f"{TOOL}-{version(TOOL)}"
    except Exception as error:  # its passes raise anything
        raise failure(TOOL, artifact, error) from error
    finally:
        logging.root.setLevel(before)


def _of_parts(model: Any, parts: Sequence[str]) -> list[str]:  # noqa: ANN401 - untyped library
    """Names of the nodes that are of these parts of the network."""
    within = tuple(f"{part}." for part in parts)
    return [node.name for node in model.graph.node if node.name.startswith(within)]


def _half(model: Any) -> Any:  # noqa: ANN401 - untyped library
    """Weights and arithmetic in half precision; inputs and outputs stay float32.

    The tool notes a type of half precision for constants that it leaves as they are, such as the
    factors of a resize, which makes the file contradict itself; nobody needs a constant's note.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    made = convert_float_to_float16(model, keep_io_types=True)
    constants = {each.name for each in made.graph.initializer}
    noted = [each for each in made.graph.value_info if each.name not in constants]
    del made.graph.value_info[:]
    made.graph.value_info.extend(noted)
    return made
