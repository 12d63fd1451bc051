"""Devices that are alike, each used by one caller of this process at a time.

Time goes to a device that is cool: one that is not is passed over while another is free.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

from devices.clock import Clock, WallClock
from devices.device import Device, DeviceBusyError, DeviceError, RunSettings, Setup
from exporters.artifact import Precision
from latency.gates import POLL_S, Gate
from latency.measurement import Conditions, Statistic
from latency.protocol import Tally
from workspace.errors import InputError

MAY_DIFFER = frozenset({"unit"})
"""Conditions in which the devices of one source may differ; each measurement holds its own."""

POOLED_WITHIN = 0.02
"""Units of one model whose sentinels differ by less are one device; others are corrected."""


@dataclass(slots=True, kw_only=True, eq=False)
class Lane:
    """One device and the conditions on it.

    Attributes:
        device: Owned by the lanes.
        setup: The conditions of what will run.
        level_ms: The sentinel's usual time on it; None while it is unknown.
        measurements: Finished on it.
        tally: What it did so far.
    """

    device: Device
    setup: Setup
    level_ms: float | None = None
    measurements: int = 0
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReport:
    """How well a device was used.

    Attributes:
        device: Its id.
        measurements: Finished on it.
        measurements_per_hour: Over the time since the source was opened.
        utilisation: Share of that time in sessions.
        cooling: Share of that time waiting for it to cool.
        refused_sessions: That did not count.
        unit_factor: The sentinel's time on it over that on all of them; None if it is unknown.
    """

    device: str
    measurements: int
    measurements_per_hour: float
    utilisation: float
    cooling: float
    refused_sessions: int
    unit_factor: float | None


class Lanes:
    """One device or several whose times may stand side by side.

    Args:
        name: The source they belong to, for errors.
        devices: At least one; closed by ``close``.
        placement: Threads, cores and delegate of what will run.
        gate: Says which of them is cool.
        clock: By which everybody waits.

    Raises:
        InputError: If they are not alike; the text names what differs.
        DeviceError: If one of them does not answer.
    """

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        placement: RunSettings,
        gate: Gate | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.all = tuple(Lane(device=each, setup=each.setup(placement)) for each in devices)
        _require_alike(name, self.all)
        self._gate = gate or Gate()
        self._clock = clock or WallClock()
        self._started_s = self._clock.now_s()
        self._free = list(self.all)
        self._left_out: set[Lane] = set()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def free(self) -> Iterator[Lane]:
        """A device that no other caller has, once there is one: a cool one if there are several.

        Where none is cool in time it is the one that was looked at last, for the caller to wait.
        """
        lane = self._taken()
        try:
            yield lane
        finally:
            with self._changed:
                if lane not in self._left_out:
                    self._free.append(lane)
                self._changed.notify()

    def is_lost(self, lane: Lane, error: DeviceError) -> bool:
        """Whether ``error`` is about the device and not the file.

        A device that is gone is left out from then on, unless it is the last one.
        """
        if isinstance(error, DeviceBusyError):
            return True
        try:
            lane.device.state()
        except DeviceError:
            with self._changed:
                if len(self._left_out) < len(self.all) - 1:
                    self._left_out.add(lane)
            return True
        return False

    def factor(self, lane: Lane) -> float | None:
        """How much slower a unit is than the units together, by the sentinel; None if unknown."""
        levels = [each.level_ms for each in self.all if each.level_ms is not None]
        if lane.level_ms is None or len(levels) < 2:
            return None
        return lane.level_ms / math.exp(fmean(math.log(level) for level in levels))

    def report(self) -> tuple[LaneReport, ...]:
        """How well each was used so far."""
        elapsed_s = max(self._clock.now_s() - self._started_s, 1e-9)
        return tuple(
            LaneReport(
                device=lane.device.id,
                measurements=lane.measurements,
                measurements_per_hour=lane.measurements * 3600 / elapsed_s,
                utilisation=lane.tally.running_s / elapsed_s,
                cooling=lane.tally.waiting_s / elapsed_s,
                refused_sessions=lane.tally.refused,
                unit_factor=self.factor(lane),
            )
            for lane in self.all
        )

    def close(self) -> None:
        """Give back every device, once."""
        with self._changed:
            closed, self._closed = self._closed, True
        if not closed:
            for lane in self.all:
                lane.device.close()

    def _taken(self) -> Lane:
        if len(self.all) == 1:
            return self._next_free()
        deadline_s = self._clock.now_s() + self._gate.limits.patience_s
        passed_over: set[Lane] = set()
        while True:
            lane = self._next_free()
            if self._clock.now_s() >= deadline_s or self._is_ready(lane):
                return lane
            with self._changed:
                self._free.append(lane)  # the last in the queue
                passed_over.add(lane)
                all_warm = passed_over.issuperset(self._free)
            if all_warm:
                self._clock.sleep(POLL_S)
                passed_over.clear()

    def _next_free(self) -> Lane:
        with self._changed:
            while not self._free:
                self._changed.wait()
            return self._free.pop(0)

    def _is_ready(self, lane: Lane) -> bool:
        """Whether it is cool; one that does not answer is too, so that its user finds out."""
        try:
            state = lane.device.state()
        except DeviceError:
            return True
        return not self._gate.why_not(lane.setup.info.unit, state)


def _require_alike(name: str, lanes: Sequence[Lane]) -> None:
    """Do nothing if times of the devices may stand side by side.

    Raises:
        InputError: If a condition other than ``MAY_DIFFER`` differs.
    """
    first, *others = (
        Conditions(setup=lane.setup, precision=Precision.FP32, statistic=Statistic.MEDIAN)
        for lane in lanes
    )
    for lane, other in zip(lanes[1:], others, strict=True):
        differing = first.differences(other)
        named = "; ".join(
            f"{field}: {values}" for field, values in differing.items() if field not in MAY_DIFFER
        )
        if named:
            msg = (
                f"{name} would mix times of devices that differ, {lanes[0].device.id} and "
                f"{lane.device.id} ({named}): name one of them"
            )
            raise InputError(msg)
