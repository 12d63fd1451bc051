"""Regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from controller.algorithm import Evaluated, Failed, Outcome, Proposal, Skipped, Stopped
from controller.ledger import Ledger
from controller.settings import EvolutionSettings
from search_space.decisions import Point, PointSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One that may be a parent; ``fitness`` puts every evaluated above every skipped."""

    index: int
    point: Point
    fitness: tuple[bool, float]


class RegularizedEvolution:
    """Mutates the best of a random sample of the youngest outcomes; a ``SearchAlgorithm``.

    Age is counted in outcomes told, so any number of proposals may be in flight; until the
    population is full, every proposal is random. Departures from the paper, which has neither:
    a ``Skipped`` outcome joins the population below every evaluated one, ordered by its bound (of
    two that are too slow, the faster one is the better parent); a ``Failed`` one does not join.

    Args:
        space: Where points come from, of any kind.
        settings: Sizes of the population and of the tournament.
        seed: With the outcomes told so far and the index of a proposal it fixes its point.
        first: The points of the first proposals.
    """

    def __init__(
        self,
        space: PointSpace,
        settings: EvolutionSettings,
        *,
        seed: int,
        first: Sequence[Point] = (),
    ) -> None:
        self._space = space
        self._first = first
        self._settings = settings
        self._seed = seed
        self._ledger = Ledger()
        self._population: deque[_Member] = deque(maxlen=settings.population)

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            match outcome:
                case Evaluated() | Stopped():
                    self._join(outcome.proposal, (True, outcome.reward))
                case Skipped():
                    self._join(outcome.proposal, (False, outcome.bound))
                case Failed():
                    pass

    def _join(self, proposal: Proposal, fitness: tuple[bool, float]) -> None:
        member = _Member(index=proposal.index, point=proposal.point, fitness=fitness)
        self._population.append(member)

    def _propose(self, index: int) -> Proposal:
        if index < len(self._first):
            return Proposal(index=index, point=self._first[index])
        rng = random.Random(f"{self._seed}/{index}")
        if len(self._population) < self._settings.population:
            return Proposal(index=index, point=self._space.sample(rng))
        tournament = rng.sample(self._population, self._settings.tournament)
        parent = max(tournament, key=lambda member: member.fitness)
        point = self._space.mutate(parent.point, rng)
        return Proposal(index=index, point=point, parents=(parent.index,))
