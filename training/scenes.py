"""Generated scenes: small images of things, placed at several scales before real clutter.

A scene is a function of its generator and of the images that it is made of, so a set of them is a
seed, and every computer has the same one, to the last byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

CLUTTER = (12, 20)
"""Fragments of a scene, at least and at most."""

_FRAGMENT_PIXELS = (8, 15)
"""Side of what a fragment is cut from, of an image of 28 pixels."""

_THRESHOLD = 24
"""Grey above which a pixel of an image belongs to its thing: clothes lie on black."""

_HIDDEN = 0.25
"""Share of a thing that all those which are placed after it may hide together, at most."""

_OVERLAP = 0.25
"""Share of a thing that may lie on those placed before it, at most."""

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A thing in a scene.

    Attributes:
        label: Its class.
        box: Left, top, width and height in pixels, of what can be seen of it.
    """

    label: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An image and what is in it.

    Attributes:
        image: `[H, W]` uint8, grey.
        things: In the order in which they were placed; a later one may hide a part of an earlier.
    """

    image: NDArray[np.uint8]
    things: tuple[Placed, ...]


def compose(
    rng: Generator,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    size: int,
    things: int,
    sides: tuple[int, int],
) -> Scene:
    """Draw a scene: a ground of uneven brightness, fragments of other images, then the things.

    Args:
        rng: Draws all of it.
        images: `[N, 28, 28]` uint8, things on black.
        labels: `[N]`.
        size: Side of the scene in pixels.
        things: How many are placed; fewer where there is no room.
        sides: Smallest and largest side that an image is resized to, drawn evenly in logarithms.
    """
    import numpy as np

    canvas = _ground(rng, size)
    for _ in range(rng.integers(CLUTTER[0], CLUTTER[1] + 1)):
        _paste_fragment(rng, canvas, images)
    found: list[int] = []
    spare: list[float] = []
    seen = np.zeros((size, size), dtype=np.uint8)
    low, high = np.log(sides[0]), np.log(sides[1])
    for _ in range(things):
        index = int(rng.integers(len(images)))
        side = min(size, round(float(np.exp(rng.uniform(low, high)))))
        thing = resized(images[index], side)
        if rng.random() < 0.5:
            thing = thing[:, ::-1]
        thing = (thing * rng.uniform(0.7, 1.0)).astype(np.uint8)
        if _place(rng, canvas, seen, spare, thing):
            found.append(int(labels[index]))
    noisy = canvas.astype(np.float32) + rng.normal(0.0, 6.0, canvas.shape).astype(np.float32)
    return Scene(
        image=noisy.clip(0, 255).round().astype(np.uint8),
        things=tuple(
            Placed(label=label, box=_box_around(seen == number))
            for number, label in enumerate(found, start=1)
        ),
    )


def _ground(rng: Generator, size: int) -> NDArray[np.uint8]:
    """Dark to middle grey that changes slowly."""
    return resized(rng.integers(10, 110, (5, 5)).astype("uint8"), size).copy()


def _paste_fragment(rng: Generator, canvas: NDArray[np.uint8], images: NDArray[np.uint8]) -> None:
    """A piece of some image, turned, resized and dimmed, where it happens to fall."""
    import numpy as np

    image = images[int(rng.integers(len(images)))]
    side = int(rng.integers(_FRAGMENT_PIXELS[0], _FRAGMENT_PIXELS[1] + 1))
    top, left = (int(one) for one in rng.integers(4, 24 - side + 1, 2))
    piece = np.rot90(image[top : top + side, left : left + side], int(rng.integers(4)))
    large = resized(np.ascontiguousarray(piece), int(side * rng.uniform(0.6, 2.0)))
    dim = (large * rng.uniform(0.4, 1.0)).astype(np.uint8)
    size, reach = len(canvas), len(dim)
    if reach >= size:
        return
    y, x = (int(one) for one in rng.integers(0, size - reach + 1, 2))
    under = canvas[y : y + reach, x : x + reach]
    under[dim > _THRESHOLD] = dim[dim > _THRESHOLD]


def _place(
    rng: Generator,
    canvas: NDArray[np.uint8],
    seen: NDArray[np.uint8],
    spare: list[float],
    thing: NDArray[np.uint8],
) -> bool:
    """Put a thing where it hides little of others; whether there is room.

    Args:
        rng: Draws places.
        canvas: `[H, W]`, gets its pixels.
        seen: `[H, W]`, number of the thing that is seen at each pixel, from 1 on; 0 for none.
        spare: Pixels of each thing before it that may yet be hidden; gets its own.
        thing: `[side, side]`, on black.
    """
    import numpy as np

    mask = thing > _THRESHOLD
    area = np.count_nonzero(mask)
    if not area:
        return False
    size, side, count = len(canvas), len(thing), len(spare) + 1
    for _ in range(_TRIES):
        y, x = (int(one) for one in rng.integers(0, size - side + 1, 2))
        window = (slice(y, y + side), slice(x, x + side))
        under = seen[window][mask]
        if np.count_nonzero(under) > _OVERLAP * area:
            continue
        left = spare - np.bincount(under, minlength=count)[1:]
        if (left < 0).any():
            continue
        canvas[window][mask] = thing[mask]
        seen[window][mask] = count
        spare[:] = [*left, _HIDDEN * area]
        return True
    return False


def _box_around(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is set in it."""
    import numpy as np

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`[H, W]` to `[side, side]`, bilinear, averaged where it gets smaller."""
    import numpy as np
    from PIL import Image

    made = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(made)
