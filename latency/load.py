"""Latencies on several devices as one number: how much of its target each uses.

Milliseconds of different devices are never compared or added up. What is, is the *load*: a latency
over the target of its own device, which has no unit, and is 1 at the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from workspace.errors import InputError

AT_TARGET = 1.0
"""The load of a latency that is its target."""

_TAIL = 0.025
"""Of a 95 % interval, at each end."""

_LEAST = 1e-9
"""In place of a load of 0, the lower end of an interval, whose powers are not finite."""


class FleetRule(StrEnum):
    """How the loads of a fleet's devices make one."""

    WORST = "worst"
    WEIGHTED = "weighted"
    EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A latency as a share of a target.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRule:
    """Makes one load of those of several devices.

    ``worst`` is the largest, ``weighted`` the weighted mean. ``each`` is the load of one device
    on which a network would earn what it earns on all on average: a reward is an accuracy times
    ``load ** alpha`` up to the target and ``load ** beta`` beyond (MnasNet, equation 2), so this
    is the quasi-arithmetic mean of that power. Then the reward of the load is the weighted mean
    of each device's own reward.

    >>> rule = LoadRule(kind=FleetRule.WORST, weights=(1.0, 1.0))
    >>> rule.value((0.5, 1.2))
    1.2

    Attributes:
        kind: Which of them.
        weights: Of each device, positive; they count for ``weighted`` and ``each``.
        exponents: Alpha and beta, for ``each``.
    """

    kind: FleetRule
    weights: tuple[float, ...]
    exponents: tuple[float, float] = (-0.07, -0.07)

    def __post_init__(self) -> None:
        if not self.weights:
            msg = "a fleet needs a device"
            raise InputError(msg)
        if not all(math.isfinite(weight) and weight > 0 for weight in self.weights):
            msg = f"weights of a fleet must be positive and finite, got {self.weights}"
            raise InputError(msg)
        alpha, beta = self.exponents
        if self.kind is FleetRule.EACH and not (alpha <= 0 and beta < 0):
            msg = (
                "the mean over devices of their rewards needs a reward that falls beyond the "
                f"target, got the exponents {alpha!r} and {beta!r}"
            )
            raise InputError(msg)

    def value(self, loads: Sequence[float]) -> float:
        """The one load of those of all devices, in the order of the weights, all positive."""
        match self.kind:
            case FleetRule.WORST:
                return max(loads)
            case FleetRule.WEIGHTED:
                return self._mean(loads)
            case FleetRule.EACH:
                return self._equivalent(loads)

    def combined(self, loads: Sequence[Load]) -> Load:
        """The same with its 95 % interval; what devices err by is independent."""
        if self.kind is FleetRule.WORST:
            return _worst(loads)
        return _spread(self.value, loads)

    def _mean(self, values: Sequence[float]) -> float:
        pairs = zip(self.weights, values, strict=True)
        return math.fsum(weight * value for weight, value in pairs) / math.fsum(self.weights)

    def _equivalent(self, loads: Sequence[float]) -> float:
        alpha, beta = self.exponents
        if alpha == 0 and max(loads) <= AT_TARGET:
            return max(loads)  # any load within the target earns the same
        factor = self._mean(
            [load ** (alpha if load <= AT_TARGET else beta) for load in map(_positive, loads)]
        )
        return math.pow(factor, 1 / (alpha if factor > 1 else beta))


def _positive(load: float) -> float:
    return max(load, _LEAST)


def _worst(loads: Sequence[Load]) -> Load:
    """The largest load and its interval, which holds the true one with at least 95 %.

    One device has the truly largest load, and the upper end of that one's own interval, or a
    larger one, is the upper end here. The lower end may be any device's, so each is moved
    out until all of them together err no oftener than one would (Bonferroni, errors normal).
    """
    normal = NormalDist()
    wider = normal.inv_cdf(_TAIL / len(loads)) / normal.inv_cdf(_TAIL)
    return Load(
        value=max(one.value for one in loads),
        low=max(0.0, *(one.value - wider * (one.value - one.low) for one in loads)),
        high=max(one.high for one in loads),
    )


def _spread(rule: Callable[[Sequence[float]], float], loads: Sequence[Load]) -> Load:
    """A mean and its interval: what each device's own interval moves it by, as independent."""
    values = [one.value for one in loads]
    middle = rule(values)
    lower, upper = (
        [rule([*values[:place], end, *values[place + 1 :]]) for place, end in enumerate(ends)]
        for ends in ([one.low for one in loads], [one.high for one in loads])
    )
    return Load(
        value=middle,
        low=max(0.0, middle - math.hypot(*(middle - each for each in lower))),
        high=middle + math.hypot(*(each - middle for each in upper)),
    )
