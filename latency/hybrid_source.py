"""Predicted where that is enough, measured where it decides: ``hybrid:TABLE,DEVICE``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import BoundedSemaphore, Lock
from typing import Protocol

from latency.experience import ExperiencedTable
from latency.measurement import Verdict
from latency.predictor_source import PredictorSource
from latency.source import (
    Decides,
    FileSubject,
    LatencyAnswer,
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    SpaceSource,
)
from latency.table_points import PointLatencies
from latency.table_source import TableSource
from search_space.architecture import Head
from search_space.space import SearchSpace
from workspace.errors import InputError

FIRST = 3
"""Networks that are measured whatever is predicted: they show at once that table and device do
not belong together."""


class LearningSource(LatencySource, Protocol):
    """A source that predicts, and learns from what is measured beside it."""

    def learn(self, pairs: Sequence[tuple[LatencyRequest, LatencyEstimate]]) -> None:
        """Take in measurements: what was asked, and what a device answered.

        Raises:
            InputError: If the device is under other conditions; names each.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridUse:
    """How often it did which.

    Attributes:
        predicted: Answers that no device was asked for.
        measured: Answers of a device, or of its earlier measurements.
    """

    predicted: int
    measured: int


class HybridSource:
    """A ``LatencySource`` that asks its device only where a prediction does not decide.

    A request is measured if one of its thresholds is in the predicted interval, if it decides a
    front or a report, if nothing is predicted (a file, a part that a table lacks), and if it
    is one of the first ``FIRST``. Measured answers improve the predictions after
    them, so an answer also depends on what was asked before; each says how it was found.

    Args:
        told: Predicts.
        devices: Measures.
        name: Of both, as the command line has it.
    """

    def __init__(self, told: LearningSource, devices: LatencySource, name: str) -> None:
        self._told = told
        self._devices = devices
        self._name = name
        self._lock = Lock()
        self._free = BoundedSemaphore(devices.lanes)
        self._predicted = self._measured = 0

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        return self._name

    @property
    def lanes(self) -> int:
        """Its device's."""
        return self._devices.lanes

    @property
    def on_this_computer(self) -> bool:
        """Its device's."""
        return self._devices.on_this_computer

    @property
    def use(self) -> HybridUse:
        """So far."""
        with self._lock:
            return HybridUse(predicted=self._predicted, measured=self._measured)

    def refines(self) -> bool:
        """See ``RefiningSource``."""
        return True

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``; predicted answers come first.

        Raises:
            InputError: If neither can answer for such a subject, or the device is under other
                conditions than the table.
        """
        known: dict[str, LatencyEstimate] = {}
        networks = [each for each in requests if not isinstance(each.subject, FileSubject)]
        for answer in self._told.estimate(networks):
            if isinstance(answer, LatencyEstimate):
                known[answer.request_id] = answer
        needed = []
        for request in requests:
            predicted = known.get(request.id)
            if predicted is None or self._is_needed(request, predicted):
                needed.append(request)
            else:
                yield predicted
        if needed:
            yield from self._from_devices(needed, known)

    def close(self) -> None:
        """Give back devices and files."""
        self._told.close()
        self._devices.close()

    def over(self, space: SearchSpace, head: Head) -> PointLatencies:
        """What is predicted for all points at once.

        Raises:
            InputError: If it cannot be, or only one by one.
        """
        if not isinstance(self._told, SpaceSource):
            msg = f"{self.name} answers one by one only"
            raise InputError(msg)
        return self._told.over(space, head)

    def require_covers(self, space: SearchSpace, head: Head) -> None:
        """Do nothing: what is not predicted is measured."""

    def _is_needed(self, request: LatencyRequest, predicted: LatencyEstimate) -> bool:
        unsure = any(predicted.low_ms < each < predicted.high_ms for each in request.thresholds_ms)
        decides = request.decides is not Decides.REWARD
        with self._lock:
            needed = unsure or decides or self._measured < FIRST
            self._measured += needed
            self._predicted += not needed
        return needed

    def _from_devices(
        self, requests: Sequence[LatencyRequest], known: dict[str, LatencyEstimate]
    ) -> Iterator[LatencyAnswer]:
        asked = {request.id: request for request in requests}
        pairs = []
        with self._free:
            for answer in self._devices.estimate(requests):
                if not isinstance(answer, LatencyEstimate):
                    yield answer
                    continue
                request = asked[answer.request_id]
                if _teaches(request, answer):
                    pairs.append((request, answer))
                yield replace(answer, predicted=known.get(answer.request_id))
        with self._lock:
            self._told.learn(pairs)


def _teaches(request: LatencyRequest, answer: LatencyEstimate) -> bool:
    is_network = not isinstance(request.subject, FileSubject)
    return is_network and answer.verdict is not Verdict.REJECTED


def learning(source: LatencySource) -> LearningSource:
    """The source, as one that learns.

    Raises:
        InputError: If it cannot.
    """
    match source:
        case PredictorSource():
            return source
        case TableSource():
            return ExperiencedTable(source)
    msg = f"{source.name} is no table and no predictor, so that nothing can be predicted by it"
    raise InputError(msg)
