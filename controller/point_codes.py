"""Points of any space as option indices, so that a model of them can be fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from search_space.decisions import DecisionSpace, Point, PointSpace

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]

Place = tuple[object, ...]


class PointCodes(Protocol):
    """The decisions that points are made of, and the options that each has."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Options of each of `D` decisions."""
        ...

    @property
    def grows(self) -> bool:
        """Whether points that come may tell of decisions and options that are not here."""
        ...

    def codes(self, points: Sequence[Point]) -> Codes:
        """Option indices, `[N, D]` int64."""
        ...


def coding_of(space: PointSpace, points: Sequence[Point]) -> PointCodes:
    """For a space, of which points are known."""
    if isinstance(space, DecisionSpace):
        return DecisionCodes.of(space)
    return EntryCodes.of(points)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionCodes:
    """Of decision tuples, options that are all numbers in the order of these; a ``PointCodes``.

    Attributes:
        counts: Options of each of `D` decisions.
        starts: `[D]` int, where each decision's options begin among all.
        ranks: Of all options, one decision's after the other's.
    """

    counts: tuple[int, ...]
    starts: Codes
    ranks: Codes

    @classmethod
    def of(cls, space: DecisionSpace) -> Self:
        """For a space."""
        import numpy as np

        ranks = [_ranks(choice.options) for choice in space.choices]
        ends = np.cumsum(space.option_counts)
        return cls(
            counts=space.option_counts,
            starts=np.concatenate([[0], ends[:-1]]),
            ranks=np.concatenate(ranks),
        )

    @property
    def grows(self) -> bool:
        """See ``PointCodes``."""
        return False

    def codes(self, points: Sequence[Point]) -> Codes:
        """See ``PointCodes``."""
        import numpy as np

        array = np.array(points, np.int64).reshape(len(points), len(self.counts))
        return np.asarray(self.ranks[array + self.starts])


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCodes:
    """Of points of any kind; a ``PointCodes``.

    Each entry is a decision, at its place in the nesting, and a tuple that orders the numbers from
    0 on ("permutation") is one decision for each of them: where it stands. What a point lacks, or
    was not known when this was made, is an option too.

    Attributes:
        places: Where each decision is found.
        options: Of each decision, with its rank.
        orders: Where every known point has a permutation.
    """

    places: tuple[Place, ...]
    options: tuple[Mapping[object, int], ...]
    orders: frozenset[Place]

    @classmethod
    def of(cls, points: Sequence[Point]) -> Self:
        """For points that are known."""
        orders = _orders(points)
        found: dict[Place, set[object]] = {}
        for point in points:
            for place, value in _entries(point, orders):
                found.setdefault(place, set()).add(value)
        places = tuple(sorted(found, key=str))
        return cls(
            places=places,
            options=tuple(
                {value: rank for rank, value in enumerate(sorted(found[place], key=_key))}
                for place in places
            ),
            orders=orders,
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """See ``PointCodes``."""
        return tuple(len(options) + 1 for options in self.options)

    @property
    def grows(self) -> bool:
        """See ``PointCodes``."""
        return True

    def codes(self, points: Sequence[Point]) -> Codes:
        """See ``PointCodes``."""
        import numpy as np

        rows = np.empty((len(points), len(self.places)), np.int64)
        for row, point in zip(rows, points, strict=True):
            entries = dict(_entries(point, self.orders))
            for place, options in enumerate(self.options):
                row[place] = options.get(entries.get(self.places[place], _Absent), len(options))
        return rows


class _Absent:
    """Stands for an entry that a point lacks."""


def _ranks(options: Sequence[str]) -> list[int]:
    """Of each option: by the numbers that options are, if all are, else as given."""
    try:
        numbers = [float(option) for option in options]
    except ValueError:
        return list(range(len(options)))
    ordered = sorted(range(len(options)), key=lambda place: (numbers[place], place))
    return [ordered.index(place) for place in range(len(options))]


def _tuples(value: object, place: Place = ()) -> Iterator[tuple[Place, tuple[object, ...]]]:
    """Every tuple in a point, with where it is."""
    if isinstance(value, tuple):
        yield place, value
        for number, item in enumerate(value):
            yield from _tuples(item, (*place, number))


def _orders(points: Sequence[Point]) -> frozenset[Place]:
    """Where every point has each number from 0 on once, and they are two at least."""
    found: dict[Place, bool] = {}
    for point in points:
        for place, items in _tuples(point):
            whole = all(type(item) is int for item in items)
            order = len(items) > 1 and whole and set(items) == set(range(len(items)))
            found[place] = found.get(place, True) and order
    return frozenset(place for place, order in found.items() if order)


def _entries(
    value: object, orders: frozenset[Place], place: Place = ()
) -> Iterator[tuple[Place, object]]:
    """Every number and text in a point, with where it is."""
    if not isinstance(value, tuple):
        yield place, value
        return
    yield (*place, "length"), len(value)
    for number, item in enumerate(value):
        if place in orders:
            yield (*place, "place of", item), number
        else:
            yield from _entries(item, orders, (*place, number))


def _key(value: object) -> tuple[bool, float, str]:
    """Numbers first, by size."""
    if isinstance(value, int | float):
        return (False, float(value), "")
    return (True, 0.0, str(value))
