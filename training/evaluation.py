"""What a network is worth on a split: accuracy, calibration, loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from search_space.architecture import Classifier, VideoClassifier

if TYPE_CHECKING:
    from torch import Tensor

    from search_space.architecture import Json
    from training.task import Predicting, Split, Task

BINS = 15
"""Of confidence, for the calibration error (Guo et al. 2017, arXiv 1706.04599, section 5)."""

TOP, LEAST_CLASSES = 5, 6
"""The second accuracy, and classes from which on it says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A network on a split.

    Attributes:
        split: Its name.
        examples: How many there were.
        accuracy: The task's metric, in `[0, 1]`: of classifiers top-1, of detectors AP, of videos
            with several labels mAP.
        loss: The task's, without label smoothing.
        top5: Share of labels among the five best scores; None below six classes.
        calibration_error: Expected difference of confidence and accuracy, in `[0, 1]`; None for
            what is no classifier.
        ap50: AP at an overlap of one half alone; None for what is no detector, as of the next.
        ap75: At three quarters.
        ap_small: AP of things below 32^2 pixels of the network's input; None where there is none.
        ap_medium: Below 96^2 pixels.
        ap_large: The others.
    """

    split: str
    examples: int
    accuracy: float
    loss: float
    top5: float | None = None
    calibration_error: float | None = None
    ap50: float | None = None
    ap75: float | None = None
    ap_small: float | None = None
    ap_medium: float | None = None
    ap_large: float | None = None

    def to_json(self) -> dict[str, Json]:
        """What is known, by name; ``from_json`` makes an equal value of it."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in document.items() if value is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Evaluation:
        """What ``to_json`` gave.

        Raises:
            TypeError: If a name is missing, or of no field.
        """
        return cls(**document)


def judged(scores: Tensor, targets: Tensor, task: Task, split: Split) -> Evaluation:
    """What outputs for a split, or a part of it, are worth.

    Args:
        scores: The network's outputs, float32 on the CPU.
        targets: As the task gives them.
        task: Whose.
        split: They are of.
    """
    kinds = (Classifier, VideoClassifier)
    is_classified = isinstance(task.head, kinds) and scores.ndim == 2 and targets.ndim == 1
    return Evaluation(
        split=split.value,
        examples=len(targets),
        accuracy=task.metric(scores, targets),
        loss=float(task.loss(scores, targets, label_smoothing=0.0)),
        **(of_scores(scores, targets) if is_classified else {}),
    )


def judged_predictions(
    predictions: Tensor, targets: Tensor, task: Predicting, split: Split, *, loss: float
) -> Evaluation:
    """What predictions for a split, or a part of it, are worth.

    Args:
        predictions: As the task makes them.
        targets: As the task gives them.
        task: Whose.
        split: They are of.
        loss: The mean over its images.
    """
    figures = task.figures(predictions, targets)
    return Evaluation(split=split.value, examples=len(targets), loss=loss, **figures)


def of_scores(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """What scores are worth beside top-1, by names of ``Evaluation``'s fields.

    Args:
        scores: `[N, classes]`, before softmax.
        labels: `[N]` int64.
    """
    figures = {"calibration_error": calibration_error(scores, labels)}
    if scores.shape[1] >= LEAST_CLASSES:
        figures["top5"] = top_accuracy(scores, labels, TOP)
    return figures


def top_accuracy(scores: Tensor, labels: Tensor, count: int) -> float:
    """The share of labels `[N]` that are among the ``count`` best of scores `[N, classes]`."""
    best = scores.topk(count, dim=1).indices
    return float((best == labels[:, None]).any(1).double().mean())


def calibration_error(scores: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3).

    Args:
        scores: `[N, classes]`, before softmax.
        labels: `[N]` int64.
        bins: Of equal width, of confidence.
    """
    import torch

    confidence, chosen = scores.double().softmax(1).max(1)
    right = (chosen == labels).double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.double).index_add(0, place, confidence - right)
    return float(gaps.abs().sum() / len(labels))
