"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8, embedded, no download."""

from __future__ import annotations

from functools import cache
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VALIDATION, TEST = 300, 300
"""Images held out, out of 1,797."""


class Digits(ImageClassification):
    """Ten digits; a ``Task``. Images are made larger from 8 x 8, so they have no finer detail."""

    name = "digits"
    labels = tuple(str(digit) for digit in range(10))

    @property
    def proxy(self) -> Proxy:
        """Less than two epochs of a network of some 0.1 M parameters at 28 pixels."""
        return Proxy(
            size=28,
            schedule=Schedule(samples=2000, batch=16, learning_rate=0.02),
            space_options=SMALL_IMAGES,
        )

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``."""
        images, labels = _data()
        held = split_by_label(labels, (VALIDATION, TEST), seed=20260101)
        parts = dict(zip((Split.VALIDATION, Split.TEST, Split.TRAIN), held, strict=True))
        chosen = parts[split]
        return LabelledImages(images[chosen], labels[chosen], size, shift=0.06)


@cache
def _data() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        msg = "the digits need scikit-learn: pip install 'pocketnas[train]'"
        raise OperationError(msg) from error
    found = load_digits()
    return (found.images * (255 / 16)).round().astype("uint8"), found.target.astype("int64")
