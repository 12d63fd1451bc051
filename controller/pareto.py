"""The candidates that no other one beats in all objectives at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """A candidate as the front sees it.

    Attributes:
        index: Of its proposal.
        losses: Of each objective, smaller is better: an accuracy is negative.
    """

    index: int
    losses: tuple[float, ...]


def dominates(first: FrontPoint, second: FrontPoint) -> bool:
    """Whether ``first`` is at least as good in all and better in one; of equals, the earlier."""
    if first.losses == second.losses:
        return first.index < second.index
    return _no_worse(first.losses, second.losses)


def with_point(front: Sequence[FrontPoint], point: FrontPoint) -> tuple[FrontPoint, ...]:
    """The front of ``front`` and one more candidate, in the order of the second objective.

    That is fastest first where the objectives are accuracy and latency.
    """
    if any(dominates(member, point) for member in front):
        return tuple(front)
    kept = [member for member in front if not dominates(point, member)]
    return tuple(sorted([*kept, point], key=lambda member: (member.losses[1:], member.index)))


def front_of(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The Pareto front, in the order of the second objective; of equal candidates the earliest.

    >>> a = FrontPoint(index=0, losses=(-0.5, 1.0))
    >>> b = FrontPoint(index=1, losses=(-0.6, 2.0))
    >>> c = FrontPoint(index=2, losses=(-0.4, 3.0))
    >>> [point.index for point in front_of([c, b, a])]
    [0, 1]
    """
    front: tuple[FrontPoint, ...] = ()
    for point in points:
        front = with_point(front, point)
    return front


def front_limit(points: Iterable[FrontPoint], losses: Sequence[float], place: int) -> float:
    """Below which loss at ``place`` a candidate is on the front; infinite if it always is.

    >>> front_limit([FrontPoint(index=0, losses=(-0.6, 2.0))], (-0.5, 9.0), 1)
    2.0

    Args:
        points: Of the front.
        losses: Of the candidate; the one at ``place`` does not count.
        place: Which of them is in question.
    """
    others = [number for number in range(len(losses)) if number != place]
    better = (
        point.losses[place]
        for point in points
        if all(point.losses[other] <= losses[other] for other in others)
    )
    return min(better, default=math.inf)


def hypervolume(points: Iterable[FrontPoint], reference: Sequence[float]) -> float:
    """The volume that a front dominates, down to a reference point (Zitzler and Thiele 1999).

    >>> hypervolume([FrontPoint(index=0, losses=(-0.75, 2.0))], (-0.5, 4.0))
    0.5

    Args:
        points: Candidates, on the front or not.
        reference: A loss of each objective; what is no better in one adds nothing.
    """
    return _volume({point.losses for point in points}, tuple(reference))


def _volume(points: Collection[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """The same of losses.

    From the worst in the last objective on, each adds what it dominates and those after it don't,
    which in the last objective are no worse (While, Bradstreet and Barone, "A fast way of
    calculating exact hypervolumes", 2012).
    """
    inside = [p for p in points if all(a < b for a, b in zip(p, reference, strict=True))]
    if len(reference) == 1:
        return max((reference[0] - point[0] for point in inside), default=0.0)
    if len(reference) == 2:
        return _area(inside, reference)
    depths, sides = reference[-1], reference[:-1]
    volume = 0.0
    left = sorted(_best(inside), key=lambda point: point[-1])
    while left:
        *flat, depth = left.pop()
        alone = math.prod(side - loss for side, loss in zip(sides, flat, strict=True))
        shared = {tuple(map(max, point, flat)) for point in left}
        volume += (depths - depth) * (alone - _volume(shared, sides))
    return volume


def _area(points: Iterable[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    area, best = 0.0, reference[0]
    for first, second in sorted(points, key=lambda point: (point[1], point[0])):
        if first < best:
            area += (best - first) * (reference[1] - second)
            best = first
    return area


def _best(points: Iterable[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Those that no other dominates, in lexicographic order."""
    kept: list[tuple[float, ...]] = []
    for point in sorted(points):
        if not any(_no_worse(other, point) for other in kept):
            kept.append(point)
    return kept


def _no_worse(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))
