"""Which phones passed their acceptance test, by the names that the command line gives them.

The test's result lies in the store of measurements by the phone's unit, which only the phone
tells; which unit a name last was is noted beside it, so that a list of phones asks none of them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.files import write_whole
from workspace.home import home

if TYPE_CHECKING:
    from latency.history import Accepted


def note_unit(device_id: str, unit: str) -> None:
    """Remember which unit a device is."""
    units = {**_units(), device_id: unit}
    home().mkdir(parents=True, exist_ok=True)
    write_whole(_file(), json.dumps(units, indent=1, sort_keys=True).encode())


def last_acceptance(device_id: str) -> Accepted | None:
    """The last test of a device; None if it never had one."""
    unit = _units().get(device_id)
    if unit is None or not (home() / "measurements.db").exists():
        return None
    from latency.history import History
    from latency.store import MeasurementStore

    return History(MeasurementStore.shared()).acceptance(unit)


def _file() -> Path:
    return home() / "units.json"


def _units() -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(_file().read_text())
        if isinstance(found, dict):
            return {str(name): str(unit) for name, unit in found.items()}
    return {}
