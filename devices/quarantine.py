"""Phones that are left alone for a while, since they kept failing.

Each device that failed has a file in ``POCKETNAS_HOME/quarantine`` with one line a failure since
its last success; processes only append to it, and what holds follows from its lines.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from devices.kept_files import keeping
from workspace.files import write_whole
from workspace.home import home

FAILURES = 3
"""In a row, after which a device is left alone."""

SHORTEST_S = 60.0
"""How long the first time; each time twice as long, as long as no success comes between."""

LONGEST_S = 3600.0
"""How long at most."""

_KEPT_LINES = 64
_LONG_FILE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Why a device is left alone, and for how long.

    Attributes:
        device: Its id.
        reason: What failed last before it.
        failures: In a row, until now.
        since: When it began; timezone-aware.
        until: When the device gets its next chance: one more failure, and it is left alone for
            twice as long.
    """

    device: str
    reason: str
    failures: int
    since: datetime
    until: datetime

    def __str__(self) -> str:
        until = self.until.astimezone().isoformat(sep=" ", timespec="seconds")
        return f"in quarantine until {until} after {self.failures} failures ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """One line."""

    at_s: float
    reason: str
    at_once: bool


def report_failure(device_id: str, reason: str, *, at_once: bool = False) -> Quarantine | None:
    """The device failed in a way that may pass; whether it is left alone from now on.

    Args:
        device_id: Of the device.
        reason: For people.
        at_once: Don't wait for more failures: it is in a state from which it did not recover, e.g.
            hot for too long, or out of battery.

    Raises:
        OperationError: If this computer cannot keep it.
    """
    line = json.dumps(asdict(_Failure(at_s=_now_s(), reason=reason[:500], at_once=at_once)))
    path = _file(device_id)
    with keeping(path):
        _append(path, line)
    return quarantined(device_id)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(line + "\n")
    if path.stat().st_size > _LONG_FILE:
        kept = path.read_text().splitlines()[-_KEPT_LINES:]
        write_whole(path, "".join(f"{each}\n" for each in kept).encode())


def report_success(device_id: str) -> None:
    """The device did what it was asked to: its failures are forgotten, a quarantine ends.

    Raises:
        OperationError: If this computer cannot forget them.
    """
    path = _file(device_id)
    with keeping(path), suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def release(device_id: str) -> bool:
    """End a quarantine by hand; whether there was one.

    Raises:
        OperationError: If this computer cannot forget it.
    """
    was = quarantined(device_id) is not None
    report_success(device_id)
    return was


def quarantined(device_id: str) -> Quarantine | None:
    """Why the device is to be left alone now; None if it is not."""
    path = _file(device_id)
    found = _latest(device_id, _failures(path)) if path.exists() else None
    now_s = _now_s()
    # A wall clock that was set back would lengthen it beyond what was meant: it is over then.
    if found is None or not found.since.timestamp() <= now_s < found.until.timestamp():
        return None
    return found


def _latest(device_id: str, failures: Iterator[_Failure]) -> Quarantine | None:
    """The last quarantine that these failures led to."""
    found = None
    until_s, times = -math.inf, 0
    for number, failure in enumerate(failures, 1):
        enough = failure.at_once or number >= FAILURES or times
        if not enough or failure.at_s < until_s:
            continue
        until_s = failure.at_s + min(SHORTEST_S * 2**times, LONGEST_S)
        times += 1
        found = Quarantine(
            device=device_id,
            reason=failure.reason,
            failures=number,
            since=datetime.fromtimestamp(failure.at_s, UTC),
            until=datetime.fromtimestamp(until_s, UTC),
        )
    return found


def _failures(path: Path) -> Iterator[_Failure]:
    with suppress(FileNotFoundError):  # forgotten just now
        for line in path.read_text().splitlines():
            with suppress(ValueError, TypeError):  # a line that was cut off with the power
                yield _Failure(**json.loads(line))


def _file(device_id: str) -> Path:
    return home() / "quarantine" / f"{quote(device_id, safe='')}.jsonl"


def _now_s() -> float:
    """Of the wall clock: a quarantine outlives the process and the start of this computer."""
    return time.time()
