"""A Gaussian process over points that are tuples of option indices.

Two points are as far apart as their decisions: each that differs adds its own weight, the whole
of it or, as far as options turn out to be ordered, in proportion to how far apart they are. The
covariance falls with that distance, exponentially for what decisions do together and linearly for
what each does by itself (an additive kernel; Duvenaud et al., "Additive Gaussian processes",
2011), and each point has something of its own that no other tells. Values may follow trends that
are known of every point, linearly. ``controller.kernel_fit`` finds the weights.
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

_DISTANCE = 1.0
"""Of points that differ in all of one decision, beforehand: this over the root of their number."""

_NEAR, _ALONE, _OWN = 0.5, 0.5, 0.01
"""Variances beforehand: of what decisions do together, of what each does alone, of each point."""

STEEPNESS = 0.25
"""Variance of how much a value changes with each of its trends, beyond what is expected of it."""

_SAME = 1e-12
"""Of a distance: of equal points, but for rounding."""


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
        inverse = _inverse(kernel, rows, variances, trends)
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
        distances = squared_distances(self.encoding.rows(codes) * self.roots, self.rows)
        across = self.kernel.covariance(distances)
        across[distances < _SAME] += self.kernel.own
        if trends is not None and trends.size:
            across += STEEPNESS * (trends @ self.trends.T)
        return across

    def with_observation(
        self, code: Codes, value: float, variance: float, trends: Array | None = None
    ) -> Self:
        """After one more, of a point `[D]` with trends `[K]` that was not observed.

        The inverse of a matrix with one more row and column, from that without. Where rounding has
        made that useless, which shows where others tell of a point's own part, it is made anew.
        """
        import numpy as np

        rows = np.concatenate([self.rows, self.encoding.rows(code[None]) * self.roots])
        trends = np.zeros((1, 0)) if trends is None else trends[None]
        across = self._across(code[None], trends)[0]
        toward = self.inverse @ across
        before = self.kernel.variance + STEEPNESS * float((trends**2).sum())
        left = before + variance + 1e-9 - float(across @ toward)
        trends = np.concatenate([self.trends, trends])
        values, variances = np.append(self.values, value), np.append(self.variances, variance)
        if left < (self.kernel.own + variance + 1e-9) / 2:
            inverse = _inverse(self.kernel, rows, variances, trends)
        else:
            count = len(self.values)
            inverse = np.empty_like(self.inverse, shape=(count + 1, count + 1))
            inverse[:-1, :-1] = self.inverse + np.outer(toward, toward / left)
            inverse[:-1, -1] = inverse[-1, :-1] = -toward / left
            inverse[-1, -1] = 1 / left
        return type(self)(
            encoding=self.encoding,
            kernel=self.kernel,
            roots=self.roots,
            rows=rows,
            trends=trends,
            values=values,
            variances=variances,
            inverse=inverse,
            pulls=inverse @ values,
        )


def _inverse(kernel: Kernel, rows: Array, variances: Array, trends: Array) -> Array:
    """`[N, N]`, of the covariance of observations."""
    import numpy as np

    around = kernel.covariance(squared_distances(rows, rows))
    around += np.diag(kernel.own + variances + 1e-9)
    if trends.size:
        around += STEEPNESS * (trends @ trends.T)
    inverse = np.linalg.inv(around)
    return np.asarray((inverse + inverse.T) / 2)


def squared_distances(first: Array, second: Array) -> Array:
    """Squared distances of rows, `[M, N]`."""
    import numpy as np

    result: Array = first @ second.T
    result *= -2.0
    result += np.einsum("mf,mf->m", first, first)[:, None]
    result += np.einsum("nf,nf->n", second, second)
    return np.maximum(result, 0.0, out=result)
