"""What whoever watches a training is told on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from training.evaluation import Evaluation
from training.stages import TrainingStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that was done.

    Attributes:
        number: Of the step, from 1 on.
        steps: Of the whole training.
        seen: Training images until now.
        images: Of this step.
        samples: Of the whole training.
        stage: Place of its stage, from 0 on.
        part: Its stage, with its batch.
        learning_rate: It was done with.
        loss: Mean since the last step that has one; None where it was not read, which a GPU has
            to be waited for.
        seconds: Of all steps until now, over all sittings.
    """

    number: int
    steps: int
    seen: int
    images: int
    samples: int
    stage: int
    part: TrainingStage
    learning_rate: float
    loss: float | None
    seconds: float


class TrainingObserver(Protocol):
    """Watches a training; what it is told is the same whether anyone watches."""

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        """Called when a stage begins, or is gone on with after a break."""
        ...

    def on_step(self, step: Step) -> None:
        """Called after every step."""
        ...

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        """Called when the network was evaluated on the way."""
        ...


class Unwatched:
    """A ``TrainingObserver`` that does nothing."""

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        """Nothing."""

    def on_step(self, step: Step) -> None:
        """Nothing."""

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        """Nothing."""
