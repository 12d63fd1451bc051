"""Latencies measured on devices: a file is exported if need be, timed under a lease, and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from queue import SimpleQueue
from statistics import median

from devices.device import (
    Device,
    DeviceError,
    DevicePermanentError,
    DeviceTransientError,
    ModelFile,
    RunSettings,
)
from devices.quarantine import report_failure, report_success
from exporters.artifact import STAND_IN_INT8, Artifact, Precision
from latency.gates import Gate, NotReadyError
from latency.history import History
from latency.lanes import LEASE_WAIT_S, Held, Lane, LaneReport, Lanes, Lease
from latency.measurement import Conditions, LatencyMeasurement, Statistic, Verdict
from latency.model_files import ModelFiles
from latency.presets import preset
from latency.protocol import (
    Bench,
    Candidate,
    Measured,
    NotMeasured,
    Patience,
    measure_batch,
    reading,
)
from latency.sentinel import sentinel_file
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    Origin,
)
from latency.store import MeasurementStore
from workspace.errors import OperationError

LEVEL_SESSIONS = 3
"""Of the sentinel on a unit that has no history yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A request whose file is there."""

    request: LatencyRequest
    artifact: Artifact


class DeviceSource:
    """Measures on one device or several alike; a ``LatencySource``.

    The requests of a call are dealt out to the devices, and each interleaves the sessions of its
    own. A device that is gone is left out while there are others, and what it was to time is timed
    on one of those.

    Args:
        name: The source as text.
        devices: At least one; owned from now on.
        lease: How to hold one of them.
        files: How networks become files.
        store: Where measurements are kept; asked first if ``reuse``.
        placement: Threads, cores, delegate and time limit of a session.
        reuse: Whether an earlier measurement under the same conditions is an answer.
        patience: With failures that may pass.
        gate: Says when a device may be timed.
        sentinel: The file that tells whether a device has moved; None for none.

    Attributes:
        tell: Is told what goes on on each device, for people; from any thread.

    Raises:
        InputError: If the devices are not alike; the text names what differs.
        DeviceError: If none of them answers.
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
        gate: Gate | None = None,
        sentinel: Callable[[], ModelFile] | None = sentinel_file,
    ) -> None:
        self._name = name
        self._lease = lease
        self._files = files
        self._store = store
        self._placement = placement
        self._reuse = reuse
        self._patience = patience or Patience()
        self._gate = gate or Gate()
        self._sentinel = sentinel
        self._history = History(store)
        self._levelling = threading.Lock()
        self.tell: Callable[[str], None] = _nobody
        clock = self._patience.clock
        self._lanes = Lanes(name, devices, placement, self._gate, clock, lease)

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

    def report(self) -> tuple[LaneReport, ...]:
        """How well each device was used so far."""
        return self._lanes.report()

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
        yield from self._dealt(jobs)

    def _dealt(self, jobs: Sequence[_Job]) -> Iterator[LatencyAnswer]:
        """Shares of the jobs at once, one for each device, in order of completion."""
        shares = [jobs[start :: self.lanes] for start in range(self.lanes)]
        shares = [share for share in shares if share]
        if len(shares) < 2:
            yield from self._timed(jobs)
            return
        done: SimpleQueue[LatencyAnswer | None] = SimpleQueue()

        def work(share: Sequence[_Job]) -> None:
            try:
                for answer in self._timed(share):
                    done.put(answer)
            finally:
                done.put(None)

        with ThreadPoolExecutor(len(shares)) as pool:
            futures = [pool.submit(work, share) for share in shares]
            working = len(shares)
            while working:
                answer = done.get()
                working -= answer is None
                if answer is not None:
                    yield answer
            for future in futures:
                future.result()

    def _stored(self, job: _Job) -> LatencyEstimate | None:
        """An earlier measurement on one of the devices."""
        for lane in self._lanes.all:
            for statistic in Statistic:
                conditions = Conditions(
                    setup=lane.setup, precision=job.artifact.precision, statistic=statistic
                )
                found = self._store.find(job.artifact.sha256, conditions, job.request.preset)
                if found is not None:
                    return self._estimate(job, lane, found, Origin.STORED)
        return None

    def _timed(self, jobs: Sequence[_Job]) -> Iterator[LatencyAnswer]:
        """Each job on a free device; where that is gone or taken, on each of the others."""
        if jobs and self.lanes > 1:
            self._level()
        for _ in range(self.lanes - 1):
            if not jobs:
                return
            left: list[_Job] = []
            with self._lanes.free() as lane:
                for job, result in self._measured_on(lane, jobs, wait_s=0.0):
                    if isinstance(result, DeviceError) and self._lanes.is_lost(lane, result):
                        self._blame(lane, result)
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
        left = dict(enumerate(jobs))
        try:
            with self._lease(lane.device.id, wait_s=wait_s) as held:
                watched = any(c.protocol.sentinel_every for c in candidates)
                bench = self._bench(lane, held, self._sentinel if watched else None)
                for result in measure_batch(bench, candidates, seed=_seed(jobs)):
                    yield left.pop(result.index), _still_ours(held, result)
        except DeviceError as error:  # it is taken, or was lost on the way out
            yield from ((job, error) for job in left.values())

    def _bench(self, lane: Lane, held: Held, sentinel: Callable[[], ModelFile] | None) -> Bench:
        return Bench(
            device=lane.device,
            placement=self._placement,
            patience=self._patience,
            gate=self._gate,
            sentinel=sentinel() if sentinel else None,
            guard=held.require,
            on_reading=self._keep_reading,
            tally=lane.tally,
            tell=lambda text: self.tell(f"{lane.device.id}: {text}"),
        )

    def _keep_reading(self, conditions: Conditions, sha256: str, value_ms: float) -> None:
        """A store that refuses costs the history a reading, and no session."""
        with suppress(OperationError):
            self._history.add_sentinel(conditions, sha256, value_ms)

    def _level(self) -> None:
        """Find out what the sentinel takes on each unit: by its history, else a few sessions."""
        if self._sentinel is None:
            return
        with self._levelling:
            sentinel = self._sentinel()
            for lane in self._lanes.all:
                if lane.level_ms is None:
                    lane.level_ms = self._known_level_ms(lane, sentinel)
                if lane.level_ms is None:
                    self._read_level(lane, sentinel)

    def _known_level_ms(self, lane: Lane, sentinel: ModelFile) -> float | None:
        for statistic in Statistic:
            conditions = Conditions(
                setup=lane.setup, precision=Precision.FP32, statistic=statistic
            )
            level_ms = self._history.sentinel_level_ms(conditions, sentinel.sha256)
            if level_ms is not None:
                return level_ms
        return None

    def _read_level(self, lane: Lane, sentinel: ModelFile) -> None:
        """Nothing if the device is taken or fails: its factor stays unknown, and says so."""
        with (
            suppress(DeviceError),
            self._lease(lane.device.id, wait_s=0.0) as held,
            lane.device.hold(self._placement),
        ):
            bench = self._bench(lane, held, None)
            lane.level_ms = median(reading(bench, sentinel)[1] for _ in range(LEVEL_SESSIONS))

    def _answer(
        self, job: _Job, lane: Lane, result: LatencyMeasurement | DeviceError
    ) -> LatencyAnswer:
        if isinstance(result, DeviceError):
            self._blame(lane, result)
            retryable = not isinstance(result, DevicePermanentError)
            return _failure(job.request, result, retryable=retryable)
        if result.verdict is not Verdict.REJECTED:
            with suppress(OperationError):  # a full disk costs the quarantine a word
                report_success(lane.device.id)
        try:
            self._store.add(result)
        except OperationError as error:
            return _failure(job.request, error, retryable=True)
        lane.measurements += 1
        if result.verdict is Verdict.REJECTED:
            text = f"{lane.device.id}: the measurement was rejected: {result.reason}"
            return LatencyFailure(request_id=job.request.id, text=text, retryable=True)
        return self._estimate(job, lane, result, Origin.MEASURED)

    def _blame(self, lane: Lane, error: DeviceError) -> None:
        """A phone that fails again and again, or will not cool, is kept away for a while."""
        if lane.device.id.startswith("adb:") and isinstance(error, DeviceTransientError):
            at_once = isinstance(error, NotReadyError)
            with suppress(OperationError):
                report_failure(lane.device.id, error.detail, at_once=at_once)

    def _estimate(
        self, job: _Job, lane: Lane, measurement: LatencyMeasurement, origin: Origin
    ) -> LatencyEstimate:
        correction, labels = self._unit(lane)
        return LatencyEstimate(
            request_id=job.request.id,
            latency_ms=measurement.median_ms / correction,
            low_ms=measurement.interval.low_ms / correction,
            high_ms=measurement.interval.high_ms / correction,
            origin=origin,
            source=lane.device.id,
            coverage=1.0,
            verdict=measurement.verdict,
            measurement=measurement,
            artifact_sha256=measurement.artifact_sha256,
            labels=(*labels, *_stated(job.artifact), *self._accepted(lane)),
        )

    def _unit(self, lane: Lane) -> tuple[float, tuple[str, ...]]:
        """By what a unit's times are divided before they stand beside those of others."""
        if self.lanes == 1:
            return 1.0, ()
        factor = self._lanes.factor(lane)
        if factor is None:
            return 1.0, ("unit: its factor against the others is unknown",)
        if self._lanes.pooled:
            return 1.0, ()
        return factor, (f"unit: divided by its factor {factor:.3f} against the others",)

    def _accepted(self, lane: Lane) -> tuple[str, ...]:
        """What the device's acceptance test said; nothing if it never had one."""
        accepted = self._history.acceptance(lane.setup.info.unit)
        return () if accepted is None else (accepted.sentence(),)


def _nobody(_: str) -> None:
    """Listens."""


def _stated(artifact: Artifact) -> tuple[str, ...]:
    """What the file's writer says that it is not."""
    return (f"file: {artifact.tool}",) if STAND_IN_INT8 in artifact.tool else ()


def _still_ours(held: Held, result: Measured | NotMeasured) -> LatencyMeasurement | DeviceError:
    """What came of a candidate, unless somebody else had the device meanwhile."""
    if isinstance(result, NotMeasured):
        return result.error
    try:
        held.require()
    except DeviceError as error:
        return error
    return result.measurement


def _failure(request: LatencyRequest, error: OperationError, *, retryable: bool) -> LatencyFailure:
    return LatencyFailure(request_id=request.id, text=str(error), retryable=retryable)


def _seed(jobs: Sequence[_Job]) -> int:
    """Of the order of sessions: fixed by what is measured."""
    text = " ".join(job.artifact.sha256 for job in jobs)
    return int(sha256(text.encode()).hexdigest()[:8], 16)
