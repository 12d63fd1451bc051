"""Devices that are alike, each used by one caller of this process at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from devices.device import Device, DeviceBusyError, DeviceError, RunSettings, Setup
from exporters.artifact import Precision
from latency.measurement import Conditions, Statistic
from workspace.errors import InputError

MAY_DIFFER = frozenset({"unit"})
"""Conditions in which the devices of one source may differ; each measurement holds its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lane:
    """One device and the conditions on it."""

    device: Device
    setup: Setup


class Lanes:
    """One device or several whose times may stand side by side.

    Args:
        name: The source they belong to, for errors.
        devices: At least one; closed by ``close``.
        placement: Threads, cores and delegate of what will run.

    Raises:
        InputError: If they are not alike; the text names what differs.
        DeviceError: If one of them does not answer.
    """

    def __init__(self, name: str, devices: Sequence[Device], placement: RunSettings) -> None:
        self.all = tuple(Lane(device=each, setup=each.setup(placement)) for each in devices)
        _require_alike(name, self.all)
        self._free: queue.Queue[Lane] = queue.Queue()
        for lane in self.all:
            self._free.put(lane)
        self._left_out: set[Lane] = set()
        self._changing = threading.Lock()
        self._closed = False

    @contextmanager
    def free(self) -> Iterator[Lane]:
        """A device that no other caller has, once there is one."""
        lane = self._free.get()
        try:
            yield lane
        finally:
            if lane not in self._left_out:
                self._free.put(lane)

    def is_lost(self, lane: Lane, error: DeviceError) -> bool:
        """Whether ``error`` is about the device and not the file.

        A device that is gone is left out from then on, unless it is the last one.
        """
        if isinstance(error, DeviceBusyError):
            return True
        try:
            lane.device.state()
        except DeviceError:
            with self._changing:
                if len(self._left_out) < len(self.all) - 1:
                    self._left_out.add(lane)
            return True
        return False

    def close(self) -> None:
        """Give back every device, once."""
        with self._changing:
            closed, self._closed = self._closed, True
        if not closed:
            for lane in self.all:
                lane.device.close()


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
