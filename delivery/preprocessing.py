"""What an app does to a picture before a network, and what a network's scores mean.

A task says both of itself (``training.task.Task``); what it does not say is stated as not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.detection import ObjectDetection
from training.framing import PADDING
from training.task import Preprocessing
from workspace.errors import InputError

if TYPE_CHECKING:
    from delivery.network import Network
    from search_space.architecture import InputSpec, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """From a picture of bytes to the input of a network.

    Attributes:
        size: Pixels a side of the input.
        channels: Of the input; a grey picture's one channel is repeated.
        pixels: What becomes of each.
        padding: Byte around a picture that is no square: its longer side becomes the input's, at
            the upper left; None where width and height become the input's each.
    """

    size: int
    channels: int
    pixels: Preprocessing
    padding: int | None = None

    def __post_init__(self) -> None:
        pixels, colours = self.pixels, self.pixels.channels
        if {len(pixels.mean), len(pixels.std)} != {colours} or 0 in pixels.std:
            msg = f"need a mean and a deviation for each of {colours} channels, got {pixels}"
            raise InputError(msg)
        if pixels.crop is not None and not 0 < pixels.crop <= 1:
            msg = f"the square in the middle must have a share in (0, 1], got {pixels.crop!r}"
            raise InputError(msg)
        if colours not in (1, self.channels):
            msg = f"the network takes {self.channels} channels, its task's pictures have {colours}"
            raise InputError(msg)

    def to_json(self) -> dict[str, Json]:
        """As ``preprocessing.json`` has it."""
        return {
            "version": 1,
            "is_known": True,
            "size": self.size,
            "channels": self.channels,
            "colours": self.pixels.channels,
            "crop": self.pixels.crop,
            "padding": self.padding,
            "resize": "bilinear, antialiased, pixel centers at halves",
            "scale": 1 / 255,
            "mean": [*self.pixels.mean],
            "std": [*self.pixels.std],
            "words": self.words(),
        }

    def words(self) -> str:
        """The same for people."""
        repeated = ""
        if self.channels != self.pixels.channels:
            repeated = f"; the one channel is repeated {self.channels} times"
        padded = ""
        if self.padding is not None:
            padded = (
                f"; of a picture that is no square the longer side becomes {self.size} pixels, "
                f"and what is left at the right or the bottom has bytes of {self.padding}"
            )
        return f"{self.pixels.words(self.size)}{padded}{repeated}."


UNKNOWN: dict[str, Json] = {
    "version": 1,
    "is_known": False,
    "words": "Not known: the network has no dataset, or its dataset does not say.",
}
"""``preprocessing.json`` where nobody says."""


def preparation_of(network: Network) -> Preparation | None:
    """What is to be done to a picture; None where nobody says.

    Raises:
        InputError: If a task says it in a way that makes no sense.
    """
    specs = network.architecture.inputs
    if isinstance(network.task, ObjectDetection):
        return _of_detector(network.task, specs)
    said = getattr(network.task, "preprocessing", None)
    if not isinstance(said, Preprocessing) or len(specs) != 1 or len(specs[0].shape) != 3:
        return None
    channels, _, size = specs[0].shape
    return Preparation(size=size, channels=channels, pixels=said)


def _of_detector(task: ObjectDetection, specs: tuple[InputSpec, ...]) -> Preparation:
    """What ``training.detection.BoxedImages`` does without augmentation."""
    channels, _, size = specs[0].shape
    return Preparation(size=size, channels=channels, pixels=task.preprocessing, padding=PADDING)


def labels_of(network: Network) -> tuple[str, ...] | None:
    """A name for each score; None where nobody names them.

    Raises:
        InputError: If a task names another number of classes than it has.
    """
    said = getattr(network.task, "labels", None)
    if isinstance(said, str) or not isinstance(said, Sequence):
        return None
    classes = network.head.classes
    found = tuple(map(str, said))
    if len(found) != classes or any("\n" in name for name in found):
        msg = f"{classes} labels of one line each are needed, the task names {list(found)}"
        raise InputError(msg)
    return found
