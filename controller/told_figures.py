"""Figures of candidates beside accuracy and latency, as far as objectives or a reward ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.network_figures import Figure, figures_of
from controller.objectives import ObjectiveName
from exporters.artifact import Precision
from search_space.architecture import Architecture, Head
from training.executor import TrainingError, TrainingResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldFigures:
    """Who tells them, and how they are counted.

    Attributes:
        asked: Names of objectives; those that something else tells are left out.
        head: What networks end in.
        precision: Of the file whose size may be asked for.
        timed_size: Input size that counts; None for the architecture's own.
        batch: Images of a training step.
    """

    asked: frozenset[str]
    head: Head
    precision: Precision
    timed_size: int | None
    batch: int

    def of_network(self, architecture: Architecture) -> Mapping[str, float]:
        """Those that the network itself tells.

        Raises:
            InputError: If its layers are not known, or it cannot run at the size.
        """
        if set(Figure).isdisjoint(self.asked):
            return {}
        size = self.timed_size
        timed = architecture if size is None else architecture.at(size)
        return figures_of(timed, self.head, self.precision, self.asked)

    def of_training(self, result: TrainingResult) -> Mapping[str, float]:
        """Those that only a training tells; a step takes its whole time over its steps.

        Raises:
            TrainingError: If it did not tell what is asked for.
        """
        if ObjectiveName.TRAIN_STEP_MS not in self.asked:
            return {}
        if result.samples < 1 or not result.seconds > 0:
            msg = (
                f"the training told no time of its steps: {result.samples} samples in "
                f"{result.seconds:g} s"
            )
            raise TrainingError(msg)
        steps = result.samples / self.batch
        return {ObjectiveName.TRAIN_STEP_MS: 1000 * result.seconds / steps}
