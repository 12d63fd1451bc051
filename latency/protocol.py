"""How a latency is measured: process starts, one after another, until the interval is narrow.

A session is one process start: warm-up, then timed runs, of which the median counts (the mean
where a runner has no median; the two are never mixed). A latency is the median of its sessions.
Sessions of several candidates are interleaved in seeded random order, so that a slow drift of the
device touches all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

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
from latency.interval import half_width_share, interval_of_median
from latency.measurement import (
    Conditions,
    LatencyMeasurement,
    MeasurementProtocol,
    Statistic,
    Verdict,
    session_value_ms,
    statistic_of,
)
from workspace.errors import InputError

QUICK = MeasurementProtocol(
    preset="quick",
    warmup_runs=5,
    warmup_min_s=0.05,
    timed_runs=10,
    timed_min_s=0.1,
    sessions_min=3,
    sessions_max=4,
    half_width=0.10,
)
"""A first look: about two seconds on a computer."""

SEARCH = MeasurementProtocol(
    preset="search",
    warmup_runs=10,
    warmup_min_s=0.1,
    timed_runs=20,
    timed_min_s=0.25,
    sessions_min=3,
    sessions_max=8,
    half_width=0.02,
)
"""For candidates: enough to rank networks 3 % apart, three to six seconds on a computer."""

FINAL = MeasurementProtocol(
    preset="final",
    warmup_runs=10,
    warmup_min_s=0.5,
    timed_runs=50,
    timed_min_s=1.0,
    sessions_min=5,
    sessions_max=20,
    half_width=0.01,
)
"""For networks that are reported: ten seconds to a minute."""

PRESETS = {protocol.preset: protocol for protocol in (QUICK, SEARCH, FINAL)}
"""From the least to the most thorough."""


def preset(name: str) -> MeasurementProtocol:
    """The protocol called ``name``.

    Raises:
        InputError: If there is none.
    """
    if name not in PRESETS:
        msg = f"unknown preset {name!r}; there are {', '.join(PRESETS)}"
        raise InputError(msg)
    return PRESETS[name]


def rank(name: str) -> int:
    """How thorough a preset is: 0 the least, -1 for one that is not ours."""
    names = list(PRESETS)
    return names.index(name) if name in names else -1


def at_least(name: str) -> tuple[str, ...]:
    """The presets that are as thorough as ``name``, or more; itself alone if it is not ours.

    >>> at_least("search")
    ('search', 'final')
    """
    return tuple(PRESETS)[rank(name) :] if name in PRESETS else (name,)


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
    """How long to put up with a device that fails in passing.

    Attributes:
        attempts: At a session, at least 1.
        pause_s: Before the second attempt; doubled before each further one.
        sleep: Waits for as many seconds.
    """

    attempts: int = 4
    pause_s: float = 0.5
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


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


def settings_of(protocol: MeasurementProtocol, placement: RunSettings) -> RunSettings:
    """``protocol`` for a session that runs where ``placement`` says."""
    return replace(
        placement,
        warmup_runs=protocol.warmup_runs,
        warmup_min_s=protocol.warmup_min_s,
        timed_runs=protocol.timed_runs,
        timed_min_s=protocol.timed_min_s,
    )


def measure(
    device: Device,
    model: ModelFile,
    precision: Precision,
    protocol: MeasurementProtocol,
    *,
    placement: RunSettings | None = None,
    patience: Patience | None = None,
) -> LatencyMeasurement:
    """The latency of one file; see ``measure_batch``.

    Raises:
        DeviceError: If it cannot be timed, one of its three children.
    """
    candidate = Candidate(model=model, precision=precision, protocol=protocol)
    (result,) = measure_batch(device, [candidate], placement=placement, patience=patience)
    if isinstance(result, NotMeasured):
        raise result.error
    return result.measurement


def measure_batch(
    device: Device,
    candidates: Sequence[Candidate],
    *,
    placement: RunSettings | None = None,
    seed: int = 0,
    patience: Patience | None = None,
) -> Iterator[Measured | NotMeasured]:
    """Each candidate once, as soon as its interval is narrow enough or its sessions are used up.

    Every round gives one session to each candidate that still needs one, in random order.

    Args:
        device: Held under a lease by the caller.
        candidates: What to time.
        placement: Threads, cores, delegate and time limit of a session.
        seed: Of the order.
        patience: With failures that may pass; a device that is gone fails all that are left.
    """
    placement, patience = placement or RunSettings(), patience or Patience()
    rng = random.Random(seed)
    left = [_Series(index, candidate) for index, candidate in enumerate(candidates)]
    while left:
        rng.shuffle(left)
        for series in tuple(left):
            result = series.next_session(device, placement, patience)
            if result is None:
                continue
            left.remove(series)
            yield result
            gone = _why_gone(device) if isinstance(result, NotMeasured) else None
            if gone is not None:
                yield from (NotMeasured(index=other.index, error=gone) for other in left)
                return


class _Series:
    """The sessions of one candidate so far."""

    def __init__(self, index: int, candidate: Candidate) -> None:
        self.index = index
        self._candidate = candidate
        self._records: list[RunRecord] = []
        self._conditions: Conditions | None = None

    def next_session(
        self, device: Device, placement: RunSettings, patience: Patience
    ) -> Measured | NotMeasured | None:
        """Run one session; the result if none is needed after it, or none can be had."""
        try:
            measurement = self._after_one_more(device, placement, patience)
        except DeviceError as error:
            return NotMeasured(index=self.index, error=error)
        return None if measurement is None else Measured(index=self.index, measurement=measurement)

    def _after_one_more(
        self, device: Device, placement: RunSettings, patience: Patience
    ) -> LatencyMeasurement | None:
        settings = settings_of(self._candidate.protocol, placement)
        record = _run(device, self._candidate.model, settings, patience)
        if self._conditions is None:
            self._conditions = Conditions(
                setup=device.setup(settings),
                precision=self._candidate.precision,
                statistic=statistic_of(record),
            )
        self._records.append(record)
        return self._measurement(device, self._conditions)

    def _measurement(self, device: Device, conditions: Conditions) -> LatencyMeasurement | None:
        protocol = self._candidate.protocol
        if len(self._records) < protocol.sessions_min:
            return None
        values = _values(device, self._records, conditions.statistic)
        interval = interval_of_median(values, protocol.confidence)
        share = half_width_share(values, interval)
        narrow = share <= protocol.half_width
        if not narrow and len(self._records) < protocol.sessions_max:
            return None
        reason = (
            f"the interval is +-{share:.1%} wide after {len(values)} sessions, "
            f"{protocol.preset!r} asks for +-{protocol.half_width:.0%}"
        )
        return LatencyMeasurement(
            artifact_sha256=self._candidate.model.sha256,
            conditions=conditions,
            protocol=protocol,
            sessions=tuple(self._records),
            interval=interval,
            verdict=Verdict.STABLE if narrow else Verdict.UNSTABLE,
            reason="" if narrow else reason,
        )


def _values(
    device: Device, records: Sequence[RunRecord], statistic: Statistic
) -> tuple[float, ...]:
    try:
        return tuple(session_value_ms(record, statistic) for record in records)
    except ValueError as error:
        detail = f"sessions of one file do not have one statistic: {error}"
        raise DevicePermanentError(device.id, detail) from error


def _run(device: Device, model: ModelFile, settings: RunSettings, patience: Patience) -> RunRecord:
    """One session that counts, after as many attempts as ``patience`` has.

    Raises:
        DeviceError: What the device said last.
    """
    pause_s = patience.pause_s
    for attempt in range(patience.attempts):
        try:
            record = device.run(model, settings)
            _require_cool(device, record)
        except DevicePermanentError:
            raise
        except DeviceError:
            if attempt == patience.attempts - 1:
                raise
            patience.sleep(pause_s)
            pause_s *= 2
        else:
            return record
    msg = f"patience needs at least 1 attempt, got {patience}"
    raise ValueError(msg)


def _require_cool(device: Device, record: RunRecord) -> None:
    """Do nothing if the device was not throttled by heat during the session.

    Raises:
        DeviceTransientError: If its thermal status rose.
    """
    before, after = record.before.thermal_status, record.after.thermal_status
    if before is not None and after is not None and after > before:
        detail = f"thermal status rose from {before} to {after} in a session, which does not count"
        raise DeviceTransientError(device.id, detail)


def _why_gone(device: Device) -> DeviceError | None:
    """What the device says instead of its state; None if it answers."""
    try:
        device.state()
    except DeviceError as error:
        return error
    return None
