"""The search loop: ask, evaluate, keep, tell; from the start, or from wherever it was cut off."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Outcome,
    Proposal,
    SearchAlgorithm,
    Skipped,
)
from controller.candidate import Candidate, FoundLatency
from controller.evaluation import Evaluation
from controller.pareto import FrontPoint, front_of, with_point
from controller.replay import replay
from controller.study import Study
from search_space.architecture import Architecture
from search_space.space import SearchSpace
from workspace.errors import InputError, OperationError

HOPELESS_AFTER = 10
"""Failures in a row, with no success ever, after which a search gives up."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search is, just after an outcome was told.

    Attributes:
        outcome: The last one told.
        told: How many have been told, earlier sessions included.
        trials: How many there will be.
        best: The evaluated candidate with the highest reward so far.
        front: Pareto front so far, fastest first.
        left_s: Estimate of what is left, from the pace of this session.
    """

    outcome: Outcome
    told: int
    trials: int
    best: Evaluated | None
    front: tuple[FrontPoint, ...]
    left_s: float


class Observer(Protocol):
    """Is told how a search goes."""

    def on_progress(self, progress: Progress) -> None:
        """Called after each outcome, in the thread that runs the search."""
        ...


@dataclass(slots=True)
class _InFlight:
    """A candidate whose outcome is not told yet."""

    future: Future[Outcome]
    same_as: int | None


class Search:
    """Evaluates proposals of an algorithm until there are enough of them.

    Args:
        settings: How many, and in which order.
        space: What points stand for.
        algorithm: Fresh; it is brought to where the study is.
        evaluation: Times and trains.
        study: New, or of a search that was cut off.
        observer: Is told how it goes.
    """

    def __init__(
        self,
        settings: SearchSettings,
        space: SearchSpace,
        algorithm: SearchAlgorithm,
        evaluation: Evaluation,
        study: Study,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._space = space
        self._algorithm = algorithm
        self._evaluation = evaluation
        self._study = study
        self._observer = observer
        self._in_flight: dict[int, _InFlight] = {}
        self._asked = self._told = 0
        self._best: Evaluated | None = None
        self._front: tuple[FrontPoint, ...] = ()
        self._failures: int | None = 0
        timers, trainers = evaluation.lanes
        self._timing = ThreadPoolExecutor(timers, thread_name_prefix="timing")
        self._training = ThreadPoolExecutor(trainers, thread_name_prefix="training")

    def run(self) -> None:
        """Run to the end; on any exception, Ctrl-C included, end what is under way first.

        Raises:
            ReplayError: If the algorithm does not propose again what is stored.
            HopelessSearchError: If nothing ever succeeds.
            OperationError: If the study cannot be written.
        """
        try:
            self._resume()
            started, before = time.monotonic(), self._told
            while self._told < self._settings.trials:
                self._ask()
                outcome = self._tell_next()
                pace_s = (time.monotonic() - started) / (self._told - before)
                self._report(outcome, pace_s * (self._settings.trials - self._told))
        except BaseException:
            self._evaluation.close()
            raise
        finally:
            self._timing.shutdown(cancel_futures=True)
            self._training.shutdown(cancel_futures=True)

    def _resume(self) -> None:
        report = replay(self._study, self._algorithm)
        self._asked, self._told = report.proposals, report.outcomes
        points = []
        for candidate in self._study.candidates():
            outcome = candidate.outcome
            if outcome is None:
                architecture = candidate.document and candidate.architecture
                self._start(candidate.proposal, architecture or None, candidate)
            elif isinstance(outcome, Evaluated):
                points.append(_front_point(outcome))
                self._best = _better(self._best, outcome)
        self._front = front_of(points)
        if self._best is not None:
            self._failures = None

    def _ask(self) -> None:
        """Fill the window; in ordered mode its end is fixed by how many were told."""
        allowed = min(self._settings.trials, self._told + self._settings.window)
        count = allowed - self._asked
        if count < 1:
            return
        decoded = [(p, self._decoded(p)) for p in self._algorithm.ask(count)]
        self._study.propose(
            [(p, None if isinstance(made, str) else made) for p, made in decoded],
            told=self._told,
        )
        self._asked = allowed
        for proposal, made in decoded:
            self._start(proposal, None if isinstance(made, str) else made, None)

    def _decoded(self, proposal: Proposal) -> Architecture | str:
        """The network of a point, or why it has none."""
        try:
            return self._space.decode(proposal.point)
        except InputError as error:
            return str(error)

    def _start(
        self, proposal: Proposal, architecture: Architecture | None, known: Candidate | None
    ) -> None:
        future: Future[Outcome] = Future()
        if architecture is None:
            text = str(self._decoded(proposal))
            failed = Failed(proposal=proposal, kind=FailureKind.DECODE, text=text)
            future.set_result(failed)
            self._in_flight[proposal.index] = _InFlight(future, None)
            return
        first = self._study.first_with_key(architecture)
        if first is not None and first < proposal.index:
            self._in_flight[proposal.index] = _InFlight(future, first)
            self._follow(first, proposal, future)
            return
        self._in_flight[proposal.index] = _InFlight(future, None)
        self._timing.submit(self._time, proposal, architecture, known, future)

    def _follow(self, first: int, proposal: Proposal, future: Future[Outcome]) -> None:
        """Give ``proposal`` the outcome that an earlier one for the same network has, or gets."""
        if first in self._in_flight:

            def copy(done: Future[Outcome]) -> None:
                error = done.exception()
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(_for(proposal, done.result()))

            self._in_flight[first].future.add_done_callback(copy)
            return
        outcome = self._study.candidate(first).outcome
        if outcome is None:
            msg = f"trial {first} is stored in part only"
            raise OperationError(msg)
        future.set_result(_for(proposal, outcome))

    def _time(
        self,
        proposal: Proposal,
        architecture: Architecture,
        known: Candidate | None,
        future: Future[Outcome],
    ) -> None:
        try:
            found = self._evaluation.latency(proposal, architecture, known)
            if isinstance(found, FoundLatency):
                train = partial(self._evaluation.accuracy, proposal, architecture, known, found)
                self._training.submit(_settle, future, train)
            else:
                future.set_result(found)
        except BaseException as error:
            future.set_exception(error)
            raise

    def _tell_next(self) -> Outcome:
        """Wait for the outcome that is to be told next, keep it and tell it."""
        index = self._next_index()
        flight = self._in_flight[index]
        outcome = flight.future.result()
        if flight.same_as is not None:
            self._copy(flight.same_as, index)
        self._study.tell(outcome, told=self._told, same_as=flight.same_as)
        del self._in_flight[index]
        self._told += 1
        self._algorithm.tell([outcome])
        return outcome

    def _next_index(self) -> int:
        if self._settings.mode is Mode.ORDERED:
            return min(self._in_flight)
        by_future = {flight.future: index for index, flight in self._in_flight.items()}
        done, _ = wait(by_future, return_when=FIRST_COMPLETED)
        return min(by_future[future] for future in done)

    def _copy(self, first: int, index: int) -> None:
        """Keep the figures of an earlier proposal for the same network for this one too."""
        candidate = self._study.candidate(first)
        if candidate.latency is not None:
            self._study.found_latency(index, candidate.latency)
        if candidate.training is not None:
            self._study.found_training(index, candidate.training)

    def _report(self, outcome: Outcome, left_s: float) -> None:
        match outcome:
            case Evaluated():
                self._failures = None
                self._best = _better(self._best, outcome)
                self._front = with_point(self._front, _front_point(outcome))
            case Skipped():
                self._failures = None
            case Failed() if self._failures is not None:
                self._failures += 1
                if self._failures >= min(HOPELESS_AFTER, self._settings.trials):
                    msg = f"all of {self._failures} trials failed, the last one so: {outcome.text}"
                    raise HopelessSearchError(msg)
        self._observer.on_progress(
            Progress(
                outcome=outcome,
                told=self._told,
                trials=self._settings.trials,
                best=self._best,
                front=self._front,
                left_s=left_s,
            )
        )


def _settle(future: Future[Outcome], work: partial[Outcome]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
        raise


def _for(proposal: Proposal, outcome: Outcome) -> Outcome:
    """The same outcome, of another proposal for the same network."""
    match outcome:
        case Evaluated():
            return Evaluated(
                proposal=proposal,
                objectives=outcome.objectives,
                reward=outcome.reward,
                feedback=outcome.feedback,
            )
        case Skipped():
            return Skipped(proposal=proposal, latency_ms=outcome.latency_ms, bound=outcome.bound)
        case Failed():
            return Failed(proposal=proposal, kind=outcome.kind, text=outcome.text)


def _front_point(outcome: Evaluated) -> FrontPoint:
    accuracy, latency = outcome.objectives[:2]
    return FrontPoint(
        index=outcome.proposal.index, accuracy=accuracy.value, latency_ms=latency.value
    )


def _better(best: Evaluated | None, outcome: Evaluated) -> Evaluated:
    return outcome if best is None or outcome.reward > best.reward else best
