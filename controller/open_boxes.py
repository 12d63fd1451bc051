"""What a front leaves open, as boxes: where a candidate would have to be to join it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import ge
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.int64]

Place = tuple[int, ...]

_MOST = {2: 10_000, 3: 200, 4: 40, 5: 20}
"""Members of a front of so many objectives that count, so that the boxes are some thousands."""

_MOST_BEYOND = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenBoxes:
    """The space above a reference that no member of a front dominates, in boxes that are apart.

    Attributes:
        edges: Of each objective: the reference, the members' values in rising order, infinity.
        lows: `[B, N]` places in ``edges`` where boxes begin.
        highs: `[B, N]` places where they end.
    """

    edges: tuple[Array, ...]
    lows: Places
    highs: Places

    @classmethod
    def of(cls, front: Array, reference: Sequence[float]) -> Self:
        """What ``front`` leaves open above ``reference``.

        Slab by slab along the first objective, each a front of one objective less (what Emmerich
        et al. 2008 do in cells, in as few boxes as the slabs need).

        Args:
            front: `[K, N]`, larger is better in all, on one scale. Of a front with more than
                ``_MOST`` members those farthest apart count; what the others cover is open too.
            reference: The least of each that counts.
        """
        import numpy as np

        inside = front[(front > np.asarray(reference)).all(axis=1)]
        count = len(reference)
        inside = inside[_apart(inside, _MOST.get(count, _MOST_BEYOND))]
        edges, places = [], np.empty(inside.shape, np.int64)
        for objective, least in enumerate(reference):
            values, inverse = np.unique(inside[:, objective], return_inverse=True)
            edges.append(np.concatenate([[least], values, [np.inf]]))
            places[:, objective] = inverse + 1
        tops = tuple(len(each) - 1 for each in edges)
        members = [tuple(map(int, place)) for place in places]
        boxes = np.array(_boxes(members, tops), np.int64)
        return cls(edges=tuple(edges), lows=boxes[:, 0], highs=boxes[:, 1])


def _boxes(places: Iterable[Place], tops: Place) -> list[tuple[Place, Place]]:
    """Lows and highs of what points leave open up to ``tops``."""
    if len(tops) == 2:
        return _strips(places, tops)
    boxes: list[tuple[Place, Place]] = []
    covering: list[Place] = []
    high = tops[0]
    for first, *rest in [*sorted(places, reverse=True), (0,) * len(tops)]:
        point = tuple(rest)
        if first and any(_covers(other, point) for other in covering):
            continue  # the slab goes on: in it nothing more is covered
        if first < high:
            inner = _boxes(covering, tops[1:])
            boxes += [((first, *lows), (high, *highs)) for lows, highs in inner]
            high = first
        covering = [other for other in covering if not _covers(point, other)]
        covering.append(point)
    return boxes


def _strips(places: Iterable[Place], tops: Place) -> list[tuple[Place, Place]]:
    """The same of two objectives, by the first: each strip is open above what covers it."""
    strips: list[tuple[Place, Place]] = []
    high, floor = tops[0], 0
    for first, second in sorted(places, reverse=True):
        if second > floor:
            if first < high:
                strips.append(((first, floor), (high, tops[1])))
                high = first
            floor = second
    strips.append(((0, floor), (high, tops[1])))
    return strips


def _covers(first: Place, second: Place) -> bool:
    return all(map(ge, first, second))


def _apart(points: Array, most: int) -> list[int]:
    """Up to ``most`` of points `[K, N]`: the best in each, then ever the farthest from those."""
    import numpy as np

    if len(points) <= most:
        return list(range(len(points)))
    chosen = list(dict.fromkeys(points.argmax(axis=0).tolist()))
    between = np.abs(points[:, None] - points[None, chosen]).max(axis=2).min(axis=1)
    while len(chosen) < most:
        chosen.append(int(between.argmax()))
        between = np.minimum(between, np.abs(points - points[chosen[-1]]).max(axis=1))
    return chosen
