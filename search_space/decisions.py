"""Points of a space, and the spaces that are a fixed tuple of named choices.

A *point* is what an algorithm proposes: nested tuples of numbers and text that survive JSON. A
``PointSpace`` draws, changes and checks points. A ``DecisionSpace`` is the fixed-length kind: one
option index a choice. It knows nothing of networks, so it also serves problems that are none.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from workspace.errors import InputError

Point = tuple[object, ...]
"""Nested tuples of int, float and str, whose JSON lists turn back into an equal point."""

Decisions = tuple[int, ...]
"""A point of a ``DecisionSpace``: one option index a choice."""


def point_from_json(value: object) -> Point:
    """Turn the lists of a JSON document back into the tuples of a point.

    >>> point_from_json([0, [1, 2], "a"])
    (0, (1, 2), 'a')

    Raises:
        InputError: If ``value`` is no list.
    """
    if not isinstance(value, list | tuple):
        msg = f"a point must be a list, got {value!r}"
        raise InputError(msg)
    return tuple(point_from_json(item) if isinstance(item, list) else item for item in value)


class PointSpace(Protocol):
    """The set of points that an algorithm may propose.

    Laws, held by ``search_space.testing.PointSpaceContract``: every method gives valid points,
    nothing but ``rng`` decides which, and ``mutate`` gives a point other than its parent.
    """

    def sample(self, rng: random.Random) -> Point:
        """Draw a point; uniformly where the space can."""
        ...

    def mutate(self, point: Point, rng: random.Random) -> Point:
        """Change ``point`` a little."""
        ...

    def crossover(self, first: Point, second: Point, rng: random.Random) -> Point:
        """A point between two parents."""
        ...

    def validate(self, point: Point) -> None:
        """Do nothing if ``point`` is in the space.

        Raises:
            InputError: If it is not; the text says which part.
        """
        ...


@runtime_checkable
class Discerning(Protocol):
    """A ``PointSpace`` that can tell which of its points stand for one network.

    Law: what ``mutate`` gives stands for another network than its parent.
    """

    def same_network(self, first: Point, second: Point) -> bool:
        """Whether two points stand for one."""
        ...


def same_network(space: PointSpace, first: Point, second: Point) -> bool:
    """Whether two points stand for one network, as far as their space can tell."""
    if isinstance(space, Discerning):
        return space.same_network(first, second)
    return first == second


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One named categorical decision.

    Attributes:
        name: Unique in its space, e.g. ``"block3.kernel"``.
        options: What can be chosen, as text for people; at least one.
    """

    name: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options:
            msg = f"choice {self.name!r} has no options"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSpace:
    """All tuples of one option index a choice; a ``PointSpace``.

    >>> choices = (Choice(name="k", options=("3", "5")), Choice(name="e", options=("1", "3", "6")))
    >>> space = DecisionSpace(choices=choices)
    >>> space.count
    6
    >>> space.describe((1, 2))
    {'k': '5', 'e': '6'}

    Attributes:
        choices: In the order of the point's entries; names are unique.
        option_counts: Number of options of each choice.
    """

    choices: tuple[Choice, ...]
    option_counts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counts = tuple(len(choice.options) for choice in self.choices)
        object.__setattr__(self, "option_counts", counts)
        names = [choice.name for choice in self.choices]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled or not names:
            msg = f"a decision space needs choices with unique names, doubled: {doubled}"
            raise ValueError(msg)

    @property
    def count(self) -> int:
        """Number of points, exactly."""
        return math.prod(self.option_counts)

    def sample(self, rng: random.Random) -> Decisions:
        """Draw uniformly."""
        return tuple(rng.randrange(count) for count in self.option_counts)

    def mutate(self, point: Point, rng: random.Random) -> Decisions:
        """Redraw one choice, uniformly among those with options and among its other options."""
        decisions = list(self.checked(point))
        open_choices = [i for i, count in enumerate(self.option_counts) if count > 1]
        if not open_choices:
            msg = "a space with a single point has no mutations"
            raise InputError(msg)
        position = rng.choice(open_choices)
        step = rng.randrange(1, self.option_counts[position])
        decisions[position] = (decisions[position] + step) % self.option_counts[position]
        return tuple(decisions)

    def neighbours(self, point: Point) -> list[Decisions]:
        """All points that differ from ``point`` in one choice."""
        decisions = self.checked(point)
        return [
            (*decisions[:place], option, *decisions[place + 1 :])
            for place, count in enumerate(self.option_counts)
            for option in range(count)
            if option != decisions[place]
        ]

    def crossover(self, first: Point, second: Point, rng: random.Random) -> Decisions:
        """Take each choice from one parent or the other, with equal chance (uniform crossover)."""
        pairs = zip(self.checked(first), self.checked(second), strict=True)
        return tuple(rng.choice(pair) for pair in pairs)

    def validate(self, point: Point) -> None:
        """See ``PointSpace.validate``."""
        self.checked(point)

    def checked(self, point: Point) -> Decisions:
        """``point`` as decisions.

        Raises:
            InputError: If its length or an entry does not fit.
        """
        if len(point) != len(self.choices):
            msg = f"a point of this space has {len(self.choices)} decisions, got {len(point)}"
            raise InputError(msg)
        decisions = []
        for choice, value in zip(self.choices, point, strict=True):
            if type(value) is not int or not 0 <= value < len(choice.options):
                msg = (
                    f"decision {choice.name!r} must be an index from 0 to "
                    f"{len(choice.options) - 1}, got {value!r}"
                )
                raise InputError(msg)
            decisions.append(value)
        return tuple(decisions)

    def describe(self, point: Point) -> dict[str, str]:
        """The chosen option of each choice, by name."""
        chosen = zip(self.choices, self.checked(point), strict=True)
        return {choice.name: choice.options[value] for choice, value in chosen}
