"""CIFAR-10 (Krizhevsky 2009): 60,000 small photographs, 32 x 32 pixels, of ten kinds of things.

Its 'binary version' is read. The 'python version', which others load, is a pickle, and nothing
here loads those.
"""

from __future__ import annotations

import tarfile
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from training.classification import SMALL_IMAGES, ImageClassification, split_by_label
from training.download import download
from training.schedule import Schedule
from training.task import Examples, Proxy, Split
from workspace.errors import OperationError
from workspace.files import write_whole
from workspace.home import home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
DEADLINE_S = 3600.0
"""For 170 MB."""

FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
"""Records of a byte, the class, and 3 x 32 x 32 more, the image; the last file is for tests."""

SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE

PADDING = 4 / SIDE
"""Border from which an image is cut out again, as a share of its side (He et al. 2016, 4.2)."""


class Cifar10(ImageClassification):
    """Animals and vehicles; a ``Task``. A tenth of the images for training is held out."""

    name = "cifar10"
    channels = 3
    labels = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    @property
    def proxy(self) -> Proxy:
        """About a third of an epoch at the images' own size."""
        return Proxy(
            size=SIDE,
            schedule=Schedule(samples=16_000, batch=32, learning_rate=0.02),
            space_options={**SMALL_IMAGES, "channels": "3"},
        )

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        images, labels = _data(train=split is not Split.TEST)
        if split is not Split.TEST:
            held, rest = split_by_label(labels, (len(labels) // 10,), seed=20260103)
            chosen = held if split is Split.VALIDATION else rest
            images, labels = images[chosen], labels[chosen]
        return _Photographs(images, labels, size)


class _Photographs:
    """Images as bytes, a quarter of what they would be as floats; an ``Examples``.

    Args:
        images: `[N, 3, H, W]` uint8.
        labels: `[N]` int64.
        size: Pixels a side that networks see.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], size: int) -> None:
        import torch

        self._images, self._labels = torch.from_numpy(images), torch.from_numpy(labels)
        self._size = size

    def __len__(self) -> int:
        return len(self._labels)

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Images `[N, 3, size, size]` in `[-1, 1]`, and labels `[N]`; see ``Examples.batch``."""
        from torch.nn import functional

        images = self._images[indices].float().div_(255)
        if images.shape[-1] != self._size:
            sides = (self._size, self._size)
            images = functional.interpolate(
                images, size=sides, mode="bilinear", align_corners=False, antialias=True
            )
        images = images.sub_(0.5).div_(0.5)
        if generator is not None:
            images = _cut_and_mirrored(images, round(PADDING * self._size), generator)
        return (images,), self._labels[indices]


def _cut_and_mirrored(images: Tensor, border: int, generator: Generator) -> Tensor:
    """Each image at a place of its own in itself with a black border, or its mirror image."""
    import torch
    from torch.nn import functional

    count, _, size, _ = images.shape
    rows, columns = torch.randint(0, 2 * border + 1, (2, count), generator=generator)
    padded = functional.pad(images, (border,) * 4, value=-1.0)
    places = padded.unfold(2, size, 1).unfold(3, size, 1)
    cut = places[torch.arange(count), :, rows, columns]
    mirrored = torch.rand(count, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], cut.flip(-1), cut)


def folder() -> Path:
    """Where the files lie, or are put."""
    return home() / "datasets" / "cifar-10-batches-bin"


@cache
def _data(*, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images `[N, 3, 32, 32]` and labels `[N]`."""
    import numpy as np

    place = folder()
    if not all((place / name).is_file() for name in FILES):
        _fetch(place)
    records = np.concatenate(
        [_read(place / name) for name in FILES if name.startswith("data") == train]
    )
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, SIDE, SIDE)
    return images, records[:, 0].astype(np.int64)


def _read(path: Path) -> NDArray[np.uint8]:
    """Records `[N, 3073]`."""
    import numpy as np

    content = np.fromfile(path, np.uint8)
    if len(content) == 0 or len(content) % _RECORD:
        said = f"its {len(content)} bytes are no multiple of {_RECORD}"
    elif content[::_RECORD].max() >= len(Cifar10.labels):
        said = f"it has a class {content[::_RECORD].max()}"
    else:
        return content.reshape(-1, _RECORD)
    msg = f"{str(path)!r} is no file of CIFAR-10 ({said}): remove it to have it fetched again"
    raise OperationError(msg)


def _fetch(place: Path) -> None:
    """Put the six files there; the archive is read by their names alone and not kept."""
    archive = place.with_name("cifar-10-binary.tar.gz")
    try:
        download(URL, archive, sha256=SHA256, deadline_s=DEADLINE_S)
    except OperationError as error:
        msg = f"CIFAR-10 is not on this machine: {error}; or put {URL} as {str(archive)!r}"
        raise OperationError(msg) from error
    place.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as content:
            for name in FILES:
                member = content.extractfile(f"{place.name}/{name}")
                assert member is not None  # it is a file
                write_whole(place / name, member.read())
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        msg = f"{str(archive)!r} cannot be unpacked into {str(place)!r}: {error}"
        raise OperationError(msg) from error
    archive.unlink()
