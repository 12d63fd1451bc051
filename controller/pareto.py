"""The candidates that no other one beats in accuracy and latency at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """A candidate as the front sees it.

    Attributes:
        index: Of its proposal.
        accuracy: Larger is better.
        latency_ms: Smaller is better.
    """

    index: int
    accuracy: float
    latency_ms: float


def dominates(first: FrontPoint, second: FrontPoint) -> bool:
    """Whether ``first`` is at least as good in both and better in one; of equals, the earlier."""
    mine = (-first.accuracy, first.latency_ms)
    theirs = (-second.accuracy, second.latency_ms)
    if mine == theirs:
        return first.index < second.index
    return mine[0] <= theirs[0] and mine[1] <= theirs[1]


def with_point(front: Sequence[FrontPoint], point: FrontPoint) -> tuple[FrontPoint, ...]:
    """The front of ``front`` and one more candidate, fastest first."""
    if any(dominates(member, point) for member in front):
        return tuple(front)
    kept = [member for member in front if not dominates(point, member)]
    return tuple(sorted([*kept, point], key=lambda member: (member.latency_ms, member.index)))


def front_limit_ms(points: Iterable[FrontPoint], accuracy: float) -> float:
    """Below which latency a network of this accuracy is on the front; infinite if it always is.

    >>> front_limit_ms([FrontPoint(index=0, accuracy=0.6, latency_ms=2.0)], 0.5)
    2.0
    """
    better = (point.latency_ms for point in points if point.accuracy >= accuracy)
    return min(better, default=math.inf)


def hypervolume(points: Iterable[FrontPoint], *, accuracy: float, latency_ms: float) -> float:
    """The area that a front dominates, down to a reference point (Zitzler and Thiele 1999).

    >>> one = FrontPoint(index=0, accuracy=0.75, latency_ms=2.0)
    >>> hypervolume([one], accuracy=0.5, latency_ms=4.0)
    0.5

    Args:
        points: Candidates, on the front or not.
        accuracy: Of the reference point; what is no better adds nothing.
        latency_ms: Of the reference point; what is no faster adds nothing.
    """
    area, best = 0.0, accuracy
    for point in front_of(points):
        if point.accuracy > best and point.latency_ms < latency_ms:
            area += (point.accuracy - best) * (latency_ms - point.latency_ms)
            best = point.accuracy
    return area


def front_of(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The Pareto front, fastest first; of equal candidates the earliest.

    >>> a = FrontPoint(index=0, accuracy=0.5, latency_ms=1.0)
    >>> b = FrontPoint(index=1, accuracy=0.6, latency_ms=2.0)
    >>> c = FrontPoint(index=2, accuracy=0.4, latency_ms=3.0)
    >>> [point.index for point in front_of([c, b, a])]
    [0, 1]
    """
    front: tuple[FrontPoint, ...] = ()
    for point in points:
        front = with_point(front, point)
    return front
