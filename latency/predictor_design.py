"""Which networks to measure, so that a predictor learns most: D-optimal, one after the other.

Each choice is the network whose latency is least sure, given those that were chosen before:
greedily the largest determinant of what is learned about the weights (Chaloner and Verdinelli,
"Bayesian experimental design: a review", 1995, section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latency.device_prior import DevicePrior
from latency.gaussian import Weights
from latency.signatures import Parts
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    from latency.predictor import Predictor

    Array = NDArray[np.float64]

CANDIDATES = 600
"""Random networks among which is chosen: far more of them would be strange ones only."""

NOISE_SHARE = 0.01
"""Of a measurement's latency, as the choice assumes."""


def first_choice(prior: DevicePrior, candidates: Sequence[Parts], count: int) -> tuple[int, ...]:
    """Those to measure on a device of which nothing is known.

    Args:
        prior: Of the space.
        candidates: Random networks of it.
        count: How many to choose.

    Returns:
        Their indices, the most telling first.

    Raises:
        InputError: If there are fewer candidates.
    """
    lacking = prior.basis.lacking(candidates)
    prior = prior.extended(lacking) if lacking else prior
    return _chosen(prior.normal(), prior.basis.rows(candidates), count)


def next_choice(predictor: Predictor, candidates: Sequence[Parts], count: int) -> tuple[int, ...]:
    """Those to measure next, where a predictor is least sure.

    Raises:
        InputError: If there are fewer candidates.
    """
    known = predictor.covering(candidates)
    return _chosen(known.weights, known.prior.basis.rows(candidates), count)


def _chosen(weights: Weights, rows: Array, count: int) -> tuple[int, ...]:
    import numpy as np

    if count > len(rows):
        msg = f"{count} networks cannot be chosen among {len(rows)}"
        raise InputError(msg)
    relative = rows / np.maximum(rows @ weights.mean, 1e-9)[:, None]
    unsure = relative @ weights.covariance @ relative.T
    found: list[int] = []
    for _ in range(count):
        scores = np.diag(unsure).copy()
        scores[found] = -1.0
        best = int(scores.argmax())
        found.append(best)
        column = unsure[:, best]
        unsure = unsure - np.outer(column, column) / (column[best] + NOISE_SHARE**2)
    return tuple(found)
