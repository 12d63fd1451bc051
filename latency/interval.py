"""Intervals for medians of few session values that cover about as often as they say.

A plain bootstrap over five sessions covers 84 to 91 % where it says 95. Here the distance of the
median from the truth, in units of the spread, is calibrated by simulation for each number of
sessions, so that small numbers get the wide intervals that they deserve.

* Times multiply rather than add (a slower clock slows everything by a factor): logarithms.
* The spread is the median distance between pairs of sessions (Shamos 1976): 86 % as efficient as
  the standard deviation where noise is normal, and unmoved while under 29 % of sessions are slow.
* Stopping as soon as the interval is narrow favours samples that look narrow by chance. ``Looks``
  says how often the data were looked at; looks after the first may use only ``MIDDLE`` of the
  error that the confidence allows, and so stop later and with a wider interval. Then the whole
  procedure of five to twelve sessions, stopping included, covers 95 to 97 % where it says 95
  for normal noise of any size, 93 to 95 % where it is strongly skewed (gamma, shape 1.5), and
  up to 98 % where a tenth of the sessions is slow (``tests/latency/test_interval.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from latency.measurement import Interval

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

FIRST, MIDDLE, LAST = 0.8, 0.2, 0.6
"""Share of the allowed error that the first look, those between, and the last may use."""

_SIMULATED = 40_000
"""Samples behind each calibration; its factor is known to about 1 %."""

_LARGE = 40
"""Sessions from which on the normal approximation is within 1 % of the simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """When a series of sessions may stop.

    Attributes:
        first: Sessions after which its interval is looked at first, at least 2.
        last: Sessions after which it ends anyway.
    """

    first: int
    last: int

    def share(self, sessions: int) -> float:
        """Of the allowed error that an interval after ``sessions`` sessions may use."""
        if self.first == self.last:
            return FIRST
        if sessions <= self.first:
            return FIRST
        return LAST if sessions >= self.last else MIDDLE


ONCE = Looks(first=2, last=2)
"""A number of sessions that was fixed beforehand."""


def interval_of_median(
    values_ms: Sequence[float], confidence: float, looks: Looks = ONCE
) -> Interval:
    """The interval that holds the true median of session values with ``confidence``.

    It is symmetric around the median on a logarithmic scale, and of no width where all values are
    equal.

    Args:
        values_ms: One a session, positive, at least two.
        confidence: In `(0, 1)`.
        looks: After which numbers of sessions the series might have stopped.

    Raises:
        ValueError: If there are fewer than two values.
    """
    if len(values_ms) < 2:
        msg = f"an interval needs at least two sessions, got {len(values_ms)}"
        raise ValueError(msg)
    logs = [math.log(value) for value in values_ms]
    allowed = looks.share(len(logs)) * (1 - confidence)
    factor = math.exp(calibration(len(logs), allowed) * _median_distance(logs))
    center = median(values_ms)
    return Interval(low_ms=center / factor, high_ms=center * factor, confidence=confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioInterval:
    """By which factor one latency is above another.

    Attributes:
        ratio: Of the medians.
        low: Lower end.
        high: Upper end.
        confidence: With which the range holds the true ratio.
    """

    ratio: float
    low: float
    high: float
    confidence: float

    @property
    def separated(self) -> bool:
        """Whether the two differ by more than their noise."""
        return not self.low <= 1.0 <= self.high


def interval_of_ratio(
    values_ms: Sequence[float], others_ms: Sequence[float], confidence: float
) -> RatioInterval:
    """The interval that holds the ratio of two true medians with ``confidence``.

    The spread is taken from both samples together. Both may have stopped when they were narrow.

    Args:
        values_ms: Sessions of the one, at least two.
        others_ms: Sessions of the other, at least two.
        confidence: In `(0, 1)`.

    Raises:
        ValueError: If either has fewer than two values.
    """
    if min(len(values_ms), len(others_ms)) < 2:
        msg = f"a comparison needs two sessions of each, got {len(values_ms)}, {len(others_ms)}"
        raise ValueError(msg)
    logs, others = ([math.log(v) for v in values] for values in (values_ms, others_ms))
    spread = median([*_distances(logs), *_distances(others)])
    allowed = (1 - confidence) * (FIRST + MIDDLE) / 2
    reach = _pair_calibration(len(logs), len(others), allowed) * spread
    difference = median(logs) - median(others)
    return RatioInterval(
        ratio=math.exp(difference),
        low=math.exp(difference - reach),
        high=math.exp(difference + reach),
        confidence=confidence,
    )


def half_width_share(values_ms: Sequence[float], interval: Interval) -> float:
    """Half the width of ``interval`` as a share of the median of ``values_ms``."""
    return (interval.high_ms - interval.low_ms) / 2 / median(values_ms)


@lru_cache(maxsize=256)
def calibration(sessions: int, allowed: float) -> float:
    """How many median pair distances the median of normal samples is from the truth, at most.

    The quantile of |median - truth| / (median distance of pairs) over seeded simulated samples,
    exceeded with probability ``allowed``.
    """
    if sessions > _LARGE:
        # Standard error of a normal median, over the median distance of two normal numbers.
        error = math.sqrt(math.pi / 2 / sessions)
        distance = math.sqrt(2) * NormalDist().inv_cdf(0.75)
        return NormalDist().inv_cdf(1 - allowed / 2) * error / distance
    import numpy as np

    return float(np.quantile(_pivots(sessions), 1 - allowed))


@lru_cache(maxsize=64)
def _pivots(sessions: int) -> NDArray[np.float64]:
    """|median| over the median distance of pairs, of simulated samples."""
    import numpy as np

    centers, distances = _simulated(sessions, seed=sessions)
    pivots: NDArray[np.float64] = np.abs(centers) / np.median(distances, axis=1)
    return pivots


@lru_cache(maxsize=64)
def _pair_calibration(sessions: int, others: int, allowed: float) -> float:
    """As ``calibration``, for the difference of two medians and the spread of both samples."""
    import numpy as np

    centers, distances = _simulated(min(sessions, _LARGE), seed=sessions)
    more_centers, more = _simulated(min(others, _LARGE), seed=1000 + others)
    spread = np.median(np.concatenate([distances, more], axis=1), axis=1)
    return float(np.quantile(np.abs(centers - more_centers) / spread, 1 - allowed))


def _simulated(sessions: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Medians `[N]` and pair distances `[N, pairs]` of normal samples."""
    import numpy as np

    count = _SIMULATED if sessions <= 12 else _SIMULATED // 4
    samples = np.random.default_rng(seed).standard_normal((count, sessions))
    first, second = np.triu_indices(sessions, 1)
    return np.median(samples, axis=1), np.abs(samples[:, first] - samples[:, second])


def _median_distance(values: Sequence[float]) -> float:
    return median(_distances(values))


def _distances(values: Sequence[float]) -> list[float]:
    return [abs(a - b) for index, a in enumerate(values) for b in values[:index]]
