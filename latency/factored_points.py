"""Latencies of many points of a factorized space at once.

Decisions may change what others cost (a block's width is the next one's input), which one term a
decision cannot tell. Here each group of decisions adds what its step in the state that reaches it
takes: two look-ups a group and network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from latency.space_parts import SpaceParts
from latency.table_points import CHUNK, checked
from search_space.decisions import Decisions
from search_space.layers import Layer

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoredLatencies:
    """A latency for each point of a factorized space, whatever its decisions do to one another.

    Attributes:
        parts: The space taken apart.
        first_ms: What all networks have before their groups, and a run's own cost.
        groups_ms: For each group and state, what each tuple of decisions adds.
        last_ms: What follows, by the state that reaches it.
        what: The space and the table, for errors.
    """

    parts: SpaceParts
    first_ms: float
    groups_ms: tuple[tuple[tuple[float, ...], ...], ...]
    last_ms: tuple[float, ...]
    what: str

    @classmethod
    def of(
        cls, parts: SpaceParts, ms_of: Callable[[Layer], float], constant_ms: float, what: str
    ) -> Self:
        """Sums of what each layer takes, and a constant."""
        known = {layer: ms_of(layer) for layer in parts.frequencies()}

        def total(layers: Sequence[Layer]) -> float:
            return math.fsum(known[layer] for layer in layers)

        return cls(
            parts=parts,
            first_ms=constant_ms + total(parts.first),
            groups_ms=tuple(
                tuple(tuple(total(step.layers) for step in row) for row in group.steps)
                for group in parts.groups
            ),
            last_ms=tuple(map(total, parts.last)),
            what=what,
        )

    @property
    def fastest(self) -> Decisions:
        """A point with the least latency of all."""
        return self._best(1.0)

    @property
    def slowest(self) -> Decisions:
        """A point with the greatest latency of all."""
        return self._best(-1.0)

    def latency_ms(self, point: Decisions) -> float:
        """Of one point."""
        terms, state = [self.first_ms], 0
        for group, rows in zip(self.parts.groups, self.groups_ms, strict=True):
            index = group.index(point)
            terms.append(rows[state][index])
            state = group.steps[state][index].following
        return math.fsum((*terms, self.last_ms[state]))

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

        checked(points, self._option_counts, self.what)
        steps = [self._arrays(number) for number in range(len(self.groups_ms))]
        last = np.array(self.last_ms)
        result = np.empty(len(points))
        for start in range(0, len(points), CHUNK):
            columns = np.ascontiguousarray(points[start : start + CHUNK].T, dtype=np.intp)
            total = np.full(columns.shape[1], self.first_ms)
            state = np.zeros(columns.shape[1], np.intp)
            for group, (added_ms, following) in zip(self.parts.groups, steps, strict=True):
                index = state
                for position, count in zip(group.positions, group.option_counts, strict=True):
                    index = index * count + columns[position]
                total += added_ms[index]
                state = following[index]
            result[start : start + CHUNK] = total + last[state]
        return result

    @property
    def _option_counts(self) -> tuple[int, ...]:
        counts = {
            position: count
            for group in self.parts.groups
            for position, count in zip(group.positions, group.option_counts, strict=True)
        }
        return tuple(counts[position] for position in range(len(counts)))

    def _arrays(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """What each step of a group adds and where it leads, all states one after the other."""
        import numpy as np

        added = [ms for row in self.groups_ms[number] for ms in row]
        leads = [step.following for row in self.parts.groups[number].steps for step in row]
        return np.array(added), np.array(leads, np.intp)

    def _best(self, sign: float) -> Decisions:
        """From the last group to the first: the best way on from each state."""
        rest = [sign * ms for ms in self.last_ms]
        ways: list[list[int]] = []
        for group, rows in zip(reversed(self.parts.groups), reversed(self.groups_ms), strict=True):
            chosen, before = [], []
            for steps, row in zip(group.steps, rows, strict=True):
                costs = [
                    sign * ms + rest[step.following] for ms, step in zip(row, steps, strict=True)
                ]
                before.append(min(costs))
                chosen.append(costs.index(before[-1]))
            rest = before
            ways.insert(0, chosen)
        return self._walked(ways)

    def _walked(self, ways: Sequence[Sequence[int]]) -> Decisions:
        found: dict[int, int] = {}
        state = 0
        for group, chosen in zip(self.parts.groups, ways, strict=True):
            index = chosen[state]
            state = group.steps[state][index].following
            for position, count in zip(
                reversed(group.positions), reversed(group.option_counts), strict=True
            ):
                index, found[position] = divmod(index, count)
        return tuple(found[position] for position in range(len(found)))
