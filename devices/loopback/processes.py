"""The outermost processes of a loopback phone, as this computer sees them.

They are found by an argument of theirs, not by a number in a file: a number may be another
process by now, and a file may not have been written yet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

_PREFIX = "pocketnas-loopback-"
_PROGRAMS = ("setsid", "unshare", "sh", "env")
"""What they run, one after the other."""
COLLECTED_S = 2.0
"""How long a parent gets to collect its child's exit code before it is killed too."""
_T = TypeVar("_T")


def marker(phone_id: str) -> str:
    """Their last argument."""
    return f"{_PREFIX}{phone_id}"


def alive() -> frozenset[str]:
    """The ids of all phones on this computer that have a process."""
    return frozenset(phone_id for _, phone_id in _boxes())


def first_process(phone_id: str) -> int | None:
    """The process that is number 1 inside the phone; None if there is none (yet)."""
    for pid in _pids(phone_id):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            if len(numbers.split()) > 2 and numbers.split()[-1] == "1":
                return pid
    return None


def lives(pid: int) -> bool:
    """Whether there is such a process, and not just its exit code."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def end(phone_id: str, timeout_s: float) -> bool:
    """Kill them, and so all that runs in the phone; whether every one is gone.

    The first process goes alone at first, so that its parent collects it. Were both killed, this
    computer's init would have to, and until it does (in some containers never) the exit code
    alone keeps the PID namespace.
    """
    first = first_process(phone_id)
    if first is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{first}").exists(), COLLECTED_S)
    return _end_all(phone_id, timeout_s)


def _end_all(phone_id: str, timeout_s: float) -> bool:
    killed: set[int] = set()
    quiet = 0

    def gone() -> bool:
        nonlocal quiet
        pids = _pids(phone_id)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(pids)
        # A first process is done only when all others of its namespace are; and one that is just
        # becoming another program shows no arguments for a moment, hence twice.
        quiet = 0 if pids or any(lives(pid) for pid in killed) else quiet + 1
        return quiet == 2

    return bool(wait_for(gone, timeout_s))


def wait_for(probe: Callable[[], _T | None], timeout_s: float) -> _T | None:
    """What ``probe`` says once that is true, else what it said last after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not (said := probe()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return said


def _pids(phone_id: str) -> list[int]:
    return [pid for pid, whose in _boxes() if whose == phone_id]


def _boxes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:  # ended meanwhile
            continue
        if words and words[-1].startswith(_PREFIX) and Path(words[0]).name in _PROGRAMS:
            yield int(entry.name), words[-1].removeprefix(_PREFIX)
