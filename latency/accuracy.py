"""How far predicted latencies are from measured ones, as a table or predictor states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Of predictions on one device, for networks that were not fitted to.

    Errors are relative to the measured latency: 0.02 is 2 %.

    Attributes:
        networks: How many were compared, at least two.
        within_5: Share of them that are at most 5 % off.
        within_10: Share of them that are at most 10 % off.
        mape: Mean absolute error.
        median_error: Median absolute error.
        p95_error: What 95 % of the absolute errors are below, interpolated.
        spearman: Rank correlation, ties by mean rank; 0 where one side is constant.
        kendall: Tau-b, which allows for ties (Kendall 1945); 0 where one side is constant.
        interval_coverage: Share of the intervals that hold the measured latency; None where
            there were no intervals.
    """

    networks: int
    within_5: float
    within_10: float
    mape: float
    median_error: float
    p95_error: float
    spearman: float
    kendall: float
    interval_coverage: float | None = None

    @classmethod
    def of(
        cls,
        predicted_ms: Values,
        measured_ms: Values,
        *,
        low_ms: Values | None = None,
        high_ms: Values | None = None,
    ) -> Self:
        """Compare `[N]` predictions with `[N]` measurements, and with intervals if both ends come.

        Raises:
            InputError: If there are fewer than two, lengths differ, a latency is not finite or
                negative, or a measured one is 0.
        """
        import numpy as np

        predicted = _checked(predicted_ms, "predicted")
        measured = _checked(measured_ms, "measured", len(predicted))
        if not measured.all():
            msg = f"measured latencies must be above 0 ms, number {int(measured.argmin())} is 0"
            raise InputError(msg)
        errors = np.abs(predicted - measured) / measured
        covered = None
        if low_ms is not None and high_ms is not None:
            low = _checked(low_ms, "lowest", len(measured))
            high = _checked(high_ms, "highest", len(measured))
            covered = float(((low <= measured) & (measured <= high)).mean())
        return cls(
            networks=len(measured),
            within_5=float((errors <= 0.05).mean()),
            within_10=float((errors <= 0.10).mean()),
            mape=float(errors.mean()),
            median_error=float(np.median(errors)),
            p95_error=float(np.quantile(errors, 0.95)),
            spearman=spearman(predicted, measured),
            kendall=kendall(predicted, measured),
            interval_coverage=covered,
        )


def spearman(one: Values, other: Values) -> float:
    """Pearson's correlation of the ranks, tied values sharing their mean rank.

    Args:
        one: `[N]`.
        other: `[N]`.

    Returns:
        In `[-1, 1]`; 0 where one side is constant.
    """
    import numpy as np

    ranks = [_ranks(np.asarray(values, np.float64)) for values in (one, other)]
    first, second = (rank - rank.mean() for rank in ranks)
    scale = np.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / scale, -1, 1)) if scale > 0 else 0.0


def kendall(one: Values, other: Values) -> float:
    """Tau-b: pairs in the same order less those in the other, ties on either side left out.

    Takes `N` squared comparisons, a tenth of a second for 5,000.

    Args:
        one: `[N]`.
        other: `[N]`.

    Returns:
        In `[-1, 1]`; 0 where one side is constant.
    """
    import numpy as np

    first, second = (_ranks(np.asarray(values, np.float64)) for values in (one, other))
    agreed, in_first, in_second = 0.0, 0, 0
    for index in range(1, len(first)):
        signs = np.sign(first[:index] - first[index])
        others = np.sign(second[:index] - second[index])
        agreed += float(signs @ others)
        in_first += int(np.count_nonzero(signs))
        in_second += int(np.count_nonzero(others))
    return agreed / float(np.sqrt(in_first * in_second)) if in_first and in_second else 0.0


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0; `[N]`, ties share their mean."""
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return ranks


def _checked(values: Values, name: str, length: int | None = None) -> NDArray[np.float64]:
    import numpy as np

    array = np.asarray(values, np.float64)
    wanted = max(2, len(array)) if length is None and array.ndim == 1 else length
    if array.ndim != 1 or len(array) != wanted:
        count = "at least 2" if length is None else length
        msg = f"{name} latencies must be {count} in a row, got {array.shape}"
        raise InputError(msg)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        msg = (
            f"{name} latencies must be finite and not negative, "
            f"number {wrong[0]} is {array[wrong[0]]} ms"
        )
        raise InputError(msg)
    return array
