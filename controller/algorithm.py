"""The ask/tell contract of every search algorithm, and the one place that names them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from search_space.architecture import Json
from search_space.decisions import Point


class Goal(StrEnum):
    """Which way an objective is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One figure of an evaluated candidate.

    Attributes:
        name: E.g. ``"accuracy"`` or ``"latency_ms"``.
        value: Finite.
        goal: Which way is better.
    """

    name: str
    value: float
    goal: Goal

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            msg = f"objective {self.name!r} must be finite, got {self.value!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A point to be evaluated.

    Attributes:
        index: 0 for the first one asked of this algorithm, then 1, 2, …
        point: In the algorithm's space.
        parents: Indices of the proposals it was made from.
        note: Whatever the algorithm wants to find again when it is told, small and JSON.
    """

    index: int
    point: Point
    parents: tuple[int, ...] = ()
    note: Mapping[str, Json] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A proposal that was trained and timed.

    Attributes:
        proposal: As asked.
        objectives: Every figure found, accuracy first.
        reward: Larger is better; finite.
        feedback: Named numbers out of the training, e.g. connection weights.
    """

    proposal: Proposal
    objectives: tuple[Objective, ...]
    reward: float
    feedback: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not math.isfinite(self.reward):
            msg = f"reward must be finite, got {self.reward!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A proposal that was timed, found far too slow, and not trained.

    Attributes:
        proposal: As asked.
        latency_ms: What it was found to take.
        bound: Its reward could not have been larger.
    """

    proposal: Proposal
    latency_ms: float
    bound: float


class FailureKind(StrEnum):
    """Where a proposal failed."""

    DECODE = "decode"
    EXPORT = "export"
    LATENCY = "latency"
    TRAINING = "training"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A proposal that could not be evaluated.

    Attributes:
        proposal: As asked.
        kind: Where it failed.
        text: One sentence.
    """

    proposal: Proposal
    kind: FailureKind
    text: str


Outcome = Evaluated | Skipped | Failed


class SearchAlgorithm(Protocol):
    """Proposes points and learns from what became of them.

    Laws, all held by ``controller.testing.SearchAlgorithmContract``:

    * Proposals are numbered 0, 1, 2, … in the order asked; their points are in the space.
    * Outcomes may be told late, in any order, in any number, or never; ``Skipped`` and ``Failed``
      are told too and are never fatal, even if nothing ever succeeds.
    * The state is a function of the seed and of the sequence of asks and tells alone: a fresh
      instance given the same calls proposes the same, to the last bit. How many outcomes one
      ``tell`` carries makes no difference, nor does splitting an ``ask(n)`` in two.
    * What is in flight is never proposed again because of a replay.
    """

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """Propose ``count`` points.

        Raises:
            ValueError: If ``count`` is less than 1.
        """
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from outcomes of proposals that this algorithm made."""
        ...
