"""What a network takes beyond the sum of its parts, learned from many measured networks.

A second Gaussian process, over what the sums leave: networks that spend their time on the same
pairs of parts, beyond what is usual, deviate alike (the square of the product of what their parts
take, around the mean: a polynomial kernel of degree two, so all pairs of parts at once; Rasmussen
and Williams, 2006, section 4.2.2). Its size is chosen by evidence, and is often nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from latency.gaussian import Noise, Observations, Weights

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST_NETWORKS = 40
"""Before which what sums leave is taken for noise."""

_MOST_NETWORKS = 1500
"""That are learned from; time goes with the third power."""

_SIZES = (0.003, 0.006, 0.0125, 0.025, 0.05, 0.1)
"""Standard deviations that are tried, as shares of the latency."""

_NOISES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
_WORTH = 3.0
"""Natural logarithm of how much likelier interactions must make what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interactions:
    """Of one device.

    Attributes:
        times: `[M, W]`: where each measured network's time goes, around the mean, in units of
            ``unit``.
        middle: `[W]`: that mean.
        unit: Typical length of such a row.
        pulls: `[M]`: the inverse covariance times what the sums left.
        inverse: `[M, M]`: the inverse covariance.
        deviation: Of interactions, as a share of the latency.
        noises: That a measurement has beside them.
    """

    times: Array
    middle: Array
    unit: float
    pulls: Array
    inverse: Array
    deviation: float
    noises: tuple[Noise, ...]

    @classmethod
    def of(cls, observed: Observations, weights: Weights, noises: Sequence[Noise]) -> Self | None:
        """What is left of whole networks that are no outliers; None where that is noise.

        Args:
            observed: Measurements that the weights were fitted to.
            weights: Of the parts.
            noises: That were found with the weights.
        """
        import numpy as np

        whole = np.flatnonzero(observed.rows[:, -1] > 0)
        sums = observed.rows[whole] @ weights.mean
        left = observed.values[whole] / np.maximum(sums, 1e-9) - 1
        limit = 4 * 1.4826 * float(np.median(np.abs(left - np.median(left)))) + 1e-9
        usual = np.flatnonzero(np.abs(left - np.median(left)) <= limit)[:_MOST_NETWORKS]
        if len(usual) < LEAST_NETWORKS:
            return None
        times = observed.rows[whole[usual]] * weights.mean
        middle = times.mean(axis=0)
        unit = float(np.median(np.linalg.norm(times - middle, axis=1)))
        times = (times - middle) / max(unit, 1e-12)
        found = _best(_alike(times, times), left[usual])
        if found is None:
            return None
        deviation, noise, inverse = found
        rest = noise / float(np.hypot(noise, deviation))
        return cls(
            times=times,
            middle=middle,
            unit=unit,
            pulls=inverse @ left[usual],
            inverse=inverse,
            deviation=deviation,
            noises=tuple(replace(each, share=each.share * rest) for each in noises),
        )

    def at(self, rows: Array, weights: Array) -> tuple[Array, Array]:
        """Of networks `[N, W]`: shares of their latency, and standard deviations, `[N]` each."""
        import numpy as np

        mine = (rows * weights - self.middle) / self.unit
        across = self.deviation**2 * _alike(mine, self.times)
        own = self.deviation**2 * (mine**2).sum(axis=1) ** 2
        told = np.einsum("nm,mk,nk->n", across, self.inverse, across, optimize=True)
        return across @ self.pulls, np.sqrt(np.maximum(own - told, 0.0))


def _alike(first: Array, second: Array) -> Array:
    alike: Array = (first @ second.T) ** 2
    return alike


def _best(alike: Array, left: Array) -> tuple[float, float, Array] | None:
    """Deviation, noise and inverse covariance of the greatest evidence, if it is worth it."""
    import numpy as np

    values, vectors = np.linalg.eigh(alike)
    values = np.maximum(values, 0.0)
    turned = (vectors.T @ left) ** 2

    def evidence(deviation: float, noise: float) -> float:
        variances = deviation**2 * values + noise**2
        return float(-0.5 * (turned / variances + np.log(variances)).sum())

    plain = max(evidence(0.0, noise) for noise in _NOISES)
    score, deviation, noise = max(
        (evidence(size, noise), size, noise) for size in _SIZES for noise in _NOISES
    )
    if score < plain + _WORTH:
        return None
    return deviation, noise, (vectors / (deviation**2 * values + noise**2)) @ vectors.T
