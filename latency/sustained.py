"""How a latency changes while a phone works without a pause: ranks at minutes 1 and 30 differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from devices.device import ModelFile
from exporters.artifact import Precision
from latency.measurement import Conditions, session_value_ms, statistic_of
from latency.protocol import Bench

SESSION_S = 5.0
"""Of one point of the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One session under load.

    Attributes:
        at_s: Since the start, at its end.
        value_ms: The session's statistic.
        temperature_c: Of the battery after it; None where it is not told.
        thermal_status: After it; None where it is not told.
    """

    at_s: float
    value_ms: float
    temperature_c: float | None
    thermal_status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Sessions one after another without a pause and without a gate.

    Attributes:
        conditions: Of all points.
        points: In order, at least one.
        labels: What could not be held or read on the device.
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
    bench: Bench, model: ModelFile, *, minutes: float, on_point: Callable[[Point], None]
) -> Curve:
    """Run ``model`` for so long.

    Args:
        bench: The device; its gate and sentinel are not asked.
        model: The file.
        minutes: Positive; 10 to 30 tell what a hand-held phone does.
        on_point: Told each point.

    Raises:
        ValueError: If ``minutes`` is not positive.
        DeviceError: If a session fails.
    """
    if not minutes > 0:
        msg = f"a sustained curve takes a positive number of minutes, got {minutes!r}"
        raise ValueError(msg)
    settings = replace(
        bench.placement, warmup_runs=0, warmup_min_s=0.0, timed_runs=1, timed_min_s=SESSION_S
    )
    clock = bench.patience.clock
    points: list[Point] = []
    with bench.device.hold(bench.placement) as labels:
        started_s = clock.now_s()
        while not points or clock.now_s() - started_s < 60 * minutes:
            bench.guard()
            record = bench.device.run(model, settings)
            statistic = statistic_of(record)
            points.append(
                Point(
                    at_s=clock.now_s() - started_s,
                    value_ms=session_value_ms(record, statistic),
                    temperature_c=record.after.temperature_c,
                    thermal_status=record.after.thermal_status,
                )
            )
            on_point(points[-1])
        setup = bench.device.setup(settings)
    conditions = Conditions(setup=setup, precision=Precision.FP32, statistic=statistic)
    return Curve(conditions=conditions, points=tuple(points), labels=labels)
