"""A task out of a folder of images: ``folder:PATH``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from training.class_folders import LabelledFile, Listing
from training.classification import SMALL_IMAGES, ImageClassification
from training.image_listing import list_images
from training.pictures import Box, central_box, central_square, cropped, random_boxes, shrunken
from training.prefetch import AHEAD, Budget, Prefetch, threads
from training.schedule import Schedule
from training.task import FOLDER, Examples, Preprocessing, Proxy, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor


CROP = 0.875
"""Side of the square in the middle that is evaluated, as a share of the shorter side: 224 of 256
pixels, as in EfficientNet's code."""

KEPT = 4
"""Splits at a size whose decoded images are kept for when they are asked for again."""


class ImageFolder(ImageClassification):
    """Images of a folder; a ``Task``.

    Training sees random crops and mirror images, evaluation the square in the middle. Threads
    decode, as many as torch has, and what is decoded is kept as far as a quarter of the memory
    that is free goes.

    Args:
        listing: What the folder has.
        name: As the command line has it.
    """

    channels = 3

    def __init__(self, listing: Listing, name: str) -> None:
        self.name, self.labels, self.classes = name, listing.classes, len(listing.classes)
        self._listing = listing
        self._kept: dict[tuple[Split, int], _Pictures] = {}

    @property
    def preprocessing(self) -> Preprocessing:
        """Pixels in `[-1, 1]` of the square in the middle."""
        halves = (0.5,) * 3
        return Preprocessing(channels=3, mean=halves, std=halves, crop=CROP)

    @property
    def proxy(self) -> Proxy:
        """Two epochs, of at most 20,000 images, at 64 pixels."""
        count = len(self._listing.splits[Split.TRAIN])
        return Proxy(
            size=64,
            schedule=Schedule(samples=min(2 * count, 20_000), batch=32, learning_rate=0.02),
            space_options={**SMALL_IMAGES, "channels": "3"},
        )

    @cached_property
    def digest(self) -> str:
        """See ``Task``."""
        return self._listing.digest

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        key = split, size
        examples = self._kept.pop(key, None) or self._made(split, size)
        self._kept[key] = examples  # the last one
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return examples

    def _made(self, split: Split, size: int) -> _Pictures:
        pictures = self._listing.splits[split]
        paths = [self._listing.root / each.path for each in pictures]

        def make(number: int) -> NDArray[np.uint8]:
            if split is Split.TRAIN:
                return shrunken(paths[number], size)
            return central_square(paths[number], size, CROP)

        ahead = Prefetch(make, pool=self._decoding, budget=self._budget, ahead=AHEAD)
        share = CROP if split is Split.TRAIN else 1.0
        return _Pictures(pictures, ahead, size, pool=self._cropping, share=share)

    @cached_property
    def _decoding(self) -> ThreadPoolExecutor:
        return threads("decoding")

    @cached_property
    def _cropping(self) -> ThreadPoolExecutor:
        return threads("cropping")  # of its own: what is decoded ahead would stand in its way

    @cached_property
    def _budget(self) -> Budget:
        return Budget.of_free_memory()


class _Pictures:
    """One split at one size; an ``Examples``.

    Args:
        pictures: With their labels.
        ahead: Gives them as `[H, W, 3]`.
        size: Pixels a side that networks see.
        pool: Of threads that crop.
        share: Of the shorter side that the square in the middle has.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledFile],
        ahead: Prefetch,
        size: int,
        *,
        pool: ThreadPoolExecutor,
        share: float,
    ) -> None:
        import torch

        self._labels = torch.tensor([each.label for each in pictures])
        self._ahead, self._pool, self._size, self._share = ahead, pool, size, share

    def __len__(self) -> int:
        return len(self._labels)

    def expect(self, indices: Tensor) -> None:
        """Begin to decode what will be asked for next."""
        self._ahead.expect(indices.tolist())

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Images `[N, 3, size, size]` in `[-1, 1]`, and labels `[N]`; see ``Examples.batch``."""
        import numpy as np
        import torch

        arrays = self._ahead.take(indices.tolist())
        count = len(arrays)
        if generator is None:
            boxes = [central_box(array.shape[1], array.shape[0], self._share) for array in arrays]
            mirrored = [False] * count
        else:
            boxes = random_boxes([array.shape for array in arrays], generator)
            mirrored = (torch.rand(count, generator=generator) < 0.5).tolist()
        squares = self._pool.map(self._square, arrays, boxes, mirrored)
        pixels = torch.from_numpy(np.stack(list(squares))).permute(0, 3, 1, 2)
        return (pixels.float().div_(127.5).sub_(1),), self._labels[indices]

    def _square(self, array: NDArray[np.uint8], box: Box, turned: object) -> NDArray[np.uint8]:
        return cropped(array, box, self._size, mirrored=bool(turned))


@cache
def open_image_folder(name: str) -> ImageFolder:
    """The task called ``folder:PATH``; a process looks through a folder once.

    Args:
        name: With the whole path.

    Raises:
        InputError: If the folder is no data set; see ``list_images``.
        OperationError: If Pillow is not installed.
    """
    return ImageFolder(list_images(Path(name.removeprefix(FOLDER))), name)
