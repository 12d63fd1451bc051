"""Spaces of chains in which each group of decisions chooses stages of its own (MnasNet, 4.1).

What a group adds to a network depends on its own decisions and on the channels and pixels that
reach it, on nothing else. So all networks together have few different layers, and what is a sum
over layers can be told for millions of points at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from search_space.chain import ChainArchitecture, Stage
from search_space.decisions import Decisions, DecisionSpace, Point


@runtime_checkable
class FactorizedSpace(Protocol):
    """A ``SearchSpace`` of chains whose groups of decisions choose stages apart.

    Law, held by ``search_space.testing.FactorizedSpaceContract``: a point's stages are those of
    its groups, one after the other; all networks share size, stem and what follows the stages.
    """

    @property
    def points(self) -> DecisionSpace:
        """Of which each decision is in exactly one group."""
        ...

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The positions of each group's decisions, from input to output."""
        ...

    def decode(self, point: Point) -> ChainArchitecture:
        """See ``SearchSpace.decode``."""
        ...

    def stages_of(self, group: int, decisions: Decisions) -> tuple[Stage, ...]:
        """What a group adds to the network, if its decisions are these; nothing if it is left out.

        Args:
            group: From 0.
            decisions: One option index for each of ``groups[group]``.
        """
        ...


def choices_of(space: FactorizedSpace, group: int) -> Iterator[Decisions]:
    """All decisions of a group, the last one of them changing fastest."""
    counts = space.points.option_counts
    return itertools.product(*(range(counts[position]) for position in space.groups[group]))


def choice_count(space: FactorizedSpace, group: int) -> int:
    """How many ``choices_of`` gives."""
    counts = space.points.option_counts
    return math.prod(counts[position] for position in space.groups[group])
