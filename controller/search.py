"""The search loop: ask, evaluate, keep, tell; from the start, or from wherever it was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.algorithm import Failed, Outcome, Proposal, SearchAlgorithm
from controller.early_stopping import EarlyStopping, StoppingRule
from controller.evaluation import Evaluation
from controller.flights import Flights
from controller.progress import Account, Observer
from controller.replay import replay
from controller.study import Study
from search_space.architecture import Architecture
from search_space.space import SearchSpace
from workspace.errors import InputError, OperationError

HOPELESS_AFTER = 10
"""Failures of one session, with no success ever, after which a search gives up."""


class Mode(StrEnum):
    """In which order outcomes are told."""

    ORDERED = "ordered"
    """As proposed: the run is reproducible, whatever finishes first."""
    ASYNCHRONOUS = "asynchronous"
    """As they finish; the order is kept, so that a replay is exact."""


class HopelessSearchError(OperationError):
    """Every candidate so far has failed; the text has the last one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How long a search is, and how it goes about it.

    Attributes:
        trials: How many candidates are evaluated.
        window: How many are in flight at most.
        mode: In which order outcomes are told.
    """

    trials: int
    window: int = 4
    mode: Mode = Mode.ORDERED

    def __post_init__(self) -> None:
        if self.trials < 1 or self.window < 1:
            msg = f"a search needs at least 1 trial and a window of 1, got {self}"
            raise InputError(msg)


class Search:
    """Evaluates proposals of an algorithm until there are enough of them.

    The calls of the algorithm are ``ask(window)``, then for each outcome ``tell`` it and
    ``ask(1)`` while trials are left. In ordered mode the outcomes are told in the order of the
    proposals, so the calls, and with them the search, are the same whatever finishes first and
    however often it is cut off.

    Args:
        settings: How many, and in which order.
        space: What points stand for.
        algorithm: Fresh; it is brought to where the study is.
        evaluation: Times and trains.
        study: New, or of a search that was cut off.
        observer: Is told how it goes.
        stopping: Stops trainings early; None trains each to its end.
    """

    def __init__(
        self,
        settings: SearchSettings,
        space: SearchSpace,
        algorithm: SearchAlgorithm,
        evaluation: Evaluation,
        study: Study,
        observer: Observer,
        stopping: EarlyStopping | None = None,
    ) -> None:
        self._settings = settings
        self._space = space
        self._algorithm = algorithm
        self._study = study
        self._observer = observer
        self._stopping = stopping
        self._flights = Flights(evaluation, study)
        self._account = Account(study, settings.trials, evaluation.box)
        self._asked = 0

    def run(self) -> None:
        """Run to the end; on any exception, Ctrl-C included, end what is under way first.

        After an exception the evaluation is closed; whatever was found until then is kept.

        Raises:
            InputError: If the points of the study stand for other networks now.
            ReplayError: If the algorithm does not propose again what is stored.
            HopelessSearchError: If nothing ever succeeds.
            StudyError: If the study cannot be written.
        """
        try:
            self._asked = replay(self._study, self._algorithm).proposals
            if self._account.told < self._settings.trials:
                self._require_same_space()
                self._take_up()
                self._go_on()
            self._require_hope()
        except BaseException:
            self._flights.close(cut_off=True)
            raise
        self._flights.close(cut_off=False)

    def _require_same_space(self) -> None:
        """Raise if the first point that is stored stands for another network now."""
        first = self._study.candidate(0) if self._asked else None
        if first is None or first.document is None:
            return
        now = self._decoded(first.proposal)
        if isinstance(now, str) or now.key != first.architecture.key:
            msg = (
                "the search cannot go on: its trial 0 is another network now, since the options "
                "of its space, or what its data set suggests for them, have changed; put back "
                "those that it began with, or begin a new search"
            )
            raise InputError(msg)

    def _take_up(self) -> None:
        """Issue again what was proposed and has no outcome."""
        if self._stopping is not None:
            for candidate in self._study.told():
                self._stopping.add(candidate)
        for candidate in self._study.untold():
            made: Architecture | str
            if candidate.document is None:
                made = str(self._decoded(candidate.proposal))
            else:
                made = candidate.architecture
            rule = self._rule(candidate.asked_after)
            self._flights.start(candidate.proposal, made, candidate, rule)

    def _go_on(self) -> None:
        failures = 0
        while self._account.told < self._settings.trials:
            self._ask()
            outcome = self._tell()
            self._observer.on_progress(self._account.add(outcome))
            failures += isinstance(outcome, Failed)
            if failures >= HOPELESS_AFTER:
                self._require_hope()

    def _require_hope(self) -> None:
        if self._account.hopeless:
            told, last = self._account.told, self._account.hopeless
            msg = f"all {told} trials failed, the last one so: {last}"
            raise HopelessSearchError(msg)

    def _ask(self) -> None:
        """Fill the window, whose end is fixed by how many were told."""
        allowed = min(self._settings.trials, self._account.told + self._settings.window)
        count = allowed - self._asked
        if count < 1:
            return
        decoded = [(p, self._decoded(p)) for p in self._algorithm.ask(count)]
        self._study.propose(
            [(p, None if isinstance(made, str) else made) for p, made in decoded],
            told=self._account.told,
        )
        self._asked = allowed
        rule = self._rule(self._account.told)
        for proposal, made in decoded:
            self._flights.start(proposal, made, rule=rule)

    def _rule(self, told: int) -> StoppingRule | None:
        """By which trainings of candidates proposed after so many outcomes are stopped."""
        return None if self._stopping is None else self._stopping.rule(told)

    def _decoded(self, proposal: Proposal) -> Architecture | str:
        """The network of a point, or why it has none."""
        try:
            return self._space.decode(proposal.point)
        except InputError as error:
            return str(error)

    def _tell(self) -> Outcome:
        """Wait for the outcome that is to be told next, keep it, and tell it."""
        if self._settings.mode is Mode.ORDERED:
            landed = self._flights.land_first_asked()
        else:
            landed = self._flights.land_first_done()
        self._study.tell(landed.outcome, told=self._account.told, same_as=landed.same_as)
        if self._stopping is not None:
            self._stopping.add(self._study.candidate(landed.outcome.proposal.index))
        self._algorithm.tell([landed.outcome])
        return landed.outcome
