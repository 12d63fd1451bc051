"""How a latency changes while a phone works without a pause: ranks at minutes 1 and 30 differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from devices.device import (
    DeviceError,
    DevicePermanentError,
    DeviceTransientError,
    ModelFile,
    RunRecord,
    RunSettings,
)
from exporters.artifact import Precision
from latency.measurement import Conditions, Statistic, session_value_ms, statistic_of
from latency.protocol import Bench

SESSION_S = 5.0
"""Of one point of the curve."""

NO_GATE = "sustained: no gate, no pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One session under load.

    Attributes:
        at_s: Since the start, at its end.
        value_ms: The session's statistic.
        temperature_c: Of the battery after it; None where it is not told.
        thermal_status: After it; None where it is not told.
        core_khz: Clock of each core after it; None where it is not told.
    """

    at_s: float
    value_ms: float
    temperature_c: float | None
    thermal_status: int | None
    core_khz: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Sessions one after another without a pause and without a gate.

    Attributes:
        conditions: Of all points.
        points: In order, at least one.
        labels: What could not be held or read on the device, and what went wrong in between: a
            session that failed is a pause in which the device cooled.
    """

    conditions: Conditions
    points: tuple[Point, ...]
    labels: tuple[str, ...]

    @property
    def first_minute_ms(self) -> float:
        """The median of the points of the first minute."""
        end_s = max(60.0, self.points[0].at_s)
        return median(point.value_ms for point in self.points if point.at_s <= end_s)

    @property
    def last_minute_ms(self) -> float:
        """The median of the points of the last minute."""
        begin_s = self.points[-1].at_s - 60.0
        return median(point.value_ms for point in self.points if point.at_s > begin_s)


def sustained(
    bench: Bench,
    model: ModelFile,
    *,
    minutes: float,
    on_point: Callable[[Point], None],
    precision: Precision = Precision.FP32,
) -> Curve:
    """Run ``model`` for so long.

    A session that fails in passing is followed by the next one; a device that stays away ends the
    curve early, and it says so.

    Args:
        bench: The device; its gate and sentinel are not asked.
        model: The file.
        minutes: Positive; 10 to 30 tell what a hand-held phone does.
        on_point: Told each point.
        precision: Of the file.

    Raises:
        ValueError: If ``minutes`` is not positive.
        DeviceError: If not one session succeeds, or the file cannot be run.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        msg = f"a sustained curve takes a positive number of minutes, got {minutes!r}"
        raise ValueError(msg)
    settings = replace(
        bench.placement, warmup_runs=0, warmup_min_s=0.0, timed_runs=1, timed_min_s=SESSION_S
    )
    with bench.device.hold(bench.placement) as labels:
        load = _Load(bench, model, settings, on_point)
        load.last(60 * minutes)
        conditions = Conditions(setup=load.setup, precision=precision, statistic=load.statistic)
    return Curve(
        conditions=conditions,
        points=tuple(load.points),
        labels=(*labels, *load.labels(), NO_GATE),
    )


class _Load:
    """A device at work, and what came of it so far."""

    def __init__(
        self,
        bench: Bench,
        model: ModelFile,
        settings: RunSettings,
        on_point: Callable[[Point], None],
    ) -> None:
        self._bench = bench
        self._model = model
        self._settings = settings
        self._on_point = on_point
        self._clock = bench.patience.clock
        self._started_s = self._clock.now_s()
        self._failures: list[str] = []
        self._boots: dict[str, None] = {}
        self._cut = ""
        self.points: list[Point] = []
        self.statistic = Statistic.MEDIAN
        self.setup = bench.device.setup(settings)

    def last(self, seconds: float) -> None:
        """Work for so long, at least one session."""
        failed = 0
        while not self.points or self._now_s() < seconds:
            try:
                self._bench.guard()
                self._add(self._bench.device.run(self._model, self._settings))
                failed = 0
            except DeviceError as error:
                failed += 1
                passing = isinstance(error, DeviceTransientError)
                if passing and failed < self._bench.patience.attempts:
                    self._failures.append(error.detail)
                    self._clock.sleep(self._bench.patience.pause_s * 2 ** (failed - 1))
                elif self.points:
                    self._cut = error.detail
                    return
                else:
                    raise

    def labels(self) -> tuple[str, ...]:
        """What went wrong."""
        labels = []
        if self._failures:
            times = f"{len(self._failures)} of its sessions failed and left it a pause"
            labels.append(f"sustained: {times}, the last one so: {self._failures[-1]}")
        if len(self._boots) > 1:
            labels.append("sustained: it was rebooted in between, and cooled")
        if self._cut:
            labels.append(f"sustained: cut off after {self.points[-1].at_s:.0f} s: {self._cut}")
        return tuple(labels)

    def _add(self, record: RunRecord) -> None:
        if not self.points:
            self.statistic = statistic_of(record)
        try:
            value_ms = session_value_ms(record, self.statistic)
        except ValueError as error:
            detail = f"sessions of one file do not have one statistic: {error}"
            raise DevicePermanentError(self._bench.device.id, detail) from error
        if record.after.boot_id is not None:
            self._boots[record.after.boot_id] = None
        point = Point(
            at_s=self._now_s(),
            value_ms=value_ms,
            temperature_c=record.after.temperature_c,
            thermal_status=record.after.thermal_status,
            core_khz=record.after.core_khz,
        )
        self.points.append(point)
        self._on_point(point)

    def _now_s(self) -> float:
        return self._clock.now_s() - self._started_s
