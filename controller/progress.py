"""How a search goes, for whoever shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from controller.algorithm import Evaluated, Failed, Outcome
from controller.front_box import FrontBox
from controller.objectives import DEFAULT, Names, losses_of
from controller.pareto import FrontPoint, with_point
from controller.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search is, just after an outcome was told.

    Attributes:
        outcome: The last one told.
        told: How many have been told, earlier sessions included.
        trials: How many there will be.
        best: The evaluated candidate with the highest reward so far.
        front: Pareto front so far, fastest first, or in the order of the second objective.
        box: That the hypervolume of the front is a share of.
        left_s: Estimate of what is left, from the pace of this session.
    """

    outcome: Outcome
    told: int
    trials: int
    best: Evaluated | None
    front: tuple[FrontPoint, ...]
    box: FrontBox
    left_s: float

    @property
    def hypervolume(self) -> float:
        """That the front dominates, as a share of the box; worked out when it is asked for."""
        return self.box.share(self.front)


class Observer(Protocol):
    """Is told how a search goes."""

    def on_progress(self, progress: Progress) -> None:
        """Called after each outcome, in the thread that runs the search."""
        ...


class Account:
    """The best and the front of all outcomes, earlier sessions included.

    Args:
        study: What earlier sessions told.
        trials: How many outcomes there will be.
        box: Before anything was evaluated; its objectives are those of the front.
    """

    def __init__(self, study: Study, trials: int, box: FrontBox) -> None:
        self._trials = trials
        self._box = box
        self.told = 0
        self.best: Evaluated | None = None
        self._failed = 0
        self._last_failure = ""
        self._front: tuple[FrontPoint, ...] = ()
        for candidate in study.told():
            if candidate.outcome is not None:
                self._count(candidate.outcome)
        self._before = self.told
        self._started = time.monotonic()

    @property
    def hopeless(self) -> str:
        """How the last trial failed, if every one has; else empty."""
        return self._last_failure if self._failed == self.told else ""

    def add(self, outcome: Outcome) -> Progress:
        """Count one more outcome."""
        self._count(outcome)
        pace_s = (time.monotonic() - self._started) / (self.told - self._before)
        return Progress(
            outcome=outcome,
            told=self.told,
            trials=self._trials,
            best=self.best,
            front=self._front,
            box=self._box,
            left_s=pace_s * (self._trials - self.told),
        )

    def _count(self, outcome: Outcome) -> None:
        self.told += 1
        match outcome:
            case Evaluated():
                if self.best is None or outcome.reward > self.best.reward:
                    self.best = outcome
                point = front_point(outcome, self._box.names)
                self._front = with_point(self._front, point)
                self._box = self._box.with_losses(point.losses)
            case Failed():
                self._failed += 1
                self._last_failure = outcome.text


def front_point(outcome: Evaluated, names: Names = DEFAULT) -> FrontPoint:
    """An outcome as the front of some objectives sees it.

    Raises:
        ValueError: If it lacks one.
    """
    return FrontPoint(index=outcome.proposal.index, losses=losses_of(outcome.objectives, names))
