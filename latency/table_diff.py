"""Two tables side by side: what they were measured on, what each lacks, how far apart they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from latency.accuracy import spearman
from latency.heads import CLASSIFIER
from latency.table import Condition, LatencyTable, differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An entry of both.

    Attributes:
        key: Of it.
        first_ms: In the first table.
        second_ms: In the second.
    """

    key: str
    first_ms: float
    second_ms: float

    @property
    def by_ms(self) -> float:
        """The second less the first."""
        return self.second_ms - self.first_ms

    @property
    def log_ratio(self) -> float:
        """Of the second over the first; infinite where one of them is 0, 0 where both are."""
        if not (self.first_ms and self.second_ms):
            return math.copysign(math.inf, self.by_ms) if self.by_ms else 0.0
        return math.log(self.second_ms) - math.log(self.first_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDiff:
    """The second table against the first.

    Attributes:
        conditions: That differ, with both values in words.
        only_first: Keys of the first table alone, in its order.
        only_second: Keys of the second alone.
        common: Entries of both, in the first's order.
    """

    conditions: Mapping[str, str]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    common: tuple[Moved, ...]

    @classmethod
    def of(cls, first: LatencyTable, second: LatencyTable) -> TableDiff:
        """Compare two tables of any conditions, which are said."""
        mine, theirs = first.entries, second.entries
        return cls(
            conditions=_conditions(first, second),
            only_first=tuple(key for key in mine if key not in theirs),
            only_second=tuple(key for key in theirs if key not in mine),
            common=tuple(
                Moved(key=key, first_ms=mine[key].ms, second_ms=theirs[key].ms)
                for key in mine
                if key in theirs
            ),
        )

    @property
    def median_ratio(self) -> float | None:
        """Of the second over the first, of entries above 0 in both; None where there is none."""
        logs = self._logs
        return math.exp(statistics.median(logs)) if logs else None

    @property
    def mad_log_ratio(self) -> float | None:
        """Median absolute deviation of the logarithms of these ratios around their median."""
        logs = self._logs
        if not logs:
            return None
        middle = statistics.median(logs)
        return statistics.median(abs(each - middle) for each in logs)

    @property
    def spearman(self) -> float | None:
        """Rank correlation over common entries; None where there are fewer than two."""
        if len(self.common) < 2:
            return None
        first = [each.first_ms for each in self.common]
        return spearman(first, [each.second_ms for each in self.common])

    def by_ratio(self, count: int) -> tuple[Moved, ...]:
        """Common entries with the largest ratios either way, largest first; none that is equal."""
        moved = (each for each in self.common if each.by_ms)
        return tuple(sorted(moved, key=lambda each: -abs(each.log_ratio))[:count])

    def by_ms(self, count: int) -> tuple[Moved, ...]:
        """Common entries that are the most milliseconds apart, largest first."""
        moved = (each for each in self.common if each.by_ms)
        return tuple(sorted(moved, key=lambda each: -abs(each.by_ms))[:count])

    @property
    def _logs(self) -> list[float]:
        return [each.log_ratio for each in self.common if each.first_ms and each.second_ms]


def _conditions(first: LatencyTable, second: LatencyTable) -> dict[str, str]:
    """In words; what one of them does not tell may differ."""
    mine, theirs = _told(first), _told(second)
    only = {name: f"{value!r} and not told" for name, value in mine.items() if name not in theirs}
    other = {name: f"not told and {value!r}" for name, value in theirs.items() if name not in mine}
    return {**differences(mine, theirs), **only, **other}


def _told(table: LatencyTable) -> dict[str, Condition]:
    more: dict[str, Condition] = {"space": table.space, "classes": table.classes}
    if table.head != CLASSIFIER:
        more["head"] = table.head
    return {**table.conditions, **{name: value for name, value in more.items() if value}}
