"""Predicts latencies of networks on one device, from few measurements there and other devices.

What parts cost on a device are Gaussian weights: before it is measured a draw around other devices
(``latency.device_prior``), afterwards what ``latency.gaussian`` makes of its measurements. How far
a device may be from all others is not known beforehand: several widths are averaged over by
evidence. With measurements enough, what a network takes beyond the sum of its parts is learned
too (``latency.interactions``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from latency.device_prior import DevicePrior
from latency.evidence import Measurement
from latency.gaussian import (
    Fit,
    Noise,
    Observations,
    Weights,
    fits,
    intervals,
    mixed,
    noise_shares,
    weights_of,
)
from latency.interactions import Interactions
from latency.signatures import Parts
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST_MEASUREMENTS = 5
"""Of a device: for its scale, its noise, and something of what is its own."""

FREE_FACTORS = (2.0, 4.0)
"""By which a device's free deviations may be wider than is usual among others: those that are
known are fewer, and more alike, than those that will come."""

_COMPARED = 400
"""Measurements that tell widths and noises apart; weights are fitted to all."""

_LEAST_WEIGHT = 0.005
"""Of a fit that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Latencies of `N` networks in milliseconds, where one measurement would lie.

    Attributes:
        latency_ms: `[N]` float64.
        low_ms: `[N]`, lower ends of the intervals.
        high_ms: `[N]`, upper ends.
        coverage: `[N]`: share of each network's parts that this device, or another one, was
            measured with; what is left is extrapolated from costs.
    """

    latency_ms: Array
    low_ms: Array
    high_ms: Array
    coverage: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictor:
    """Of one device.

    Attributes:
        prior: What other devices tell.
        measurements: On this one.
        scale_ms: What a typical network takes, about; the weights' unit.
        weights: After the measurements.
        noises: That a measurement may have, with their probabilities.
        interactions: What networks take beyond sums; None as long as that is noise.
    """

    prior: DevicePrior
    measurements: tuple[Measurement, ...]
    scale_ms: float
    weights: Weights
    noises: tuple[Noise, ...]
    interactions: Interactions | None

    @classmethod
    def of(cls, prior: DevicePrior, measurements: Sequence[Measurement]) -> Self:
        """Fit to measurements.

        Args:
            prior: Of the space; parts that it lacks are taken in.
            measurements: On the device, ``LEAST_MEASUREMENTS`` or more whole networks among them.

        Raises:
            InputError: If they are too few.
        """
        whole = sum(each.whole for each in measurements)
        if whole < LEAST_MEASUREMENTS:
            msg = (
                f"a predictor needs at least {LEAST_MEASUREMENTS} measured networks of its "
                f"device, got {whole}"
            )
            raise InputError(msg)
        lacking = prior.basis.lacking(each.parts for each in measurements)
        prior = prior.extended(lacking) if lacking else prior
        scale_ms, observed = _observed(prior, measurements)
        kept = _kept(_compared(prior, observed))
        weights = mixed((share, _refitted(fit, observed).posterior()) for share, fit in kept)
        noises = tuple(
            Noise(share=fit.noise.share, outliers=fit.noise.outliers, weight=share)
            for share, fit in kept
        )
        return cls(
            prior=prior,
            measurements=tuple(measurements),
            scale_ms=scale_ms,
            weights=weights,
            noises=noises,
            interactions=Interactions.of(observed, weights, noises),
        )

    def predict(self, networks: Sequence[Parts], confidence: float = 0.9) -> Predictions:
        """Latencies, with intervals that hold one measurement with this probability.

        Args:
            networks: Of any parts.
            confidence: In `(0, 1)`.
        """
        import numpy as np

        known = self.covering(networks)
        if known is not self:
            return known.predict(networks, confidence)
        rows = self.prior.basis.rows(networks)
        sums, deviations = self.weights.sums(rows)
        sizes = np.maximum(sums, 1e-3 * np.abs(rows @ self.prior.mean))
        noises = self.noises
        if self.interactions is not None:
            beyond, more = self.interactions.at(rows, self.weights.mean)
            sizes = np.maximum(sizes * (1 + beyond), 1e-3 * sizes)
            deviations = np.hypot(deviations, more * sizes)
            noises = self.interactions.noises
        low, high = intervals(sizes, deviations, noises, confidence)
        return Predictions(
            latency_ms=self.scale_ms * sizes,
            low_ms=self.scale_ms * low,
            high_ms=self.scale_ms * high,
            coverage=self._coverage(networks),
        )

    def with_measurements(self, more: Sequence[Measurement]) -> Self:
        """Fitted anew, with ``more`` beside its own."""
        return self.of(self.prior, (*self.measurements, *more))

    @property
    def known(self) -> frozenset[str]:
        """Keys of parts that this device or another one was measured with."""
        own = (part.key for each in self.measurements for part in each.parts)
        return self.prior.known.union(own)

    def covering(self, networks: Sequence[Parts]) -> Self:
        """Itself, or one that has all parts of ``networks``."""
        lacking = self.prior.basis.lacking(networks)
        if not lacking:
            return self
        return self.of(self.prior.extended(lacking), self.measurements)

    def _coverage(self, networks: Sequence[Parts]) -> Array:
        import numpy as np

        known = self.known
        shares = [
            sum(part.key in known for part in parts) / max(len(parts), 1) for parts in networks
        ]
        return np.array(shares, np.float64)


def _observed(
    prior: DevicePrior, measurements: Sequence[Measurement]
) -> tuple[float, Observations]:
    """What a typical network takes, about; and the measurements in that unit."""
    import numpy as np

    rows, latencies, variances = prior.basis.observed(measurements)
    sizes = np.maximum(rows @ prior.mean, 1e-9)
    scale_ms = float(np.median(latencies / sizes))
    return scale_ms, Observations(
        rows=rows,
        values=latencies / scale_ms,
        variances=variances / scale_ms**2,
        sizes=sizes,
    )


def _compared(prior: DevicePrior, observed: Observations) -> list[tuple[float, Fit]]:
    """Every width and noise on at most some of the measurements, with its probability."""
    some = observed.some(_COMPARED)
    priors = [prior.normal(free) for free in FREE_FACTORS]
    found = fits(priors, some, noise_shares(len(some.values)))
    return list(zip(weights_of(found), found, strict=True))


def _kept(found: Sequence[tuple[float, Fit]]) -> list[tuple[float, Fit]]:
    """Those that are likely enough, their probabilities summing to 1 again."""
    kept = [(share, fit) for share, fit in found if share >= _LEAST_WEIGHT]
    total = sum(share for share, _ in kept)
    return [(share / total, fit) for share, fit in kept]


def _refitted(fit: Fit, observed: Observations) -> Fit:
    """Of all measurements, if it was of some."""
    from latency.gaussian import fitted

    if len(fit.observations.values) == len(observed.values):
        return fit
    return fitted(fit.prior, observed, fit.noise)
