"""Runs a model of this bundle on one image; for the other programs in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

BUNDLE = Path(__file__).resolve().parent.parent


def first_model() -> Path:
    """The one that is run where none is named."""
    return [*sorted(BUNDLE.glob("models/*.tflite")), *sorted(BUNDLE.glob("models/*.onnx"))][0]


def run(model: Path, image: Any) -> dict[str, Any]:  # noqa: ANN401 - numpy is not typed everywhere
    """Outputs by name, float32, channels last, of an image `[1, H, W, C]` float32.

    Args:
        model: A .tflite or .onnx file.
        image: As ``pictures.prepare`` makes it.
    """
    return by_onnxruntime(model, image) if model.suffix == ".onnx" else by_litert(model, image)


def by_litert(model: Path, image: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """See ``run``; int8 ends are rounded and restored."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    if not interpreter.get_signature_list():
        (given,) = interpreter.get_input_details()
        interpreter.set_tensor(given["index"], _rounded(image, given))
        interpreter.invoke()
        return {
            each["name"]: _restored(interpreter.get_tensor(each["index"]), each)
            for each in interpreter.get_output_details()
        }
    runner = interpreter.get_signature_runner()
    ((name, given),) = runner.get_input_details().items()
    details = runner.get_output_details()
    made = runner(**{name: _rounded(image, given)})
    return {output: _restored(value, details[output]) for output, value in made.items()}


def _rounded(image: Any, details: Any) -> Any:  # noqa: ANN401 - as above
    if details["dtype"] != np.int8:
        return image
    scale, zero_point = details["quantization"]
    return np.clip(np.rint(image / scale) + zero_point, -128, 127).astype(np.int8)


def _restored(value: Any, details: Any) -> Any:  # noqa: ANN401 - as above
    if details["dtype"] != np.int8:
        return value
    scale, zero_point = details["quantization"]
    return (value.astype(np.float32) - zero_point) * np.float32(scale)


def by_onnxruntime(model: Path, image: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """See ``run``; the file takes channels first."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    names = [each.name for each in session.get_outputs()]
    made = session.run(names, {given.name: np.ascontiguousarray(np.moveaxis(image, -1, 1))})
    return {
        name: np.moveaxis(value, 1, -1) if value.ndim == 4 else value
        for name, value in zip(names, made, strict=True)
    }
