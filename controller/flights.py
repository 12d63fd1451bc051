"""Candidates on their way: proposed and stored, their outcomes not told yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from controller.algorithm import Failed, FailureKind, Outcome, Proposal
from controller.candidate import Candidate, FoundLatency, same_for
from controller.evaluation import Evaluation
from controller.study import Study
from search_space.architecture import Architecture
from workspace.errors import OperationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A candidate that has arrived.

    Attributes:
        outcome: What became of it.
        same_as: Index of the earlier proposal whose outcome it took; None for its own.
    """

    outcome: Outcome
    same_as: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    future: Future[Outcome]
    same_as: int | None


class Flights:
    """Evaluates candidates side by side: as many threads as devices, as many as training lanes.

    A candidate is timed, then trained, so that timing one overlaps with training another. A
    proposal for a network that an earlier one, by its index, is for takes that one's outcome, a
    failure too, and waits for it if need be: what becomes of it does not depend on who is faster.

    Args:
        evaluation: Times and trains.
        study: Holds every proposal that is started.
    """

    def __init__(self, evaluation: Evaluation, study: Study) -> None:
        self._evaluation = evaluation
        self._study = study
        self._flying: dict[int, _Flight] = {}
        timers, trainers = evaluation.lanes
        self._timing = ThreadPoolExecutor(timers, thread_name_prefix="timing")
        self._training = ThreadPoolExecutor(trainers, thread_name_prefix="training")

    def start(
        self, proposal: Proposal, made: Architecture | str, known: Candidate | None = None
    ) -> None:
        """Begin with a stored proposal.

        Args:
            proposal: In the order of indices.
            made: Its network, or why its point has none.
            known: What an interrupted search had found of it already.
        """
        future: Future[Outcome] = Future()
        if isinstance(made, str):
            future.set_result(Failed(proposal=proposal, kind=FailureKind.DECODE, text=made))
            self._flying[proposal.index] = _Flight(future=future, same_as=None)
            return
        first = self._study.first_with_key(made)
        if first is not None and first < proposal.index:
            self._flying[proposal.index] = _Flight(future=future, same_as=first)
            self._follow(first, proposal, future)
            return
        self._flying[proposal.index] = _Flight(future=future, same_as=None)
        self._timing.submit(self._time, proposal, made, known, future)

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

    def _follow(self, first: int, proposal: Proposal, future: Future[Outcome]) -> None:
        """Settle ``future`` as the earlier proposal for the same network is, or will be."""
        if first in self._flying:
            leader = self._flying[first].future
            leader.add_done_callback(
                lambda done: _settle(future, lambda: same_for(proposal, done.result()))
            )
            return
        outcome = self._study.candidate(first).outcome
        if outcome is None:
            msg = f"trial {first}, for the same network as trial {proposal.index}, has no outcome"
            raise OperationError(msg)
        future.set_result(same_for(proposal, outcome))

    def _copy(self, first: int, index: int) -> None:
        """Keep the figures of an earlier proposal for the same network for this one too."""
        candidate = self._study.candidate(first)
        if candidate.latency is not None:
            self._study.found_latency(index, candidate.latency)
        if candidate.training is not None:
            self._study.found_training(index, candidate.training)

    def _time(
        self,
        proposal: Proposal,
        architecture: Architecture,
        known: Candidate | None,
        future: Future[Outcome],
    ) -> None:
        """Find the latency, then hand over to a thread that trains; in a thread that times."""
        try:
            found = self._evaluation.latency(proposal, architecture, known)
            if isinstance(found, FoundLatency):
                train = partial(self._evaluation.accuracy, proposal, architecture, known, found)
                self._training.submit(_settle, future, train)
            else:
                future.set_result(found)
        except BaseException as error:  # noqa: BLE001 # raised again where it lands
            future.set_exception(error)


def _settle(future: Future[Outcome], work: Callable[[], Outcome]) -> None:
    """Give ``future`` what ``work`` gives or raises; whoever lands it hears of it."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 # raised again where it lands
        future.set_exception(error)
