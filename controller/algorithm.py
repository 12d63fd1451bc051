"""The ask/tell contract of every search algorithm, and the one place that names them all."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Protocol, assert_never, cast

from controller import settings as kinds
from controller.constraints import ConstrainedPoints
from controller.earlier import LEADS, Known
from controller.reward import Reward
from controller.settings import AlgorithmSettings
from search_space.architecture import Json
from search_space.decisions import DecisionSpace, Point, PointSpace
from search_space.guidance import GuidedPointSpace
from search_space.space import WITH_GATES, WITH_WEIGHTS
from workspace import plugin
from workspace.errors import InputError

if TYPE_CHECKING:  # an aim is of outcomes, which are made here
    from controller.fleet_aim import DeviceAim

AGAIN = "again"
"""In the note of a proposal whose point was proposed before: how often. It is then evaluated anew,
with another seed, rather than given what was found before."""

START = -1
"""The index of the proposal whose outcome an algorithm began with: it made none such itself."""


_WARM = ("surrogate", "evolution", "guided", "nsga2", "tpe", "ppo")
"""Algorithms that can be told what is known before."""


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
        parents: Indices of the proposals it was made from; ``START`` for what it began with.
        note: Whatever the algorithm wants to find again when it is told, small and JSON;
            ``AGAIN`` is for the search too.
    """

    index: int
    point: Point
    parents: tuple[int, ...] = ()
    note: Mapping[str, Json] = field(default_factory=dict, hash=False)

    @property
    def again(self) -> int:
        """How often its point was proposed before, if it is to be evaluated anew; else 0."""
        count = self.note.get(AGAIN, 0)
        return count if isinstance(count, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A proposal that was trained and timed.

    Attributes:
        proposal: As asked.
        objectives: What the search weighs, in the order in which it names it (accuracy and
            latency unless told otherwise), then what else was found.
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
class Stopped:
    """A proposal that was timed, and whose training was stopped early.

    Attributes:
        proposal: As asked.
        objectives: As of ``Evaluated``, with the accuracy that the whole training was expected to
            give when it was stopped.
        reward: By that accuracy; finite.
        deviation: Standard deviation of the error of that accuracy.
        feedback: As of ``Evaluated``, of when it was stopped.
    """

    proposal: Proposal
    objectives: tuple[Objective, ...]
    reward: float
    deviation: float
    feedback: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.reward) and 0 <= self.deviation < math.inf):
            msg = f"a reward is finite and a deviation at least 0, got {self}"
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


Outcome = Evaluated | Stopped | Skipped | Failed


class SearchAlgorithm(Protocol):
    """Proposes points and learns from what became of them.

    Laws, all held by ``controller.testing.SearchAlgorithmContract``:

    * Proposals are numbered 0, 1, 2, … in the order asked; their points are in the space.
    * Outcomes may be told late, in any order, in any number, or never; ``Stopped``, ``Skipped``
      and ``Failed`` are told too and are never fatal, even if nothing ever succeeds.
    * The state is a function of the seed and of the sequence of asks and tells alone: a fresh
      instance given the same calls proposes the same, to the last bit. How many outcomes one
      ``tell`` carries makes no difference, nor does splitting an ``ask(n)`` in two. (What is
      random in a proposal comes from the seed and its index, e.g.
      ``random.Random(f"{seed}/{index}")``, or from a generator that only these calls move.)
    * An algorithm is resumed by making the same calls of a fresh instance; its proposals are the
      stored ones again, so what was in flight keeps its number, and the next ask is new work.
    * An outcome of a proposal never made here, or told before, is a ``ValueError``, and of such a
      ``tell`` nothing is learnt.
    * No global random state is read or changed.
    """

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """Propose ``count`` points.

        Raises:
            ValueError: If ``count`` is less than 1.
        """
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from outcomes of proposals that this algorithm made, in the order given.

        Raises:
            ValueError: If a proposal was never made here, or has been told before.
        """
        ...


def settings_named(name: str, options: Mapping[str, str]) -> AlgorithmSettings:
    """Settings of the algorithm called ``name``; see ``controller.settings.named``.

    Raises:
        InputError: If there is no such algorithm or option, or a value does not fit.
    """
    return kinds.named(name, options)


def seeks_front(settings: AlgorithmSettings) -> bool:
    """Whether the algorithm looks for a front of several objectives, whatever the reward."""
    if isinstance(settings, kinds.SurrogateSettings):
        return settings.objectives > 1
    return isinstance(settings, kinds.Nsga2Settings)


def require_use_of_known(settings: AlgorithmSettings) -> None:
    """Do nothing if the algorithm can be told what is known before.

    Raises:
        InputError: If it can do nothing with it.
    """
    match settings:
        case kinds.RandomSettings():
            name = "random search"
        case kinds.UserSettings(reference=reference):
            name = f"the algorithm {reference!r}"
        case _:
            return
    msg = f"{name} has no use for a warm start; {', '.join(_WARM)} have"
    raise InputError(msg)


def create(
    settings: AlgorithmSettings,
    space: PointSpace,
    seed: int,
    *,
    reward: Reward | None = None,
    devices: Mapping[str, DeviceAim] | None = None,
    earlier: Sequence[Known] = (),
    start: Evaluated | None = None,
) -> SearchAlgorithm:
    """The algorithm that ``settings`` are of.

    Args:
        settings: Of one of ours, or the reference of a user's own.
        space: Where it may propose points.
        seed: With the calls made of it, it fixes every proposal.
        reward: What outcomes' rewards are worked out by from accuracy and latency, for those
            that can use it; None where they are not.
        devices: What each device of a fleet wants, by its name, where each will have a network of
            its own, for those that can use it; None where one network is for all.
        earlier: What is known before, the most promising first. The surrogate models it, the
            others propose the first of its points first.
        start: An outcome to go on from, of a proposal numbered ``START``: it is learnt from as if
            it had been told, and is not proposed once more. Random search and algorithms of a
            user have no use for it, and guided evolution has no phases, which begin so.

    Raises:
        InputError: If the algorithm cannot search ``space``, or the user's own is none, or it can
            do nothing with what is known before.
    """
    first = _leads(settings, space, earlier, start)
    match settings:
        case kinds.RandomSettings():
            from controller.random_search import RandomSearch

            return RandomSearch(space, seed=seed)
        case kinds.EvolutionSettings():
            from controller.evolution import RegularizedEvolution

            return RegularizedEvolution(space, settings, seed=seed, first=first, start=start)
        case kinds.GuidedSettings():
            from controller.guided_evolution import GuidedEvolution

            return GuidedEvolution(_guided(space), settings, seed=seed, first=first)
        case kinds.PpoSettings():
            from controller.ppo import Ppo

            fixed = _fixed_length(space, "ppo")
            return Ppo(fixed, settings, seed=seed, first=first, start=start)
        case kinds.Nsga2Settings():
            from controller.nsga2 import Nsga2

            return Nsga2(space, settings, seed=seed, first=first, start=start)
        case kinds.TpeSettings():
            from controller.optuna_adapter import Tpe

            fixed = _fixed_length(space, "tpe")
            return Tpe(fixed, settings, seed=seed, first=first, start=start)
        case kinds.SurrogateSettings():
            from controller.surrogate import Surrogate

            return Surrogate(
                space,
                settings,
                seed=seed,
                reward=reward,
                devices=devices,
                earlier=earlier,
                start=start,
            )
        case kinds.UserSettings():
            return _users_own(settings, space, seed)
    assert_never(settings)


def _leads(
    settings: AlgorithmSettings,
    space: PointSpace,
    earlier: Sequence[Known],
    start: Evaluated | None,
) -> tuple[Point, ...]:
    """The points that one without a model proposes first."""
    if earlier:
        require_use_of_known(settings)
    points = dict.fromkeys(known.point for known in earlier)
    if start is not None:
        points.pop(start.proposal.point, None)
    allowed = space.keeps if isinstance(space, ConstrainedPoints) else None
    return tuple(islice((one for one in points if allowed is None or allowed(one)), LEADS))


def _fixed_length(space: PointSpace, name: str) -> DecisionSpace:
    if not isinstance(space, DecisionSpace):
        what = f"is a {type(space).__name__}"
        if isinstance(space, ConstrainedPoints):
            what = "has constraints"
        msg = (
            f"algorithm {name} needs a space that is a fixed tuple of choices (a DecisionSpace), "
            f"and this one {what}; random, evolution, nsga2 and surrogate search any space"
        )
        raise InputError(msg)
    return space


def _guided(space: PointSpace) -> GuidedPointSpace:
    if not isinstance(space, GuidedPointSpace):
        msg = (
            "algorithm guided needs a space whose networks' connections carry weights: "
            f"{', '.join(WITH_WEIGHTS)}, or with the space option gates=yes "
            f"{', '.join(WITH_GATES)} (in Python a GuidedPointSpace, and this one is a "
            f"{type(space).__name__}); random, evolution, nsga2 and surrogate search any space"
        )
        raise InputError(msg)
    return space


def _users_own(settings: kinds.UserSettings, space: PointSpace, seed: int) -> SearchAlgorithm:
    found = plugin.load(settings.reference, "a search algorithm")
    arguments = (space, seed, settings.options)
    if not (callable(found) and _takes(found, arguments)):
        msg = (
            f"{settings.reference!r} is no search algorithm: it must be a callable that takes a "
            "space, a seed and options"
        )
        raise InputError(msg)
    made = found(*arguments)
    missing = [part for part in ("ask", "tell") if not callable(getattr(made, part, None))]
    if missing:
        msg = f"{settings.reference!r} is no search algorithm: it lacks {', '.join(missing)}"
        raise InputError(msg)
    return cast("SearchAlgorithm", made)


def _takes(function: Callable[..., object], arguments: tuple[object, ...]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a built-in that has no signature to show
        return True
    return True
