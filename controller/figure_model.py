"""What candidates give in one figure, as far as outcomes tell: a model that grows with them.

A figure may be known of points at other *fidelities* too: after a shorter training, on another
device, in an earlier search. Each fidelity has a model of its own, and what that expects of a
point is a trend of the figure: they are expected to rise together, by how much is learnt, and what
the trend leaves is modelled as any figure is. (The autoregressive model of Kennedy and O'Hagan,
"Predicting the output from a complex computer code when fast approximations are available", 2000;
a departure: the expectation stands for the other fidelity, however sure it is.) Which trends are
followed, all, one or none, is decided by how likely they make what is known of the figure itself,
so that a fidelity which has nothing to do with it is soon left aside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from controller.earlier import OWN
from controller.gaussian_process import Encoding, Kernel, Posterior
from controller.kernel_fit import fitted
from controller.point_codes import PointCodes
from search_space.decisions import Point

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Codes = NDArray[np.int64]

REMEMBERED = 160
"""Points that are fitted to when there are more: the most worthy, and the latest."""

_FITTED = 128
"""Of these, those that the kernel is fitted to."""

_FIRST_STEPS, _STEPS = 40, 12
"""Of fitting it, at first and again."""

_FEW = 24
"""Points up to which a kernel that is fitted beside others begins anew each time: from so few the
steps go astray."""

_REFITS = 5
"""A kernel is fitted again when there are so much more points: one in so many."""

_LOWEST = 4.0
"""How far below the middle half of all values one may be, in units of its width; what is lower
(a training that collapsed) counts as that."""

_SLOPE = 0.8
"""Correlation of a figure with another fidelity of it, beforehand."""

_ODDS = 1.0
"""Logarithm of how much likelier it is beforehand that a trend is followed than that it is not."""

_UNIT_OF = 3
"""Values for which what the other fidelities tell of a figure's spread counts."""


class FigureModel:
    """Of one figure, larger is better.

    What it answers is a function of the calls made of it, in their order.

    Args:
        noise: Standard deviation of the error with which it is told of a point.
    """

    def __init__(self, noise: float = 0.0) -> None:
        self._noise = noise
        self._rows: list[Point] = []
        self._places: dict[Point, int] = {}
        self._values: list[float] = []
        self._times: list[int] = []
        self._deviations: list[float] = []
        self._posterior: Posterior | None = None
        self._believed: Posterior | None = None
        self._coding: PointCodes | None = None
        self._middle, self._unit, self._floor = 0.0, 1.0, 0.0
        self._taken_in, self._due = 0, 0
        self._stale = True
        self._others: dict[str, FigureModel] = {}
        self._followed: tuple[str, ...] = ()
        self._centre: Array | float = 0.0
        self._kernels: dict[tuple[str, ...], Kernel] = {}
        self._decisions = 0

    def knows(self, point: Point) -> bool:
        """Whether it was told of a point."""
        return point in self._places

    @property
    def follows(self) -> bool:
        """Whether it goes by other fidelities, if it was told of any; as of the last refresh."""
        return bool(self._followed) or not self._others

    def learn(
        self, point: Point, value: float, fidelity: str = OWN, *, deviation: float = 0.0
    ) -> None:
        """Take in what a point gives.

        Args:
            point: Any.
            value: Larger is better.
            fidelity: Of the value; values of another one need not be of the figure's own size.
            deviation: Standard deviation of its error beside the noise, where it was estimated; a
                value without one takes its place.
        """
        if fidelity != OWN:
            self._others.setdefault(fidelity, FigureModel(self._noise)).learn(point, value)
            return
        place = self._places.setdefault(point, len(self._values))
        if place == len(self._values):
            self._values.append(value)
            self._times.append(1)
            self._deviations.append(deviation)
            return
        if self._deviations[place] and not deviation:
            self._times[place], self._deviations[place] = 0, 0.0
        self._times[place] += 1
        self._values[place] += (value - self._values[place]) / self._times[place]
        self._stale = True

    def refresh(
        self, coding: PointCodes, worth: Callable[[Sequence[Point]], Sequence[float]]
    ) -> None:
        """Have the posterior tell of all that was learnt, and the kernel now and then.

        Args:
            coding: Of points; what is believed and asked is in its codes until the next call.
            worth: How much points tell of where to look; larger is more. Asked for where not all
                can be remembered.
        """
        for other in self._others.values():
            self._stale |= other._refresh_alone(coding)
        points = list(self._places)
        if self._stale or coding is not self._coding or len(points) >= self._due:
            self._rebuild(points, coding, worth)
        assert self._posterior is not None
        for point in points[self._taken_in :]:
            codes, place = coding.codes([point]), self._places[point]
            trends = self._trends(codes)
            value = self._scaled(self._values[place]) - float(_expected(trends)[0])
            self._posterior = self._posterior.with_observation(
                codes[0], value, self._variance(place), trends[0]
            )
            self._rows.append(point)
        self._taken_in = len(points)
        self._believed = self._posterior

    def believe(self, codes: Codes) -> None:
        """Take points `[M, D]` to give what is expected of them, until ``refresh``."""
        for code in codes:
            assert self._believed is not None
            trends = self._trends(code[None])
            mean, _ = self._believed.at(code[None], trends)
            variance = (self._noise / self._unit) ** 2
            self._believed = self._believed.with_observation(
                code, float(mean[0]), variance, trends[0]
            )

    def at_known(self) -> dict[Point, tuple[float, float]]:
        """Mean and standard deviation of each point that is remembered; what is told errs."""
        assert self._posterior is not None
        means, deviations = self._posterior.at_observed()
        means = means + _expected(self._posterior.trends)
        means, deviations = self._middle + self._unit * means, self._unit * deviations
        return dict(
            zip(self._rows, zip(means.tolist(), deviations.tolist(), strict=True), strict=True)
        )

    def at(self, codes: Codes) -> tuple[Array, Array]:
        """Means and standard deviations `[M]` of points `[M, D]`."""
        assert self._believed is not None
        trends = self._trends(codes)
        mean, deviation = self._believed.at(codes, trends)
        mean = mean + _expected(trends)
        return self._middle + self._unit * mean, self._unit * deviation

    def _refresh_alone(self, coding: PointCodes) -> bool:
        """Refresh, the largest being the most worthy; whether there was anything new."""
        new = self._stale or coding is not self._coding or self._taken_in < len(self._places)
        self.refresh(coding, lambda points: [self._values[self._places[one]] for one in points])
        return new

    def _trends(self, codes: Codes) -> Array:
        """`[M, K]`: what each fidelity that is followed expects of points, around its middle."""
        return self._expectations(codes) - self._centre

    def _expectations(self, codes: Codes) -> Array:
        """The same as it is, in units of the fidelity's own spread."""
        import numpy as np

        found = np.zeros((len(codes), len(self._followed)))
        for column, name in enumerate(self._followed):
            posterior = self._others[name]._posterior
            assert posterior is not None
            found[:, column] = np.clip(posterior.means_at(codes), -_LOWEST, _LOWEST)
        return found

    def _rebuild(
        self,
        points: Sequence[Point],
        coding: PointCodes,
        worth: Callable[[Sequence[Point]], Sequence[float]],
    ) -> None:
        import numpy as np

        chosen = list(range(len(points)))
        if len(points) > REMEMBERED:
            chosen = _remembered(worth(points))
        self._rows = [points[place] for place in chosen]
        values = np.array(self._values)[chosen]
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        self._floor = float(middle - _LOWEST * max(high - low, 1e-12))
        values = np.maximum(values, self._floor)
        self._middle = float(values.mean())
        codes, encoding = coding.codes(self._rows), Encoding.of(coding.counts)
        if len(points) >= self._due or self._decisions != len(coding.counts):
            self._fit(encoding, codes, values, chosen)
            self._due = len(points) + max(2, len(points) // _REFITS)
        scaled, errors, trends = self._follow(self._followed, codes, values, chosen)
        kernel = self._kernels[self._followed]
        self._posterior = Posterior.of(encoding, kernel, codes, scaled, errors, trends)
        self._coding, self._decisions = coding, len(coding.counts)
        self._taken_in, self._stale = len(points), False

    def _fit(self, encoding: Encoding, codes: Codes, values: Array, places: Sequence[int]) -> None:
        """A kernel for each choice of what to follow, and the choice that is the likeliest."""
        import numpy as np

        first = self._decisions != len(encoding.counts)
        first |= bool(self._others) and len(values) < _FEW
        steps = _FIRST_STEPS if first else _STEPS
        some = np.unique(np.linspace(0, len(codes) - 1, _FITTED).round().astype(int))
        names = tuple(self._others)
        scores = {}
        for followed in dict.fromkeys([names, (), *((name,) for name in names)]):
            share = 1 - _SLOPE**2 if followed else 1.0
            start = None if first else self._kernels.get(followed)
            told = self._follow(followed, codes, values, places)
            scaled, errors, trends = (each[some] for each in told)
            self._kernels[followed], score = fitted(
                encoding,
                codes[some],
                scaled,
                errors,
                start or Kernel.usual(len(encoding.counts), share),
                steps if start is not None or first else _FIRST_STEPS,
                trends=trends,
                share=share,
            )
            odds = _ODDS if followed else 0.0
            scores[followed] = score - len(some) * math.log(self._unit) + odds
        self._followed = max(scores, key=scores.__getitem__)

    def _follow(
        self, followed: tuple[str, ...], codes: Codes, values: Array, places: Sequence[int]
    ) -> tuple[Array, Array, Array]:
        """What fidelities leave of values, its variances, and their trends; all in our unit."""
        import numpy as np

        self._followed = followed
        expectations = self._expectations(codes)
        self._centre = expectations.mean(axis=0)
        trends = expectations - self._centre
        self._unit = self._width(values, trends)
        scaled = (values - self._middle) / self._unit - _expected(trends)
        return scaled, np.array([self._variance(place) for place in places]), trends

    def _width(self, values: Array, trends: Array) -> float:
        """Of the figure in all points, from values `[N]` in some, whose trends are `[N, K]`.

        Points that a trend says are alike tell little of it, few points little too; then it is
        taken to be to the figure's middle what that of the fidelity is to its own.
        """
        width = float(values.std())
        if self._followed:
            others = [self._others[name] for name in self._followed]
            ratios = (
                abs(self._middle / other._middle) if other._middle else 1.0 for other in others
            )
            usual = [
                other._unit * min(max(ratio, 0.01), 100.0)
                for other, ratio in zip(others, ratios, strict=True)
            ]
            width /= (float(_expected(trends).var()) + 1 - _SLOPE**2) ** 0.5
            before = sum(usual) / len(usual)
            squares = len(values) * width**2 + _UNIT_OF * before**2
            width = (squares / (len(values) + _UNIT_OF)) ** 0.5
        return max(width, 1e-9)

    def _variance(self, place: int) -> float:
        noise = (self._noise / self._unit) ** 2 / self._times[place]
        return noise + (self._deviations[place] / self._unit) ** 2

    def _scaled(self, value: float) -> float:
        return (max(value, self._floor) - self._middle) / self._unit


def _expected(trends: Array) -> Array:
    """What is expected `[M]` by trends `[M, K]` before any slope is learnt."""
    import numpy as np

    return np.asarray(_SLOPE / max(trends.shape[1], 1) * trends.sum(axis=1))


def _remembered(worth: Sequence[float]) -> list[int]:
    """Places of those that are kept: two thirds the most worthy, the others the latest."""
    order = sorted(range(len(worth)), key=lambda place: (-worth[place], place))
    kept = set(order[: 2 * REMEMBERED // 3])
    for place in reversed(range(len(worth))):
        if len(kept) == REMEMBERED:
            break
        kept.add(place)
    return sorted(kept)
