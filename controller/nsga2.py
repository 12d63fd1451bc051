"""NSGA-II (Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from controller.algorithm import Evaluated, Outcome, Proposal, Stopped
from controller.ledger import Ledger
from controller.objectives import losses
from controller.settings import Nsga2Settings
from search_space.decisions import Point, PointSpace

_CROSSOVER = 0.9
"""Probability that a child has two parents (section V: 0.9)."""

_TRIES = 20
"""Children that are made until one was not proposed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One that may be a parent; all of ``losses`` are to be small."""

    index: int
    point: Point
    losses: tuple[float, ...]


class Nsga2:
    """Children of the best by rank and crowding; a ``SearchAlgorithm`` for the objectives.

    Whatever the reward: what counts is by how many others a candidate is dominated, then how much
    room it has on its front. Only ``Evaluated`` and ``Stopped`` outcomes have objectives, the
    others take no part.
    Departures from the paper: the population is renewed with each outcome instead of once a
    generation, since outcomes come one by one (as in the steady-state variant of Durillo et al.,
    "On the effect of the steady-state selection scheme in multi-objective genetic algorithms",
    2009), and a point that was proposed is not proposed again if another child is found.

    Args:
        space: Where points come from, of any kind.
        settings: Size of the population, number of objectives.
        seed: With the outcomes told so far and the index of a proposal it fixes its point.
        first: The points of the first proposals.
        start: The first member of the population; without one proposals are random until it is
            full.
    """

    def __init__(
        self,
        space: PointSpace,
        settings: Nsga2Settings,
        *,
        seed: int,
        first: Sequence[Point] = (),
        start: Evaluated | None = None,
    ) -> None:
        self._space = space
        self._first = first
        self._settings = settings
        self._seed = seed
        self._ledger = Ledger()
        self._population: list[_Member] = []
        self._fitness: list[tuple[int, float]] = []
        self._proposed: set[Point] = set()
        self._least = settings.population if start is None else 1
        if start is not None:
            self._join(start.proposal, losses(start.objectives[: settings.objectives]))
            self._proposed.add(start.proposal.point)

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``.

        Raises:
            ValueError: See there; also if an outcome has fewer objectives than the settings say.
        """
        found = [self._losses(outcome) for outcome in outcomes]
        self._ledger.settle(outcomes)
        for outcome, mine in zip(outcomes, found, strict=True):
            if mine is not None:
                self._join(outcome.proposal, mine)

    def _losses(self, outcome: Outcome) -> tuple[float, ...] | None:
        """The objectives, each turned so that smaller is better; None without."""
        if not isinstance(outcome, Evaluated | Stopped):
            return None
        objectives = outcome.objectives[: self._settings.objectives]
        if len(objectives) < self._settings.objectives:
            msg = (
                f"nsga2 is set to {self._settings.objectives} objectives, got {outcome.objectives}"
            )
            raise ValueError(msg)
        return losses(objectives)

    def _join(self, proposal: Proposal, found: tuple[float, ...]) -> None:
        """Take one in, and leave the worst out if they are too many."""
        own = _Member(index=proposal.index, point=proposal.point, losses=found)
        members = [*self._population, own]
        losses = [one.losses for one in members]
        ranks = ranks_of(losses)
        crowding = crowding_of(losses, ranks)
        if len(members) > self._settings.population:
            # on the last front, so that nobody's rank depends on it
            worst = max(range(len(members)), key=lambda place: (ranks[place], -crowding[place]))
            for each in (members, losses, ranks):
                del each[worst]
            crowding = crowding_of(losses, ranks)
        self._population = members
        self._fitness = [(rank, -room) for rank, room in zip(ranks, crowding, strict=True)]

    def _propose(self, index: int) -> Proposal:
        if index < len(self._first):
            self._proposed.add(self._first[index])
            return Proposal(index=index, point=self._first[index])
        rng = random.Random(f"{self._seed}/{index}")
        parents: tuple[_Member, ...] = ()
        for _ in range(_TRIES):
            if len(self._population) < self._least:
                point = self._space.sample(rng)
            else:
                parents = self._parents(rng)
                point = self._child(parents, rng)
            if point not in self._proposed:
                break
        self._proposed.add(point)
        indices = dict.fromkeys(parent.index for parent in parents)
        return Proposal(index=index, point=point, parents=tuple(indices))

    def _parents(self, rng: random.Random) -> tuple[_Member, ...]:
        """One or two, each the better of two at random, where there are two."""
        count = 2 if rng.random() < _CROSSOVER else 1
        places = range(len(self._population))
        pairs = (rng.sample(places, min(2, len(places))) for _ in range(count))
        return tuple(self._population[min(pair, key=self._fitness.__getitem__)] for pair in pairs)

    def _child(self, parents: Sequence[_Member], rng: random.Random) -> Point:
        """Crossed, if there are two, and one decision changed."""
        point = parents[0].point
        if len(parents) > 1:
            point = self._space.crossover(point, parents[1].point, rng)
        return self._space.mutate(point, rng)


def ranks_of(losses: Sequence[tuple[float, ...]]) -> list[int]:
    """The front that each is on, 0 the one that nothing dominates (section III, A).

    It is one more than the last front of those that dominate it, which come before it in
    lexicographic order.

    >>> ranks_of([(0.0, 1.0), (1.0, 0.0), (2.0, 2.0)])
    [0, 0, 1]
    """
    order = sorted(range(len(losses)), key=losses.__getitem__)
    ranks = [0] * len(losses)
    for number, place in enumerate(order):
        mine = losses[place]
        above = (ranks[other] for other in order[:number] if _dominates(losses[other], mine))
        ranks[place] = max(above, default=-1) + 1
    return ranks


def crowding_of(losses: Sequence[tuple[float, ...]], ranks: Sequence[int]) -> list[float]:
    """How much room each has on its front; the ends have all (section III, B).

    >>> crowding_of([(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], [0, 0, 0])
    [inf, 2.0, inf]
    """
    crowding = [0.0] * len(losses)
    for number in set(ranks):
        front = [place for place, rank in enumerate(ranks) if rank == number]
        for objective in range(len(losses[0])):
            _add_distances(front, [one[objective] for one in losses], crowding)
    return crowding


def _add_distances(front: list[int], values: Sequence[float], crowding: list[float]) -> None:
    """Add to each of a front how far its neighbours are apart in one objective."""
    order = sorted(front, key=values.__getitem__)
    width = values[order[-1]] - values[order[0]]
    crowding[order[0]] = crowding[order[-1]] = float("inf")
    if width > 0:
        for before, place, after in zip(order, order[1:], order[2:], strict=False):
            crowding[place] += (values[after] - values[before]) / width


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))
