"""How a latency is measured: process starts, one after another, until the interval is narrow.

A session is one process start: warm-up, then timed runs, of which the median counts (the mean
where a runner has no median; the two are never mixed). A latency is the median of its sessions.
Sessions of several candidates are interleaved in seeded random order, so that a slow drift of the
device touches all of them alike; the sentinel says when it was more than that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TypeVar

from devices.clock import Clock, WallClock
from devices.device import (
    Device,
    DeviceError,
    DevicePermanentError,
    DeviceTransientError,
    ModelFile,
    RunRecord,
    RunSettings,
)
from exporters.artifact import Precision
from latency import sentinel as watch
from latency.baseline import Baselines
from latency.gates import Gate, NotReadyError
from latency.holding import Holding
from latency.interval import Looks, half_width_share, interval_of_median
from latency.measurement import (
    Conditions,
    LatencyMeasurement,
    MeasurementProtocol,
    Statistic,
    Verdict,
    session_value_ms,
    statistic_of,
)

Got = TypeVar("Got")

GIVEN_UP = 3
"""Sessions in a row without a quiet moment after which no more are waited for."""

RUN_S = 0.3
"""A model that takes so long gets through all the runs that a protocol asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file to measure.

    Attributes:
        model: The file.
        precision: Of its weights and arithmetic.
        protocol: How hard to try.
    """

    model: ModelFile
    precision: Precision
    protocol: MeasurementProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to put up with a device that fails in passing, or will not be still.

    Attributes:
        attempts: At a session, at least 1.
        pause_s: Before the second attempt; doubled before each further one.
        redone: How often sessions are thrown away because the sentinel moved.
        quiet: How often a session beside which others computed is tried again; not at all once
            a batch has shown that they do not stop.
        clock: By which everybody waits.
    """

    attempts: int = 4
    pause_s: float = 0.5
    redone: int = 3
    quiet: int = 2
    clock: Clock = field(default_factory=WallClock, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A candidate of a batch that has its latency.

    Attributes:
        index: In the batch.
        measurement: Stable or not.
    """

    index: int
    measurement: LatencyMeasurement


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """A candidate of a batch that could not be timed.

    Attributes:
        index: In the batch.
        error: What the device said; a ``DevicePermanentError`` if trying again is of no use.
    """

    index: int
    error: DeviceError


Result = Measured | NotMeasured


class SessionRefusedError(DeviceTransientError):
    """A session that ended well and does not count: the device was hot, slow, or rebooted."""


class RestlessError(DeviceTransientError):
    """Raised within a batch only: the sentinel moved."""


@dataclass(slots=True)
class Tally:
    """What a device did so far.

    Attributes:
        sessions: That counted, the sentinel's included.
        refused: That did not count.
        running_s: Time in sessions.
        waiting_s: Time until it was cool enough.
        disturbed: Sessions that counted although others computed beside them.
        restless: Sessions in a row for which no quiet moment was found.
    """

    sessions: int = 0
    refused: int = 0
    running_s: float = 0.0
    waiting_s: float = 0.0
    disturbed: int = 0
    restless: int = 0


def _nothing() -> None:
    """No lease to check."""


def _nobody(_: str) -> None:
    """Listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the sessions of a batch run on.

    Attributes:
        device: Held under a lease by the caller.
        placement: Threads, cores, delegate, clock tier and time limit of a session.
        patience: With failures that may pass; a device that is gone fails all that are left.
        gate: Lets sessions start, and judges them.
        sentinel: Told before, between and after sessions by protocols that ask for it; None
            for none.
        guard: Raises a ``DeviceError`` if the lease was lost.
        on_reading: Told each reading of the sentinel.
        tally: Counts what the device did.
        holding: What is held of the device; a batch's own.
        tell: Is told what goes on, for people: each session, and what it waits for.
    """

    device: Device
    placement: RunSettings = field(default_factory=RunSettings)
    patience: Patience = field(default_factory=Patience)
    gate: Gate = field(default_factory=lambda: Gate(baselines=Baselines(path=None)))
    sentinel: ModelFile | None = None
    guard: Callable[[], None] = _nothing
    on_reading: Callable[[Conditions, str, float], None] | None = None
    tally: Tally = field(default_factory=Tally)
    holding: Holding | None = None
    tell: Callable[[str], None] = _nobody


def settings_of(protocol: MeasurementProtocol, placement: RunSettings) -> RunSettings:
    """``protocol`` for a session that runs where ``placement`` says."""
    least_s = protocol.warmup_min_s + protocol.timed_min_s
    runs = protocol.warmup_runs + protocol.timed_runs
    return replace(
        placement,
        warmup_runs=protocol.warmup_runs,
        warmup_min_s=protocol.warmup_min_s,
        timed_runs=protocol.timed_runs,
        timed_min_s=protocol.timed_min_s,
        timeout_s=max(placement.timeout_s, 2 * least_s + RUN_S * runs),
    )


def measure(
    bench: Bench, model: ModelFile, precision: Precision, protocol: MeasurementProtocol
) -> LatencyMeasurement:
    """The latency of one file; see ``measure_batch``.

    Raises:
        DeviceError: If it cannot be timed, one of its three children.
    """
    candidate = Candidate(model=model, precision=precision, protocol=protocol)
    (result,) = measure_batch(bench, [candidate])
    if isinstance(result, NotMeasured):
        raise result.error
    return result.measurement


def measure_batch(
    bench: Bench, candidates: Sequence[Candidate], *, seed: int = 0
) -> Iterator[Result]:
    """Each candidate once, as soon as its interval is narrow enough or its sessions are used up.

    Every round gives one session to each candidate that still needs one, in random order. With a
    sentinel, a latency is given out once the sentinel after its sessions was seen not to have
    moved; where it has, they are thrown away and redone.

    Args:
        bench: The device and all around it.
        candidates: What to time.
        seed: Of the order.
    """
    if not candidates:
        return
    with ExitStack() as stack:
        holding = Holding(bench.device, bench.placement)
        try:
            _patiently(bench, lambda: stack.enter_context(holding))
        except DeviceError as error:
            yield from (NotMeasured(index=i, error=error) for i in range(len(candidates)))
            return
        held = replace(bench, holding=holding)
        yield from _Batch(held, candidates, random.Random(seed)).results()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """A session and when it was."""

    record: RunRecord
    at_s: float


class _Batch:
    """The candidates that still need sessions, and the sentinel between them."""

    def __init__(
        self,
        bench: Bench,
        candidates: Sequence[Candidate],
        rng: random.Random,
    ) -> None:
        self._bench = bench
        self._rng = rng
        self._left = [_Series(i, candidate) for i, candidate in enumerate(candidates)]
        self._charging: bool | None = None
        wanted = [c.protocol for c in candidates if c.protocol.sentinel_every]
        self._every = min((p.sentinel_every for p in wanted), default=0) if bench.sentinel else 0
        self._limit = min((p.sentinel_limit for p in wanted), default=1.0)
        self._drift = watch.Drift()
        self._redone = 0
        self._restless = ""

    def results(self) -> Iterator[Result]:
        """See ``measure_batch``."""
        try:
            if self._every:
                self._drift.add(*self._reading())
            while self._left:
                yield from self._block()
        except DeviceError as error:
            yield from self._all_fail(error)

    def _block(self) -> Iterator[Result]:
        """The sessions between two readings of the sentinel; one round without it."""
        sessions = self._every or len(self._left)
        while sessions > 0 and (wanting := [s for s in self._left if s.wants_more()]):
            self._rng.shuffle(wanting)
            for series in wanting[:sessions]:
                sessions -= 1
                failure = series.run_one(self._bench)
                if failure is not None:
                    self._left.remove(series)
                    yield failure
                    _require_there(self._bench)
                    continue
                self._note_charger(series)
                if not self._every:
                    yield from self._committed(series)
            if not self._every:
                return
        if not self._every:
            return
        try:
            self._require_still()
        except RestlessError:
            self._redo()
            return
        for series in tuple(self._left):
            yield from self._committed(series)

    def _note_charger(self, series: _Series) -> None:
        """Sessions on the charger and off it are not compared: with the other, all begin anew."""
        charging = series.charging
        if None not in (charging, self._charging) and charging != self._charging:
            self._drift.restart()
            for each in self._left:
                each.drop(everything=True)
        self._charging = self._charging if charging is None else charging

    def _committed(self, series: _Series) -> Iterator[Result]:
        """The latency of a series if it needs no more sessions."""
        measurement = series.commit(self._bench, self._drift, self._restless)
        if measurement is not None:
            self._left.remove(series)
            yield Measured(index=series.index, measurement=measurement)

    def _require_still(self) -> None:
        """Do nothing if the sentinel is where it was, or was restless too often already.

        Raises:
            RestlessError: If it moved, by two readings of three.
            DeviceError: If it cannot be read.
        """
        at_s, value_ms = self._reading()
        if abs(self._drift.moved(value_ms)) > self._limit and not self._restless:
            at_s, value_ms, noise = self._confirmed(value_ms)
            moved = self._drift.moved(value_ms)
            if abs(moved) > max(self._limit, noise):
                if self._redone < self._bench.patience.redone:
                    raise RestlessError(self._bench.device.id, f"the sentinel moved {moved:+.1%}")
                self._restless = (
                    f"the sentinel moved by {moved:+.1%}, still so after its sessions were "
                    f"redone {self._redone} times"
                )
        self._drift.add(at_s, value_ms)

    def _redo(self) -> None:
        """Throw sessions away: since the last reading, or all if the device has a new level."""
        self._redone += 1
        value_ms = self._reading()[1]
        at_s, value_ms, _ = self._confirmed(value_ms)
        back = abs(self._drift.moved(value_ms)) <= self._limit
        if not back:
            self._drift.restart()
        self._drift.add(at_s, value_ms)
        for series in self._left:
            series.drop(everything=not back)

    def _confirmed(self, value_ms: float) -> tuple[float, float, float]:
        """When, and the middle one of a reading and two more; and how far apart they are.

        A move that is smaller than that is the sentinel's own noise. It is the candidates' too,
        and widens their intervals.
        """
        more = [self._reading() for _ in range(2)]
        values = sorted([value_ms, *(value for _, value in more)])
        return more[-1][0], values[1], (values[2] - values[0]) / values[1]

    def _reading(self) -> tuple[float, float]:
        """When the sentinel ran, and its session's time."""
        if self._bench.sentinel is None:
            msg = "a batch without a sentinel has no readings of it"
            raise ValueError(msg)
        return reading(self._bench, self._bench.sentinel)

    def _all_fail(self, error: DeviceError) -> Iterator[Result]:
        left, self._left = self._left, []
        yield from (NotMeasured(index=series.index, error=error) for series in left)


def reading(bench: Bench, sentinel: ModelFile) -> tuple[float, float]:
    """When the sentinel ran in a session of its own, and its time in ms.

    Raises:
        DeviceError: If it cannot be timed.
    """
    settings = settings_of(watch.PROTOCOL, bench.placement)
    session = _run(bench, sentinel, settings)
    conditions = _conditions(bench, settings, Precision.FP32, session.record)
    value_ms = session_value_ms(session.record, conditions.statistic)
    if bench.on_reading is not None:
        bench.on_reading(conditions, sentinel.sha256, value_ms)
    return session.at_s, value_ms


class _Series:
    """The sessions of one candidate so far: those that count, and those the sentinel judges."""

    def __init__(self, index: int, candidate: Candidate) -> None:
        self.index = index
        self._candidate = candidate
        self._sessions: list[_Session] = []
        self._pending: list[_Session] = []
        self._conditions: Conditions | None = None

    @property
    def charging(self) -> bool | None:
        """Whether the device was on power in the last session; None if it does not tell."""
        sessions = [*self._sessions, *self._pending]
        return sessions[-1].record.after.charging if sessions else None

    def wants_more(self) -> bool:
        """Whether it needs a session before the sentinel runs again."""
        sessions, protocol = [*self._sessions, *self._pending], self._candidate.protocol
        if len(sessions) < protocol.sessions_min or self._conditions is None:
            return True
        values = [session_value_ms(s.record, self._conditions.statistic) for s in sessions]
        return len(sessions) < protocol.sessions_max and not _is_narrow(protocol, values)

    def run_one(self, bench: Bench) -> Result | None:
        """Run one session; what came of the candidate if it cannot be had."""
        settings = settings_of(self._candidate.protocol, bench.placement)
        try:
            session = _run(bench, self._candidate.model, settings)
            if self._conditions is None:
                self._conditions = _conditions(
                    bench, settings, self._candidate.precision, session.record
                )
            _require_statistic(bench.device, session.record, self._conditions.statistic)
        except SessionRefusedError as error:
            rejected = self._rejected(bench, str(error.detail))
            return rejected or NotMeasured(index=self.index, error=error)
        except DeviceError as error:
            return NotMeasured(index=self.index, error=error)
        self._pending.append(session)
        value_ms = session_value_ms(session.record, self._conditions.statistic)
        count = len(self._sessions) + len(self._pending)
        most = self._candidate.protocol.sessions_max
        bench.tell(f"session {count} of {most} at most: {value_ms:.4g} ms")
        return None

    def drop(self, *, everything: bool) -> None:
        """Forget the sessions that do not count yet, or all."""
        self._pending.clear()
        if everything:
            self._sessions.clear()

    def commit(self, bench: Bench, drift: watch.Drift, restless: str) -> LatencyMeasurement | None:
        """Let the pending sessions count; the latency if no more are needed."""
        self._sessions += self._pending
        self._pending.clear()
        protocol, conditions = self._candidate.protocol, self._conditions
        if len(self._sessions) < protocol.sessions_min or conditions is None:
            return None
        factors = tuple(drift.factor(session.at_s) for session in self._sessions)
        values = _values(self._sessions, conditions.statistic, factors)
        narrow = _is_narrow(protocol, values)
        if not narrow and len(self._sessions) < protocol.sessions_max:
            return None
        verdict = Verdict.STABLE if narrow and not restless else Verdict.UNSTABLE
        reason = restless if narrow else _too_wide(protocol, values)
        return self._measurement(bench, conditions, factors, verdict, reason)

    def _rejected(self, bench: Bench, reason: str) -> Measured | None:
        """What there is of it; nothing if there is too little for an interval."""
        self._sessions += self._pending
        self._pending.clear()
        if len(self._sessions) < 2 or self._conditions is None:
            return None
        factors = (1.0,) * len(self._sessions)
        rejected = Verdict.REJECTED
        measurement = self._measurement(bench, self._conditions, factors, rejected, reason)
        return Measured(index=self.index, measurement=measurement)

    def _measurement(
        self,
        bench: Bench,
        conditions: Conditions,
        factors: tuple[float, ...],
        verdict: Verdict,
        reason: str,
    ) -> LatencyMeasurement:
        protocol = self._candidate.protocol
        values = _values(self._sessions, conditions.statistic, factors)
        return LatencyMeasurement(
            artifact_sha256=self._candidate.model.sha256,
            conditions=conditions,
            protocol=protocol,
            sessions=tuple(session.record for session in self._sessions),
            interval=interval_of_median(values, protocol.confidence, looks_of(protocol)),
            verdict=verdict,
            reason=reason,
            drift=factors if any(factor != 1.0 for factor in factors) else (),
            labels=(
                *(bench.holding.labels if bench.holding else ()),
                *_disturbances(bench.gate, self._sessions),
            ),
        )


def looks_of(protocol: MeasurementProtocol) -> Looks:
    """When a series of ``protocol`` may stop."""
    return Looks(first=protocol.sessions_min, last=protocol.sessions_max)


def _is_narrow(protocol: MeasurementProtocol, values: Sequence[float]) -> bool:
    return _share(protocol, values) <= protocol.half_width


def _share(protocol: MeasurementProtocol, values: Sequence[float]) -> float:
    interval = interval_of_median(values, protocol.confidence, looks_of(protocol))
    return half_width_share(values, interval)


def _too_wide(protocol: MeasurementProtocol, values: Sequence[float]) -> str:
    return (
        f"the interval is +-{_share(protocol, values):.1%} wide after {len(values)} sessions, "
        f"{protocol.preset!r} asks for +-{protocol.half_width:.0%}"
    )


def _values(
    sessions: Sequence[_Session], statistic: Statistic, factors: Sequence[float]
) -> list[float]:
    return [
        session_value_ms(session.record, statistic) / factor
        for session, factor in zip(sessions, factors, strict=True)
    ]


def _disturbances(gate: Gate, sessions: Sequence[_Session]) -> tuple[str, ...]:
    """What has to be said of sessions beside which others computed."""
    loud = sum(gate.is_disturbed(session.record) for session in sessions)
    states = [session.record.before for session in sessions]
    loads = [each.load or 0.0 for each in states if each.battery_percent is not None]
    heavy = max(loads, default=0.0)
    return (
        *((f"computer: others computed beside {loud} of its sessions",) if loud else ()),
        *((f"load: up to {heavy:.1f} before its sessions",) if heavy > gate.limits.load else ()),
    )


def _conditions(
    bench: Bench, settings: RunSettings, precision: Precision, record: RunRecord
) -> Conditions:
    return Conditions(
        setup=bench.device.setup(settings), precision=precision, statistic=statistic_of(record)
    )


def _require_statistic(device: Device, record: RunRecord, statistic: Statistic) -> None:
    try:
        session_value_ms(record, statistic)
    except ValueError as error:
        detail = f"sessions of one file do not have one statistic: {error}"
        raise DevicePermanentError(device.id, detail) from error


def _run(bench: Bench, model: ModelFile, settings: RunSettings) -> _Session:
    """One session that counts, after as many attempts as there is patience for.

    Raises:
        DeviceError: What the device said last.
    """
    session = _patiently(bench, lambda: _run_once(bench, model, settings))
    tally = bench.tally
    for _ in range(bench.patience.quiet if tally.restless < GIVEN_UP else 0):
        if not bench.gate.is_disturbed(session.record):
            break
        again = _patiently(bench, lambda: _run_once(bench, model, settings))
        session = min(session, again, key=_loudness)
    disturbed = bench.gate.is_disturbed(session.record)
    tally.disturbed += disturbed
    tally.restless = tally.restless + 1 if disturbed else 0
    return session


def _loudness(session: _Session) -> float:
    """How much others computed beside a session."""
    share = session.record.quiet_share
    return 1 - share if share is not None else session.record.others_cores or 0.0


def _patiently(bench: Bench, act: Callable[[], Got]) -> Got:
    """What ``act`` gives, after as many attempts as there is patience for.

    Raises:
        DeviceError: What the device said last.
    """
    pause_s = bench.patience.pause_s
    for attempt in range(bench.patience.attempts):
        try:
            return act()
        except (DevicePermanentError, NotReadyError):
            raise
        except DeviceError:
            if attempt == bench.patience.attempts - 1:
                raise
            bench.guard()
            bench.patience.clock.sleep(pause_s)
            pause_s *= 2
    msg = f"patience needs at least 1 attempt, got {bench.patience}"
    raise ValueError(msg)


def _run_once(bench: Bench, model: ModelFile, settings: RunSettings) -> _Session:
    setup, clock, tally = bench.device.setup(settings), bench.patience.clock, bench.tally
    tally.waiting_s += bench.gate.wait(bench.device, setup.info.unit, clock, bench.tell)
    bench.guard()
    started_s = clock.now_s()
    record = bench.device.run(model, settings)
    ended_s = clock.now_s()
    tally.running_s += ended_s - started_s
    if bench.holding is not None and bench.holding.is_void(record.before.boot_id):
        tally.refused += 1
        bench.holding.renew()
        what = "it was rebooted before it, and what was held of it is held anew"
        raise SessionRefusedError(bench.device.id, f"a session does not count: {what}")
    refused = bench.gate.why_refused(setup, record)
    if refused:
        tally.refused += 1
        raise SessionRefusedError(bench.device.id, f"a session does not count: {refused}")
    tally.sessions += 1
    return _Session(record=record, at_s=(started_s + ended_s) / 2)


def _require_there(bench: Bench) -> None:
    """Do nothing if the device answers and is still ours.

    Raises:
        DeviceError: If not; all that are left would fail too.
    """
    bench.guard()
    bench.device.state()
