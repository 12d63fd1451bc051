"""Generated from Fashion-MNIST: two pieces of clothing that move; how they move is the class.

One frame tells nothing of it (``training.moving_things``), so a network must look at several. They
are no videos of anything, and the name of the data set says that they are generated.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Literal

from training.fashion_mnist import split_images
from training.generated_clips import GeneratedClips
from training.kept_arrays import kept
from training.moving_things import FRAMES, SIZE, Motion, Start, draw, flow_of, frames_of
from training.schedule import Schedule
from training.task import Examples, Proxy, Split
from training.video import VideoClassification, taken
from workspace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from search_space.architecture import InputSpec

COUNTS = {Split.TRAIN: 6_000, Split.VALIDATION: 1_200, Split.TEST: 2_400}
"""Clips of each split, each made of images of Fashion-MNIST's own split of that name."""

VERSION = 1
"""Raised when the same seed gives other clips."""

FLOW_STEPS = 16
"""Of a pixel, to which flow is rounded."""

Kind = Literal["frames", "flow"]

_SEED = 20261201
_NO_FLOW = 128
_SHAPES: dict[Kind, tuple[int, ...]] = {
    "frames": (FRAMES, SIZE, SIZE),
    "flow": (FRAMES, 2, SIZE, SIZE),
}


class MovingFashion(VideoClassification):
    """How two pieces of clothing move; a ``Task``.

    Networks take any number of frames up to all of them; of fewer, every so many as go into the
    clip. One with a second input of two channels has optical flow there: how far each pixel of a
    thing goes until the network's next frame, as if it went on as it does until the clip's.

    Args:
        frames: Of the clips that networks see.
        channels: Of the frames; grey ones are repeated.
        flow: Whether there is optical flow beside them.
    """

    name = "generated-moving-fashion"
    labels = tuple(Motion)
    classes = len(Motion)

    def __init__(self, frames: int = FRAMES, channels: int = 1, *, flow: bool = False) -> None:
        self.frames, self.channels, self.flow = frames, channels, flow

    @property
    def proxy(self) -> Proxy:
        """An epoch at the clips' own size."""
        return Proxy(
            size=SIZE,
            schedule=Schedule(samples=6400, batch=32, learning_rate=0.01),
            space_options={"channels": "1", "frames": str(FRAMES)},
        )

    def seen_by(self, inputs: tuple[InputSpec, ...]) -> MovingFashion:
        """See ``training.task.Shaped``."""
        spec, flow = taken(inputs, self.name, channels=1, flow=True)
        channels, frames = spec.shape[:2]
        if not 1 <= frames <= FRAMES:
            msg = f"the clips of {self.name!r} have {FRAMES} frames, the network takes {frames}"
            raise InputError(msg)
        return MovingFashion(frames, channels, flow=flow is not None)

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        frames = clips(split, "frames")
        return GeneratedClips(
            frames,
            labels_of(len(frames)),
            size,
            frames=self.frames,
            channels=self.channels,
            flow=clips(split, "flow") if self.flow else None,
            flow_step=1 / FLOW_STEPS,
        )


@cache
def clips(split: Split, kind: Kind) -> NDArray[np.uint8]:
    """Clips `[N, 16, 32, 32]`, or their flow `[N, 16, 2, 32, 32]`, sixteenths of a pixel from 128.

    Making either takes half a minute, once.
    """
    shape = (COUNTS[split], *_SHAPES[kind])
    return kept(
        f"{MovingFashion.name}-{VERSION}",
        f"{split}-{kind}-{COUNTS[split]}.npy",
        shape,
        partial(_made, split, kind),
    )


def labels_of(count: int) -> NDArray[np.int64]:
    """The classes of so many clips `[N]`: each as often as any other, one after the other."""
    import numpy as np

    return np.arange(count) % len(Motion)


def begun(split: Split, count: int) -> Iterator[tuple[Start, Motion]]:
    """How the first clips of a split begin, and how they go on."""
    import numpy as np

    images, _ = split_images(split)
    motions, place = tuple(Motion), list(Split).index(split)
    for number, label in enumerate(labels_of(count).tolist()):
        rng = np.random.Generator(np.random.PCG64([_SEED, place, number]))
        yield draw(rng, images), motions[label]


def _made(split: Split, kind: Kind) -> NDArray[np.uint8]:
    import numpy as np

    count = COUNTS[split]
    packed = np.empty((count, *_SHAPES[kind]), dtype=np.uint8)
    for number, (start, motion) in enumerate(begun(split, count)):
        if kind == "frames":
            packed[number] = frames_of(start, motion)
        else:
            steps = (flow_of(start, motion) * FLOW_STEPS).round() + _NO_FLOW
            packed[number] = steps.clip(0, 255).astype(np.uint8)
    return packed
