"""Limits that every candidate keeps, because none is proposed that does not: hard constraints.

What they limit is known exactly before anything is trained or timed: parameters, multiply-adds,
the size of the file, memory of activations (``controller.network_figures``). A latency is no such
figure; it has its target (``controller.reward``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from controller.network_figures import Figure, figures_of
from exporters.artifact import Precision
from search_space.architecture import Head
from search_space.decisions import Point, PointSpace
from search_space.guidance import GuidedPointSpace
from search_space.phases import Part
from search_space.space import SearchSpace
from workspace.errors import InputError

DRAWS = 200
"""Random points, or changed ones, until one that keeps the limits is found."""

_STEPS = 3000
"""Changes that lead towards a point that keeps them, before a search starts."""


Costs = Callable[[Point], Mapping[str, float]]
"""Of the network of a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A figure and the most that it may be.

    Attributes:
        figure: Which.
        limit: Positive and finite.
    """

    figure: Figure
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """As the command line has it.

        >>> Constraint.parse("params<=3e6").limit
        3000000.0

        Raises:
            InputError: If it is no limit of such a figure.
        """
        name, sign, number = text.partition("<=")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        known = name.strip() in set(Figure)
        if not (sign and known and math.isfinite(limit) and limit > 0):
            msg = (
                f"a constraint is FIGURE<=NUMBER with {', '.join(Figure)}, e.g. params<=3e6, "
                f"got {text!r}"
            )
            raise InputError(msg)
        return cls(figure=Figure(name.strip()), limit=limit)

    def __str__(self) -> str:
        return f"{self.figure}<={self.limit:g}"


class ConstrainedPoints:
    """The points of a space that keep all limits; a ``PointSpace``.

    Args:
        points: The space.
        constraints: At least one.
        costs: Of a point.
        near: A point to begin the search for one that keeps them with, if any is promising.

    Raises:
        InputError: If no point that keeps them is found; says how near the nearest came.
    """

    def __init__(
        self,
        points: PointSpace,
        constraints: Sequence[Constraint],
        costs: Costs,
        near: Point | None = None,
    ) -> None:
        self.points = points
        self._constraints = tuple(constraints)
        self._costs = costs
        self._known: dict[Point, bool] = {}
        self._inside = self._found(near)

    def within(self, part: Part) -> ConstrainedPoints:
        """The points of a part of the space that keep all limits.

        Raises:
            InputError: See the class.
        """

        def costs(point: Point) -> Mapping[str, float]:
            return self._costs(part.whole(point))

        near = part.within(part.base)
        return ConstrainedPoints(part.points, self._constraints, costs, near)

    def keeps(self, point: Point) -> bool:
        """Whether a point of the space keeps all limits."""
        if point not in self._known:
            self._known[point] = self._beyond(point) <= 0
        return self._known[point]

    def sample(self, rng: random.Random) -> Point:
        """See ``PointSpace.sample``; near one that is known to keep them where few points do."""
        for _ in range(DRAWS):
            point = self.points.sample(rng)
            if self.keeps(point):
                return point
        point = self._inside
        for _ in range(DRAWS):
            other = self.points.mutate(point, rng)
            point = other if self.keeps(other) else point
        return point

    def mutate(self, point: Point, rng: random.Random) -> Point:
        """See ``PointSpace.mutate``; several changes where no single one keeps the limits."""
        for _ in range(DRAWS):
            other = self.points.mutate(point, rng)
            if self.keeps(other):
                return other
        for _ in range(DRAWS):
            other = self.sample(rng)
            if other != point:
                return other
        msg = f"no other point than {point} that keeps {self.text} was found"
        raise InputError(msg)

    def crossover(self, first: Point, second: Point, rng: random.Random) -> Point:
        """See ``PointSpace.crossover``; one of the two where no child keeps the limits."""
        for _ in range(DRAWS):
            point = self.points.crossover(first, second, rng)
            if self.keeps(point):
                return point
        return rng.choice((first, second))

    def validate(self, point: Point) -> None:
        """See ``PointSpace.validate``."""
        self.points.validate(point)
        if not self.keeps(point):
            msg = f"point {point} does not keep {self.text}"
            raise InputError(msg)

    @property
    def text(self) -> str:
        """All limits, for people."""
        return " and ".join(map(str, self._constraints))

    def _beyond(self, point: Point) -> float:
        """By how much the limits are exceeded: the sum of natural logarithms."""
        try:
            costs = self._costs(point)
        except InputError:  # a point without a network
            return math.inf
        return sum(
            max(0.0, math.log(max(costs[one.figure], 1e-9) / one.limit))
            for one in self._constraints
        )

    def _found(self, near: Point | None) -> Point:
        """A point that keeps all limits, by a descent from random points or one that is near."""
        if near is not None and self._beyond(near) <= 0:
            return near
        rng = random.Random("constraints")
        best = min((self.points.sample(rng) for _ in range(DRAWS)), key=self._beyond)
        least = self._beyond(best)
        for _ in range(_STEPS):
            if least <= 0:
                return best
            other = self.points.mutate(best, rng)
            beyond = self._beyond(other)
            if beyond <= least:
                best, least = other, beyond
        nearest = "none has a network"
        if math.isfinite(least):
            costs = self._costs(best)
            told = (f"{one.figure} of {costs[one.figure]:g}" for one in self._constraints)
            nearest = f"the nearest has {' and '.join(told)}"
        msg = f"no network of the space was found that keeps {self.text}: {nearest}"
        raise InputError(msg)


def constrained(
    space: SearchSpace,
    texts: Sequence[str],
    head: Head,
    size: int | None,
    precision: Precision = Precision.FP32,
) -> PointSpace:
    """The points of a space that keep what the command line asks for; all of them without texts.

    Args:
        space: Of chains.
        texts: As ``Constraint.parse`` reads.
        head: What networks end in.
        size: Input size at which multiply-adds and activations count; None for the architecture's
            own.
        precision: Of the model file.

    Raises:
        InputError: If a text is no constraint, figures of such networks are not known, or nothing
            keeps all limits.
    """
    if not texts:
        return space.points
    constraints = [Constraint.parse(text) for text in texts]
    limited = {one.figure for one in constraints}

    def costs(point: Point) -> Mapping[str, float]:
        architecture = space.decode(point)
        timed = architecture if size is None else architecture.at(size)
        return figures_of(timed, head, precision, limited)

    if isinstance(space.points, GuidedPointSpace):
        from controller.guided_constraints import ConstrainedGuidedPoints

        return ConstrainedGuidedPoints(space.points, constraints, costs)
    return ConstrainedPoints(space.points, constraints, costs)
