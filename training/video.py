"""Clips with one label each, or with several: what tasks of videos share.

Inputs are clips `[N, C, T, H, W]` in `[-1, 1]`, after them, where a network takes it, optical flow
`[N, 2, T, H, W]` in pixels of the input a frame, to the right and down. Targets are labels `[N]`
int64, or of several labels `[N, classes]` float32, 1 for each that is there.

An evaluation may take several clips of a video (its views): a batch has those of one video side by
side then, and outputs become the mean of their probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_space.architecture import Head, InputSpec, VideoClassifier
from training.classification import accuracy, cross_entropy
from training.evaluation import of_scores
from training.task import ACCURACY, MAP, Preprocessing
from workspace.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

FLOW = 2
"""Channels of optical flow; an input of as many is one, others are of frames."""


class VideoClassification:
    """What the tasks of videos have in common; not a task by itself."""

    classes = 10
    """How many."""

    channels = 1
    """1 for grey, 3 for red, green and blue."""

    is_multi_label = False
    """Whether a video may be of several classes."""

    has_flow = False
    """Whether inputs are of optical flow too, or alone."""

    views = 1
    """Clips of each video that an evaluation takes."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Pixels of frames in `[-1, 1]`."""
        half = (0.5,) * self.channels
        return Preprocessing(channels=self.channels, mean=half, std=half)

    @property
    def head(self) -> Head:
        """A score for each class."""
        return VideoClassifier(classes=self.classes)

    @property
    def metric_name(self) -> str:
        """As reports call it."""
        return MAP if self.is_multi_label else ACCURACY

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """See ``Task.loss``; of several labels the mean over classes of sigmoid cross-entropy.

        Args:
            outputs: Scores `[N * views, classes]`.
            targets: Of N videos.
            label_smoothing: Of one label a video.
        """
        from torch.nn import functional

        views = len(outputs) // len(targets)  # 1 in training
        each = targets.repeat_interleave(views, dim=0) if views > 1 else targets
        if self.is_multi_label:
            return functional.binary_cross_entropy_with_logits(outputs, each)
        return cross_entropy(outputs, each, label_smoothing=label_smoothing)

    def predictions(self, outputs: Tensor, size: int) -> Tensor:
        """Probabilities `[N, classes]`, the means over views; see ``Predicting``.

        Args:
            outputs: Scores `[N * views, classes]`.
            size: Of the input; it says nothing here.
        """
        del size
        scores = outputs.float()
        shares = scores.sigmoid() if self.is_multi_label else scores.softmax(1)
        return shares.reshape(-1, self.views, shares.shape[1]).mean(1)

    def figures(self, predictions: Tensor, targets: Tensor) -> Mapping[str, float]:
        """The metric, and of one label a video top-5 and calibration; see ``Predicting``."""
        metric = {"accuracy": self.metric(predictions, targets)}
        if self.is_multi_label:
            return metric
        return {**metric, **of_scores(predictions.clamp(min=1e-30).log(), targets)}

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """Of probabilities `[N, classes]`: top-1, of several labels mAP."""
        if self.is_multi_label:
            return mean_average_precision(outputs, targets)
        return accuracy(outputs, targets)


def mean_average_precision(scores: Tensor, targets: Tensor) -> float:
    """mAP: the mean over classes of scikit-learn's average precision; 0 where nothing is there.

    A class that no example has is left out. Without ties it is what Charades' own evaluation takes
    of each class: the mean of the precisions at the places of its examples.

    Args:
        scores: `[N, classes]`; only their order counts.
        targets: `[N, classes]`, 1 or 0.
    """
    import numpy as np
    from sklearn.metrics import average_precision_score

    there = targets.any(0)
    if not there.any():
        return 0.0
    wanted, found = (each[:, there].double().cpu().numpy() for each in (targets, scores))
    return float(np.mean(average_precision_score(wanted, found, average=None)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInputs:
    """What a network of clips takes.

    Attributes:
        frames: Length of a clip.
        channels: Of its first input.
        has_frames: Whether that is of frames, not of optical flow.
        has_flow: Whether it takes optical flow, beside the frames or alone.
    """

    frames: int
    channels: int
    has_frames: bool
    has_flow: bool


def inputs_of(
    inputs: tuple[InputSpec, ...], name: str, *, channels: int, flow: bool
) -> ClipInputs:
    """What a network takes of a data set: frames, frames and optical flow, or flow alone.

    Args:
        inputs: Of the network.
        name: Of the data set, for messages.
        channels: Of its frames; grey ones may be repeated.
        flow: Whether it has flow.

    Raises:
        InputError: If they are not what a data set of clips can give.
    """
    if any(spec.name == "objects" for spec in inputs):
        msg = (
            f"the network takes maps of objects, and {name!r} has none, as no data set that ships "
            "has: take a network without stems over objects, or a task of yours"
        )
        raise InputError(msg)
    shapes = [spec.shape for spec in inputs]
    if any(len(shape) != 4 for shape in shapes):
        msg = f"{name!r} has clips [C, T, H, W], the network takes {_listed(shapes)}"
        raise InputError(msg)
    kinds = tuple(shape[0] == FLOW for shape in shapes)
    if kinds not in ((False,), (False, True), (True,)):
        msg = (
            f"{name!r} gives one input of frames and after it optical flow if need be, the "
            f"network takes {_listed(shapes)}"
        )
        raise InputError(msg)
    first = shapes[0]
    if not kinds[0] and first[0] not in (channels, 3 if channels == 1 else channels):
        msg = (
            f"the network takes {first[0]} channels, and the frames of {name!r} have {channels}: "
            "give it as many"
        )
        raise InputError(msg)
    if any(kinds) and not flow:
        msg = (
            f"the network takes optical flow, and {name!r} has none: take one that computes it in "
            "itself"
        )
        raise InputError(msg)
    if any(shape[1:] != first[1:] for shape in shapes):
        msg = f"frames and flow are of one length and size, the network takes {_listed(shapes)}"
        raise InputError(msg)
    return ClipInputs(
        frames=first[1], channels=first[0], has_frames=not kinds[0], has_flow=any(kinds)
    )


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
