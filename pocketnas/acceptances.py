"""Which phones passed their acceptance test, by the names that the command line gives them.

The full result lies in the store of measurements, by the phone's unit, which only the phone tells.
This note beside it lets a list of phones ask none of them, and open no database.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from workspace.files import write_whole
from workspace.home import home


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The last acceptance test of a device.

    Attributes:
        unit: Which one it was.
        passed: Whether it passed.
        taken: ISO 8601, UTC.
    """

    unit: str
    passed: bool
    taken: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'failed'} {self.taken[:10]}"


def note(device_id: str, unit: str, *, passed: bool) -> None:
    """Remember how a device's test ended just now."""
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    noted = {**_noted(), device_id: Noted(unit=unit, passed=passed, taken=taken)}
    content = {name: asdict(each) for name, each in noted.items()}
    home().mkdir(parents=True, exist_ok=True)
    write_whole(_file(), json.dumps(content, indent=1, sort_keys=True).encode())


def last_acceptance(device_id: str) -> Noted | None:
    """The last test of a device; None if it never had one."""
    return _noted().get(device_id)


def _file() -> Path:
    return home() / "acceptances.json"


def _noted() -> dict[str, Noted]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        found = json.loads(_file().read_text())
        return {str(name): Noted(**fields) for name, fields in found.items()}
    return {}
