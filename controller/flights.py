"""Candidates on their way: proposed and stored, their outcomes not told yet."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from controller.algorithm import Failed, FailureKind, Outcome, Proposal
from controller.candidate import Candidate, same_for
from controller.early_stopping import StoppingRule
from controller.evaluation import Evaluation
from controller.found_latency import FoundLatency
from controller.study import Study
from search_space.architecture import Architecture
from workspace.errors import OperationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A candidate that has arrived.

    Attributes:
        outcome: What became of it.
        same_as: Index of the earlier proposal that was evaluated for it; None for itself.
    """

    outcome: Outcome
    same_as: int | None


@dataclass(slots=True, kw_only=True)
class _Flight:
    """One on its way; ``same_as`` is known when ``future`` is done."""

    proposal: Proposal
    known: Candidate | None
    rule: StoppingRule | None
    future: Future[Outcome]
    same_as: int | None = None


class Flights:
    """Evaluates candidates side by side: as many threads as devices, as many as training lanes.

    A candidate is timed, then trained, so that timing one overlaps with training another. Where
    they may not overlap and several are trained at once, all that are to be timed are timed before
    any of them is trained: one at a time, the lanes would take turns instead of working together.
    A proposal takes the outcome of the last one before it, by index, that is for the same network,
    and waits for it if need be, so that what becomes of it does not depend on who is faster. Only
    if that one failed is it evaluated itself: the failure may have passed. One that is proposed
    ``again`` is evaluated itself too.

    Args:
        evaluation: Times and trains.
        study: Holds every proposal that is started.
    """

    def __init__(self, evaluation: Evaluation, study: Study) -> None:
        self._evaluation = evaluation
        self._study = study
        self._flying: dict[int, _Flight] = {}
        timers, trainers = evaluation.lanes
        self._gathers = evaluation.is_exclusive and trainers > 1
        self._lock = threading.Lock()
        self._untimed = 0
        self._timed: list[tuple[_Flight, Architecture, FoundLatency]] = []
        self._timing = ThreadPoolExecutor(timers, thread_name_prefix="timing")
        self._training = ThreadPoolExecutor(trainers, thread_name_prefix="training")

    def start(
        self,
        proposal: Proposal,
        made: Architecture | str,
        known: Candidate | None = None,
        rule: StoppingRule | None = None,
    ) -> None:
        """Begin with a stored proposal.

        Args:
            proposal: In the order of indices.
            made: Its network, or why its point has none.
            known: What an interrupted search had found of it already.
            rule: By which its training is stopped early; one that is made ``again`` never is.
        """
        if proposal.again:
            rule = None
        flight = _Flight(proposal=proposal, known=known, rule=rule, future=Future())
        self._flying[proposal.index] = flight
        if isinstance(made, str):
            failed = Failed(proposal=proposal, kind=FailureKind.DECODE, text=made)
            flight.future.set_result(failed)
            return
        before = None
        if not proposal.again:
            before = self._study.last_with_key(made, before=proposal.index)
        if before is None:
            self._evaluate(flight, made)
        elif before in self._flying:
            leader = self._flying[before]
            leader.future.add_done_callback(lambda _: self._follow(flight, made, leader))
        else:
            told = self._study.candidate(before)
            if told.outcome is None:
                msg = f"trial {before} is stored without its outcome"
                raise OperationError(msg)
            origin = before if told.same_as is None else told.same_as
            self._take(flight, made, told.outcome, origin)

    def land_first_asked(self) -> Landed:
        """Wait for the one that was asked for before all others."""
        return self._land(min(self._flying))

    def land_first_done(self) -> Landed:
        """Wait for any; of several that are done, the one that was asked for first."""
        index_of = {flight.future: index for index, flight in self._flying.items()}
        done, _ = wait(index_of, return_when=FIRST_COMPLETED)
        return self._land(min(index_of[future] for future in done))

    def close(self, *, cut_off: bool) -> None:
        """Wait until nothing is under way.

        Args:
            cut_off: Whether what runs is to be ended; the evaluation is then closed too.
        """
        pools = (self._timing, self._training)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        if cut_off:
            self._evaluation.close()
        for pool in pools:
            pool.shutdown()

    def _land(self, index: int) -> Landed:
        flight = self._flying[index]
        outcome = flight.future.result()
        if flight.same_as is not None:
            self._copy(flight.same_as, index)
        del self._flying[index]
        return Landed(outcome=outcome, same_as=flight.same_as)

    def _follow(self, flight: _Flight, made: Architecture, leader: _Flight) -> None:
        """Called when ``leader``, for the same network, has its outcome."""
        try:
            outcome = leader.future.result()
            origin = leader.proposal.index if leader.same_as is None else leader.same_as
            self._take(flight, made, outcome, origin)
        except BaseException as error:  # noqa: BLE001 # raised again where it lands
            flight.future.set_exception(error)

    def _take(self, flight: _Flight, made: Architecture, outcome: Outcome, origin: int) -> None:
        if isinstance(outcome, Failed):
            self._evaluate(flight, made)
        else:
            flight.same_as = origin
            flight.future.set_result(same_for(flight.proposal, outcome))

    def _evaluate(self, flight: _Flight, made: Architecture) -> None:
        with self._lock:
            self._untimed += 1
        self._timing.submit(self._time, flight, made)

    def _copy(self, first: int, index: int) -> None:
        """Keep the figures of an earlier proposal for the same network for this one too."""
        candidate = self._study.candidate(first)
        if candidate.latency is not None:
            self._study.found_latency(index, candidate.latency)
        if candidate.training is not None:
            self._study.found_training(index, candidate.training)

    def _time(self, flight: _Flight, made: Architecture) -> None:
        """Find the latency, then hand over to threads that train; in a thread that times."""
        timed = None
        try:
            found = self._evaluation.latency(flight.proposal, made, flight.known)
            if isinstance(found, FoundLatency):
                timed = flight, made, found
            else:
                flight.future.set_result(found)
        except BaseException as error:  # noqa: BLE001 # raised again where it lands
            flight.future.set_exception(error)
        with self._lock:
            self._untimed -= 1
            self._timed += [timed] if timed else []
            if self._gathers and self._untimed:
                return
            ready, self._timed = self._timed, []
        for one, network, latency in ready:
            try:
                self._training.submit(self._train, one, network, latency)
            except RuntimeError as error:  # the search is ending
                one.future.set_exception(error)

    def _train(self, flight: _Flight, made: Architecture, found: FoundLatency) -> None:
        proposal, known = flight.proposal, flight.known
        try:
            outcome = self._evaluation.accuracy(proposal, made, known, found, flight.rule)
        except BaseException as error:  # noqa: BLE001 # raised again where it lands
            flight.future.set_exception(error)
        else:
            flight.future.set_result(outcome)
