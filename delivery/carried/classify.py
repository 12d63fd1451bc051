"""Classifies a picture with one of the models of this bundle.

    pip install -r requirements.txt
    python snippets/classify.py PICTURE [MODEL]

PICTURE is a binary PGM or PPM file, or a NumPy file of `[H, W]` or `[H, W, 3]` uint8; where Pillow
is installed, any that it reads. MODEL is one of the .tflite or .onnx files in models/; the first
one where it is left out.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

BUNDLE = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Print the three most probable labels; the exit code."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    kept = [*sorted(BUNDLE.glob("models/*.tflite")), *sorted(BUNDLE.glob("models/*.onnx"))]
    model = Path(arguments[1]) if len(arguments) > 1 else kept[0]
    labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
    probabilities = classify(model, read_picture(Path(arguments[0])))
    for index in np.argsort(-probabilities)[:3]:
        print(f"{probabilities[index]:.4f}  {labels[index]}")
    return 0


def classify(model: Path, picture: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """Probabilities `[classes]` of a picture `[H, W]` or `[H, W, 3]` uint8."""
    settings = json.loads((BUNDLE / "preprocessing.json").read_text(encoding="utf-8"))
    run = by_onnxruntime if model.suffix == ".onnx" else by_litert
    scores = run(model, prepare(picture, settings))
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def by_litert(model: Path, image: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """Scores `[classes]` of an image `[1, H, W, C]`; int8 ends are rounded and restored."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    if given["dtype"] == np.int8:
        scale, zero_point = given["quantization"]
        image = np.clip(np.rint(image / scale) + zero_point, -128, 127).astype(np.int8)
    interpreter.set_tensor(given["index"], image)
    interpreter.invoke()
    made = interpreter.get_output_details()[0]
    scores = interpreter.get_tensor(made["index"])[0]
    if made["dtype"] == np.int8:
        scale, zero_point = made["quantization"]
        scores = (scores.astype(np.float32) - zero_point) * scale
    return scores


def by_onnxruntime(model: Path, image: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """Scores `[classes]` of an image `[1, H, W, C]`, which the file takes channels first."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    first = np.ascontiguousarray(np.moveaxis(image, -1, 1))
    return session.run(None, {given.name: first})[0][0]


def prepare(picture: Any, settings: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """The network's input `[1, size, size, channels]` float32, as preprocessing.json tells."""
    if not settings["is_known"]:
        sys.exit("this bundle does not know how pictures are prepared: see README.md")
    pixels = picture.astype(np.float32)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.shape[2] != settings["colours"]:
        wanted = "grey" if settings["colours"] == 1 else "RGB"
        sys.exit(f"a {wanted} picture is needed, got {list(picture.shape)}")
    size, (height, width) = settings["size"], pixels.shape[:2]
    top, left, kept = middle(height, width, settings.get("crop"))
    rows, columns = shares(height, size, top, kept[0]), shares(width, size, left, kept[1])
    pixels = np.einsum("yh,xw,hwc->yxc", rows, columns, pixels) * settings["scale"]
    pixels = (pixels - np.array(settings["mean"])) / np.array(settings["std"])
    if pixels.shape[2] != settings["channels"]:
        pixels = np.repeat(pixels, settings["channels"], axis=2)
    return pixels[np.newaxis].astype(np.float32)


def middle(height: int, width: int, crop: float | None) -> tuple[float, float, Any]:
    """First row and column of what is kept of a picture, and its sides; None for all of it."""
    if crop is None:
        return 0.0, 0.0, (height, width)
    side = crop * min(height, width)
    return (height - side) / 2, (width - side) / 2, (side, side)


def shares(before: int, after: int, first: float, kept: float) -> Any:  # noqa: ANN401 - as above
    """`[after, before]`: what each old pixel gives to each new one, bilinear and antialiased.

    The new ones divide ``kept`` of the old ones, from ``first`` on.
    """
    step = kept / after
    reach = max(step, 1.0)
    centers = first + (np.arange(after) + 0.5) * step
    distance = np.abs(np.arange(before) + 0.5 - centers[:, np.newaxis]) / reach
    weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(1, keepdims=True)


def read_picture(path: Path) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """`[H, W]` or `[H, W, 3]` uint8 of a .npy, .pgm or .ppm file, or what Pillow reads."""
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    content = path.read_bytes()
    header = re.match(rb"P([56])\s+(?:#.*\n\s*)*(\d+)\s+(\d+)\s+255\s", content)
    if header is None:
        return _by_pillow(path)
    width, height = int(header[2]), int(header[3])
    shape = (height, width) if header[1] == b"5" else (height, width, 3)
    count = int(np.prod(shape))
    return np.frombuffer(content, np.uint8, count, header.end()).reshape(shape)


def _by_pillow(path: Path) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        sys.exit(f"{path} is no .npy, PGM or PPM file; Pillow reads others")
    settings = json.loads((BUNDLE / "preprocessing.json").read_text(encoding="utf-8"))
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(upright.convert("L" if settings["colours"] == 1 else "RGB"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
