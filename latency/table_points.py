"""Latencies of a whole array of points at once, and the fastest and the slowest point of all."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from search_space.decisions import Decisions, DecisionSpace
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

Terms = Callable[[Decisions], tuple[float, ...]]
"""What the parts of the network at a point cost, in ms."""

_CHECKED_POINTS = 64
CHUNK = 8192
"""Points at a time: what a chunk needs stays in the processor's cache."""


class PointLatencies(Protocol):
    """A latency for each point of a decision space."""

    @property
    def fastest(self) -> Decisions:
        """A point with the least latency of all."""
        ...

    @property
    def slowest(self) -> Decisions:
        """A point with the greatest latency of all."""
        ...

    def latency_ms(self, point: Decisions) -> float:
        """Of one point."""
        ...

    def latencies_ms(self, points: NDArray[np.integer]) -> NDArray[np.float64]:
        """Of many points, `[N, D]` integers; `[N]` float64.

        Raises:
            InputError: If the shape or an entry does not fit.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditiveLatencies:
    """A latency for each point of a decision space: a constant and a term for each decision.

    Attributes:
        base_ms: Of the point of all first options.
        extra_ms: For each decision, what each option adds to that; 0 for the first.
        what: The space and the table, for errors.
    """

    base_ms: float
    extra_ms: tuple[tuple[float, ...], ...]
    what: str

    @classmethod
    def of(cls, space: DecisionSpace, terms: Terms, what: str) -> Self:
        """Found by trying each option once, and checked on random points.

        Raises:
            InputError: If a decision changes what another one costs.
        """
        first = (0,) * len(space.choices)
        start = Counter(terms(first))
        extra = tuple(
            tuple(
                _difference(Counter(terms(_with(first, position, option))), start)
                for option in range(count)
            )
            for position, count in enumerate(space.option_counts)
        )
        made = cls(base_ms=math.fsum(start.elements()), extra_ms=extra, what=what)
        rng = random.Random(0)
        for _ in range(_CHECKED_POINTS):
            point = space.sample(rng)
            whole = math.fsum(terms(point))
            if not math.isclose(made.latency_ms(point), whole, rel_tol=1e-9):
                msg = f"a decision of {what} changes what another one costs: one by one only"
                raise InputError(msg)
        return made

    @property
    def fastest(self) -> Decisions:
        """A point with the least latency of all."""
        return tuple(options.index(min(options)) for options in self.extra_ms)

    @property
    def slowest(self) -> Decisions:
        """A point with the greatest latency of all."""
        return tuple(options.index(max(options)) for options in self.extra_ms)

    def latency_ms(self, point: Decisions) -> float:
        """Of one point."""
        extra = (options[value] for options, value in zip(self.extra_ms, point, strict=True))
        return math.fsum((self.base_ms, *extra))

    def latencies_ms(self, points: NDArray[np.integer]) -> NDArray[np.float64]:
        """Of many points.

        Args:
            points: `[N, D]` integers, one row a point, one column a decision.

        Returns:
            `[N]` float64.

        Raises:
            InputError: If the shape or an entry does not fit.
        """
        import numpy as np

        checked(points, [len(options) for options in self.extra_ms], self.what)
        result = np.full(len(points), self.base_ms)
        tables = [np.array(options) for options in self.extra_ms]
        for start in range(0, len(points), CHUNK):
            columns = np.ascontiguousarray(points[start : start + CHUNK].T)
            part = result[start : start + CHUNK]
            for table, column in zip(tables, columns, strict=True):
                part += table[column]
        return result


def checked(points: NDArray[np.integer], option_counts: Sequence[int], what: str) -> None:
    """Do nothing if each row of ``points`` is a point.

    Raises:
        InputError: If the shape or an entry does not fit.
    """
    import numpy as np

    width = len(option_counts)
    if points.ndim != 2 or points.shape[1] != width or points.dtype.kind not in "iu":
        msg = (
            f"points of {what} must be an array [N, {width}] of integers, "
            f"got {points.dtype} {list(points.shape)}"
        )
        raise InputError(msg)
    limits = np.array(option_counts)
    if len(points) and ((points.min(axis=0) < 0).any() or (points.max(axis=0) >= limits).any()):
        msg = f"points of {what} must hold indices of options, some are out of range"
        raise InputError(msg)


def _with(point: Decisions, position: int, option: int) -> Decisions:
    return (*point[:position], option, *point[position + 1 :])


def _difference(terms: Counter[float], start: Counter[float]) -> float:
    """Sum of ``terms`` less that of ``start``, without what is in both."""
    more, less = terms - start, start - terms
    return math.fsum([*more.elements(), *(-term for term in less.elements())])
