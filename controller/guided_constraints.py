"""Limits that every candidate of a guided search keeps; see ``controller.constraints``."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from controller.constraints import DRAWS, ConstrainedPoints, Constraint, Costs
from search_space.decisions import Point, same_network
from search_space.guidance import GuidedPointSpace, Threshold, Told
from workspace.errors import InputError


class ConstrainedGuidedPoints(ConstrainedPoints):
    """The points of a ``GuidedPointSpace`` that keep all limits; one itself.

    Args:
        points: The space.
        constraints: At least one.
        costs: Of a point.

    Raises:
        InputError: If no point that keeps them is found.
    """

    def __init__(
        self, points: GuidedPointSpace, constraints: Sequence[Constraint], costs: Costs
    ) -> None:
        super().__init__(points, constraints, costs)
        self._guided = points

    def same_network(self, first: Point, second: Point) -> bool:
        """See ``Discerning.same_network``."""
        return same_network(self._guided, first, second)

    def told_weights(self, point: Point) -> Mapping[str, int]:
        """See ``GuidedPointSpace.told_weights``."""
        return self._guided.told_weights(point)

    def reconnect(
        self, point: Point, told: Told, threshold: Threshold, rng: random.Random
    ) -> Point:
        """See ``GuidedPointSpace.reconnect``; the point itself where no child keeps the limits."""
        for _ in range(DRAWS):
            child = self._guided.reconnect(point, told, threshold, rng)
            if self.keeps(child):
                return child
        return point

    def restructure(self, point: Point, rng: random.Random) -> Point:
        """See ``GuidedPointSpace.restructure``.

        Raises:
            InputError: If no such change that keeps the limits is found.
        """
        for _ in range(DRAWS):
            child = self._guided.restructure(point, rng)
            if self.keeps(child):
                return child
        msg = f"no other nodes than those of {point} that keep {self.text} were found"
        raise InputError(msg)
