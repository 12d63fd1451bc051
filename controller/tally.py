"""What was evaluated of each point in a search whose points may be evaluated more than once."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from controller.algorithm import Evaluated, Outcome, Proposal
from search_space.decisions import Point


class Tally:
    """Counts the trainings of points, and holds what they gave."""

    def __init__(self) -> None:
        self._trainings: dict[Point, int] = {}
        self._evaluated: dict[Point, list[Evaluated]] = {}

    def __bool__(self) -> bool:
        """Whether anything was evaluated."""
        return bool(self._evaluated)

    def count(self, proposal: Proposal) -> int:
        """Count a proposal; says how often its point is trained before.

        One that is not made ``again`` of a known point is given what was found before.
        """
        before = self._trainings.get(proposal.point, 0)
        self._trainings[proposal.point] = before + 1 if proposal.again else max(before, 1)
        return before

    def trainings(self, point: Point) -> int:
        """How often a point is trained."""
        return self._trainings.get(point, 0)

    def learn(self, outcome: Outcome) -> None:
        """Hold what a training gave; what was only found before, once more, counts no more."""
        if isinstance(outcome, Evaluated):
            own = self._evaluated.setdefault(outcome.proposal.point, [])
            if not own or outcome.proposal.again:
                own.append(outcome)

    @property
    def rewards(self) -> Mapping[Point, float]:
        """The mean reward of each point that was evaluated."""
        return {p: fmean(one.reward for one in own) for p, own in self._evaluated.items()}

    def best(self) -> Point:
        """The point with the largest mean reward, the first of equals.

        Raises:
            ValueError: If nothing was evaluated.
        """
        means = self.rewards
        if not means:
            msg = "nothing was evaluated yet, so no point is the best"
            raise ValueError(msg)
        return max(means, key=means.__getitem__)

    def evaluated(self, point: Point) -> tuple[Evaluated, ...]:
        """What the trainings of a point gave, in the order told."""
        return tuple(self._evaluated.get(point, ()))
