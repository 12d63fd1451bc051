"""Searching in phases: some decisions of a space first, then others with what was found fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

from search_space.decisions import Decisions, DecisionSpace, Point
from workspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Decisions that are searched together.

    Attributes:
        name: Unique in its space, e.g. ``"graph"``.
        decisions: Their positions in a point, ascending; at least one.
    """

    name: str
    decisions: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.decisions or list(self.decisions) != sorted({*self.decisions}):
            msg = f"phase {self.name!r} needs ascending positions, got {self.decisions}"
            raise ValueError(msg)


@runtime_checkable
class PhasedSpace(Protocol):
    """What a space of decisions has beside the rest if it can be searched in phases.

    Laws, held by ``search_space.testing.PhasedSpaceContract``: no decision is in two phases, and
    ``plain`` is a point of the space.
    """

    @property
    def points(self) -> DecisionSpace:
        """See ``SearchSpace.points``."""
        ...

    @property
    def phases(self) -> Sequence[Phase]:
        """In the order in which they are meant to be searched."""
        ...

    @property
    def plain(self) -> Decisions:
        """A point whose decisions stand for those of phases that have not begun."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The points of a space that differ from one of them in the decisions of a phase alone.

    >>> from search_space.decisions import Choice
    >>> choices = [Choice(name=name, options=("0", "1", "2")) for name in "abc"]
    >>> space, last = DecisionSpace(choices=tuple(choices)), Phase(name="last", decisions=(1, 2))
    >>> part = Part.of(space, last, (2, 0, 0))
    >>> part.points.count, part.whole((1, 2)), part.within((2, 0, 1)), part.within((0, 0, 1))
    (9, (2, 1, 2), (0, 1), None)

    Attributes:
        phase: Whose decisions are open.
        base: Has all other decisions.
        points: Of the open decisions alone.
    """

    phase: Phase
    base: Decisions
    points: DecisionSpace = field(repr=False)

    @classmethod
    def of(cls, space: DecisionSpace, phase: Phase, base: Point) -> Self:
        """Of a space.

        Raises:
            InputError: If ``base`` is no point of it, or it lacks a decision of the phase.
        """
        last, count = phase.decisions[-1], len(space.choices)
        if phase.decisions[0] < 0 or last >= count:
            msg = f"phase {phase.name!r} has a decision {last}, and the space has {count}"
            raise InputError(msg)
        choices = tuple(space.choices[place] for place in phase.decisions)
        return cls(phase=phase, base=space.checked(base), points=DecisionSpace(choices=choices))

    def whole(self, point: Point) -> Decisions:
        """The point of the space that a point of this part stands for.

        Raises:
            InputError: If ``point`` is none of this part.
        """
        made = list(self.base)
        for place, option in zip(self.phase.decisions, self.points.checked(point), strict=True):
            made[place] = option
        return tuple(made)

    def within(self, whole: Point) -> Decisions | None:
        """The inverse of ``whole``; None where other decisions differ from the base's."""
        if len(whole) != len(self.base):
            return None
        point = tuple(whole[place] for place in self.phase.decisions)
        try:
            return self.points.checked(point) if self.whole(point) == whole else None
        except InputError:
            return None
