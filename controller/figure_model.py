"""What candidates give in one figure, as far as outcomes tell: a model that grows with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from controller.gaussian_process import Encoding, Kernel, Posterior, fitted
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

_REFITS = 5
"""A kernel is fitted again when there are so much more points: one in so many."""

_LOWEST = 4.0
"""How far below the middle half of all values one may be, in units of its width; what is lower
(a training that collapsed) counts as that."""


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
        self._kernel: Kernel | None = None
        self._posterior: Posterior | None = None
        self._believed: Posterior | None = None
        self._coding: PointCodes | None = None
        self._middle, self._unit, self._floor = 0.0, 1.0, 0.0
        self._taken_in, self._due = 0, 0
        self._stale = True

    def knows(self, point: Point) -> bool:
        """Whether it was told of a point."""
        return point in self._places

    def learn(self, point: Point, value: float) -> None:
        """Take in what a point gives."""
        place = self._places.setdefault(point, len(self._values))
        if place == len(self._values):
            self._values.append(value)
            self._times.append(1)
            return
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
        points = list(self._places)
        if self._stale or coding is not self._coding or len(points) >= self._due:
            self._rebuild(points, coding, worth)
        assert self._posterior is not None
        for point in points[self._taken_in :]:
            (code,) = coding.codes([point])
            place = self._places[point]
            value, variance = self._scaled(self._values[place]), self._variance(place)
            self._posterior = self._posterior.with_observation(code, value, variance)
            self._rows.append(point)
        self._taken_in = len(points)
        self._believed = self._posterior

    def believe(self, codes: Codes) -> None:
        """Take points `[M, D]` to give what is expected of them, until ``refresh``."""
        for code in codes:
            assert self._believed is not None
            mean, _ = self._believed.at(code[None])
            variance = (self._noise / self._unit) ** 2
            self._believed = self._believed.with_observation(code, float(mean[0]), variance)

    def at_known(self) -> dict[Point, tuple[float, float]]:
        """Mean and standard deviation of each point that is remembered; what is told errs."""
        assert self._posterior is not None
        means, deviations = self._posterior.at_observed()
        means, deviations = self._middle + self._unit * means, self._unit * deviations
        return dict(
            zip(self._rows, zip(means.tolist(), deviations.tolist(), strict=True), strict=True)
        )

    def at(self, codes: Codes) -> tuple[Array, Array]:
        """Means and standard deviations `[M]` of points `[M, D]` that were not told of."""
        assert self._believed is not None
        mean, deviation = self._believed.at(codes)
        return self._middle + self._unit * mean, self._unit * deviation

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
        self._middle, self._unit = float(values.mean()), max(float(values.std()), 1e-9)
        scaled = (values - self._middle) / self._unit
        errors = np.array([self._variance(place) for place in chosen])
        codes, encoding = coding.codes(self._rows), Encoding.of(coding.counts)
        kernel = self._kernel
        first = kernel is None or len(kernel.distances) != len(coding.counts)
        if kernel is None or first:
            kernel = Kernel.usual(len(coding.counts))
        if first or len(points) >= self._due:
            some = np.unique(np.linspace(0, len(codes) - 1, _FITTED).round().astype(int))
            steps = _FIRST_STEPS if first else _STEPS
            kernel = fitted(encoding, codes[some], scaled[some], errors[some], kernel, steps)
            self._due = len(points) + max(2, len(points) // _REFITS)
        self._posterior = Posterior.of(encoding, kernel, codes, scaled, errors)
        self._coding, self._kernel = coding, kernel
        self._taken_in, self._stale = len(points), False

    def _variance(self, place: int) -> float:
        return (self._noise / self._unit) ** 2 / self._times[place]

    def _scaled(self, value: float) -> float:
        return (max(value, self._floor) - self._middle) / self._unit


def _remembered(worth: Sequence[float]) -> list[int]:
    """Places of those that are kept: two thirds the most worthy, the others the latest."""
    order = sorted(range(len(worth)), key=lambda place: (-worth[place], place))
    kept = set(order[: 2 * REMEMBERED // 3])
    for place in reversed(range(len(worth))):
        if len(kept) == REMEMBERED:
            break
        kept.add(place)
    return sorted(kept)
