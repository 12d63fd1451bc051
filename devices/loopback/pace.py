"""How fast the cores of a phone are that follows a scenario; for the stand-in, on the phone.

Only Python's own library is used: the file is copied onto the phone, as ``/run/android/pace.py``.
"""

from __future__ import annotations

import os
import time

CLOCK = "/run/pocketnas/clock"
"""Where the phone's daemon says how fast its cores are."""
SPIN_US = 150
"""A sleep may end so much late: the rest of a wait is spent looking at the clock."""


class Pace:
    """How fast the phone's cores are, where a scenario says so, and the worst of it so far.

    A core that is at half of the phone's highest clock makes each run take twice as long: what
    is left of it is waited. The line read has, in columns of ten characters, the thermal status,
    the temperature, then speed now and speed at best: anywhere, and for each core.
    """

    def __init__(self) -> None:
        self.thermal_status: int | None = None
        self.temperature_c: float | None = None
        self.clock_factor: float | None = None
        self._line = b""
        self._speed = 1.0
        try:
            self._file: int | None = os.open(CLOCK, os.O_RDONLY)
        except OSError:
            self._file = None
        cores = os.environ.get("POCKETNAS_CORES", "")
        self._columns = [4 + 2 * int(core) for core in cores.split(",") if core.isdecimal()] or [2]

    def keep(self, start_us: int) -> None:
        """Wait until a run that started then has taken as long as the phone's clock makes it."""
        if self._file is None:
            return
        line = os.pread(self._file, 4096, 0)
        if line != self._line:
            self._line = line
            self._look([float(word) for word in line.split()])
        until_us = start_us + (now_us() - start_us) / self._speed
        left_us = until_us - now_us()
        if left_us > SPIN_US:
            time.sleep((left_us - SPIN_US) / 1e6)
        while now_us() < until_us:
            pass

    def _look(self, values: list[float]) -> None:
        column = max(self._columns, key=lambda each: values[each + 1])
        self._speed = values[column]
        factor = round(values[column] / values[column + 1], 4)
        self.thermal_status = max(int(values[0]), self.thermal_status or 0)
        self.temperature_c = max(
            values[1], values[1] if self.temperature_c is None else self.temperature_c
        )
        self.clock_factor = min(factor, 1.0 if self.clock_factor is None else self.clock_factor)


def now_us() -> int:
    """A clock that never goes back, the stand-in's own."""
    return time.perf_counter_ns() // 1000
