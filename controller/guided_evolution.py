"""Evolution guided by what a parent's training learned of its connections.

AssembleNet (Ryoo et al., ICLR 2020, arXiv 1905.13209, section 3.3): a parent is chosen by
tournament, its connections are redrawn by their learned weights, and its nodes are merged, split
or given another temporal resolution. What of that is confirmed is in ``GuidedSettings``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum

from controller.algorithm import Outcome, Proposal, Skipped, Stopped
from controller.evolution import RegularizedEvolution
from controller.population import Member
from controller.settings import Ablation, EvolutionSettings, GuidedSettings
from search_space.architecture import Json
from search_space.decisions import Point, same_network
from search_space.guidance import GuidedPointSpace, Told, checked_weights
from workspace.errors import InputError

_TRIES = 100
"""Of children, until one is another network than its parent."""

GUIDE, WHY = "guide", "why"
"""In the note of a proposal that has a parent: what guided its mutation; why nothing did."""


class Guide(StrEnum):
    """What guided a mutation."""

    WEIGHTS = "weights"
    """The connection weights that the parent's training learned."""
    STOPPED = "weights at an early stop"
    """Likewise, of a training that was stopped early: as they were then."""
    SHUFFLED = "shuffled weights"
    """The same numbers, each given to a connection at random: an ablation, not the method."""
    NOTHING = "nothing"
    """The parent has no weights; its child is one of plain evolution."""


class GuidedEvolution:
    """Mutates the best of a random sample of the youngest outcomes by its connections' weights.

    A ``SearchAlgorithm``: plain evolution with another mutation. A parent has weights if its
    training told one for each of its connections. Where that was stopped early they are those of
    the stop: which connections they have left for others shows early, how far does not, and a
    plain mutation would know nothing of either; the note says so. One that was skipped, or trained
    by a program that tells none, may be a parent too, and its child is a plain mutation; the note
    says that. What failed is no parent. Points that were known before are proposed first and
    trained like any other, so that they have weights when they become parents.

    Args:
        space: Of networks whose connections carry weights.
        settings: Of the population, and how weights guide.
        seed: With the outcomes told so far and the index of a proposal it fixes its point.
        first: The points of the first proposals.
    """

    def __init__(
        self,
        space: GuidedPointSpace,
        settings: GuidedSettings,
        *,
        seed: int,
        first: Sequence[Point] = (),
    ) -> None:
        self._space = space
        self._settings = settings
        plain = EvolutionSettings(population=settings.population, tournament=settings.tournament)
        self._evolution = RegularizedEvolution(
            space, plain, seed=seed, first=first, mutation=self._mutated
        )

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return self._evolution.ask(count)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        self._evolution.tell(outcomes)

    def _mutated(self, parent: Member, rng: random.Random) -> tuple[Point, Mapping[str, Json]]:
        try:
            told = self._weights(parent)
        except InputError as error:
            point = self._space.mutate(parent.point, rng)
            return point, {GUIDE: Guide.NOTHING.value, WHY: str(error)}
        guide = Guide.STOPPED if isinstance(parent.outcome, Stopped) else Guide.WEIGHTS
        if self._settings.ablation is Ablation.SHUFFLED_WEIGHTS:
            guide, told = Guide.SHUFFLED, shuffled(told, rng)
        return self._child(parent.point, told, rng), {GUIDE: guide.value}

    def _weights(self, parent: Member) -> Told:
        """What the parent's training learned of its connections.

        Raises:
            InputError: If nothing, or not of all.
        """
        if isinstance(parent.outcome, Skipped):
            msg = "it was not trained"
            raise InputError(msg)
        return checked_weights(parent.outcome.feedback, self._space.told_weights(parent.point))

    def _child(self, parent: Point, told: Told, rng: random.Random) -> Point:
        """Another network; of a space without other nodes, by its connections alone."""
        for _ in range(_TRIES):
            child = self._redrawn(parent, told, rng)
            if not same_network(self._space, child, parent):
                return child
        return self._space.mutate(parent, rng)

    def _redrawn(self, parent: Point, told: Told, rng: random.Random) -> Point:
        child = self._space.reconnect(parent, told, self._settings.threshold, rng)
        try:
            return self._space.restructure(child, rng)
        except InputError:
            return child


def shuffled(told: Told, rng: random.Random) -> Told:
    """The same weights, each given to another connection of the network at random."""
    values = [value for each in told.values() for value in each]
    rng.shuffle(values)
    left = iter(values)
    return {name: tuple(next(left) for _ in each) for name, each in told.items()}
