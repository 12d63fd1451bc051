"""Images with one label each: what classification tasks share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from search_space.architecture import Classifier, Head
from training.task import Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor


WHOLE_BYTES = 1 << 30
"""Of a split's resized images at most: as floats, Fashion-MNIST's at 224 pixels are 10 GB."""


class LabelledImages:
    """Images in memory; an ``Examples``.

    Each batch is resized by itself, to the same bits as all of them at once (``prepare``).

    Args:
        images: `[N, H, W]` uint8 grey, or `[N, H, W, C]`.
        labels: `[N]` int64.
        size: Pixels a side that networks see.
        shift: Largest shift of the augmentation, as a share of the size.
        flip: Whether the augmentation mirrors left and right.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        size: int,
        *,
        shift: float = 0.0,
        flip: bool = False,
    ) -> None:
        import torch

        self._images, self._size = images, size
        self._resized: Tensor | None = None
        self._labels = torch.tensor(labels).long()
        self._shift = round(shift * size)
        self._flip = flip

    def __len__(self) -> int:
        """How many there are."""
        return len(self._labels)

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Images `[N, C, size, size]` in `[-1, 1]`, and labels `[N]`; see ``Examples.batch``."""
        if self._resized is None:
            images = _resized(self._images[indices.numpy()], self._size)
        else:
            images = self._resized[indices]
        if generator is not None:
            images = self._augmented(images, generator)
        return (images,), self._labels[indices]

    def prepare(self) -> None:
        """Resize all of them, unless that takes too much memory or none has to be."""
        count, _, side, *channels = self._images.shape
        needed = 4 * count * prod(channels) * self._size**2
        if self._resized is None and side != self._size and needed <= WHOLE_BYTES:
            self._resized = _resized(self._images, self._size)

    def _augmented(self, images: Tensor, generator: Generator) -> Tensor:
        """Shifted by whole pixels, the same for the batch, and mirrored one by one."""
        import torch
        from torch.nn import functional

        if self._shift:
            reach = self._shift
            rows, columns = torch.randint(0, 2 * reach + 1, (2,), generator=generator).tolist()
            size = images.shape[-1]
            padded = functional.pad(images, (reach,) * 4, value=-1.0)
            images = padded[:, :, rows : rows + size, columns : columns + size]
        if self._flip:
            mirrored = torch.rand(len(images), generator=generator) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        return images


def _resized(images: NDArray[np.uint8], size: int) -> Tensor:
    """`[N, C, size, size]` in `[-1, 1]` of `[N, H, W]` or `[N, H, W, C]`."""
    import torch
    from torch.nn import functional

    pixels = torch.tensor(images).float().div_(255)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    if pixels.shape[-1] != size:
        pixels = functional.interpolate(
            pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True
        )
    return pixels.sub_(0.5).div_(0.5).contiguous()


SMALL_IMAGES = {
    "strides": "small",
    "width": "0.35",
    "stem_filters": "16",
    "head_filters": "256",
    "channels": "1",
}
"""Options of a space for grey images of 28 to 64 pixels: networks of some 0.1 M parameters."""


class ImageClassification:
    """What the tasks of images with one label each have in common; not a task by itself."""

    classes = 10
    """How many."""

    channels = 1
    """1 for grey, 3 for red, green and blue."""

    @property
    def head(self) -> Head:
        """A score for each class."""
        return Classifier(classes=self.classes)

    @property
    def preprocessing(self) -> Preprocessing:
        """Pixels in `[-1, 1]`, as ``LabelledImages`` makes them."""
        halves = (0.5,) * self.channels
        return Preprocessing(channels=self.channels, mean=halves, std=halves)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """See ``Task.loss``."""
        return cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """Accuracy."""
        return accuracy(outputs, targets)


def cross_entropy(outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
    """The mean over the batch of scores `[N, classes]`.

    Targets are labels `[N]` int64, or shares of each class `[N, classes]` float32.
    """
    from torch.nn import functional

    return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of `[N, classes]` scores whose largest is at the label."""
    return float((outputs.argmax(1) == targets).double().mean())


def split_by_label(
    labels: NDArray[np.int64], counts: tuple[int, ...], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Disjoint index sets of the given sizes, each with about equal shares of every label.

    Args:
        labels: `[N]`.
        counts: Size of each set but the last, which takes what is left.
        seed: Fixes the sets.
    """
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(len(labels))
    position = np.empty(len(labels))  # of each example within its label, as a share
    for label in np.unique(labels):
        members = order[labels[order] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    spread = order[np.argsort(position[order], kind="stable")]
    bounds = np.cumsum(counts)
    # Every k-th of an order in which labels alternate would repeat their pattern: cut instead.
    return tuple(np.sort(part) for part in np.split(spread, bounds))
