"""Files of images to squares of bytes: decoded, cropped, resized, all by Pillow.

Boxes are `(left, top, right, bottom)` in pixels, not always whole; resizing is bilinear and
antialiased.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.errors import OperationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image as Pillow
    from torch import Generator

    Array = NDArray[np.uint8]

Box = tuple[float, float, float, float]

ROOM = 1.25
"""The shorter side of an image that is kept to be cropped at random, as a multiple of what comes
out of it: the side of a crop is 0.7 of it on average, so many are resized by about one."""

ATTEMPTS = 10
AREAS, RATIOS = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of a random crop: share of the image, and width by height (Szegedy et al. 2015, arXiv 1409.4842,
section 6, and after it EfficientNet's code)."""


def central_box(width: float, height: float, share: float) -> Box:
    """The square in the middle whose side is a share of the shorter side.

    >>> central_box(40, 20, 0.5)
    (15.0, 5.0, 25.0, 15.0)
    """
    half = min(width, height) * share / 2
    return width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half


def central_square(path: Path, size: int, share: float) -> Array:
    """`[size, size, 3]` of the middle of an image.

    Raises:
        OperationError: If it cannot be read.
    """
    image = _opened(path)
    return _bytes(image.resize((size, size), _bilinear(), central_box(*image.size, share)))


def room_for(size: int) -> int:
    """Pixels that the shorter side of an image is to have for random crops that become ``size``.

    >>> room_for(64)
    80
    """
    return math.ceil(ROOM * size)


def shrunken(path: Path, size: int) -> Array:
    """`[H, W, 3]` of a whole image, with room for random crops that become ``size``.

    Raises:
        OperationError: If it cannot be read.
    """
    side = room_for(size)
    image = _opened(path, least=side)
    scale = side / min(image.size)
    if scale < 1:
        width, height = (max(side, round(scale * length)) for length in image.size)
        image = image.resize((width, height), _bilinear())
    return _bytes(image)


def fitted(path: Path, stated: tuple[int, int], longest: int) -> Array:
    """`[H, W, 3]` of a whole image whose longer side is at most ``longest``.

    It is as it lies in the file, or upright where that is what it is stated to be.

    Args:
        path: Of the file.
        stated: Width and height that are known of it.
        longest: In pixels.

    Raises:
        OperationError: If it cannot be read, or is of another size than is stated.
    """
    scale = min(1.0, longest / max(stated))
    width, height = (max(1, round(scale * length)) for length in stated)
    image = _opened(path, least=min(width, height) if scale < 1 else 0, stated=stated)
    return _bytes(image.resize((width, height), _bilinear()) if scale < 1 else image)


def cropped(pixels: Array, box: Box, size: int, *, mirrored: bool) -> Array:
    """`[size, size, 3]` of a box of `[H, W, 3]`, or its mirror image."""
    from PIL import Image

    whole = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    if box != whole or pixels.shape[:2] != (size, size):
        pixels = _bytes(Image.fromarray(pixels).resize((size, size), _bilinear(), box))
    return pixels[:, ::-1] if mirrored else pixels


def random_boxes(shapes: list[tuple[int, ...]], generator: Generator) -> list[Box]:
    """A random crop of each `[H, W, …]`: the first of ten draws that fits, else the middle."""
    import torch

    count = len(shapes)
    heights, widths = torch.tensor([shape[:2] for shape in shapes]).double().T
    area, ratio, left, top = torch.rand(4, ATTEMPTS, count, generator=generator).double()
    area = heights * widths * (AREAS[0] + (AREAS[1] - AREAS[0]) * area)
    least, most = map(math.log, RATIOS)
    ratio = (least + (most - least) * ratio).exp()
    wide, high = (area * ratio).sqrt(), (area / ratio).sqrt()
    fits = (wide <= widths) & (high <= heights)
    first = fits.int().argmax(0)  # the first of the largest
    chosen = torch.arange(count)
    middle = torch.minimum(heights, widths)
    wide = torch.where(fits.any(0), wide[first, chosen], middle)
    high = torch.where(fits.any(0), high[first, chosen], middle)
    left = (widths - wide) * torch.where(fits.any(0), left[first, chosen], 0.5)
    top = (heights - high) * torch.where(fits.any(0), top[first, chosen], 0.5)
    corners = torch.stack((left, top, left + wide, top + high)).T.tolist()
    return [(a, b, c, d) for a, b, c, d in corners]


def _opened(path: Path, least: int = 0, stated: tuple[int, int] | None = None) -> Pillow.Image:
    """Decoded, upright, in red, green and blue; a JPEG not larger than needed for ``least``.

    One that lies in its file as is ``stated`` of it is left so.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            lies = file.size
            if least:
                file.draft("RGB", (least, least))
            image = file if lies == stated else ImageOps.exif_transpose(file)
            if stated is not None:
                _require_stated(path, stated, lies, image)
            if image.mode.startswith("I"):  # 16 bits, of which Pillow would keep the lower ones
                image = image.point(lambda value: value / 256).convert("L")
            return image.convert("RGB")
    except OperationError:
        raise
    except Exception as error:  # Pillow raises what its many formats raise
        msg = f"the image {str(path)!r} could be read before and cannot be any more: {error}"
        raise OperationError(msg) from error


def _require_stated(
    path: Path, stated: tuple[int, int], lies: tuple[int, int], image: Pillow.Image
) -> None:
    """Do nothing if an image is of the size that is stated of it, or was put upright to be."""
    is_turned = (image.width > image.height) != (lies[0] > lies[1])
    if stated == lies or (is_turned and stated == lies[::-1]):
        return
    msg = (
        f"the image {str(path)!r} is of {lies[0]} x {lies[1]} pixels, its annotations are for "
        f"{stated[0]} x {stated[1]}"
    )
    raise OperationError(msg)


def _bytes(image: Pillow.Image) -> Array:
    import numpy as np

    return np.asarray(image)


def _bilinear() -> Pillow.Resampling:
    from PIL import Image

    return Image.Resampling.BILINEAR
