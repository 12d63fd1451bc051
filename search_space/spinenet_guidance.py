"""Scale-permuted networks whose connections learn weights, and how these guide a mutation.

AssembleNet's mutation (``search_space.guidance``) in SpineNet's space. Every block has two
parents, so what a block loses it gets back: each parent whose weight does not pass is replaced by
another that the space allows, and the number of connections stays what it was, in each child and
not on average alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search_space.decisions import Decisions, DecisionSpace, Point
from search_space.guidance import Edge, Threshold, Told, checked_weights
from search_space.permuted_blocks import STEM
from search_space.spinenet import ScalePermutedArchitecture
from workspace.errors import InputError

PARENTS = ".parents"
"""What the names of decisions on connections end in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """The network of a point, and the one point that stands for it.

    Attributes:
        network: Its blocks are in canonical order.
        decisions: Its point; blocks in the order in which the space builds them.
        number: Of each feature of the network in that order.
    """

    network: ScalePermutedArchitecture
    decisions: Decisions
    number: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedDecisions(DecisionSpace):
    """The points of a space whose networks are gated; a ``GuidedPointSpace``.

    Attributes:
        blocks: Names of blocks in the order in which the space builds them.
        coded: Decodes a point.
    """

    blocks: tuple[str, ...]
    coded: Callable[[Point], Coded] = field(repr=False, compare=False)

    def told_weights(self, point: Point) -> Mapping[str, int]:
        """See ``GuidedPointSpace.told_weights``."""
        return {name: len(edges) for name, edges in self.coded(point).network.gated_edges.items()}

    def reconnect(
        self, point: Point, told: Told, threshold: Threshold, rng: random.Random
    ) -> Decisions:
        """See ``GuidedPointSpace.reconnect``.

        Connections without a gate stay: those of blocks that lead to no output, and what outputs
        add because nobody reads it follows from the others. A parent that does not pass stays too
        where the space allows no other.
        """
        known = self.coded(point)
        gated = known.network.gated_edges
        checked = checked_weights(told, {name: len(edges) for name, edges in gated.items()})
        weights: dict[Edge, float] = {}
        for name, edges in gated.items():
            built = ((known.number[source], known.number[target]) for source, target in edges)
            weights.update(zip(built, checked[name], strict=True))
        child = list(known.decisions)
        for place, choice in enumerate(self.choices):
            if choice.name.endswith(PARENTS):
                feature = STEM + self.blocks.index(choice.name.removesuffix(PARENTS))
                pairs = [_pair(option) for option in choice.options]
                before = pairs[child[place]]
                found = _redrawn(before, feature, pairs, weights, threshold, rng)
                child[place] = pairs.index(found)
        return tuple(child)

    def restructure(self, point: Point, rng: random.Random) -> Decisions:
        """Redraw one decision on levels or kinds, each as likely, to another of its options."""
        decisions = list(self.checked(point))
        open_choices = [
            place
            for place, choice in enumerate(self.choices)
            if not choice.name.endswith(PARENTS) and len(choice.options) > 1
        ]
        if not open_choices:
            msg = "this space has no decisions on levels or kinds of blocks"
            raise InputError(msg)
        place = rng.choice(open_choices)
        step = rng.randrange(1, self.option_counts[place])
        decisions[place] = (decisions[place] + step) % self.option_counts[place]
        return tuple(decisions)


def _pair(option: str) -> tuple[int, int]:
    first, second = option.split(",")
    return int(first), int(second)


def _redrawn(
    before: tuple[int, int],
    feature: int,
    pairs: list[tuple[int, int]],
    weights: Mapping[Edge, float],
    threshold: Threshold,
    rng: random.Random,
) -> tuple[int, int]:
    """The parents of a feature: those that pass, and others in place of those that don't."""
    kept = [each for each in before if threshold.passes(weights.get((each, feature), 1.0), rng)]
    others = sorted({each for pair in pairs for each in pair}.difference(before))
    drawn = rng.sample(others, min(len(before) - len(kept), len(others)))
    left = [each for each in before if each not in kept]
    first, second = sorted((*kept, *drawn, *left)[:2])
    return first, second
