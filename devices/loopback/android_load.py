"""How busy a loopback phone is: the processor time of all that runs in its box.

Only Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

CORES_VARIABLE = b"POCKETNAS_CORES="
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Process:
    """Its start tells it from an older one of its number; ticks with those of ended children."""

    started: str
    own: int
    children: int


class Load:
    """Processor time since the last look, without the daemon's own."""

    def __init__(self) -> None:
        self._last = _look()
        self._cores: dict[tuple[int, str], tuple[int, ...]] = {}
        self.pinned: dict[int, tuple[str, tuple[int, ...]]] = {}
        """Processes that ``taskset -p`` pinned while they ran: their start and their cores."""

    def busy_s(self) -> tuple[float, tuple[int, ...]]:
        """Seconds of processor time, and the cores that the busiest process is pinned to."""
        now = _look()
        total = busiest = 0
        who: int | None = None
        for pid, process in now.items():
            before = self._last.get(pid)
            known = before is not None and before.started == process.started
            used = process.own - (before.own if before and known else 0)
            total += used + process.children - (before.children if before and known else 0)
            if used > busiest:
                busiest, who = used, pid
        gone = (p for pid, p in self._last.items() if pid not in now)
        total -= sum(p.own + p.children for p in gone)  # their parent's children's time has it
        self._last = now
        cores = self.cores_of(who) if who is not None else ()
        return max(0, total) / _TICKS_PER_S, cores

    def cores_of(self, pid: int) -> tuple[int, ...]:
        """The phone's cores that a process is pinned to; empty if to none in particular."""
        process = self._last.get(pid) or _look().get(pid)
        if process is None:
            return ()
        if self.pinned.get(pid, ("",))[0] == process.started:
            return self.pinned[pid][1]
        cores = _environment_cores(pid)
        return cores

    def pin(self, pid: int, cores: tuple[int, ...]) -> bool:
        """Note that a process is pinned from now on; False if there is none."""
        process = _look().get(pid)
        if process is not None:
            self.pinned[pid] = (process.started, cores)
        return process is not None


def _environment_cores(pid: int) -> tuple[int, ...]:
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            if entry.startswith(CORES_VARIABLE):
                return tuple(map(int, entry.removeprefix(CORES_VARIABLE).split(b",")))
    return ()


def _look() -> dict[int, _Process]:
    ours = os.getpid()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != ours:
            with contextlib.suppress(OSError):
                handle = os.open(f"/proc/{name}/stat", os.O_RDONLY)
                try:
                    text = os.read(handle, 1024)
                finally:
                    os.close(handle)
                fields = text.rpartition(b")")[2].split()
                user, system, child_user, child_system = map(int, fields[11:15])
                found[int(name)] = _Process(
                    fields[19].decode(), user + system, child_user + child_system
                )
    return found
