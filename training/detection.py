"""Images with boxes of things in them: what detection tasks share.

Targets are `[N, M, 5]` float32: class, left, top, right, bottom in pixels of the network's input;
M is the same for all batches of a split. A class of -1 pads. ``-2 - k`` is a crowd of class k: a
training takes it for background, as SpineNet's code does (tensorflow/tpu, ``retinanet_parser.py``,
``skip_crowd_during_training``), and AP counts what is found in it neither for nor against
(pycocotools).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from search_space.architecture import Detector, Head
from training.framing import drawn, framed, moved, whole
from training.task import Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    Arrays = Callable[[Sequence[int]], list[NDArray[np.uint8]]]

JITTER = (0.8, 1.2)
"""Least and largest scale of an image in training (SpineNet, arXiv 1912.05027, protocol A)."""


def crowd_of(label: int) -> int:
    """What stands for a crowd of a class in targets; the class again, of what stands for one.

    >>> crowd_of(3), crowd_of(crowd_of(3))
    (-5, 3)
    """
    return -2 - label


class BoxedImages:
    """One split of images with boxes at one size; an ``Examples``.

    Args:
        arrays: Gives images by number, each `[H, W]` or `[H, W, 3]`.
        boxes: `[N, M, 5]` float32: class, left, top, right, bottom as shares of width and height.
        size: Pixels a side that networks see.
        jitter: Least and largest scale of the augmentation.
        each: ``map``, or a pool's.
        expect: Is told which images will be asked for next.
        scaled: Gives the same examples for another jitter; None where the images serve any.
    """

    def __init__(
        self,
        arrays: Arrays,
        boxes: NDArray[np.float32],
        size: int,
        *,
        jitter: tuple[float, float] = JITTER,
        each: Callable[..., Iterable[NDArray[np.uint8]]] = map,
        expect: Callable[[Sequence[int]], None] | None = None,
        scaled: Callable[[float, float], BoxedImages] | None = None,
    ) -> None:
        self._arrays, self._boxes, self._size = arrays, boxes, size
        self._jitter, self._each, self._expect, self._scaled = jitter, each, expect, scaled

    def __len__(self) -> int:
        """How many there are."""
        return len(self._boxes)

    def expect(self, indices: Tensor) -> None:
        """Begin to read what will be asked for next."""
        if self._expect is not None:
            self._expect(indices.tolist())

    def jittered(self, low: float, high: float) -> BoxedImages:
        """The same with another augmentation."""
        if self._scaled is not None:
            return self._scaled(low, high)
        return BoxedImages(
            self._arrays,
            self._boxes,
            self._size,
            jitter=(low, high),
            each=self._each,
            expect=self._expect,
        )

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Images `[N, C, size, size]` in `[-1, 1]`, and targets `[N, M, 5]`."""
        import numpy as np
        import torch

        numbers, size = indices.tolist(), self._size
        arrays = self._arrays(numbers)
        shapes = [array.shape for array in arrays]
        if generator is None:
            frames = [whole(shape, size) for shape in shapes]
        else:
            frames = drawn(shapes, size, self._jitter, generator)
        squares = self._each(framed, arrays, frames, [size] * len(frames))
        pixels = torch.from_numpy(np.stack(list(squares)))
        pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        keep_all = {} if generator is not None else {"least": 0.0}
        boxes = [
            moved(self._boxes[number], frame, size, **keep_all)
            for number, frame in zip(numbers, frames, strict=True)
        ]
        targets = torch.from_numpy(np.stack(boxes))
        return (pixels.float().div_(127.5).sub_(1).contiguous(),), targets


class ObjectDetection:
    """What the tasks of images with boxes have in common; not a task by itself."""

    classes = 10
    """Of things."""

    channels = 1
    """1 for grey, 3 for red, green and blue."""

    anchor = 3.0
    """Side of a level's smallest square anchor, in cells of the level (arXiv 1912.05027: 3, of the
    largest networks 4)."""

    most = 100
    """Boxes that are told of an image (COCO's evaluation)."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Pixels in `[-1, 1]`, as ``BoxedImages`` gives them."""
        half = (0.5,) * self.channels
        return Preprocessing(channels=self.channels, mean=half, std=half)

    @property
    def head(self) -> Head:
        """Boxes with scores of each class, on five levels."""
        return Detector(classes=self.classes)

    def anchored(self, base: float) -> Self:
        """The same task, its boxes from other anchors; it shares the images."""
        made = copy.copy(self)
        made.anchor = base
        return made

    def loss(
        self, outputs: tuple[Tensor, ...], targets: Tensor, *, label_smoothing: float
    ) -> Tensor:
        """Focal and box loss; see ``Task.loss``. There is no label smoothing in it."""
        from training.retinanet import detection_loss

        del label_smoothing  # a loop refuses it
        return detection_loss(outputs, targets, classes=self.classes, base=self.anchor)

    def predictions(self, outputs: tuple[Tensor, ...], size: int) -> Tensor:
        """The boxes that outputs mean, `[N, D, 6]`; see ``Predicting``."""
        from training.retinanet import detections

        return detections(
            outputs, classes=self.classes, base=self.anchor, size=size, count=self.most
        )

    def figures(self, predictions: Tensor, targets: Tensor) -> Mapping[str, float]:
        """AP and what it is made of; see ``Predicting``."""
        from training.average_precision import average_precision

        return average_precision(predictions, targets, self.classes)

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """AP of predictions `[N, D, 6]`, the mean over IoU .50 to .95 and classes."""
        return self.figures(outputs, targets)["accuracy"]
