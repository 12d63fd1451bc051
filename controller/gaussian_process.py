"""A Gaussian process over points that are tuples of option indices, fitted by evidence.

Two points are as far apart as their decisions: each that differs adds its own weight, the whole
of it or, as far as options turn out to be ordered, in proportion to how far apart they are. The
covariance falls with that distance, exponentially for what decisions do together and linearly for
what each does by itself (an additive kernel; Duvenaud et al., "Additive Gaussian processes",
2011), and each point has something of its own that no other tells. All weights are found by the
largest posterior density (Rasmussen and Williams, "Gaussian processes for machine learning", 2006,
equation 5.9 for the gradient; the ascent is iRprop-, Igel and Hüsken 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Codes = NDArray[np.int64]

_LEAST, _MOST = 1e-6, 1e3
"""Between which every weight stays."""

_DISTANCE = 1.0
"""Of points that differ in all of one decision, beforehand: this over the root of their number."""

_NEAR, _ALONE, _OWN = 0.5, 0.5, 0.01
"""Variances beforehand: of what decisions do together, of what each does alone, of each point."""

STEEPNESS = 0.25
"""Variance of how much a value changes with each of its trends, beyond what is expected of it."""

_SAME = 1e-12
"""Of a distance: of equal points, but for rounding."""

_DEVIATION, _UNLIKE = 1.3, 1.3
"""Of the natural logarithms of weights, beforehand: of all, and among decisions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoding:
    """Points as rows of zeros and ones whose squared differences add up to distances.

    Attributes:
        counts: Options of each of `D` decisions.
        owner: `[F]` int, the decision that each column belongs to.
        option: `[F]` int, the option that a column is about.
        ordered: `[F]` bool: whether a column tells that an option is beyond that one
            ("thermometer"), rather than that it is that one ("one-hot").
    """

    counts: tuple[int, ...]
    owner: Codes
    option: Codes
    ordered: NDArray[np.bool_]

    @classmethod
    def of(cls, counts: Sequence[int]) -> Self:
        """For decisions with these numbers of options."""
        import numpy as np

        owner = [np.full(2 * count - 1, place) for place, count in enumerate(counts)]
        option = [np.arange(2 * count - 1) % count for count in counts]
        ordered = [np.arange(2 * count - 1) >= count for count in counts]
        return cls(
            counts=tuple(counts),
            owner=np.concatenate(owner),
            option=np.concatenate(option),
            ordered=np.concatenate(ordered),
        )

    def rows(self, codes: Codes) -> Array:
        """`[N, F]` float64 of `[N, D]` option indices."""
        import numpy as np

        own = codes[:, self.owner]
        rows = np.where(self.ordered, own > self.option, own == self.option)
        return rows.astype(np.float64)

    def weights(self, kernel: Kernel) -> Array:
        """`[F]`: what a column that differs adds to the distance."""
        by_name, by_order = self.shares()
        own = kernel.distances[self.owner]
        weights: Array = own * ((1 - kernel.order) * by_name + kernel.order * by_order)
        return weights

    def shares(self) -> tuple[Array, Array]:
        """`[F]` each: of a decision's weight, for options that are names, and in an order."""
        import numpy as np

        steps = np.maximum(np.array(self.counts) - 1, 1)[self.owner]
        return np.where(self.ordered, 0.0, 0.5), np.where(self.ordered, 1 / steps, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """Covariance of points, for values with a mean of 0 and a variance of about 1.

    Attributes:
        distances: `[D]`, what each decision adds to the distance of two points.
        order: Share of it that is in proportion to how far apart options are, in `[0, 1]`.
        near: Variance that falls exponentially with the distance.
        additive: Variance that falls linearly.
        own: Variance of each point by itself.
    """

    distances: Array
    order: float
    near: float
    additive: float
    own: float

    @classmethod
    def usual(cls, decisions: int, share: float = 1.0) -> Self:
        """Before anything is known.

        Args:
            decisions: How many.
            share: Of the usual variance.
        """
        import numpy as np

        return cls(
            distances=np.full(decisions, _DISTANCE / decisions**0.5),
            order=0.5,
            near=_NEAR * share,
            additive=_ALONE * share,
            own=_OWN,
        )

    @property
    def variance(self) -> float:
        """Of a point."""
        return self.near + self.additive + self.own

    def covariance(self, distances: Array) -> Array:
        """Of different points, by their distances."""
        import numpy as np

        total = float(self.distances.sum())
        result: Array = self.near * np.exp(-distances)
        result += self.additive * (1 - distances / total)
        return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """What is known after observations of `N` different points.

    Attributes:
        encoding: Of points.
        kernel: Beforehand.
        roots: `[F]`, of the weights of columns.
        rows: `[N, F]`, columns times these.
        trends: `[N, K]`, what values change with, in proportion that is not known.
        values: `[N]`, observed.
        variances: `[N]`, of the errors of values.
        inverse: `[N, N]`, of the covariance of observations.
        pulls: `[N]`, the inverse times the values.
    """

    encoding: Encoding
    kernel: Kernel
    roots: Array
    rows: Array
    trends: Array
    values: Array
    variances: Array
    inverse: Array
    pulls: Array

    @classmethod
    def of(
        cls,
        encoding: Encoding,
        kernel: Kernel,
        codes: Codes,
        values: Array,
        variances: Array,
        trends: Array | None = None,
    ) -> Self:
        """After observations.

        Args:
            encoding: Of points.
            kernel: Beforehand.
            codes: `[N, D]`, no two alike.
            values: `[N]`.
            variances: `[N]`, of the errors of values.
            trends: `[N, K]`, see the class; None for none.
        """
        import numpy as np

        trends = np.zeros((len(values), 0)) if trends is None else trends
        roots = np.sqrt(encoding.weights(kernel))
        rows = encoding.rows(codes) * roots
        around = kernel.covariance(_distances(rows, rows))
        around += np.diag(kernel.own + variances + 1e-9)
        if trends.size:
            around += STEEPNESS * (trends @ trends.T)
        inverse = np.linalg.inv(around)
        inverse = (inverse + inverse.T) / 2
        return cls(
            encoding=encoding,
            kernel=kernel,
            roots=roots,
            rows=rows,
            trends=trends,
            values=values,
            variances=variances,
            inverse=inverse,
            pulls=inverse @ values,
        )

    def at_observed(self) -> tuple[Array, Array]:
        """Means and standard deviations `[N]` at the points that were observed."""
        import numpy as np

        left = self.variances - self.variances**2 * np.diag(self.inverse)
        means = self.values - self.variances * self.pulls
        return means, np.sqrt(np.maximum(left, 0.0))

    def at(self, codes: Codes, trends: Array | None = None) -> tuple[Array, Array]:
        """Means and standard deviations `[M]` at points `[M, D]` with trends `[M, K]`."""
        import numpy as np

        across = self._across(codes, trends)
        told = ((across @ self.inverse) * across).sum(axis=1)
        before = self.kernel.variance
        if trends is not None:
            before = before + STEEPNESS * (trends**2).sum(axis=1)
        return across @ self.pulls, np.sqrt(np.maximum(before - told, 1e-12))

    def means_at(self, codes: Codes, trends: Array | None = None) -> Array:
        """The means alone."""
        means: Array = self._across(codes, trends) @ self.pulls
        return means

    def _across(self, codes: Codes, trends: Array | None) -> Array:
        """Covariances with what was observed, `[M, N]`."""
        distances = _distances(self.encoding.rows(codes) * self.roots, self.rows)
        across = self.kernel.covariance(distances)
        across[distances < _SAME] += self.kernel.own
        if trends is not None and trends.size:
            across += STEEPNESS * (trends @ self.trends.T)
        return across

    def with_observation(
        self, code: Codes, value: float, variance: float, trends: Array | None = None
    ) -> Self:
        """After one more, of a point `[D]` with trends `[K]` that was not observed.

        The inverse of a matrix with one more row and column, from that without.
        """
        import numpy as np

        row = self.encoding.rows(code[None]) * self.roots
        trends = np.zeros((1, 0)) if trends is None else trends[None]
        across = self._across(code[None], trends)[0]
        toward = self.inverse @ across
        before = self.kernel.variance + STEEPNESS * float((trends**2).sum())
        left = before + variance + 1e-9 - float(across @ toward)
        left = max(left, 1e-9)
        count = len(self.values)
        inverse = np.empty((count + 1, count + 1))
        inverse[:-1, :-1] = self.inverse + np.outer(toward, toward / left)
        inverse[:-1, -1] = inverse[-1, :-1] = -toward / left
        inverse[-1, -1] = 1 / left
        values = np.append(self.values, value)
        return type(self)(
            encoding=self.encoding,
            kernel=self.kernel,
            roots=self.roots,
            rows=np.concatenate([self.rows, row]),
            trends=np.concatenate([self.trends, trends]),
            values=values,
            variances=np.append(self.variances, variance),
            inverse=inverse,
            pulls=inverse @ values,
        )


def fitted(
    encoding: Encoding,
    codes: Codes,
    values: Array,
    variances: Array,
    start: Kernel,
    steps: int,
    trends: Array | None = None,
    share: float = 1.0,
) -> tuple[Kernel, float]:
    """The likeliest kernel that is found from ``start``, and the logarithm of how likely it is.

    Args:
        encoding: Of points.
        codes: `[N, D]`, no two alike.
        values: `[N]`, observed.
        variances: `[N]`, of their errors.
        start: Where to begin.
        steps: Of the ascent.
        trends: `[N, K]`, see ``Posterior``; None for none.
        share: Of the usual variance that is expected.
    """
    import numpy as np

    rows = encoding.rows(codes)
    usual = _numbers(Kernel.usual(len(encoding.counts), share))
    tilt = None if trends is None or not trends.size else STEEPNESS * (trends @ trends.T)
    numbers = _numbers(start)
    lengths = np.full(len(numbers), 0.2)
    before = np.zeros(len(numbers))
    best, highest = numbers, -np.inf
    for _ in range(steps):
        score, slope = _density(encoding, rows, values, variances, numbers, tilt)
        penalty, pull = _prior(numbers, usual)
        score, slope = score - penalty, slope - pull
        if score > highest:
            best, highest = numbers, score
        turned = slope * before
        lengths = lengths * np.where(turned > 0, 1.2, np.where(turned < 0, 0.5, 1.0))
        lengths = np.clip(lengths, 1e-3, 1.0)
        before = np.where(turned < 0, 0.0, slope)
        numbers = numbers + np.sign(before) * lengths
    return _kernel(best), highest


def _prior(numbers: Array, usual: Array) -> tuple[float, Array]:
    """Minus the log density of a kernel's numbers beforehand, and its slope.

    Decisions weigh about alike, whatever that is.
    """
    apart = (numbers - usual) / _DEVIATION
    logs = apart[:-4] * _DEVIATION
    middle = logs.mean()
    own = (logs - middle) / _UNLIKE
    pull = apart / _DEVIATION
    pull[:-4] = own / _UNLIKE + middle / _DEVIATION**2 / len(logs)
    penalty = 0.5 * float((own**2).sum() + (middle / _DEVIATION) ** 2 + (apart[-4:] ** 2).sum())
    return penalty, pull


def _numbers(kernel: Kernel) -> Array:
    """The kernel as numbers without limits."""
    import numpy as np

    order = np.clip(kernel.order, 1e-3, 1 - 1e-3)
    others = [np.log(order / (1 - order)), *np.log([kernel.near, kernel.additive, kernel.own])]
    return np.concatenate([np.log(kernel.distances), others])


def _kernel(numbers: Array) -> Kernel:
    import numpy as np

    positive = np.clip(np.exp(np.clip(numbers, -50, 50)), _LEAST, _MOST)
    return Kernel(
        distances=positive[:-4],
        order=float(1 / (1 + np.exp(-np.clip(numbers[-4], -30, 30)))),
        near=float(positive[-3]),
        additive=float(positive[-2]),
        own=float(positive[-1]),
    )


def _density(
    encoding: Encoding,
    rows: Array,
    values: Array,
    variances: Array,
    numbers: Array,
    tilt: Array | None = None,
) -> tuple[float, Array]:
    """Log density of the values, and its slope along the numbers; ``tilt`` is covariance too."""
    import numpy as np

    kernel = _kernel(numbers)
    weights = encoding.weights(kernel)
    scaled = rows * np.sqrt(weights)
    distances = _distances(scaled, scaled)
    total = float(kernel.distances.sum())
    near = kernel.near * np.exp(-distances)
    additive = kernel.additive * (1 - distances / total)
    around = near + additive + np.diag(kernel.own + variances + 1e-9)
    if tilt is not None:
        around += tilt
    factor = np.linalg.cholesky(around)
    inverse = np.linalg.inv(around)
    pulls = inverse @ values
    score = -0.5 * float(values @ pulls) - float(np.log(np.diag(factor)).sum())
    outer = 0.5 * (np.outer(pulls, pulls) - inverse)
    along = outer * (-near - kernel.additive / total)
    by_column = 2 * (along.sum(axis=1) @ rows**2 - (rows * (along @ rows)).sum(axis=0))
    by_name, by_order = encoding.shares()
    own = kernel.distances[encoding.owner]
    slope = np.zeros(len(numbers))
    np.add.at(slope, encoding.owner, by_column * weights)
    slope[:-4] += kernel.distances * float((outer * distances).sum()) * kernel.additive / total**2
    slope[-4] = float((by_column * own * (by_order - by_name)).sum())
    slope[-4] *= kernel.order * (1 - kernel.order)
    slope[-3] = float((outer * near).sum())
    slope[-2] = float((outer * additive).sum())
    slope[-1] = float(np.trace(outer)) * kernel.own
    return score, slope


def _distances(first: Array, second: Array) -> Array:
    """Squared distances of rows, `[M, N]`."""
    import numpy as np

    result: Array = first @ second.T
    result *= -2.0
    result += np.einsum("mf,mf->m", first, first)[:, None]
    result += np.einsum("nf,nf->n", second, second)
    return np.maximum(result, 0.0, out=result)
