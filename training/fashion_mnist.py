"""Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747): 70,000 grey images of clothes, 28 x 28."""

from __future__ import annotations

import gzip
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from training.classification import (
    SMALL_IMAGES,
    ImageClassification,
    LabelledImages,
    split_by_label,
)
from training.schedule import Schedule
from training.task import Examples, Proxy, Split
from workspace.errors import OperationError
from workspace.home import home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package ``dataset-fashion-mnist`` puts it."""

VALIDATION = 10_000
"""Images held out of the 60,000 for training."""

_FILES = {True: "train-{}-idx{}-ubyte.gz", False: "t10k-{}-idx{}-ubyte.gz"}


class FashionMnist(ImageClassification):
    """Ten kinds of clothes; a ``Task``."""

    name = "fashion-mnist"
    labels = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    @property
    def proxy(self) -> Proxy:
        """An eighth of an epoch at the images' own size."""
        return Proxy(
            size=28,
            schedule=Schedule(samples=6400, batch=32, learning_rate=0.02),
            space_options=SMALL_IMAGES,
        )

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        images, labels = split_images(split)
        return LabelledImages(images, labels, size, shift=0.07, flip=True)


def split_images(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images `[N, 28, 28]` and labels `[N]` of a split.

    Raises:
        OperationError: If the data is not there; the text says how to get it.
    """
    images, labels = _data(train=split != Split.TEST)
    if split == Split.TEST:
        return images, labels
    held, rest = split_by_label(labels, (VALIDATION,), seed=20260102)
    chosen = held if split == Split.VALIDATION else rest
    return images[chosen], labels[chosen]


def folder() -> Path | None:
    """Where the four files lie on this machine; None where they do not."""
    downloaded = home() / "datasets" / "FashionMNIST" / "raw"
    names = [_FILES[train].format(kind, rank) for train in _FILES for kind, rank in _KINDS]
    for candidate in (DEBIAN_FOLDER, downloaded):
        if all((candidate / name).is_file() for name in names):
            return candidate
    return None


_KINDS = (("images", 3), ("labels", 1))


@cache
def _data(*, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images `[N, 28, 28]` and labels `[N]`."""
    found = folder() or _downloaded()
    images, labels = (
        _read(found / _FILES[train].format(kind, rank), rank) for kind, rank in _KINDS
    )
    return images, labels.astype("int64")


def _read(path: Path, rank: int) -> NDArray[np.uint8]:
    """An IDX file of bytes (LeCun's format: magic 0x000008 and the rank, then the lengths)."""
    import numpy as np

    try:
        content = gzip.decompress(path.read_bytes())
        magic, *shape = np.frombuffer(content, dtype=">i4", count=1 + rank).tolist()
        if magic != 0x0800 + rank:
            msg = f"it begins with {magic:#010x}"
            raise ValueError(msg)
        return np.frombuffer(content, dtype=np.uint8, offset=4 * (1 + rank)).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        msg = (
            f"{str(path)!r} is no IDX file of rank {rank} ({error}): remove it to have it fetched "
            "again"
        )
        raise OperationError(msg) from error


def _downloaded() -> Path:
    """The folder that torchvision downloads into."""
    try:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(str(home() / "datasets"), download=True)
    except Exception as error:  # torchvision raises what its many mirrors raise
        msg = (
            "Fashion-MNIST is not on this machine and cannot be downloaded "
            f"({type(error).__name__}): apt-get install dataset-fashion-mnist"
        )
        raise OperationError(msg) from error
    found = folder()
    if found is None:
        msg = "the download of Fashion-MNIST is incomplete: apt-get install dataset-fashion-mnist"
        raise OperationError(msg)
    return found
