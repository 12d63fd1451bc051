"""A search in phases: some decisions first, then others with the best that was found held fixed.

So SpineNet was searched (Du et al., CVPR 2020, section 3.2): permutation and connections first,
then adjustments of the blocks. ``Phased`` has any algorithm search each phase of any space that
says what its phases are (``search_space.phases``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from controller.algorithm import AGAIN, START, Evaluated, Outcome, Proposal, SearchAlgorithm
from controller.constraints import ConstrainedPoints
from controller.earlier import Known
from controller.ledger import Ledger
from controller.tally import Tally
from search_space.decisions import Decisions, DecisionSpace, Point, PointSpace
from search_space.phases import Part, Phase, PhasedSpace
from search_space.space import SearchSpace
from workspace.errors import InputError

PHASE = "phase"
"""In the note of a proposal: the name of the phase that it is of."""

Make = Callable[[PointSpace, int, Sequence[Known], Evaluated | None], SearchAlgorithm]
"""A fresh algorithm over the points of a phase, from a seed, what is known of them before, and
what the point gave that the phase starts from; None in the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTrials:
    """A phase and how long it is.

    Attributes:
        phase: Which.
        trials: Proposals until the next phase begins, at least 1; the last goes on as long as it
            is asked.
    """

    phase: Phase
    trials: int


class Phased:
    """Proposals of an algorithm for each phase in turn; a ``SearchAlgorithm`` of whole points.

    A phase begins with the proposal that its plan names, or as soon after it as anything was
    evaluated. The point with the largest mean reward of all that were told until then is what it
    starts from: decisions of other phases stay as that point has them, and before the first
    phase as the space's plain point has them. What is still in flight then changes nothing.
    The algorithm of a later phase goes on from what its start gave, in the mean, and spends no
    proposal on it.

    Args:
        points: All points of a ``DecisionSpace``, or those that keep limits.
        plain: What the first phase starts from.
        plan: The phases in the order of the search, at least one.
        make: Makes the algorithm of each.
        seed: With the calls made of it, it fixes every proposal.
        earlier: What is known of whole points; each phase is told what is of its points.

    Raises:
        InputError: If the points have no fixed length, or a phase does not fit them.
    """

    def __init__(
        self,
        points: PointSpace,
        plain: Decisions,
        plan: Sequence[PhaseTrials],
        make: Make,
        *,
        seed: int,
        earlier: Sequence[Known] = (),
    ) -> None:
        self._points = points
        self._whole = _decisions(points)
        self._left = list(plan)
        self._make = make
        self._seed = seed
        self._earlier = earlier
        self._ledger = Ledger()
        self._tally = Tally()
        self._flying: dict[int, Proposal] = {}
        self._first = self._end = 0
        self._number = 0
        for one in plan[1:]:
            Part.of(self._whole, one.phase, plain)
        self._begin(plain)

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``.

        Raises:
            ValueError: See there; also what the algorithm raises.
        """
        self._ledger.check(outcomes)
        made = ((self._flying.get(one.proposal.index), one) for one in outcomes)
        self._algorithm.tell([replace(one, proposal=own) for own, one in made if own is not None])
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            self._flying.pop(outcome.proposal.index, None)
            self._tally.learn(outcome)

    def _propose(self, index: int) -> Proposal:
        while index >= self._end and self._left and self._tally:
            self._first = index
            best = self._tally.best()
            self._begin(best, self._tally.evaluated(best))
        (made,) = self._algorithm.ask(1)
        self._flying[index] = made
        note = {**made.note, PHASE: self._part.phase.name}
        point = self._part.whole(made.point)
        proposal = Proposal(index=index, point=point, parents=self._parents(made), note=note)
        before = self._tally.count(proposal)
        return replace(proposal, note={**note, AGAIN: before}) if made.again else proposal

    def _parents(self, made: Proposal) -> tuple[int, ...]:
        """Of a proposal of the algorithm: its phase's start, if of no other."""
        own = (self._first + parent for parent in made.parents if parent != START)
        before = self._start if START in made.parents or not made.parents else ()
        return (*before, *own)

    def _begin(self, start: Point, told: Sequence[Evaluated] = ()) -> None:
        """Begin the next phase, from a whole point and what its trainings gave, if it had any."""
        planned = self._left.pop(0)
        self._part = Part.of(self._whole, planned.phase, start)
        self._start = tuple(one.proposal.index for one in told[:1])
        self._end = self._first + planned.trials
        self._flying.clear()  # the next algorithm knows nothing of what an earlier one proposed
        points: PointSpace = self._part.points
        if isinstance(self._points, ConstrainedPoints):
            points = self._points.within(self._part)
        seed = self._seed if not self._number else _seed_of(self._seed, self._number)
        self._algorithm = self._make(points, seed, self._known(), self._outcome(start, told))
        self._number += 1

    def _known(self) -> list[Known]:
        """What is known of points of this phase, the most promising first."""
        within = ((one, self._part.within(one.point)) for one in self._earlier)
        return [replace(one, point=inner) for one, inner in within if inner is not None]

    def _outcome(self, start: Point, told: Sequence[Evaluated]) -> Evaluated | None:
        """What the start of a phase gave, as an outcome in it; None if it was not trained."""
        if not told:
            return None
        inner = self._part.within(start)
        assert inner is not None  # the phase is around it
        return replace(mean_of(told), proposal=Proposal(index=START, point=inner))


def mean_of(told: Sequence[Evaluated]) -> Evaluated:
    """The first of several outcomes of a point, with the means of their figures.

    Args:
        told: At least one.
    """
    values: dict[str, list[float]] = {}
    for objective in (each for one in told for each in one.objectives):
        values.setdefault(objective.name, []).append(objective.value)
    first = told[0]
    objectives = tuple(replace(one, value=fmean(values[one.name])) for one in first.objectives)
    return replace(first, objectives=objectives, reward=fmean(one.reward for one in told))


def planned(space: SearchSpace, texts: Sequence[str], trials: int) -> tuple[PhaseTrials, ...]:
    """The phases that the command line asks for.

    Args:
        space: Says what its phases are.
        texts: ``NAME=TRIALS`` each; ``NAME`` for the last, which has all trials that are left.
        trials: Of the search, without those that are evaluated again at its end.

    Raises:
        InputError: If the space has no phases, or none of such a name, or one is named twice, or
            their trials are not those of the search.
    """
    known = {phase.name: phase for phase in space.phases} if isinstance(space, PhasedSpace) else {}
    if not known:
        msg = f"the space {space.name!r} has no phases: it is searched all at once"
        raise InputError(msg)
    plan: list[PhaseTrials] = []
    left = trials
    for place, text in enumerate(texts, 1):
        name, states, number = text.partition("=")
        if name not in known or any(one.phase.name == name for one in plan):
            there = ", ".join(known)
            msg = f"phases of the space {space.name!r} are {there}, each once, got {text!r}"
            raise InputError(msg)
        if states or place < len(texts):
            count = int(number) if number.isascii() and number.isdigit() else 0
        else:
            count = left
        if count < 1 or count > left:
            msg = (
                f"a phase is NAME=TRIALS with at least 1 of the {left} trials that are left to "
                f"it, and only the last may be NAME alone, got {text!r}"
            )
            raise InputError(msg)
        left -= count
        plan.append(PhaseTrials(phase=known[name], trials=count))
    if left:
        msg = f"the phases {', '.join(texts)} leave {left} of {trials} trials to none of them"
        raise InputError(msg)
    return tuple(plan)


def phase_of(proposal: Proposal) -> str:
    """The name of the phase that a proposal is of; empty if it is of none."""
    name = proposal.note.get(PHASE, "")
    return name if isinstance(name, str) else ""


def _decisions(points: PointSpace) -> DecisionSpace:
    inner = points.points if isinstance(points, ConstrainedPoints) else points
    if not isinstance(inner, DecisionSpace):
        msg = (
            "only a space that is a fixed tuple of choices (a DecisionSpace) has phases, and this "
            f"one is a {type(inner).__name__}"
        )
        raise InputError(msg)
    return inner


def _seed_of(seed: int, number: int) -> int:
    """Of a later phase, so that it draws nothing that the first one drew."""
    return random.Random(f"{seed}/phase/{number}").getrandbits(32)
