"""Gaussian weights seen through sums of them, with noise of unknown size and slow outliers.

An observation is a row of counts times the weights, plus noise. Noise is a share of the latency.
Some observations are outliers: something else ran, or the clock was low, so they are slower, by
40 % give or take 40. Which ones is found with the weights (mean field, as for the mixture of
Faul & Tipping, "A variational approach to robust regression", ICANN 2001). What cannot be known
for sure (the size of the noise, the share of outliers) is averaged over, by evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SLOWER, SLOWER_DEVIATION = 0.4, 0.4
"""How much an outlier is slower, as a share of the latency; how different outliers are."""

OUTLIER_SHARES = (0.01, 0.05, 0.15)
"""That are averaged over."""

LEAST_NOISE, MOST_NOISE = 0.0025, 0.16
"""Shares of the latency between which the noise is averaged over, in even steps of its logarithm.

Beforehand a noise is as likely as its root is large: ten measurements of as many weights leave
little that looks like noise, whatever it is, and to take it for small is the worse mistake."""

_ROUNDS = 40
_GRID = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What a measurement may be apart from what it measures.

    Attributes:
        share: Standard deviation, as a share of the latency.
        outliers: Share of measurements that are outliers.
        weight: Probability that it is so.
    """

    share: float
    outliers: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """Sums of weights that were measured.

    Attributes:
        rows: `[N, W]` float64.
        values: `[N]`.
        variances: `[N]`, of each value's known error.
        sizes: `[N]`, positive: what each is about; noise is a share of that.
    """

    rows: Array
    values: Array
    variances: Array
    sizes: Array

    def some(self, count: int) -> Observations:
        """At most ``count`` of them, evenly spread over all."""
        import numpy as np

        keep = np.unique(np.linspace(0, len(self.values) - 1, count).round().astype(int))
        return Observations(
            rows=self.rows[keep],
            values=self.values[keep],
            variances=self.variances[keep],
            sizes=self.sizes[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """A normal distribution.

    Attributes:
        mean: `[W]` float64.
        covariance: `[W, W]` float64.
    """

    mean: Array
    covariance: Array

    def sums(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the sums that ``rows`` (`[N, W]`) stand for."""
        import numpy as np

        variances = np.einsum("nw,nw->n", rows @ self.covariance, rows)
        return rows @ self.mean, np.sqrt(np.maximum(variances, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Weights after observations, under one noise.

    Attributes:
        prior: Before them.
        noise: Its weight is that of the prior.
        slow: `[N]`, probability that each observation is an outlier.
        evidence: Log probability of the observations, from below.
        observations: That were made.
    """

    prior: Weights
    noise: Noise
    slow: Array
    evidence: float
    observations: Observations

    def posterior(self) -> Weights:
        """The weights, given the observations."""
        precisions, targets = _targets(self.observations, self.noise, self.slow)
        return conditioned(self.prior, self.observations.rows, targets, precisions)


def conditioned(prior: Weights, rows: Array, values: Array, precisions: Array) -> Weights:
    """The weights, given sums of them.

    Args:
        prior: Before.
        rows: `[N, W]`.
        values: `[N]`.
        precisions: `[N]`, one over the variance of each value's error.
    """
    import numpy as np

    if len(rows) >= rows.shape[1]:
        return _conditioned_on_many(prior, rows, values, precisions)
    spread = rows @ prior.covariance
    hidden = _hidden(prior, rows)
    scaled = hidden * precisions[:, None]
    inner = np.eye(hidden.shape[1]) + hidden.T @ scaled
    apart = precisions * (values - rows @ prior.mean)
    apart = apart - scaled @ np.linalg.solve(inner, hidden.T @ apart)
    inward = np.linalg.solve(np.linalg.cholesky(inner), scaled.T @ spread)
    covariance = prior.covariance - spread.T @ (precisions[:, None] * spread) + inward.T @ inward
    return Weights(mean=prior.mean + spread.T @ apart, covariance=(covariance + covariance.T) / 2)


def _conditioned_on_many(prior: Weights, rows: Array, values: Array, precisions: Array) -> Weights:
    """The same from the weights' side: nothing large is subtracted, so a covariance stays one."""
    import numpy as np

    factor = _factor(prior.covariance)
    hidden = rows @ factor
    inner = np.eye(len(factor)) + hidden.T @ (precisions[:, None] * hidden)
    half = np.linalg.solve(np.linalg.cholesky(inner), factor.T)
    covariance = half.T @ half
    apart = rows.T @ (precisions * (values - rows @ prior.mean))
    return Weights(mean=prior.mean + covariance @ apart, covariance=covariance)


def fits(
    priors: Sequence[Weights], observations: Observations, shares: Sequence[float]
) -> list[Fit]:
    """One for each prior and noise; ``weights_of`` says what each is worth."""
    return [fitted(prior, observations, noise) for prior in priors for noise in _noises(shares)]


def fitted(prior: Weights, observations: Observations, noise: Noise) -> Fit:
    """The better of two ends: from no outliers at first, and from those that the prior sees."""
    hidden = _hidden(prior, observations.rows)
    apart = observations.values - observations.rows @ prior.mean
    start = _slow(observations, noise, apart, (0.05 * observations.sizes) ** 2)
    ends = (_settled(prior, observations, noise, hidden, slow) for slow in (0.0 * apart, start))
    return max(ends, key=lambda fit: fit.evidence)


def weights_of(found: Sequence[Fit]) -> list[float]:
    """Probability of each fit; they sum to 1."""
    import numpy as np

    logs = np.array([fit.evidence + np.log(fit.noise.weight) for fit in found])
    likely = np.exp(logs - logs.max())
    return [float(each) for each in likely / likely.sum()]


def mixed(found: Iterable[tuple[float, Weights]]) -> Weights:
    """One normal distribution with the mean and covariance of all together.

    Args:
        found: Each with its probability; these sum to 1.
    """
    import numpy as np

    mean, squares = np.zeros(0), np.zeros((0, 0))
    for share, each in found:
        around = each.covariance + np.outer(each.mean, each.mean)
        mean = share * each.mean + (mean if len(mean) else 0.0)
        squares = share * around + (squares if len(squares) else 0.0)
    return Weights(mean=mean, covariance=squares - np.outer(mean, mean))


def intervals(
    centers: Array, deviations: Array, noises: Sequence[Noise], confidence: float
) -> tuple[Array, Array]:
    """Where a measurement will lie, as often below as above the interval where it does not.

    Args:
        centers: `[N]`, positive: mean of each sum.
        deviations: `[N]`: its standard deviation.
        noises: Of the measurement; their weights sum to 1.
        confidence: In `(0, 1)`.

    Returns:
        Lower and upper ends, `[N]` each.
    """
    import numpy as np

    shares = deviations / centers
    grid = np.linspace(shares.min(), shares.max(), _GRID) if len(shares) else np.zeros(1)
    below = (1 - confidence) / 2
    ends = []
    for level in (below, 1 - below):
        quantiles = np.array([_quantile(float(share), noises, level) for share in grid])
        ends.append(np.maximum(centers * np.interp(shares, grid, quantiles), 0.0))
    return np.minimum(ends[0], centers), np.maximum(ends[1], centers)


def noise_shares(count: int) -> list[float]:
    """Those that are averaged over for so many observations: many tell noises better apart."""
    import numpy as np

    steps = 7 if count < 40 else 13
    return [float(share) for share in np.geomspace(LEAST_NOISE, MOST_NOISE, steps)]


def _noises(shares: Sequence[float]) -> Iterator[Noise]:
    total = len(OUTLIER_SHARES) * sum(share**0.5 for share in shares)
    for share in shares:
        for outliers in OUTLIER_SHARES:
            yield Noise(share=share, outliers=outliers, weight=share**0.5 / total)


def _quantile(share: float, noises: Sequence[Noise], level: float) -> float:
    """Of a measurement of what is 1 with a standard deviation of ``share``, by bisection."""
    parts = [
        part
        for each in noises
        for part in (
            (each.weight * (1 - each.outliers), NormalDist(1.0, _root(share, each.share))),
            (
                each.weight * each.outliers,
                NormalDist(1.0 + SLOWER, _root(share, SLOWER_DEVIATION)),
            ),
        )
    ]
    low, high = -10.0, 12.0
    for _ in range(40):
        middle = (low + high) / 2
        if sum(weight * normal.cdf(middle) for weight, normal in parts) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _root(one: float, other: float) -> float:
    return float((one**2 + other**2) ** 0.5)


def _hidden(prior: Weights, rows: Array) -> Array:
    """What rows are in independent standard normal numbers: `[N, R]`, R the smaller of N and W."""
    count, width = rows.shape
    if count < width:
        return _factor(rows @ prior.covariance @ rows.T)
    return rows @ _factor(prior.covariance)


def _factor(matrix: Array) -> Array:
    """A lower triangle that times its transpose is ``matrix``, up to rounding."""
    import numpy as np

    jitter = 1e-11 * float(np.trace(matrix)) / max(len(matrix), 1)
    for _ in range(6):
        try:
            return np.asarray(
                np.linalg.cholesky(matrix + jitter * np.eye(len(matrix))), np.float64
            )
        except np.linalg.LinAlgError:
            jitter *= 100
    values, vectors = np.linalg.eigh(matrix)
    factor: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor


def _settled(
    prior: Weights, observations: Observations, noise: Noise, hidden: Array, slow: Array
) -> Fit:
    """From ``slow`` until it moves no more."""
    import numpy as np

    apart = observations.values - observations.rows @ prior.mean
    evidence = -np.inf
    for _ in range(_ROUNDS):
        before = slow
        found, variances, evidence = _round(observations, noise, hidden, slow, apart)
        slow = _slow(observations, noise, apart - found, variances)
        if np.abs(slow - before).max() < 1e-5:
            break
    return Fit(
        prior=prior,
        noise=noise,
        slow=before,
        evidence=evidence,
        observations=observations,
    )


def _round(
    observations: Observations, noise: Noise, hidden: Array, slow: Array, apart: Array
) -> tuple[Array, Array, float]:
    """Means and variances of the sums less the prior's means, and the evidence."""
    import numpy as np

    precisions, targets = _targets(observations, noise, slow)
    targets = targets - (observations.values - apart)
    scaled = hidden * precisions[:, None]
    factor = np.linalg.cholesky(np.eye(hidden.shape[1]) + hidden.T @ scaled)
    inner = np.linalg.solve(factor, hidden.T)
    found = inner.T @ (inner @ (precisions * targets))
    # log density of the targets: matrix inversion and determinant lemmas
    fit = float(targets @ (precisions * (targets - found)))
    volume = 2 * float(np.log(np.diag(factor)).sum()) - float(np.log(precisions).sum())
    density = -0.5 * (fit + volume + len(targets) * np.log(2 * np.pi))
    bound = _bound(observations, noise, slow, precisions, targets, apart)
    return found, (inner**2).sum(axis=0), density + bound


def _variances(observations: Observations, noise: Noise) -> tuple[Array, Array]:
    """Of an observation that is no outlier, and of one that is."""
    sizes = observations.sizes
    usual = observations.variances + (noise.share * sizes) ** 2
    return usual, observations.variances + (SLOWER_DEVIATION * sizes) ** 2


def _targets(observations: Observations, noise: Noise, slow: Array) -> tuple[Array, Array]:
    """The normal observations that stand for possible outliers: precisions and values."""
    usual, wide = _variances(observations, noise)
    precisions = (1 - slow) / usual + slow / wide
    shifted = observations.values - SLOWER * observations.sizes
    values = ((1 - slow) * observations.values / usual + slow * shifted / wide) / precisions
    return precisions, values


def _slow(observations: Observations, noise: Noise, apart: Array, variances: Array) -> Array:
    """Probability of being an outlier; ``apart`` is from the sum, which has ``variances``."""
    import numpy as np

    usual, wide = _variances(observations, noise)
    shifted = apart - SLOWER * observations.sizes
    logs = (
        np.log(noise.outliers / (1 - noise.outliers))
        + 0.5 * np.log(usual / wide)
        + (apart**2 + variances) / (2 * usual)
        - (shifted**2 + variances) / (2 * wide)
    )
    result: Array = 1 / (1 + np.exp(-np.clip(logs, -50, 50)))
    return result


def _bound(
    observations: Observations,
    noise: Noise,
    slow: Array,
    precisions: Array,
    targets: Array,
    apart: Array,
) -> float:
    """What the evidence is more than the density of the targets."""
    import numpy as np

    usual, wide = _variances(observations, noise)
    shifted = apart - SLOWER * observations.sizes
    squares = (1 - slow) * apart**2 / usual + slow * shifted**2 / wide - precisions * targets**2
    logs = (1 - slow) * np.log(usual) + slow * np.log(wide) + np.log(precisions)
    sure = np.clip(slow, 1e-12, 1 - 1e-12)
    apart_from_prior = sure * np.log(sure / noise.outliers) + (1 - sure) * np.log(
        (1 - sure) / (1 - noise.outliers)
    )
    return float(-0.5 * (squares + logs).sum() - apart_from_prior.sum())
