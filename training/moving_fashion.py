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
from training.video import ClipInputs, VideoClassification, inputs_of
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


_ALL_FRAMES = ClipInputs(frames=FRAMES, channels=1, has_frames=True, has_flow=False)


class MovingFashion(VideoClassification):
    """How two pieces of clothing move; a ``Task``.

    Networks take any number of frames up to all of them; of fewer, every so many as go into the
    clip. An input of two channels, after the frames or alone, is optical flow: how far each pixel
    of a thing goes until the network's next frame, as if it went on as it does until the clip's.

    Args:
        inputs: What networks take.
    """

    name = "generated-moving-fashion"
    labels = tuple(Motion)
    classes = len(Motion)

    def __init__(self, inputs: ClipInputs = _ALL_FRAMES) -> None:
        self.channels, self._inputs = inputs.channels, inputs
        self.has_flow = inputs.has_flow

    @property
    def proxy(self) -> Proxy:
        """Two fifths of an epoch at the clips' own size, of networks of some 0.2 M parameters."""
        return Proxy(
            size=SIZE,
            schedule=Schedule(samples=2400, batch=24, learning_rate=0.01),
            space_options={
                "channels": "1",
                "frames": str(FRAMES),
                "width": "0.125",
                "repeats": "2,2,2,2",
                "flow": "given",
            },
        )

    def seen_by(self, inputs: tuple[InputSpec, ...]) -> MovingFashion:
        """See ``training.task.Shaped``."""
        wanted = inputs_of(inputs, self.name, channels=1, flow=True)
        if not 1 <= wanted.frames <= FRAMES:
            msg = (
                f"the clips of {self.name!r} have {FRAMES} frames, the network takes "
                f"{wanted.frames}"
            )
            raise InputError(msg)
        return MovingFashion(wanted)

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        wanted = self._inputs
        return GeneratedClips(
            clips(split, "frames") if wanted.has_frames else None,
            labels_of(COUNTS[split]),
            size,
            frames=wanted.frames,
            channels=wanted.channels,
            flow=clips(split, "flow") if wanted.has_flow else None,
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
