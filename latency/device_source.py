"""Latencies measured on devices: a file is exported if need be, timed under a lease, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from devices.device import (
    Device,
    DeviceBusyError,
    DeviceError,
    DevicePermanentError,
    ModelFile,
    RunSettings,
)
from exporters.artifact import Artifact
from latency.lanes import Lane, Lanes
from latency.measurement import Conditions, LatencyMeasurement, Statistic
from latency.model_files import ModelFiles
from latency.protocol import (
    Candidate,
    Measured,
    Patience,
    measure_batch,
    preset,
)
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    Origin,
)
from latency.store import MeasurementStore
from workspace.errors import OperationError

LEASE_WAIT_S = 600.0
"""How long to wait for a device that another process holds."""


class Lease(Protocol):
    """Holds a device for one caller of all processes; see ``devices.pool.lease``."""

    def __call__(self, device_id: str, *, wait_s: float) -> AbstractContextManager[object]:
        """Held inside ``with``.

        Raises:
            DeviceBusyError: On entry, if someone else still holds it after ``wait_s``.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A request whose file is there."""

    request: LatencyRequest
    artifact: Artifact


class DeviceSource:
    """Measures on one device or several alike; a ``LatencySource``.

    A call takes one free device for all its requests and interleaves their sessions. A device that
    is gone is left out while there are others, and what it was to time is timed on one of those.

    Args:
        name: The source as text.
        devices: At least one; owned from now on.
        lease: How to hold one of them.
        files: How networks become files.
        store: Where measurements are kept; asked first if ``reuse``.
        placement: Threads, cores, delegate and time limit of a session.
        reuse: Whether an earlier measurement under the same conditions is an answer.
        patience: With failures that may pass.

    Raises:
        InputError: If the devices are not alike; the text names what differs.
        DeviceError: If one of them does not answer.
    """

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        *,
        lease: Lease,
        files: ModelFiles,
        store: MeasurementStore,
        placement: RunSettings,
        reuse: bool = True,
        patience: Patience | None = None,
    ) -> None:
        self._name = name
        self._lease = lease
        self._files = files
        self._store = store
        self._placement = placement
        self._reuse = reuse
        self._patience = patience or Patience()
        self._lanes = Lanes(name, devices, placement)

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        return self._name

    @property
    def lanes(self) -> int:
        """See ``LatencySource.lanes``."""
        return len(self._lanes.all)

    @property
    def on_this_computer(self) -> bool:
        """See ``LatencySource.on_this_computer``."""
        return any(lane.setup.info.on_this_computer for lane in self._lanes.all)

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``.

        Raises:
            InputError: If a preset is unknown, or the exporter gives another precision.
        """
        for request in requests:
            preset(request.preset)
        return self._answers(sorted(requests, key=lambda request: -request.priority))

    def close(self) -> None:
        """See ``LatencySource.close``."""
        self._lanes.close()

    def _answers(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        jobs: list[_Job] = []
        for request in requests:
            try:
                job = _Job(request=request, artifact=self._files.of(request.subject))
                stored = self._stored(job) if self._reuse else None
            except OperationError as error:
                yield _failure(request, error, retryable=False)
                continue
            if stored is not None:
                yield stored
            else:
                jobs.append(job)
        yield from self._timed(jobs)

    def _stored(self, job: _Job) -> LatencyEstimate | None:
        """An earlier measurement on one of the devices."""
        for lane in self._lanes.all:
            for statistic in Statistic:
                conditions = Conditions(
                    setup=lane.setup, precision=job.artifact.precision, statistic=statistic
                )
                found = self._store.find(job.artifact.sha256, conditions, job.request.preset)
                if found is not None:
                    return _estimate(job, lane, found, Origin.STORED)
        return None

    def _timed(self, jobs: Sequence[_Job]) -> Iterator[LatencyAnswer]:
        """Each job on a free device; where that is gone or taken, on each of the others."""
        for _ in range(self.lanes - 1):
            if not jobs:
                return
            left: list[_Job] = []
            with self._lanes.free() as lane:
                for job, result in self._measured_on(lane, jobs, wait_s=0.0):
                    if isinstance(result, DeviceError) and self._lanes.is_lost(lane, result):
                        left.append(job)
                    else:
                        yield self._answer(job, lane, result)
            jobs = left
        if not jobs:
            return
        with self._lanes.free() as lane:
            for job, result in self._measured_on(lane, jobs, wait_s=LEASE_WAIT_S):
                yield self._answer(job, lane, result)

    def _measured_on(
        self, lane: Lane, jobs: Sequence[_Job], *, wait_s: float
    ) -> Iterator[tuple[_Job, LatencyMeasurement | DeviceError]]:
        """Each job with what came of it on one device, under a lease."""
        candidates = [
            Candidate(
                model=ModelFile(path=job.artifact.path, sha256=job.artifact.sha256),
                precision=job.artifact.precision,
                protocol=preset(job.request.preset),
            )
            for job in jobs
        ]
        try:
            with self._lease(lane.device.id, wait_s=wait_s):
                for result in measure_batch(
                    lane.device,
                    candidates,
                    placement=self._placement,
                    seed=_seed(jobs),
                    patience=self._patience,
                ):
                    outcome = result.measurement if isinstance(result, Measured) else result.error
                    yield jobs[result.index], outcome
        except DeviceBusyError as error:
            yield from ((job, error) for job in jobs)

    def _answer(
        self, job: _Job, lane: Lane, result: LatencyMeasurement | DeviceError
    ) -> LatencyAnswer:
        if isinstance(result, DeviceError):
            retryable = not isinstance(result, DevicePermanentError)
            return _failure(job.request, result, retryable=retryable)
        try:
            self._store.add(result)
        except OperationError as error:
            return _failure(job.request, error, retryable=True)
        return _estimate(job, lane, result, Origin.MEASURED)


def _estimate(
    job: _Job, lane: Lane, measurement: LatencyMeasurement, origin: Origin
) -> LatencyEstimate:
    return LatencyEstimate(
        request_id=job.request.id,
        latency_ms=measurement.median_ms,
        low_ms=measurement.interval.low_ms,
        high_ms=measurement.interval.high_ms,
        origin=origin,
        source=lane.device.id,
        coverage=1.0,
        verdict=measurement.verdict,
        measurement=measurement,
        artifact_sha256=measurement.artifact_sha256,
    )


def _failure(request: LatencyRequest, error: OperationError, *, retryable: bool) -> LatencyFailure:
    return LatencyFailure(request_id=request.id, text=str(error), retryable=retryable)


def _seed(jobs: Sequence[_Job]) -> int:
    """Of the order of sessions: fixed by what is measured."""
    text = " ".join(job.artifact.sha256 for job in jobs)
    return int(sha256(text.encode()).hexdigest()[:8], 16)
