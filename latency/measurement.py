"""What one model file cost on one device. Times are milliseconds unless a name says otherwise."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from devices.device import RawRuns, RunRecord, Setup
from exporters.artifact import Precision
from workspace.errors import OperationError


class Verdict(StrEnum):
    """Whether a latency may be used."""

    STABLE = "stable"
    UNSTABLE = "unstable"
    REJECTED = "rejected"


class Statistic(StrEnum):
    """What stands for a session: the median, or the mean where the runner tells no median."""

    MEDIAN = "median"
    MEAN = "mean"


class ConditionsMismatchError(OperationError):
    """Two latencies under different conditions were to be compared; names the fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Everything that must match before two latencies may be compared.

    Attributes:
        setup: Device, unit, build, runner, threads, cores, delegate, clock tier.
        precision: Of the model file.
        statistic: What stands for a session.
    """

    setup: Setup
    precision: Precision
    statistic: Statistic

    def flat(self) -> dict[str, str | int | bool | list[int]]:
        """The fields by name, for JSON, tables and comparison; lists for tuples."""
        setup, info, runner = self.setup, self.setup.info, self.setup.runner
        return {
            "device_model": info.model,
            "unit": info.unit,
            "soc": info.soc,
            "abi": info.abi,
            "build": info.build,
            "kernel": info.kernel,
            "core_khz": list(info.core_khz),
            "ram_mb": info.ram_mb,
            "device_stand_in": info.stand_in,
            "on_this_computer": info.on_this_computer,
            "runner": runner.name,
            "runner_dialect": runner.dialect,
            "runner_version": runner.version,
            "runner_sha256": runner.sha256,
            "runner_stand_in": runner.stand_in,
            "threads": setup.threads,
            "cores": list(setup.cores),
            "delegate": setup.delegate.value,
            "clock_tier": setup.clock_tier.value,
            "gives_single_runs": setup.gives_single_runs,
            "precision": self.precision.value,
            "statistic": self.statistic.value,
            **({"clock_khz": setup.clock_khz} if setup.clock_khz else {}),
        }

    @property
    def key(self) -> str:
        """Digest of ``flat``: equal if and only if nothing differs."""
        text = json.dumps(self.flat(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: Conditions) -> dict[str, str]:
        """The fields that differ, each with both values as text."""
        mine, theirs = self.flat(), other.flat()
        return {
            name: f"{mine.get(name)!r} and {theirs.get(name)!r}"
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        }

    def require_same(self, other: Conditions) -> None:
        """Do nothing if a difference between latencies under the two means anything.

        Raises:
            ConditionsMismatchError: If a field differs; the text names each with both values.
        """
        differing = self.differences(other)
        if differing:
            named = "; ".join(f"{field}: {values}" for field, values in differing.items())
            msg = f"latencies under different conditions: {named}"
            raise ConditionsMismatchError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementProtocol:
    """How hard a measurement tries; recorded beside the conditions, need not match.

    Attributes:
        preset: ``quick``, ``search`` or ``final``.
        warmup_runs: Per session.
        warmup_min_s: Per session.
        timed_runs: Per session.
        timed_min_s: Per session.
        sessions_min: Process starts, at least; 2 or more, since an interval needs two.
        sessions_max: Process starts, at most; then the verdict is ``unstable``.
        half_width: Of the interval, as a share of the median, that is good enough.
        confidence: Of the interval.
        sentinel_every: Sessions between two of the sentinel; 0 for none.
        sentinel_limit: How far the sentinel may move, as a share, before sessions are redone.
    """

    preset: str
    warmup_runs: int
    warmup_min_s: float
    timed_runs: int
    timed_min_s: float
    sessions_min: int
    sessions_max: int
    half_width: float
    confidence: float = 0.95
    sentinel_every: int = 0
    sentinel_limit: float = 0.03

    def __post_init__(self) -> None:
        if self.sentinel_every < 0 or not 0 < self.sentinel_limit < 1:
            msg = f"sentinel_every must not be negative, its limit a share, got {self}"
            raise ValueError(msg)
        if not 2 <= self.sessions_min <= self.sessions_max:
            msg = f"sessions must be at least 2 and at most sessions_max, got {self}"
            raise ValueError(msg)
        if not (0 < self.half_width < 1 and 0 < self.confidence < 1):
            msg = f"half_width and confidence must be shares in (0, 1), got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A range that holds the true value with the stated confidence."""

    low_ms: float
    high_ms: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMeasurement:
    """Repeated sessions of one file under one set of conditions.

    Attributes:
        artifact_sha256: Digest of the file that ran.
        conditions: Where and how it ran.
        protocol: How hard it was tried.
        sessions: In order; never empty.
        interval: Of the median of session statistics.
        verdict: Whether to trust it.
        reason: Why it is not ``stable``; empty if it is.
        drift: By how much the sentinel was above its batch's level at each session, as a factor;
            empty where no sentinel ran or it did not move. Session values are divided by it.
        labels: What could not be held or read on the device, for whoever reads the number.
    """

    artifact_sha256: str
    conditions: Conditions
    protocol: MeasurementProtocol
    sessions: tuple[RunRecord, ...]
    interval: Interval
    verdict: Verdict
    reason: str = ""
    drift: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.sessions:
            msg = "a measurement needs at least one session"
            raise ValueError(msg)
        if self.drift and len(self.drift) != len(self.sessions):
            msg = f"{len(self.sessions)} sessions need as many drift factors, got {self.drift}"
            raise ValueError(msg)

    @property
    def session_values_ms(self) -> tuple[float, ...]:
        """The statistic of each session, in order, corrected for drift."""
        drift = self.drift or (1.0,) * len(self.sessions)
        return tuple(
            session_value_ms(session, self.conditions.statistic) / factor
            for session, factor in zip(self.sessions, drift, strict=True)
        )

    @property
    def median_ms(self) -> float:
        """The median of the sessions' statistics: the number to optimise."""
        return statistics.median(self.session_values_ms)

    @property
    def mad_ms(self) -> float:
        """Median absolute deviation of the sessions' statistics."""
        center = self.median_ms
        return statistics.median(abs(value - center) for value in self.session_values_ms)

    @property
    def peak_memory_mb(self) -> float | None:
        """The median of what sessions tell of their peak memory; None where none does."""
        return _median_told(session.peak_memory_mb for session in self.sessions)

    @property
    def energy_mj(self) -> float | None:
        """The median of a session's energy; None where the device tells none."""
        return _median_told(session.energy_mj for session in self.sessions)

    @property
    def temperature_range_c(self) -> tuple[float, float] | None:
        """The coolest and the warmest that the device was; None where it does not tell."""
        told = [
            state.temperature_c
            for session in self.sessions
            for state in (session.before, session.after)
            if state.temperature_c is not None
        ]
        return (min(told), max(told)) if told else None

    def percentile_ms(self, share: float) -> float | None:
        """A percentile of all single runs; the worst session's where only summaries are known.

        Args:
            share: In `[0, 1]`: 0.5, 0.9 or 0.95, of which summaries have the last alone.
        """
        samples = [session.samples for session in self.sessions]
        raw = [run for each in samples if isinstance(each, RawRuns) for run in each.runs_ms]
        if raw:
            ordered = sorted(raw)
            return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        told = [each.p95_ms for each in samples if not isinstance(each, RawRuns)]
        known = [each for each in told if each is not None]
        return max(known) if known and share == 0.95 else None


def _median_told(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return statistics.median(told) if told else None


def statistic_of(record: RunRecord) -> Statistic:
    """Which statistic a session of this kind has: the median wherever it is known."""
    if isinstance(record.samples, RawRuns) or record.samples.median_ms is not None:
        return Statistic.MEDIAN
    return Statistic.MEAN


def session_value_ms(record: RunRecord, statistic: Statistic) -> float:
    """The statistic of one session.

    Raises:
        ValueError: If the session does not have that statistic; the two are never mixed.
    """
    samples = record.samples
    match statistic:
        case Statistic.MEDIAN if samples.median_ms is not None:
            return samples.median_ms
        case Statistic.MEAN if not isinstance(samples, RawRuns):
            return samples.mean_ms
    msg = f"this session has no {statistic}: {samples}"
    raise ValueError(msg)
