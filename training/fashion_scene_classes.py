"""Generated from Fashion-MNIST: one piece of clothing of 14 to 44 pixels in a cluttered scene.

Its images have detail at their own 96 pixels, unlike those of 28: a network that sees them smaller
knows less. They are no photographs, and the name of the data set says that they are generated.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from training.classification import ImageClassification, LabelledImages
from training.fashion_mnist import FashionMnist, split_images
from training.kept_arrays import kept
from training.scenes import compose
from training.schedule import Schedule
from training.task import Examples, Proxy, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIZE = 96
"""Pixels a side of the scenes."""

SIDES = (14, 44)
"""Pixels a side that a piece is resized to."""

COUNTS = {Split.TRAIN: 20_000, Split.VALIDATION: 4_000, Split.TEST: 5_000}
"""Scenes of each split, each made of images of Fashion-MNIST's own split of that name."""

VERSION = 1
"""Raised when the same seed gives other scenes."""

_SEED = 20261129
_SPACE = {"strides": "published", "width": "0.35", "stem_filters": "16", "head_filters": "256"}


class FashionSceneClasses(ImageClassification):
    """Which piece of clothing is in the scene; a ``Task``."""

    name = "generated-fashion-scene-classes"
    labels = FashionMnist.labels

    @property
    def proxy(self) -> Proxy:
        """A third of an epoch at half the images' own size."""
        return Proxy(
            size=48,
            schedule=Schedule(samples=6400, batch=32, learning_rate=0.02),
            space_options={**_SPACE, "channels": "1"},
        )

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        images, labels = _scenes(split)
        return LabelledImages(images, labels, size, shift=0.04, flip=True)


@cache
def _scenes(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Scenes `[N, 96, 96]` and the labels `[N]` of what is in them; making them takes a minute."""
    import numpy as np

    packed = kept(
        f"{FashionSceneClasses.name}-{VERSION}",
        f"{split}-{COUNTS[split]}.npy",
        (COUNTS[split], SIZE * SIZE + 1),
        partial(_made, split),
    )
    return packed[:, 1:].reshape(-1, SIZE, SIZE), packed[:, 0].astype(np.int64)


def _made(split: Split) -> NDArray[np.uint8]:
    """`[N, 1 + 96 * 96]`: the label, then the pixels."""
    import numpy as np

    images, labels = split_images(split)
    packed = np.empty((COUNTS[split], SIZE * SIZE + 1), dtype=np.uint8)
    place = list(Split).index(split)
    for number in range(COUNTS[split]):
        rng = np.random.Generator(np.random.PCG64([_SEED, place, number]))
        scene = compose(rng, images, labels, size=SIZE, things=1, sides=SIDES)
        while not scene.things:  # an image that is all but black
            scene = compose(rng, images, labels, size=SIZE, things=1, sides=SIDES)
        packed[number, 0], packed[number, 1:] = scene.things[0].label, scene.image.ravel()
    return packed
