"""Whether a task can be trained as a schedule says, found out before it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from search_space.architecture import Classifier, Detector
from training.schedule import Schedule
from training.stages import TrainingStage
from training.task import Examples, Task, is_multi_label
from workspace.errors import InputError


def require_fitting(task: Task, schedule: Schedule, parts: Sequence[TrainingStage]) -> None:
    """Do nothing if what a schedule does to images and labels can be done to those of a task.

    Args:
        task: Whose.
        schedule: How it is trained.
        parts: Its stages.

    Raises:
        InputError: If not.
    """
    is_classified = isinstance(task.head, Classifier)
    if not is_classified and any(part.regularization.changes_images for part in parts):
        msg = (
            "RandAugment, mixup and CutMix are for images with one label each, and the data set "
            f"{task.name!r} has others: leave them out of the stages"
        )
        raise InputError(msg)
    several = "boxes" if isinstance(task.head, Detector) else "several"
    if schedule.label_smoothing and (several == "boxes" or is_multi_label(task)):
        msg = (
            f"label smoothing is for one label an image, and the data set {task.name!r} has "
            f"{several}: set it to 0"
        )
        raise InputError(msg)

    if schedule.jitter and not isinstance(task.head, Detector):
        raise _nothing_to_scale(task.name)


def jittered(examples: Examples, factors: tuple[float, ...], name: str) -> Examples:
    """The same examples, scaled by other factors in training.

    Args:
        examples: Of a task.
        factors: The least and the largest.
        name: Of the task.

    Raises:
        InputError: If its augmentation scales nothing.
    """
    scaled: Callable[..., Examples] | None = getattr(examples, "jittered", None)
    if scaled is None:
        raise _nothing_to_scale(name)
    return scaled(*factors)


def _nothing_to_scale(name: str) -> InputError:
    return InputError(
        f"scale jitter is for images with boxes, and the data set {name!r} has others: leave it "
        "out of the schedule"
    )


def require_shares(parts: Sequence[TrainingStage], processes: int) -> None:
    """Do nothing if each process has a part of every batch.

    Raises:
        InputError: If not.
    """
    fewest = min(part.batch or 1 for part in parts)
    if fewest < processes:
        msg = f"a batch of {fewest} cannot be shared by {processes} processes"
        raise InputError(msg)
