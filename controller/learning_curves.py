"""What a training will give in the end, told from how far it is and from those before it.

From each look (``training.executor.Look``) to the next, and from the last to the end, the
accuracies of earlier trainings are set against each other: a straight line with normal errors,
Bayesian, so that few trainings tell little and say so. A training that was stopped tells of the
looks it got to; with a single line from the first look to the end those that were stopped for what
came between would be missing, and the rest would promise too much. No form of the curve is
needed, unlike those of Domhan et al. ("Speeding up automatic hyperparameter optimization of deep
neural networks by extrapolation of learning curves", 2015): where a learning rate falls as a
cosine does, a curve rises again just before its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

_SLOPE, _SLOPE_DEVIATION = 0.5, 0.5
"""Of a line, beforehand: early differences are larger than those that stay."""

_ERROR, _ERROR_WEIGHT = 0.02, 2.0
"""Of an accuracy around a line, beforehand, and how many trainings that counts as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a whole training is expected to give.

    Attributes:
        accuracy: In `[0, 1]`.
        deviation: Standard deviation of its error.
    """

    accuracy: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """From the accuracy at one look to that at the next.

    Attributes:
        early: Mean of the first.
        late: Mean of the second.
        slope: Of the second against the first.
        error: Standard deviation around the line.
        trainings: How many told it.
        spread: Sum of the squares of the first around their mean, with what the prior of the
            slope counts as.
    """

    early: float
    late: float
    slope: float
    error: float
    trainings: int
    spread: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Self:
        early, late = (fmean(pair[place] for pair in pairs) for place in (0, 1))
        prior = (_ERROR / _SLOPE_DEVIATION) ** 2
        spread = prior + sum((x - early) ** 2 for x, _ in pairs)
        slope = prior * _SLOPE + sum((x - early) * (y - late) for x, y in pairs)
        slope /= spread
        squares = sum((y - late - slope * (x - early)) ** 2 for x, y in pairs)
        squares += prior * (slope - _SLOPE) ** 2
        freedom = _ERROR_WEIGHT + len(pairs) - 1
        return cls(
            early=early,
            late=late,
            slope=slope,
            error=math.sqrt((_ERROR_WEIGHT * _ERROR**2 + squares) / freedom),
            trainings=len(pairs),
            spread=spread,
        )

    def after(self, told: Expected) -> Expected:
        """At the second look, of what is told of the first."""
        away = told.accuracy - self.early
        variance = self.error**2 * (1 + 1 / self.trainings + away**2 / self.spread)
        return Expected(
            accuracy=min(max(self.late + self.slope * away, 0.0), 1.0),
            deviation=math.sqrt(variance + (self.slope * told.deviation) ** 2),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """Of trainings with looks at the same numbers of samples.

    Attributes:
        lines: From each look to the next, the last one to the end.
    """

    lines: tuple[_Line, ...]

    @classmethod
    def of(cls, curves: Sequence[Sequence[float]], looks: int) -> Self:
        """From the accuracies of trainings.

        Args:
            curves: Of each training at its looks, and in the end if it got there.
            looks: How many looks a whole training has.

        Raises:
            ValueError: If none went to its end.
        """
        lines = []
        for place in range(looks):
            pairs = [(one[place], one[place + 1]) for one in curves if len(one) > place + 1]
            if not pairs:
                msg = f"no training went from look {place + 1} of {looks} on: nothing is told"
                raise ValueError(msg)
            lines.append(_Line.of(pairs))
        return cls(lines=tuple(lines))

    def expected(self, place: int, accuracy: float) -> Expected:
        """In the end, of a training with this accuracy at look ``place``, counted from 0.

        >>> curves = LearningCurves.of([(0.4, 0.70), (0.5, 0.75), (0.6, 0.80)], looks=1)
        >>> round(curves.expected(0, 0.5).accuracy, 6)
        0.75
        """
        told = Expected(accuracy=accuracy, deviation=0.0)
        for line in self.lines[place:]:
            told = line.after(told)
        return told

    def least(self, place: int, accuracy: float, score: float) -> float:
        """The accuracy at a look from which ``accuracy`` in the end is near enough.

        Args:
            place: Of the look, counted from 0.
            accuracy: To be reached in the end.
            score: Standard deviations below it that the expectation may be.

        Returns:
            In `[0, 1]`, by halving, since deviations grow away from the mean; 0 if it is near
            enough for every one, 1 if for none.
        """
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            told = self.expected(place, middle)
            if told.accuracy + score * told.deviation < accuracy:
                low = middle
            else:
                high = middle
        return high if high > 1e-9 else 0.0
