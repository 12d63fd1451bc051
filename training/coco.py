"""A task out of images and boxes in COCO's format: ``coco:PATH``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from training.average_precision import require_pycocotools
from training.coco_listing import BoxedListing, list_boxed
from training.detection import JITTER, BoxedImages, ObjectDetection, crowd_of
from training.framing import PAD
from training.pictures import fitted
from training.prefetch import AHEAD, Budget, Prefetch, threads
from training.schedule import Schedule
from training.task import COCO, Examples, Proxy, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from training.coco_document import CocoImage

KEPT = 4
"""Splits at a size and a jitter of which decoded images are kept for when they are asked for."""


class CocoDetection(ObjectDetection):
    """Images of a folder with their boxes; a ``Task``.

    The longer side of an image becomes the network's, the rest is padded; training sees it scaled,
    somewhere in the square, mirrored. Threads decode, as many as torch has, to no more pixels than
    the largest scale shows, and what is decoded is kept as far as a quarter of the memory that is
    free goes.

    Args:
        listing: What the folder has.
        name: As the command line has it.
    """

    channels = 3

    def __init__(self, listing: BoxedListing, name: str) -> None:
        self.name, self.labels, self.classes = name, listing.classes, len(listing.classes)
        self._listing = listing
        self._kept = lru_cache(maxsize=KEPT)(self._made)

    @property
    def proxy(self) -> Proxy:
        """Two epochs, of at most 20,000 images, at 256 pixels."""
        count = len(self._listing.splits[Split.TRAIN])
        return Proxy(
            size=256,
            schedule=Schedule(
                samples=min(2 * count, 20_000), batch=16, learning_rate=0.004, clip=10.0
            ),
            space_options={"channels": "3"},
        )

    @cached_property
    def digest(self) -> str:
        """See ``Task``."""
        return self._listing.digest

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        require_pycocotools()
        return self._kept(split, size, JITTER)

    def _made(self, split: Split, size: int, jitter: tuple[float, float]) -> BoxedImages:
        images = self._listing.splits[split]
        longest = size if split is not Split.TRAIN else round(max(1.0, jitter[1]) * size)

        def make(number: int) -> NDArray[np.uint8]:
            image = images[number]
            return fitted(self._listing.root / image.path, (image.width, image.height), longest)

        ahead = Prefetch(make, pool=self._decoding, budget=self._budget, ahead=AHEAD)
        return BoxedImages(
            ahead.take,
            _boxes(images, self._most_boxes),
            size,
            jitter=jitter,
            each=self._framing.map,
            expect=ahead.expect,
            scaled=lambda low, high: self._kept(split, size, (low, high)),
        )

    @cached_property
    def _most_boxes(self) -> int:
        """Of an image of any split."""
        splits = self._listing.splits.values()
        return max(1, *(len(image.boxes) for images in splits for image in images))

    @cached_property
    def _decoding(self) -> ThreadPoolExecutor:
        return threads("decoding")

    @cached_property
    def _framing(self) -> ThreadPoolExecutor:
        return threads("framing")  # one of its own: what decodes ahead must not be waited for

    @cached_property
    def _budget(self) -> Budget:
        return Budget.of_free_memory()


def _boxes(images: Sequence[CocoImage], most: int) -> NDArray[np.float32]:
    """`[N, most, 5]`: class, then corners as shares of width and height."""
    import numpy as np

    made = np.zeros((len(images), most, 5), dtype=np.float32)
    made[..., 0] = PAD
    for boxes, image in zip(made, images, strict=True):
        for row, box in zip(boxes, image.boxes, strict=False):
            row[0] = crowd_of(box.label) if box.is_crowd else box.label
            row[1:] = np.array(box.corners) / ((image.width, image.height) * 2)
    return made


@cache
def open_coco(name: str) -> CocoDetection:
    """The task called ``coco:PATH``; a process looks through a folder once.

    Args:
        name: With the whole path.

    Raises:
        InputError: If the folder is no data set; see ``list_boxed``.
        OperationError: If Pillow is not installed.
    """
    return CocoDetection(list_boxed(Path(name.removeprefix(COCO))), name)
