"""Regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from controller.algorithm import Evaluated, Outcome, Proposal
from controller.ledger import Ledger
from controller.population import Member, Population
from controller.settings import EvolutionSettings
from search_space.architecture import Json
from search_space.decisions import Point, PointSpace

Mutation = Callable[[Member, random.Random], tuple[Point, Mapping[str, Json]]]
"""Makes a child of a parent: its point, and what its proposal notes."""


class RegularizedEvolution:
    """Mutates the best of a random sample of the youngest outcomes; a ``SearchAlgorithm``.

    Until the population is full, every proposal is random, unless it began with a member; see
    ``Population``.

    Args:
        space: Where points come from, of any kind.
        settings: Sizes of the population and of the tournament.
        seed: With the outcomes told so far and the index of a proposal it fixes its point.
        first: The points of the first proposals.
        start: The first member of the population.
        mutation: In place of the space's own.
    """

    def __init__(
        self,
        space: PointSpace,
        settings: EvolutionSettings,
        *,
        seed: int,
        first: Sequence[Point] = (),
        start: Evaluated | None = None,
        mutation: Mutation | None = None,
    ) -> None:
        self._space = space
        self._mutated = mutation or self._plainly_mutated
        self._first = first
        self._seed = seed
        self._ledger = Ledger()
        self._population = Population(
            size=settings.population, tournament=settings.tournament, start=start
        )

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
        if not self._population.has_parents:
            return Proposal(index=index, point=self._space.sample(rng))
        parent = self._population.parent(rng)
        point, note = self._mutated(parent, rng)
        return Proposal(index=index, point=point, parents=(parent.index,), note=note)

    def _plainly_mutated(
        self, parent: Member, rng: random.Random
    ) -> tuple[Point, Mapping[str, Json]]:
        return self._space.mutate(parent.point, rng), {}
