"""Devices that are alike, each used by one caller of this process at a time.

Time goes to a device that is cool: one that is not is passed over while another is free.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol

from devices.clock import Clock, WallClock
from devices.device import Device, DeviceBusyError, DeviceError, RunSettings, Setup
from devices.quarantine import report_failure
from exporters.artifact import Precision
from latency.gates import POLL_S, Gate
from latency.measurement import Conditions, Statistic
from latency.protocol import Tally
from workspace.errors import InputError, OperationError

MAY_DIFFER = frozenset({"unit"})
"""Conditions in which the devices of one source may differ; each measurement holds its own."""

POOLED_WITHIN = 0.02
"""Units of one model whose sentinels are all within so much are one device; else all are
corrected."""

BACK_S, BACK_MOST_S = 30.0, 600.0
"""After which a device that was gone is looked for again: at first, and at most."""


LEASE_WAIT_S, OTHERS_WAIT_S = 600.0, 120.0
"""How long to wait for a device that another process holds; where there are others, at the start
only so long."""


class Held(Protocol):
    """A lease; see ``devices.leases.Lease``."""

    def require(self) -> None:
        """Do nothing if it is still ours.

        Raises:
            DeviceError: If somebody else has the device meanwhile.
        """
        ...


class Lease(Protocol):
    """Holds a device for one caller of all processes; see ``devices.pool.lease``."""

    def __call__(self, device_id: str, *, wait_s: float) -> AbstractContextManager[Held]:
        """Held inside ``with``.

        Raises:
            DeviceBusyError: On entry, if someone else still holds it after ``wait_s``.
        """
        ...


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


@dataclass(slots=True)
class _Absence:
    """Of a device that is gone."""

    look_at_s: float
    pause_s: float = BACK_S


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

    Of several, one that does not answer at the start is left out and reported as failing; one that
    goes later is looked for again from time to time, and used once it is back.

    Args:
        name: The source they belong to, for errors.
        devices: At least one; closed by ``close``.
        placement: Threads, cores and delegate of what will run.
        gate: Says which of them is cool.
        clock: By which everybody waits.
        lease: Holds a device while it is asked what it is.

    Raises:
        InputError: If they are not alike; the text names what differs.
        DeviceError: If none of them answers.
    """

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        placement: RunSettings,
        gate: Gate | None = None,
        clock: Clock | None = None,
        lease: Lease | None = None,
    ) -> None:
        self.all = tuple(_answering(devices, placement, lease or _unheld))
        _require_alike(name, self.all)
        self._gate = gate or Gate()
        self._clock = clock or WallClock()
        self._started_s = self._clock.now_s()
        self._free = list(self.all)
        self._left_out: dict[Lane, _Absence] = {}
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

        A device that is gone is left out until it is back, unless it is the last one.
        """
        if isinstance(error, DeviceBusyError):
            return True
        try:
            lane.device.state()
        except DeviceError:
            with self._changed:
                if len(self._left_out) < len(self.all) - 1:
                    look_at_s = self._clock.now_s() + BACK_S
                    self._left_out.setdefault(lane, _Absence(look_at_s))
            return True
        return False

    @property
    def pooled(self) -> bool:
        """Whether all units with a known level are near enough to be one device."""
        levels = [each.level_ms for each in self.all if each.level_ms is not None]
        return not levels or max(levels) / min(levels) <= 1 + POOLED_WITHIN

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
        self._welcome_back()
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

    def _welcome_back(self) -> None:
        """Let devices that were gone and answer again take part."""
        now_s = self._clock.now_s()
        with self._changed:
            due = [lane for lane, gone in self._left_out.items() if now_s >= gone.look_at_s]
            for lane in due:  # nobody else looks meanwhile
                gone = self._left_out[lane]
                gone.pause_s = min(2 * gone.pause_s, BACK_MOST_S)
                gone.look_at_s = now_s + gone.pause_s
        for lane in due:
            try:
                lane.device.state()
            except DeviceError:
                continue
            with self._changed:
                if self._left_out.pop(lane, None) is not None:
                    self._free.append(lane)
                    self._changed.notify()

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


def _answering(devices: Sequence[Device], placement: RunSettings, lease: Lease) -> Iterator[Lane]:
    """Those that answer and are not taken all the time; if there is none, the last one's error.

    Raises:
        DeviceError: If none answers.
    """
    wait_s = LEASE_WAIT_S if len(devices) == 1 else OTHERS_WAIT_S
    failed = 0
    for device in devices:
        try:
            with lease(device.id, wait_s=wait_s):
                setup = device.setup(placement)
        except DeviceError as error:
            failed += 1
            if failed == len(devices):
                raise
            device.close()
            if device.id.startswith("adb:") and not isinstance(error, DeviceBusyError):
                with suppress(OperationError):  # a full disk costs the quarantine a word
                    report_failure(device.id, error.detail)
        else:
            yield Lane(device=device, setup=setup)


@contextmanager
def _unheld(device_id: str, *, wait_s: float) -> Iterator[Held]:  # noqa: ARG001 - of the protocol
    """No lease, where nobody else has the devices."""
    yield _Free()


class _Free:
    """Nobody else wants it."""

    def require(self) -> None:
        """See ``Held``."""


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
