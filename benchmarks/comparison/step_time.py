"""Trainings with the CPU time of their steps alone: what they cost, whatever else runs beside."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.comparison.trainings import Job, Trained, fitted

if TYPE_CHECKING:
    from training.evaluation import Evaluation
    from training.progress import Step
    from training.stages import TrainingStage


def stepped(job: Job) -> Trained:
    """Train as ``fitted`` does; the seconds are CPU time of the steps, without evaluations.

    Images at another size are made in a step, and so are in it.
    """
    clock = StepClock()
    trained = fitted(job, clock)
    return trained if trained.failure else replace(trained, seconds=clock.seconds)


class StepClock:
    """CPU time of this process from the end of the first step on; a ``TrainingObserver``."""

    def __init__(self) -> None:
        self._steps, self._first, self._last = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Of all steps, the first one as long as the others are on average."""
        if self._steps < 2:
            return 0.0
        return (self._last - self._first) * self._steps / (self._steps - 1)

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        """See ``TrainingObserver``."""

    def on_step(self, step: Step) -> None:
        """See ``TrainingObserver``."""
        self._last = time.process_time()
        self._steps = step.number
        if step.number == 1:
            self._first = self._last

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        """See ``TrainingObserver``."""
