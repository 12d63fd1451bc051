"""Random search: the baseline that every other algorithm has to beat."""

from __future__ import annotations

import random
from collections.abc import Sequence

from controller.algorithm import Outcome, Proposal
from controller.ledger import Ledger
from search_space.decisions import PointSpace


class RandomSearch:
    """Draws every point anew from the space; a ``SearchAlgorithm``.

    Args:
        space: Where points come from.
        seed: With the index of a proposal it fixes its point.
    """

    def __init__(self, space: PointSpace, *, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._ledger = Ledger()

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``; nothing is learnt."""
        self._ledger.settle(outcomes)

    def _propose(self, index: int) -> Proposal:
        point = self._space.sample(random.Random(f"{self._seed}/{index}"))
        return Proposal(index=index, point=point)
