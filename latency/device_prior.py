"""What a new device's weights may be, before it is measured: drawn from other devices' weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from latency.evidence import Basis, Measurement, OtherDevice
from latency.gaussian import Weights, conditioned
from latency.signatures import Parts
from latency.spread import (
    ALONE,
    FEW,
    LEAST_DEVICES,
    Spread,
    cost_shares,
    covariance,
    expected,
    free_covariance,
    learned,
    likeness,
)

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LEAST_NOISE = 0.002
_TOGETHER, _MOST_TOGETHER = 64, 800
"""Directions of a covariance that are kept; parts up to which they are looked for."""

_SIZE_OF_UNKNOWN = 0.1
"""Least weight of a part that a device was not measured with, as a share of that by its costs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DevicePrior:
    """Other devices' weights, and how a new one may deviate from them.

    Attributes:
        basis: Of `P` parts.
        names: Of the other devices, `D` of them.
        weights: `[D, P + 1]` float64, in units of what a typical network takes on each.
        unsure: `[P + 1]`: variance, in the same units, that the devices' own measurements leave
            to each weight; the mean over devices.
        shared: `[K, P + 1]`: what they leave to weights together, as rows whose outer products
            add up to a covariance. Devices that were measured with the same networks err alike,
            so this is no deviation between them.
        known: Keys of parts that at least one other device was measured with.
        spread: How a new device may deviate.
    """

    basis: Basis
    names: tuple[str, ...]
    weights: Array
    unsure: Array
    shared: Array
    known: frozenset[str]
    spread: Spread

    @classmethod
    def of(cls, others: Sequence[OtherDevice], networks: Sequence[Parts]) -> Self:
        """From what other devices were measured with; from costs alone if there are none.

        Args:
            others: Any number.
            networks: Typical of the space, fifty or more where the space is large.

        Raises:
            InputError: If there is no network.
        """
        import numpy as np

        measured = [each.parts for other in others for each in other.measurements]
        basis = Basis.of(networks, measured)
        found = [_weights_on(basis, other.measurements) for other in others]
        seen = [_keys(other.measurements) for other in others]
        unsure, shared = _left_open(basis, found)
        made = cls(
            basis=basis,
            names=tuple(other.name for other in others),
            weights=np.array([each.mean for each in found]).reshape(-1, len(basis.typical)),
            unsure=unsure,
            shared=shared,
            known=frozenset[str]().union(*seen),
            spread=ALONE if not others else FEW,
        )
        if len(others) < LEAST_DEVICES:
            return made
        errors = [each.covariance for each in found]
        spread = learned(basis, made.weights, errors, basis.rows(networks))
        return replace(made, spread=spread)

    @property
    def mean(self) -> Array:
        """Weights `[P + 1]` that a new device is expected to have; a typical network takes 1."""
        mean: Array = self._devices.mean(axis=0)
        return mean

    def normal(self, free: float = 1.0) -> Weights:
        """The prior, in units of what a typical network takes.

        Args:
            free: By which free deviations are wider than is usual.
        """
        import numpy as np

        around = covariance(self.basis, self.spread, self._devices, free)
        around += np.diag(self.unsure) + self.shared.T @ self.shared
        return Weights(mean=self.mean, covariance=around)

    def extended(self, parts: Parts) -> Self:
        """With parts that were not here: they cost what like parts of like costs do.

        Each device's weight is what its other weights tell under the free deviations, with all of
        the variance that is left; it is never nothing.
        """
        import numpy as np

        basis = self.basis.extended(parts)
        old = [*range(len(self.basis.parts)), len(basis.parts)]
        new = list(range(len(self.basis.parts), len(basis.parts)))
        base = expected(basis)
        around = free_covariance(basis, self.spread, base)
        toward = np.linalg.solve(
            around[np.ix_(old, old)] + 1e-9 * np.eye(len(old)), around[np.ix_(old, new)]
        )
        weights = np.zeros((len(self.weights), len(basis.typical)))
        weights[:, old] = self.weights
        told = base[new] + (self.weights - base[old]) @ toward
        weights[:, new] = np.maximum(told, _SIZE_OF_UNKNOWN * base[new])
        unsure = np.zeros(len(basis.typical))
        unsure[old] = self.unsure
        if self.names:
            left = np.diag(around)[new] - (around[np.ix_(new, old)] * toward.T).sum(axis=1)
            unsure[new] = np.maximum(left, 0.0)
        shared = np.zeros((len(self.shared), len(basis.typical)))
        shared[:, old] = self.shared
        return replace(self, basis=basis, weights=weights, unsure=unsure, shared=shared)

    @property
    def _devices(self) -> Array:
        """Those that a new one is drawn from: the others, or what costs alone tell of it."""
        return self.weights if self.names else expected(self.basis)[None]


def _keys(measurements: Sequence[Measurement]) -> frozenset[str]:
    return frozenset(part.key for each in measurements for part in each.parts)


def _left_open(basis: Basis, found: Sequence[Weights]) -> tuple[Array, Array]:
    """The mean covariance that measurements leave: of each weight, and of weights together.

    Of many parts only the first: so many are known from tables, one by one.
    """
    import numpy as np

    width = len(basis.typical)
    total = np.zeros((width, width))
    for weights in found:
        total += weights.covariance / len(found)
    if width > _MOST_TOGETHER or not found:
        return np.maximum(np.diag(total), 0.0), np.zeros((0, width))
    values, vectors = np.linalg.eigh(total)
    values, vectors = values[-_TOGETHER:], vectors[:, -_TOGETHER:]
    shared = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return np.maximum(np.diag(total) - (shared**2).sum(axis=0), 0.0), shared


def _weights_on(basis: Basis, measurements: Sequence[Measurement]) -> Weights:
    """Of another device, in units of what a typical network takes there.

    The noise is found with them: what is left of the latencies, for each degree of freedom left.
    """
    import numpy as np

    rows, latencies, variances = basis.observed(measurements)
    prior = _wide(basis)
    sizes = np.maximum(rows @ prior.mean, 1e-9)
    scale = float(latencies.sum() / sizes.sum())
    latencies, variances = latencies / scale, variances / scale**2
    noise, found = 0.03, prior
    for _ in range(4):
        precisions = 1 / (variances + (noise * sizes) ** 2)
        found = conditioned(prior, rows, latencies, precisions)
        fitted = (np.einsum("nw,nw->n", rows @ found.covariance, rows) * precisions).sum()
        left = ((latencies - rows @ found.mean) / sizes) ** 2
        freedom = max(len(latencies) - float(fitted), 1.0)
        noise = float(np.clip(np.sqrt(left.sum() / freedom), _LEAST_NOISE, 0.5))
    mean = found.mean.copy()
    unseen = [place for key, place in basis.index.items() if key not in _keys(measurements)]
    mean[unseen] = np.maximum(mean[unseen], _SIZE_OF_UNKNOWN * prior.mean[unseen])
    typical = float(basis.typical @ mean)
    return Weights(mean=mean / typical, covariance=found.covariance / typical**2)


def _wide(basis: Basis) -> Weights:
    """Of a device of any kind: by costs alone, each part with a large deviation of its own."""
    import numpy as np

    mean, shares = expected(basis), cost_shares(basis)
    alike = 0.75 * likeness(basis, ALONE) + 0.25 * np.eye(len(mean))
    return Weights(mean=mean, covariance=np.outer(mean, mean) * (alike + 4.0) + shares @ shares.T)
