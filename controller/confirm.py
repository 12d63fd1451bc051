"""The last trials of a search, spent on the best that it found: which of them is it?

A search takes the best of many noisy trainings, so the best was lucky. ``Confirming`` lets any
algorithm search, and evaluates the leading candidates again at the end: each time the one that was
evaluated least among the few with the largest mean reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import nlargest

from controller.algorithm import AGAIN, Outcome, Proposal, SearchAlgorithm
from controller.ledger import Ledger
from controller.tally import Tally
from search_space.decisions import Point

LEAST_BEFORE = 2
"""Proposals of the algorithm: of one alone there is no best."""

_ROUNDS = 3
"""Further evaluations that each leading candidate gets, about."""


class Confirming:
    """Another algorithm's proposals, then its best ones again; a ``SearchAlgorithm``.

    Args:
        algorithm: Whose; fresh, and told of its own proposals only.
        after: How many of its proposals come first. All later ones are of the best again, as long
            as any was evaluated.
        again: How many of those there will be, about.

    Raises:
        ValueError: If there are fewer than ``LEAST_BEFORE`` proposals before, or none again.
    """

    def __init__(self, algorithm: SearchAlgorithm, *, after: int, again: int) -> None:
        if after < LEAST_BEFORE or again < 1:
            msg = (
                f"at least {LEAST_BEFORE} proposals come before those that are made again, and 1 "
                f"again, got {after} and {again}"
            )
            raise ValueError(msg)
        self._algorithm = algorithm
        self._ledger = Ledger()
        self._after = after
        self._leading = max(2, round(again / _ROUNDS))
        self._tally = Tally()
        self._made: dict[int, Proposal] = {}

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``.

        Raises:
            ValueError: See there; also what the algorithm raises.
        """
        self._ledger.check(outcomes)
        made = ((self._made.get(one.proposal.index), one) for one in outcomes)
        self._algorithm.tell(
            [replace(one, proposal=proposal) for proposal, one in made if proposal is not None]
        )
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            self._tally.learn(outcome)

    def _propose(self, index: int) -> Proposal:
        if index >= self._after and self._tally:
            point = self._least_sure()
            note = {AGAIN: self._tally.trainings(point)}
            confirming = Proposal(index=index, point=point, note=note)
            self._tally.count(confirming)
            return confirming
        (made,) = self._algorithm.ask(1)
        self._made[index] = made
        self._tally.count(made)
        # parents are proposals of the algorithm, whose numbers are ours as long as all are its own
        return replace(made, index=index, parents=made.parents if index == made.index else ())

    def _least_sure(self) -> Point:
        """Of the leading points the one with the fewest trainings, the better one of two."""
        means = self._tally.rewards
        leading = nlargest(self._leading, means, key=means.__getitem__)
        return min(leading, key=self._tally.trainings)
