"""The largest volume under a front, as what a search by models is to improve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from controller.aims import teach
from controller.algorithm import Evaluated, Proposal, Skipped, Stopped
from controller.earlier import ACCURACY, LATENCY, Known
from controller.expected_improvement import growth_in, hypervolume_improvement
from controller.figure_model import FigureModel
from controller.objectives import losses
from controller.open_boxes import OpenBoxes
from controller.pareto import FrontPoint, with_point
from search_space.decisions import Point

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Codes = NDArray[np.int64]

_REFERENCE = -0.1
"""Of the volume under a front, in each objective: beyond the worst that is known, as a share of
the range."""


class FrontAim:
    """The largest volume under the front of the first objectives of outcomes; an ``Aim``.

    Args:
        count: How many objectives, at least 2.
        noise: Standard deviation of an accuracy's error.
    """

    def __init__(self, count: int, noise: float) -> None:
        self._count = count
        self._noise = noise
        self._models: dict[str, FigureModel] = {}
        self._skipped: list[Skipped] = []
        self._informed: list[Known] = []
        self._front: tuple[FrontPoint, ...] = ()
        self._points: dict[int, Point] = {}
        self._known: list[tuple[float, ...]] = []
        self._low = (math.inf,) * count
        self._high = (-math.inf,) * count
        self._levels: Array | None = None
        self._open: OpenBoxes | None = None

    @property
    def models(self) -> Sequence[FigureModel]:
        """See ``Aim``; none until something was evaluated, which names the objectives."""
        return tuple(self._models.values())

    def check(self, outcome: Evaluated | Stopped) -> None:
        """See ``Aim``."""
        names = tuple(one.name for one in outcome.objectives[: self._count])
        known = tuple(self._models) or names
        if len(names) < self._count or names != known:
            wanted = ", ".join(self._models) or f"{self._count} objectives"
            msg = f"the surrogate's front needs {wanted}, got {outcome.objectives}"
            raise ValueError(msg)

    def learn(self, outcome: Evaluated | Stopped | Skipped) -> None:
        """See ``Aim``; of what was skipped the latency, where it is an objective."""
        if isinstance(outcome, Skipped):
            self._skipped.append(outcome)
            if self._models:
                self._learn_skipped()
            return
        objectives = outcome.objectives[: self._count]
        self._models = self._models or {
            one.name: FigureModel(self._noise if one.name == ACCURACY else 0.0)
            for one in objectives
        }
        self._learn_informed()
        self._learn_skipped()
        mine = losses(objectives)
        deviation = outcome.deviation if isinstance(outcome, Stopped) else 0.0
        for (name, model), loss in zip(self._models.items(), mine, strict=True):
            error = deviation if name == ACCURACY else 0.0
            model.learn(outcome.proposal.point, -loss, deviation=error)
        if isinstance(outcome, Evaluated):
            self._take(outcome.proposal, mine)

    def inform(self, known: Known) -> None:
        """See ``Aim``; what names the objectives comes later, so it is kept until then."""
        self._informed.append(known)

    def _learn_skipped(self) -> None:
        latency = self._models.get(LATENCY)
        for skipped in self._skipped:
            if latency is not None:
                latency.learn(skipped.proposal.point, -skipped.latency_ms)
        self._skipped.clear()

    def _learn_informed(self) -> None:
        for known in self._informed:
            for name, model in self._models.items():
                turned = 1.0 if name == ACCURACY else -1.0
                teach(model, known, name, turned=turned)
        self._informed.clear()

    def _take(self, proposal: Proposal, mine: tuple[float, ...]) -> None:
        """Of what was evaluated, keep what is needed beside the models."""
        values = tuple(-loss for loss in mine)
        front = with_point(self._front, FrontPoint(index=proposal.index, losses=mine))
        low, high = tuple(map(min, self._low, values)), tuple(map(max, self._high, values))
        if (front, low, high) != (self._front, self._low, self._high):
            self._levels = self._open = None
        self._front, self._low, self._high = front, low, high
        self._points[proposal.index] = proposal.point
        self._known.append(values)

    def worth(self, points: Sequence[Point]) -> list[float]:
        """See ``Aim``: by how many beat a point in all."""
        import numpy as np

        values = np.array(self._known)
        beaten = (values[:, None] < values[None]).all(axis=2).sum(axis=1)
        known = dict(zip(self._points.values(), beaten.tolist(), strict=True))
        return [-known.get(point, 1e9) for point in points]

    def parents(self) -> list[Point]:
        """See ``Aim``."""
        return [self._points[member.index] for member in self._front]

    def scores(self, codes: Codes) -> Array:
        """See ``Aim``."""
        import numpy as np

        told = [model.at(codes) for model in self.models]
        if self._levels is None:
            self._levels = -np.array([member.losses for member in self._front])
        low = np.array(self._low)
        width = np.maximum(np.array(self._high) - low, 1e-12)
        means = (np.stack([mean for mean, _ in told], axis=1) - low) / width
        deviations = np.stack([deviation for _, deviation in told], axis=1) / width
        levels = (self._levels - low) / width
        if self._count == 2:
            return hypervolume_improvement(means, deviations, levels, (_REFERENCE, _REFERENCE))
        if self._open is None:
            self._open = OpenBoxes.of(levels, (_REFERENCE,) * self._count)
        return growth_in(self._open, means, deviations)

    def again(self) -> Mapping[Point, float]:
        """See ``Aim``; a front is never evaluated again."""
        return {}

    def best(self) -> Point:
        """See ``Aim``: the best in the first objective."""
        return self._points[min(self._front, key=lambda member: member.losses).index]
