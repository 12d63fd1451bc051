"""Pictures as the models of this bundle take them; for the other programs in this folder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

BUNDLE = Path(__file__).resolve().parent.parent


def settings_of(name: str) -> Any:  # noqa: ANN401 - a JSON document
    """One of the bundle's documents, e.g. ``preprocessing.json``."""
    return json.loads((BUNDLE / name).read_text(encoding="utf-8"))


def prepare(picture: Any, settings: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """The network's input `[1, size, size, channels]` float32, as preprocessing.json tells.

    Args:
        picture: `[H, W]` or `[H, W, 3]` uint8.
        settings: Of preprocessing.json.
    """
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
    down, across = sides(height, width, settings)
    rows, columns = shares(height, down, top, kept[0]), shares(width, across, left, kept[1])
    whole = np.full((size, size, pixels.shape[2]), settings.get("padding") or 0, np.float64)
    whole[:down, :across] = np.einsum("yh,xw,hwc->yxc", rows, columns, pixels)
    pixels = (whole * settings["scale"] - np.array(settings["mean"])) / np.array(settings["std"])
    if pixels.shape[2] != settings["channels"]:
        pixels = np.repeat(pixels, settings["channels"], axis=2)
    return pixels[np.newaxis].astype(np.float32)


def sides(height: int, width: int, settings: Any) -> tuple[int, int]:  # noqa: ANN401 - as above
    """Rows and columns that a picture takes of the input; all, unless the rest is padded."""
    size = settings["size"]
    if settings.get("padding") is None:
        return size, size
    scale = size / max(height, width)
    return max(1, round(scale * height)), max(1, round(scale * width))


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
    settings = settings_of("preprocessing.json")
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(upright.convert("L" if settings["colours"] == 1 else "RGB"))
