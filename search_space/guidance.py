"""What a training tells of connections, and how that guides the next network.

A network whose connections carry weights of their own tells after its training how much each is
used (AssembleNet, Ryoo et al., ICLR 2020, section 3.3). What is weak is taken away, and as much
is drawn anew elsewhere. Nothing here knows what the nodes are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from search_space.decisions import Point, PointSpace
from workspace.errors import InputError

Edge = tuple[int, int]
"""From one node to another, by their numbers in one network."""

Told = Mapping[str, Sequence[float]]
"""What a training tells (``Outcome.feedback``): weights by the name of the node they lead to, in
the order of its inputs, and whatever else there is."""


_DRAWN = "drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Which weights are large enough for their edge to stay.

    Attributes:
        value: B, in [0, 1]: an edge stays if its weight is larger. None draws it for each edge
            from [0, 1), so that an edge stays with a chance as large as its weight.
    """

    value: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not 0 <= self.value <= 1:
            msg = f"a threshold of connection weights must be in [0, 1], got {self.value!r}"
            raise InputError(msg)

    @classmethod
    def parse(cls, text: str) -> Self:
        """As the command line has it.

        >>> str(Threshold.parse("0.5")), str(Threshold.parse("drawn"))
        ('0.5', 'drawn')

        Raises:
            InputError: If it is no number in [0, 1], nor ``drawn``.
        """
        if text == _DRAWN:
            return cls(value=None)
        try:
            return cls(value=float(text))
        except ValueError:
            msg = (
                f"a threshold of connection weights is a number in [0, 1], or {_DRAWN}, "
                f"got {text!r}"
            )
            raise InputError(msg) from None

    def __str__(self) -> str:
        return _DRAWN if self.value is None else f"{self.value:g}"

    def passes(self, weight: float, rng: random.Random) -> bool:
        """Whether an edge of that weight stays."""
        return weight > (rng.random() if self.value is None else self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """What became of the edges of a network.

    Attributes:
        kept: Those of the parent that stay.
        drawn: New ones, which the parent has not.
        chance: Of each edge that the parent has not to be drawn, at most 1.
    """

    kept: frozenset[Edge]
    drawn: frozenset[Edge]
    chance: float


def redrawn(
    edges: AbstractSet[Edge],
    possible: Iterable[Edge],
    weights: Mapping[Edge, float],
    threshold: Threshold,
    rng: random.Random,
) -> Redrawn:
    """Keep the edges whose weight passes, and draw others so that as many are expected as before.

    Every edge that is possible and not there is drawn with a chance of what was taken away over
    what was not there; where that is more than 1 it is 1, and fewer edges come out.

    Args:
        edges: Of the parent.
        possible: All that a network of these nodes may have; more than ``edges``, in any order.
        weights: In [0, 1]. An edge without one has the weight 1, which every threshold below 1
            lets pass: it is of a node that has no other, or that nobody reads.
        threshold: B.
        rng: Draws the thresholds, then the edges, each in their order.
    """
    kept = frozenset(e for e in sorted(edges) if threshold.passes(weights.get(e, 1.0), rng))
    absent = sorted(set(possible).difference(edges))
    chance = min(1.0, (len(edges) - len(kept)) / len(absent)) if absent else 0.0
    drawn = frozenset(edge for edge in absent if rng.random() < chance)
    return Redrawn(kept=kept, drawn=drawn, chance=chance)


@runtime_checkable
class GuidedPointSpace(PointSpace, Protocol):
    """A ``PointSpace`` whose networks' connections carry weights that can guide a mutation.

    Laws beyond those of ``PointSpace``, held by ``search_space.testing.GuidedPointSpaceContract``:
    an edge whose weight passes the threshold stays, and what ``reconnect`` gives is in the space.
    Of a guided search, a child is ``restructure(reconnect(parent, …), …)``.
    """

    def told_weights(self, point: Point) -> Mapping[str, int]:
        """How many weights the training of the network of ``point`` tells, by their names."""
        ...

    def reconnect(
        self, point: Point, told: Told, threshold: Threshold, rng: random.Random
    ) -> Point:
        """The point with its connections redrawn; see ``redrawn``. It may be an equal one.

        Args:
            point: The parent.
            told: What the training of its network told; names that are no weights of its
                connections are passed over.
            threshold: B.
            rng: Decides all that is random.

        Raises:
            InputError: If weights are missing, too many, or not in [0, 1].
        """
        ...

    def restructure(self, point: Point, rng: random.Random) -> Point:
        """Another point, by one change to its nodes: none of their connections is redrawn.

        Raises:
            InputError: If the space has no network with other nodes.
        """
        ...


def checked_weights(told: Told, expected: Mapping[str, int]) -> dict[str, tuple[float, ...]]:
    """The weights that a training told, without what else it told.

    Args:
        told: By name.
        expected: How many of each name.

    Raises:
        InputError: If weights are missing, too many, or not in [0, 1].
    """
    for name, count in expected.items():
        values = told.get(name, ())
        if len(values) != count:
            msg = f"the training told {len(values)} connection weights of {name}, not {count}"
            raise InputError(msg)
        for value in values:
            if not 0 <= value <= 1:
                msg = f"connection weights of {name} are in [0, 1], got {value!r}"
                raise InputError(msg)
    return {name: tuple(told[name]) for name in expected}
