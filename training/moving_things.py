"""Generated clips: two small images that move over a black ground in one of twelve ways.

The ground has no ends: what leaves it on one side comes in on the other. Where the two are at
first, how large and how far turned, is drawn before the motion and whatever it will be, evenly
over all places; so at every frame each motion shows the same distribution of images, and no frame
alone tells anything of the motion. A clip is a function of its generator and of the images that it
is made of, so a set of clips is a seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training.scenes import resized

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZE, FRAMES = 32, 16
"""Pixels a side of clips, and how many frames one has."""

SIDES = (11, 14)
"""Pixels a side that an image is resized to, at least and at most."""

SLOW, FAST = (0.5, 0.9), (1.6, 2.4)
"""Pixels that a thing moves from one frame to the next."""

TURNS = (8.0, 14.0)
"""Degrees that it turns from one frame to the next."""

NOISE = 6.0
"""Standard deviation of what every pixel of every frame has for itself, of 255."""

_THRESHOLD = 24
"""Grey above which a pixel belongs to a thing, and moves."""


class Motion(StrEnum):
    """What the two things do; the classes, in order.

    The first eight: both go the same way. Then both turn where they are. Of the last two they come
    towards each other, meet, and go through each other or back to where they came from.
    """

    LEFT_SLOWLY = "to the left, slowly"
    LEFT_FAST = "to the left, fast"
    RIGHT_SLOWLY = "to the right, slowly"
    RIGHT_FAST = "to the right, fast"
    UP_SLOWLY = "up, slowly"
    UP_FAST = "up, fast"
    DOWN_SLOWLY = "down, slowly"
    DOWN_FAST = "down, fast"
    CLOCKWISE = "turning clockwise"
    ANTICLOCKWISE = "turning anticlockwise"
    MEET_AND_PASS = "meeting, passing"
    MEET_AND_RETURN = "meeting, turning back"


_STEPS = {
    Motion.LEFT_SLOWLY: (SLOW, (0, -1)),
    Motion.LEFT_FAST: (FAST, (0, -1)),
    Motion.RIGHT_SLOWLY: (SLOW, (0, 1)),
    Motion.RIGHT_FAST: (FAST, (0, 1)),
    Motion.UP_SLOWLY: (SLOW, (-1, 0)),
    Motion.UP_FAST: (FAST, (-1, 0)),
    Motion.DOWN_SLOWLY: (SLOW, (1, 0)),
    Motion.DOWN_FAST: (FAST, (1, 0)),
}
"""Speeds, and direction down and to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that is drawn of a clip but its motion.

    Attributes:
        things: Two images `[side, side]` uint8, on black.
        middle: Between the two, down and to the right, in pixels.
        axis: Along which they stand: 0 for one above the other, 1 for side by side.
        apart: How far the second is from the first along it, in pixels; `[-SIZE, SIZE)`.
        angles: How far each is turned, in degrees clockwise.
        pace: Where between its slowest and its fastest the motion is, in `[0, 1)`.
        way: 1 or -1: along the axis, of things that meet.
        noise: Seed of what is drawn of each pixel.
    """

    things: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    middle: tuple[float, float]
    axis: int
    apart: float
    angles: tuple[float, float]
    pace: float
    way: int
    noise: int


def draw(rng: Generator, images: NDArray[np.uint8]) -> Start:
    """How a clip begins.

    Args:
        rng: Draws all of it.
        images: `[N, 28, 28]` uint8, things on black.
    """

    def one() -> NDArray[np.uint8]:
        image = images[int(rng.integers(len(images)))]
        made = resized(image, int(rng.integers(SIDES[0], SIDES[1] + 1)))
        return made[:, ::-1] if rng.random() < 0.5 else made

    return Start(
        things=(one(), one()),
        middle=(float(rng.uniform(0, SIZE)), float(rng.uniform(0, SIZE))),
        axis=int(rng.integers(2)),
        apart=float(rng.uniform(-SIZE, SIZE)),
        angles=(float(rng.uniform(0, 360)), float(rng.uniform(0, 360))),
        pace=float(rng.random()),
        way=1 if rng.random() < 0.5 else -1,
        noise=int(rng.integers(2**32)),
    )


def frames_of(start: Start, motion: Motion) -> NDArray[np.uint8]:
    """The clip `[T, H, W]` that goes on from ``start`` with ``motion``, grey."""
    import numpy as np

    first, second = _both(start, motion)
    rng = np.random.Generator(np.random.PCG64(start.noise))
    noisy = np.maximum(first, second) + rng.normal(0.0, NOISE, first.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)


def flow_of(start: Start, motion: Motion) -> Array:
    """How its pixels move until the next frame, `[T, 2, H, W]`: pixels to the right, and down.

    It is 0 where nothing is, and where both are that of the brighter one.
    """
    import numpy as np

    places, angles = course(start, motion)
    shown = _both(start, motion)
    flows = [
        _flow(places[:, which], angles[:, which]) * (grey > _THRESHOLD)[:, None]
        for which, grey in enumerate(shown)
    ]
    return np.where((shown[0] >= shown[1])[:, None], *flows)


def _both(start: Start, motion: Motion) -> tuple[Array, Array]:
    """The two things in each frame, `[T, H, W]`."""
    places, angles = course(start, motion)
    first, second = start.things
    return (
        _shown(first, places[:-1, 0], angles[:-1, 0]),
        _shown(second, places[:-1, 1], angles[:-1, 1]),
    )


def course(start: Start, motion: Motion) -> tuple[Array, Array]:
    """Where the things are, `[T + 1, 2, 2]` (down, right), and their angles `[T + 1, 2]`.

    Places go on beyond the ends of the ground; the last ones are of the frame after the clip.
    """
    import numpy as np

    time = np.arange(FRAMES + 1.0)
    angles = np.tile(np.array(start.angles), (len(time), 1))
    middle = np.tile(np.array(start.middle), (len(time), 1))
    apart = np.full(len(time), start.apart)
    match motion:
        case Motion.CLOCKWISE | Motion.ANTICLOCKWISE:
            turn = _between(TURNS, start.pace) * (1 if motion is Motion.CLOCKWISE else -1)
            angles = angles + turn * time[:, None]
        case Motion.MEET_AND_PASS | Motion.MEET_AND_RETURN:
            # Once around the ground in a clip, so that they meet just once.
            apart = apart + start.way * SIZE / FRAMES * time
            if motion is Motion.MEET_AND_RETURN:
                apart = _turned_back(apart, start.way)
        case _:
            speeds, direction = _STEPS[motion]
            step = _between(speeds, start.pace) * np.array(direction)
            middle = middle + step * time[:, None]
    places = np.stack((middle, middle), axis=1)
    places[:, 0, start.axis] -= apart / 2
    places[:, 1, start.axis] += apart / 2
    return places, angles


def _turned_back(apart: Array, way: int) -> Array:
    """The same distances until they are none, or once around the ground, and back from there."""
    import numpy as np

    meeting = math.floor(way * apart[0] / SIZE + 1) * SIZE * way
    gone_by = way * (apart - meeting)
    return np.where(gone_by > 0, 2 * meeting - apart, apart)


def _shown(thing: NDArray[np.uint8], places: Array, angles: Array) -> Array:
    """A thing in each frame `[T, H, W]`, bilinear; 0 where it is not."""
    import numpy as np

    down, right = _around(places)
    turned = np.deg2rad(angles)[:, None, None]
    cos, sin = np.cos(turned), np.sin(turned)
    middle = (len(thing) - 1) / 2
    row, column = middle + cos * down - sin * right, middle + sin * down + cos * right
    top, left = np.floor(row), np.floor(column)
    padded = np.pad(thing.astype(np.float64), 1)
    shown = np.zeros(row.shape)
    for step_down in (0, 1):
        for step_right in (0, 1):
            share = (1 - abs(row - top - step_down)) * (1 - abs(column - left - step_right))
            rows = (top + step_down + 1).clip(0, len(padded) - 1).astype(np.intp)
            columns = (left + step_right + 1).clip(0, len(padded) - 1).astype(np.intp)
            shown += share * padded[rows, columns]
    return shown


def _flow(places: Array, angles: Array) -> Array:
    """How the pixels around a thing move until the next frame, `[T, 2, H, W]` (right, down)."""
    import numpy as np

    down, right = _around(places[:-1])
    turned = np.deg2rad(np.diff(angles))[:, None, None]
    cos, sin = np.cos(turned), np.sin(turned)
    gone = np.diff(places, axis=0)
    along = np.stack((cos * right - sin * down - right, sin * right + cos * down - down), axis=1)
    return along + gone[:, ::-1, None, None]


def _around(places: Array) -> tuple[Array, Array]:
    """How far each pixel is from a place on a ground without ends, `[T, H, W]`: down, right."""
    import numpy as np

    pixels = np.arange(SIZE) + 0.0
    down = pixels[None, :, None] - places[:, 0, None, None]
    right = pixels[None, None, :] - places[:, 1, None, None]
    shape = (len(places), SIZE, SIZE)
    half = SIZE / 2
    return (
        np.broadcast_to((down + half) % SIZE - half, shape),
        np.broadcast_to((right + half) % SIZE - half, shape),
    )


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
