"""How an image with boxes becomes the square that a network sees: scaled, cut, mirrored.

Boxes are shares of the image's width and height, so that they hold of a shrunken copy too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator

PADDING = 128
"""Byte around an image that does not fill the square: about 0 for networks."""

LEAST_SEEN = 0.25
"""Share of a thing without which it is not to be found any more. SpineNet's code keeps all of
which a pixel is left."""

PAD = -1
"""In place of the class, where there is no thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is done with one image.

    Attributes:
        width: Of the whole image once it is scaled, in pixels.
        height: Likewise.
        left: Where the square begins in it, below 0 if padding comes first.
        top: Likewise.
        mirrored: Whether left and right change places in the end.
    """

    width: int
    height: int
    left: int = 0
    top: int = 0
    mirrored: bool = False


def whole(shape: Sequence[int], size: int, factor: float = 1.0) -> Frame:
    """An image `[H, W, …]` whose longer side becomes ``factor`` squares, at the upper left.

    >>> whole((20, 40), 32)
    Frame(width=32, height=16, left=0, top=0, mirrored=False)
    """
    high, wide = shape[:2]
    scale = factor * size / max(high, wide)
    return Frame(width=max(1, round(scale * wide)), height=max(1, round(scale * high)))


def drawn(
    shapes: Sequence[Sequence[int]], size: int, jitter: tuple[float, float], generator: Generator
) -> list[Frame]:
    """Random frames: scale between two factors, place in or around the square, mirrored or not.

    As SpineNet's code (tensorflow/tpu, ``utils/input_utils.py``), but that what is smaller than
    the square lies anywhere in it, not at its upper left.
    """
    import torch

    factor, across, down, turn = torch.rand(4, len(shapes), generator=generator).double().tolist()
    made = []
    for index, shape in enumerate(shapes):
        scaled = whole(shape, size, jitter[0] + (jitter[1] - jitter[0]) * factor[index])
        made.append(
            Frame(
                width=scaled.width,
                height=scaled.height,
                left=round((scaled.width - size) * across[index]),
                top=round((scaled.height - size) * down[index]),
                mirrored=turn[index] < 0.5,
            )
        )
    return made


def framed(pixels: NDArray[np.uint8], frame: Frame, size: int) -> NDArray[np.uint8]:
    """`[size, size, …]` of an image `[H, W, …]`, bilinear, averaged where it gets smaller."""
    import numpy as np
    from PIL import Image

    left, top = max(frame.left, 0), max(frame.top, 0)
    right = min(frame.left + size, frame.width)
    bottom = min(frame.top + size, frame.height)
    across, down = pixels.shape[1] / frame.width, pixels.shape[0] / frame.height
    seen = Image.fromarray(pixels).resize(
        (right - left, bottom - top),
        Image.Resampling.BILINEAR,
        (left * across, top * down, right * across, bottom * down),
    )
    made = np.full((size, size, *pixels.shape[2:]), PADDING, dtype=np.uint8)
    rows = slice(top - frame.top, bottom - frame.top)
    made[rows, left - frame.left : right - frame.left] = np.asarray(seen)
    return made[:, ::-1] if frame.mirrored else made


def moved(
    boxes: NDArray[np.float32], frame: Frame, size: int, *, least: float = LEAST_SEEN
) -> NDArray[np.float32]:
    """Boxes `[M, 5]` of an image in pixels of its frame, cut to the square.

    Args:
        boxes: Class, left, top, right, bottom, as shares of width and height.
        frame: Of the image.
        size: Of the square, in pixels.
        least: Share of a box without which it becomes padding; 0 keeps every one.
    """
    import numpy as np

    made = boxes.copy()
    made[:, 1::2] = boxes[:, 1::2] * np.float32(frame.width) - np.float32(frame.left)
    made[:, 2::2] = boxes[:, 2::2] * np.float32(frame.height) - np.float32(frame.top)
    before = _areas(made)
    if frame.mirrored:
        made[:, [1, 3]] = size - made[:, [3, 1]]
    made[:, 1:] = made[:, 1:].clip(0, size)
    lost = (_areas(made) < least * before) | (made[:, 0] == PAD)
    made[lost] = (PAD, 0, 0, 0, 0)
    return made


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 4] - boxes[:, 2])
    return areas
