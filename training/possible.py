"""Whether a task can be trained as a schedule says, found out before it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import assert_never

from search_space.architecture import Detector
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage
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
    for kind, why in impossible(task).items():
        if kind.changes_images and any(kind.of(part.regularization) for part in parts):
            msg = f"{kind} is not for the data set {task.name!r}, since {why}: leave it out"
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
    anchored(task, schedule.anchor)


class Kind(StrEnum):
    """Kinds of regularization that grow from stage to stage, as people call them."""

    DROPOUT = "dropout"
    RANDAUGMENT = "RandAugment"
    MIXUP = "mixup"
    CUTMIX = "CutMix"

    @property
    def changes_images(self) -> bool:
        """Whether it distorts or mixes images."""
        return self is not Kind.DROPOUT

    def of(self, strength: Regularization) -> float:
        """How strong it is in a stage; 0 for none."""
        return float(getattr(strength, self.lower()) or 0.0)

    def left_out(self, strength: Regularization) -> Regularization:
        """The strength of all others."""
        match self:
            case Kind.DROPOUT:
                return replace(strength, dropout=None)
            case Kind.RANDAUGMENT:
                return replace(strength, randaugment=0.0)
            case Kind.MIXUP:
                return replace(strength, mixup=0.0)
            case Kind.CUTMIX:
                return replace(strength, cutmix=0.0)
        assert_never(self)


def impossible(task: Task) -> Mapping[Kind, str]:
    """What stages may ask for and a task has no meaning for, with the reason."""
    if isinstance(task.head, Detector):
        return {
            Kind.DROPOUT: "detectors have no layer of it",
            Kind.CUTMIX: "what it leaves of a thing has no box",
        }
    if getattr(task, "has_flow", False):
        why = "optical flow is not changed with its frames"
        return dict.fromkeys((Kind.RANDAUGMENT, Kind.MIXUP, Kind.CUTMIX), why)
    return {}


def without_impossible(
    stages: Sequence[TrainingStage], task: Task
) -> tuple[tuple[TrainingStage, ...], tuple[str, ...]]:
    """Stages without what a task has no meaning for, and a sentence for each that was asked for.

    Args:
        stages: Of a rule that was published for images with one label each.
        task: That is trained.
    """
    notes, kept = [], tuple(stages)
    for kind, why in impossible(task).items():
        if any(kind.of(stage.regularization) for stage in kept):
            notes.append(f"without {kind}, since {why}")
            kept = tuple(
                replace(stage, regularization=kind.left_out(stage.regularization))
                for stage in kept
            )
    return kept, tuple(notes)


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


def anchored(task: Task, base: float) -> Task:
    """A task whose boxes start from other anchors.

    Args:
        task: As it is.
        base: See ``Schedule.anchor``; 0 for the task's own.

    Raises:
        InputError: If it has none that are known here.
    """
    if not base:
        return task
    other: Callable[[float], Task] | None = getattr(task, "anchored", None)
    if other is None:
        msg = (
            f"anchors are where a detector's boxes start from, and the data set {task.name!r} has "
            "no boxes, or anchors that only it knows: leave them out"
        )
        raise InputError(msg)
    return other(base)


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
