"""What time it is, and waiting: this computer's clock, or a simulated one that says so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol, Self


class Clock(Protocol):
    """Seconds that pass; only differences mean anything."""

    def now_s(self) -> float:
        """Never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Returns once that many seconds have passed."""
        ...


class WallClock:
    """This computer's monotonic clock."""

    def now_s(self) -> float:
        """See ``Clock.now_s``."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        time.sleep(max(0.0, seconds))


class SimulatedClock:
    """A clock that goes only when someone sleeps: hours of a phone's cooling pass at once."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """See ``Clock.now_s``."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        self._now_s += max(0.0, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The end of a call of many steps.

    Attributes:
        until_s: As this computer's monotonic clock has it.
    """

    until_s: float

    @classmethod
    def within(cls, timeout_s: float) -> Self:
        """So many seconds from now."""
        return cls(until_s=time.monotonic() + timeout_s)

    @property
    def left_s(self) -> float:
        """Never nothing: a step that is late already fails at once, with its reason."""
        return max(LEAST_S, self.until_s - time.monotonic())


LEAST_S = 0.05
"""What is left after a deadline."""
