"""Predicts the layers that a builder had no time for, from those that it timed.

A Gaussian process over the logarithm of a layer's time (Rasmussen and Williams, 2006, algorithm
2.1): its mean is linear in the logarithms of what the layer computes and moves, its covariance is
that of layers of like costs, more so within a kind. Length scale and noise are those of the
greatest likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from latency.signatures import Signature
from latency.table import Entry, Known
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

LEAST_MEASURED = 8
"""From fewer layers nothing is predicted."""

_LENGTHS = (0.3, 0.6, 1.0, 2.0, 4.0)
_NOISES = (0.02, 0.05, 0.1, 0.2)
_DEVIATION = 0.4
_COEFFICIENT_DEVIATION = 1.0
_OTHER_KIND = 0.5
"""How alike layers of different kinds are, beside those of one."""


def predicted(
    entries: Mapping[str, Entry], measured: Sequence[Signature], missing: Sequence[Signature]
) -> dict[str, Entry]:
    """Entries of the missing layers, each with the variance of its prediction.

    Args:
        entries: Of what was measured.
        measured: Layers; those without an entry, or with one of 0, teach nothing.
        missing: Layers to predict.

    Raises:
        InputError: If fewer than ``LEAST_MEASURED`` were measured.
    """
    import numpy as np

    known = [part for part in measured if part.key in entries and entries[part.key].ms > 0]
    if len(known) < LEAST_MEASURED:
        msg = f"at least {LEAST_MEASURED} layers must be measured, got {len(known)}"
        raise InputError(msg)
    logs = np.log([entries[part.key].ms for part in known])
    fits = [_Process.of(known, logs, *each) for each in product(_LENGTHS, _NOISES)]
    best = max(fits, key=lambda each: each.log_likelihood)
    means, deviations = best.at(missing)
    return {
        part.key: _entry(float(mean), float(deviation))
        for part, mean, deviation in zip(missing, means, deviations, strict=True)
    }


def _entry(mean: float, deviation: float) -> Entry:
    """A log-normal's median, and its variance around that."""
    ms = math.exp(mean)
    variance = ms**2 * math.expm1(min(deviation, 2.0) ** 2) * math.exp(min(deviation, 2.0) ** 2)
    return Entry(ms=ms, variance_ms2=variance, count=0, known=Known.PREDICTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """A fit.

    Attributes:
        parts: `[N]` that were measured.
        weights: `[N]` the inverse covariance times the logarithms around ``center``.
        root: `[N, N]` lower Cholesky factor of the covariance.
        center: Mean of the logarithms.
        length: Of the covariance, in natural logarithms of costs.
        log_likelihood: Of the logarithms.
    """

    parts: tuple[Signature, ...]
    weights: NDArray[np.float64]
    root: NDArray[np.float64]
    center: float
    length: float
    log_likelihood: float

    @classmethod
    def of(
        cls,
        parts: Sequence[Signature],
        logs: NDArray[np.float64],
        length: float,
        noise: float,
    ) -> _Process:
        """Of one length scale and noise."""
        import numpy as np

        center = float(logs.mean())
        covariance = _covariance(parts, parts, length) + noise**2 * np.eye(len(parts))
        root = np.asarray(np.linalg.cholesky(covariance), np.float64)
        weights = np.linalg.solve(root.T, np.linalg.solve(root, logs - center))
        likelihood = -0.5 * (logs - center) @ weights - np.log(np.diag(root)).sum()
        return cls(
            parts=tuple(parts),
            weights=weights,
            root=root,
            center=center,
            length=length,
            log_likelihood=float(likelihood),
        )

    def at(self, parts: Sequence[Signature]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the logarithm of each."""
        import numpy as np

        cross = _covariance(parts, self.parts, self.length)
        means = self.center + cross @ self.weights
        solved = np.linalg.solve(self.root, cross.T)
        own = np.array([_covariance([part], [part], self.length)[0, 0] for part in parts])
        return means, np.sqrt(np.maximum(own - (solved**2).sum(0), 0.0))


def _covariance(
    first: Sequence[Signature], second: Sequence[Signature], length: float
) -> NDArray[np.float64]:
    """`[N, M]`: linear in the logarithms of costs, and alike where costs and kinds are."""
    import numpy as np

    mine, theirs = _logs(first), _logs(second)
    linear = _COEFFICIENT_DEVIATION**2 * (1 + mine @ theirs.T)
    distances = ((mine[:, None, :] - theirs[None, :, :]) ** 2).sum(-1)
    near = _DEVIATION**2 * np.exp(-0.5 * distances / length**2)
    same = np.array([[a.kind == b.kind for b in second] for a in first])
    return np.asarray(linear + near * np.where(same, 1.0, _OTHER_KIND), np.float64)


def _logs(parts: Sequence[Signature]) -> NDArray[np.float64]:
    """`[N, 5]` logarithms of costs, around those of a usual layer."""
    import numpy as np

    costs = np.array([part.costs for part in parts], np.float64)
    usual = np.array([1e7, 1e4, 1e5, 1e5, 1e5])
    return np.asarray(np.log1p(costs) - np.log1p(usual), np.float64)
