"""Regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from controller.algorithm import Outcome, Proposal
from controller.ledger import Ledger
from controller.population import Population
from controller.settings import EvolutionSettings
from search_space.decisions import Point, PointSpace


class RegularizedEvolution:
    """Mutates the best of a random sample of the youngest outcomes; a ``SearchAlgorithm``.

    Until the population is full, every proposal is random; see ``Population``.

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
        self._seed = seed
        self._ledger = Ledger()
        self._population = Population(size=settings.population, tournament=settings.tournament)

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            self._population.join(outcome)

    def _propose(self, index: int) -> Proposal:
        if index < len(self._first):
            return Proposal(index=index, point=self._first[index])
        rng = random.Random(f"{self._seed}/{index}")
        if not self._population.is_full:
            return Proposal(index=index, point=self._space.sample(rng))
        parent = self._population.parent(rng)
        point = self._space.mutate(parent.point, rng)
        return Proposal(index=index, point=point, parents=(parent.index,))
