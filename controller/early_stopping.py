"""Which trainings of a search are stopped early, and what they are taken to give.

Asynchronous successive halving in its stopping form (Li et al., "A system for massively parallel
hyperparameter tuning", 2020, arXiv 1810.05934): at each rung a training goes on if it is among the
best third of the trainings that got there, its own the last. Departures: candidates are compared
by what the search wants (the reward, or how far they are below the front), not by accuracy alone;
with the latest ones only, since a search that learns proposes ever better ones, which all would
pass those of its beginning; and a training ends, too, where its learning curve leaves it hardly a
chance to be the best (``controller.learning_curves``).

What a candidate is judged by is what had been told when it was proposed, so that a search is the
same whatever finishes first, and after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from controller.algorithm import Evaluated, Stopped
from controller.candidate import Candidate
from controller.learning_curves import Expected, LearningCurves
from controller.objectives import DEFAULT, Names, ObjectiveName, losses_of
from controller.reward import SearchReward
from training.executor import Rung, TrainingResult
from workspace.errors import InputError

LATEST = 30
"""Trainings that a new one is compared with at a rung."""

LEAST_FINISHED = 2
"""Trainings that went to their end, before any is stopped."""

CHANCE = 0.05
"""Below which chance of being the best a training ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingSettings:
    """How trainings are stopped early.

    Attributes:
        reduction: One in so many goes on at each rung, to so many times the samples (Li et al.'s
            eta, for which they take 4; 3 is from successive halving's own paper).
        rungs: How many there are: with 2 they are at a ninth and a third of the samples.
        by_front: Whether candidates are judged by the front; else by the reward.
    """

    reduction: int = 3
    rungs: int = 2
    by_front: bool = False

    def __post_init__(self) -> None:
        if self.reduction < 2 or self.rungs < 1:
            msg = (
                "early stopping needs a reduction of at least 2 and at least 1 rung, got "
                f"{self.reduction} and {self.rungs}"
            )
            raise InputError(msg)

    def samples(self, whole: int, batch: int) -> tuple[int, ...]:
        """Where the rungs are, the lowest first.

        Raises:
            InputError: If the lowest is below two batches.
        """
        found = tuple(whole // self.reduction**power for power in range(self.rungs, 0, -1))
        if found[0] < 2 * batch:
            msg = (
                f"early stopping looks at a training after {found[0]} of {whole} samples, which "
                f"are fewer than two batches of {batch}: take more samples, fewer rungs "
                f"({self.rungs}) or a smaller reduction ({self.reduction})"
            )
            raise InputError(msg)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A training that was told.

    Attributes:
        after: How many were told before.
        scale: Its reward over its accuracy.
        costs: Losses of its other objectives, the accuracy left out.
        looks: Accuracies at the rungs that it got to.
        final: Its accuracy in the end; None if it was stopped.
    """

    after: int
    scale: float
    costs: tuple[float, ...]
    looks: tuple[float, ...]
    final: float | None


class EarlyStopping:
    """Of one search.

    Args:
        settings: How.
        samples: Where the rungs are.
        reward: By which candidates are compared.
        objectives: Whose front is looked for, where candidates are judged by it.
    """

    def __init__(
        self,
        settings: StoppingSettings,
        samples: tuple[int, ...],
        reward: SearchReward,
        objectives: Names = DEFAULT,
    ) -> None:
        self._settings = settings
        self._samples = samples
        self._reward = reward
        self._costs = costs_among(objectives)
        self._told: list[_Told] = []

    def add(self, candidate: Candidate) -> None:
        """Take in a candidate whose outcome was told, in the order of tells."""
        training, latency, told = candidate.training, candidate.latency, candidate.told
        if told is None or training is None or latency is None or candidate.same_as is not None:
            return
        outcome = candidate.outcome
        if isinstance(outcome, Evaluated | Stopped) and training.looks:
            known = {one.name: one.value for one in outcome.objectives}
            known[ObjectiveName.LATENCY] = latency.latency_ms
            self._told.append(
                _Told(
                    after=told,
                    scale=self._reward.rated(1.0, known),
                    costs=losses_of(outcome.objectives, self._costs),
                    looks=tuple(look.accuracy for look in training.looks),
                    final=None if training.stopped else training.accuracy,
                )
            )

    def rule(self, after: int) -> StoppingRule:
        """For candidates that are proposed after so many outcomes were told."""
        return StoppingRule(
            settings=self._settings,
            samples=self._samples,
            told=tuple(one for one in self._told if one.after < after),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """For one candidate.

    Attributes:
        settings: How trainings are stopped.
        samples: Where the rungs are.
        told: Trainings with which it is compared, in the order of tells.
    """

    settings: StoppingSettings
    samples: tuple[int, ...]
    told: tuple[_Told, ...]

    def rungs(self, scale: float, costs: tuple[float, ...]) -> tuple[Rung, ...]:
        """What a network has to reach on the way.

        Args:
            scale: The network's reward at accuracy 1, to which all of its are in proportion.
            costs: Losses of its objectives, the accuracy left out.
        """
        return tuple(
            Rung(samples=samples, least=self._least(place, scale, costs))
            for place, samples in enumerate(self.samples)
        )

    def expected(self, result: TrainingResult) -> Expected:
        """What a training that was stopped would have given.

        Raises:
            ValueError: If it was not stopped, or no training went to its end.
        """
        if not result.stopped:
            msg = "a training that went to its end gave what it gave"
            raise ValueError(msg)
        return self._curves().expected(len(result.looks) - 1, result.looks[-1].accuracy)

    def _curves(self) -> LearningCurves:
        curves = [(*o.looks, *(() if o.final is None else (o.final,))) for o in self.told]
        return LearningCurves.of(curves, looks=len(self.samples))

    def _least(self, place: int, scale: float, costs: tuple[float, ...]) -> float:
        """Accuracy below which a network ends at a rung."""
        finished = [(one.final, one) for one in self.told if one.final is not None]
        if len(finished) < LEAST_FINISHED:
            return 0.0
        there = [one for one in self.told if len(one.looks) > place][-LATEST:]
        at_rung = [(one.looks[place], one) for one in there]
        count = (len(there) + 1) // self.settings.reduction
        passing = self._nth(at_rung, scale, costs, count)
        best = self._nth(finished, scale, costs, 1)
        return max(passing, self._curves().least(place, best, NormalDist().inv_cdf(1 - CHANCE)))

    def _nth(
        self,
        known: Sequence[tuple[float, _Told]],
        scale: float,
        costs: tuple[float, ...],
        count: int,
    ) -> float:
        """The accuracy with which a network is among the first ``count``; 0 lets every one be."""
        if count < 1:
            return 0.0
        if self.settings.by_front:
            return _below_front([(a, one.costs) for a, one in known], costs, count)
        rewards = sorted((accuracy * one.scale for accuracy, one in known), reverse=True)
        return rewards[count - 1] / scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What stopping early saved a search.

    Attributes:
        trainings: That were begun and gave a figure.
        stopped: Of these, before their end.
        share: Of the samples that all would have seen if none had been stopped.
    """

    trainings: int
    stopped: int
    share: float

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Self | None:
        """Of a search's candidates; None where none was stopped."""
        results = [c.training for c in candidates if c.training and c.same_as is None]
        stopped = sum(result.stopped for result in results)
        if not stopped:
            return None
        whole = len(results) * max(result.samples for result in results)
        return cls(
            trainings=len(results),
            stopped=stopped,
            share=sum(result.samples for result in results) / whole,
        )

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.stopped} of {self.trainings} trainings were stopped early: {self.share:.0%} "
            "of the samples of training all to the end"
        )


def costs_among(objectives: Names) -> Names:
    """All but the accuracy."""
    return tuple(name for name in objectives if name is not ObjectiveName.ACCURACY)


def _below_front(
    known: Sequence[tuple[float, tuple[float, ...]]], costs: tuple[float, ...], count: int
) -> float:
    """The accuracy with which a network is no farther below the front than ``count`` others are.

    Each is compared with the most accurate of those that cost no more in anything.
    """
    gaps = []
    for place, (accuracy, own) in enumerate(known):
        others = [a for other, (a, c) in enumerate(known) if other != place and _no_more(c, own)]
        gaps.append(max(others, default=0.0) - accuracy)
    allowed = max(sorted(gaps)[count - 1], 0.0)
    front = max((accuracy for accuracy, own in known if _no_more(own, costs)), default=0.0)
    return max(front - allowed, 0.0)


def _no_more(costs: tuple[float, ...], than: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(costs, than, strict=True))
