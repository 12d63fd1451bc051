"""Networks against the front of others: speed-up at equal accuracy, gain at equal latency.

A front is what no other of the networks beats, in order of latency; between two neighbours it is a
straight line of accuracy over the logarithm of latency. Beyond its ends nothing is known of it and
nothing is made up: a network that it does not reach has no figure, only a bound of one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from controller.pareto import FrontPoint, front_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a network is.

    Attributes:
        accuracy: In `[0, 1]`.
        latency_ms: Positive.
    """

    accuracy: float
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a front says at a place on one of its axes.

    Attributes:
        value: Latency in ms, or accuracy; at the nearer end where the front ends before.
        beyond: 0 on the front; -1 below its least accuracy or latency, 1 above its greatest.
    """

    value: float
    beyond: int = 0

    @property
    def covered(self) -> bool:
        """Whether the front reaches the place."""
        return self.beyond == 0


@dataclass(frozen=True, slots=True)
class Front:
    """Networks of one arm that no other of them beats, fastest and least accurate first.

    >>> ends = Place(accuracy=0.8, latency_ms=1.0), Place(accuracy=0.9, latency_ms=4.0)
    >>> front = Front.of(ends)
    >>> round(front.accuracy_at(2.0).value, 6), round(front.latency_at(0.85).value, 6)
    (0.85, 2.0)

    Attributes:
        places: Accuracy and latency both grow strictly.
    """

    places: tuple[Place, ...]

    @classmethod
    def of(cls, places: Iterable[Place]) -> Self:
        """The front of some networks.

        Raises:
            ValueError: If there are none.
        """
        points = [
            FrontPoint(index=number, losses=(-place.accuracy, place.latency_ms))
            for number, place in enumerate(places)
        ]
        if not points:
            msg = "a front needs at least one network, got none"
            raise ValueError(msg)
        kept = (point.losses for point in front_of(points))
        return cls(tuple(Place(accuracy=-loss, latency_ms=time_ms) for loss, time_ms in kept))

    def accuracy_at(self, latency_ms: float) -> Reading:
        """The accuracy that the front has at a latency."""
        logs = [math.log(place.latency_ms) for place in self.places]
        return _read(logs, [place.accuracy for place in self.places], math.log(latency_ms))

    def latency_at(self, accuracy: float) -> Reading:
        """The latency in ms at which the front has an accuracy."""
        logs = [math.log(place.latency_ms) for place in self.places]
        found = _read([place.accuracy for place in self.places], logs, accuracy)
        return Reading(value=math.exp(found.value), beyond=found.beyond)


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A network against a front.

    Attributes:
        speedup: The front's latency at the network's accuracy over the network's latency. Where
            the front is not that accurate anywhere (``beyond`` 1) it is at least this, where it is
            more accurate everywhere (-1) at most.
        speedup_beyond: Whether the front reaches the accuracy; see ``Reading.beyond``.
        gain: The network's accuracy less the front's at its latency. Where the front is slower
            everywhere (``beyond`` -1) it is at least this, as far as the front tells; where it is
            faster everywhere (1) at most.
        gain_beyond: Whether the front reaches the latency; see ``Reading.beyond``.
    """

    speedup: float
    speedup_beyond: int
    gain: float
    gain_beyond: int


def against(place: Place, front: Front) -> Against:
    """How a network stands against the front of others."""
    latency, accuracy = front.latency_at(place.accuracy), front.accuracy_at(place.latency_ms)
    return Against(
        speedup=latency.value / place.latency_ms,
        speedup_beyond=latency.beyond,
        gain=place.accuracy - accuracy.value,
        gain_beyond=accuracy.beyond,
    )


def _read(xs: list[float], ys: list[float], x: float) -> Reading:
    """The value at ``x`` of the lines through `(xs, ys)`, of which ``xs`` grows strictly."""
    if x < xs[0]:
        return Reading(value=ys[0], beyond=-1)
    if x > xs[-1]:
        return Reading(value=ys[-1], beyond=1)
    right = bisect_left(xs, x)
    if xs[right] == x:
        return Reading(value=ys[right])
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return Reading(value=ys[right - 1] + share * (ys[right] - ys[right - 1]))
