"""What the thermal zones of each device are at rest: the coolest they were within a day."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workspace.files import write_whole
from workspace.home import home

KEPT_S = 24 * 3600.0
"""For how long a zone's coolest moment counts: the room's temperature changes too."""

STEP_C = 0.5
"""A cooler zone is written down once it is so much cooler."""

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """A zone's coolest moment."""

    temperature_c: float
    at_s: float


def _file() -> Path:
    return home() / "baselines.json"


@dataclass(slots=True)
class Baselines:
    """Of all devices, kept in ``POCKETNAS_HOME``; a damaged or foreign file counts as none.

    Attributes:
        path: Where they are kept; None keeps them for this process alone.
        now_s: Seconds since the epoch.
    """

    path: Callable[[], Path] | None = _file
    now_s: Callable[[], float] = time.time
    _known: dict[tuple[str, str], _Rest] = field(default_factory=dict, init=False)
    _read: bool = field(default=False, init=False)

    def see(self, unit: str, zones_c: Iterable[tuple[str, float]]) -> None:
        """Take notice of what zones of a device are now."""
        changed = False
        for zone, temperature_c in zones_c:
            rest_c = self.rest_c(unit, zone)
            if rest_c is None or temperature_c < rest_c:
                self._known[unit, zone] = self._now(temperature_c)
                changed |= rest_c is None or temperature_c <= rest_c - STEP_C
        if changed:
            self._write()

    def set(self, unit: str, zone: str, temperature_c: float) -> None:
        """A zone's rest from now on, cooler or warmer than before."""
        self._known[unit, zone] = self._now(temperature_c)
        self._write()

    def rest_c(self, unit: str, zone: str) -> float | None:
        """A zone at rest; None if it was not seen within a day."""
        self._load()
        rest = self._known.get((unit, zone))
        fresh = rest is not None and self.now_s() - rest.at_s < KEPT_S
        return rest.temperature_c if rest is not None and fresh else None

    def _now(self, temperature_c: float) -> _Rest:
        return _Rest(temperature_c=temperature_c, at_s=self.now_s())

    def _load(self) -> None:
        if self._read or self.path is None:
            return
        self._read = True
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(self.path().read_text())
            if content["version"] == VERSION:
                for unit, zone, temperature_c, at_s in content["zones"]:
                    rest = _Rest(temperature_c=float(temperature_c), at_s=float(at_s))
                    self._known.setdefault((str(unit), str(zone)), rest)

    def _write(self) -> None:
        if self.path is None:
            return
        known = tuple(self._known.items())  # other threads add zones of their devices meanwhile
        zones = [[*key, rest.temperature_c, rest.at_s] for key, rest in known]
        with suppress(OSError):  # a full disk costs the next process a baseline, no number
            self.path().parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path(), json.dumps({"version": VERSION, "zones": zones}).encode())
