"""The youngest outcomes of a search, of which tournaments choose parents."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from controller.algorithm import Evaluated, Failed, Outcome, Skipped, Stopped
from search_space.decisions import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One that may be a parent; ``fitness`` puts every evaluated above every skipped."""

    outcome: Evaluated | Stopped | Skipped
    fitness: tuple[bool, float]

    @property
    def index(self) -> int:
        """Of its proposal."""
        return self.outcome.proposal.index

    @property
    def point(self) -> Point:
        """Of its proposal."""
        return self.outcome.proposal.point


class Population:
    """The population of regularized evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1).

    Age is counted in outcomes told, so any number of proposals may be in flight. Departures from
    the paper, which has neither: a ``Skipped`` outcome joins below every evaluated one, ordered by
    its bound (of two that are too slow, the faster one is the better parent); a ``Failed`` one
    does not join.

    Args:
        size: P, how many of the youngest there are.
        tournament: S, how many of them are drawn, of which the best is the parent; of fewer all.
        start: Its first member, from which the others descend; None for random ones.
    """

    def __init__(self, *, size: int, tournament: int, start: Evaluated | None = None) -> None:
        self._members: deque[Member] = deque(maxlen=size)
        self._least = size if start is None else 1
        self._tournament = tournament
        if start is not None:
            self.join(start)

    @property
    def has_parents(self) -> bool:
        """Whether it is full, or began with a member; until then, proposals are random."""
        return len(self._members) >= self._least

    def join(self, outcome: Outcome) -> None:
        """Take in an outcome, in the order of tells; the oldest member leaves."""
        match outcome:
            case Evaluated() | Stopped():
                self._members.append(Member(outcome=outcome, fitness=(True, outcome.reward)))
            case Skipped():
                self._members.append(Member(outcome=outcome, fitness=(False, outcome.bound)))
            case Failed():
                pass

    def parent(self, rng: random.Random) -> Member:
        """The best of a random sample, the first drawn of several."""
        drawn = rng.sample(self._members, min(self._tournament, len(self._members)))
        return max(drawn, key=lambda member: member.fitness)
