"""Generated from Fashion-MNIST: one to six pieces of clothing in a cluttered scene, to be found.

Pieces are resized to between 14 and all of the scenes' 128 pixels, evenly in logarithms, so that
every one of a detector's five levels has some to find: with square anchors from 10 pixels on, a
third of the things has its best anchor on each of P3, P4 and P5, one in forty on P6 or P7. Of
each piece at least three quarters can be seen. They are no photographs, and the name of the data
set says that they are generated.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from training.average_precision import require_pycocotools
from training.detection import BoxedImages, ObjectDetection
from training.fashion_mnist import FashionMnist, split_images
from training.framing import PAD
from training.kept_arrays import kept
from training.scenes import compose
from training.schedule import Schedule
from training.task import Examples, Proxy, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIZE = 128
"""Pixels a side of the scenes."""

SIDES = (14, 128)
"""Pixels a side that a piece is resized to."""

MOST = 6
"""Pieces of a scene; as many as are drawn from 1 on and find room."""

COUNTS = {Split.TRAIN: 8_000, Split.VALIDATION: 1_000, Split.TEST: 2_000}
"""Scenes of each split, each made of images of Fashion-MNIST's own split of that name."""

VERSION = 2
"""Raised when the same seed gives other scenes."""

_SEED = 20261130
_BOXES = 5 * MOST
"""Bytes before a scene's pixels: of each piece class, left, top, width, height; a width of 0 is
none."""


class FashionScenes(ObjectDetection):
    """Which pieces of clothing are where in the scene; a ``Task``."""

    name = "generated-fashion-scenes"
    labels = FashionMnist.labels
    anchor = 1.25
    """Larger ones would leave P6 and P7, of cells of half and all of an image, nothing to find.
    The smaller they are, the fewer things an anchor overlaps by a half (0.77; at 1: 0.61), and the
    less far a short training gets."""

    most = 40

    @property
    def proxy(self) -> Proxy:
        """Four fifths of an epoch at the scenes' own size, networks of some 0.6 M parameters."""
        return Proxy(
            size=SIZE,
            schedule=Schedule(samples=6400, batch=16, learning_rate=0.004, clip=10.0),
            space_options={
                "channels": "1",
                "filter_scale": "0.1875",
                "alpha": "0.25",
                "stem_filters": "16",
                "endpoint_filters": "32",
                "head_convs": "2",
                "head_filters": "32",
                "width": "0.125",
            },
        )

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        require_pycocotools()
        images, boxes = scenes(split)
        return BoxedImages(lambda numbers: [images[number] for number in numbers], boxes, size)


@cache
def scenes(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Scenes `[N, 128, 128]` and their boxes `[N, 6, 5]`: class, then shares of the side.

    They take about half a minute to make, once.
    """
    import numpy as np

    packed = kept(
        f"{FashionScenes.name}-{VERSION}",
        f"{split}-{COUNTS[split]}.npy",
        (COUNTS[split], _BOXES + SIZE * SIZE),
        partial(_made, split),
    )
    placed = packed[:, :_BOXES].reshape(-1, MOST, 5).astype(np.float32)
    boxes = placed / np.float32(SIZE)
    boxes[..., 0] = placed[..., 0]
    boxes[..., 3:] += boxes[..., 1:3]
    boxes[placed[..., 3] == 0] = (PAD, 0, 0, 0, 0)
    return packed[:, _BOXES:].reshape(-1, SIZE, SIZE), boxes


def _made(split: Split) -> NDArray[np.uint8]:
    """`[N, 30 + 128 * 128]`: the boxes, then the pixels."""
    import numpy as np

    images, labels = split_images(split)
    packed = np.zeros((COUNTS[split], _BOXES + SIZE * SIZE), dtype=np.uint8)
    place = list(Split).index(split)
    for number in range(COUNTS[split]):
        rng = np.random.Generator(np.random.PCG64([_SEED, place, number]))
        count = int(rng.integers(1, MOST + 1))
        scene = compose(rng, images, labels, size=SIZE, things=count, sides=SIDES)
        boxes = [value for thing in scene.things for value in (thing.label, *thing.box)]
        packed[number, : len(boxes)], packed[number, _BOXES:] = boxes, scene.image.ravel()
    return packed
