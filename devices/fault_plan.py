"""What is to go wrong between a client and a phone, and when: frozen values, written as JSON.

A fault has its ``When``. It is armed once ``after_s`` have passed and ``after_bytes`` have flowed;
from then on packets are counted that match, and at the ``packet``-th it strikes that connection.
Without a ``packet``, or ``later_s`` after it, it strikes all connections that are open then.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from workspace.errors import InputError


class Direction(StrEnum):
    """Which way bytes go."""

    UP = "up"
    """To the phone."""
    DOWN = "down"
    """From the phone."""


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    """The connection is closed."""
    STALL = "stall"
    """Nothing flows either way for ``seconds``, by default for ever; new connections are fine."""
    DELAY = "delay"
    """Packets wait ``late_ms`` one after the other, for ``seconds``; new connections are fine."""
    CORRUPT = "corrupt"
    """``flips`` bytes of a payload are others: of the packet that it strikes, else the next."""
    CUT = "cut"
    """The connection ends in the midst of a packet: after exactly ``after_bytes``, where given."""
    UNPLUG = "unplug"
    """Every connection is closed, and all later ones are refused."""
    UNAUTHORIZE = "unauthorize"
    """Every connection is closed, and later ones are told that their key is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When a fault strikes.

    Attributes:
        direction: Of the bytes and packets that count; None for both.
        after_s: Armed so long after the proxy's start …
        after_bytes: … and once so many bytes went through it in ``direction``.
        packet: Strikes at this one of the packets that match from then on, 1 is the first; 0 for
            at once.
        command: What matches: adb's name for a kind of packet, e.g. ``WRTE``; empty for any.
        contains: What matches: text in its payload, e.g. ``benchmark_model``; empty for any.
        later_s: So long after all that.
    """

    direction: Direction | None = None
    after_s: float = 0.0
    after_bytes: int = 0
    packet: int = 0
    command: str = ""
    contains: str = ""
    later_s: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.after_s, self.after_bytes, self.packet, self.later_s)
        if not all(math.isfinite(each) and each >= 0 for each in numbers):
            msg = f"times, bytes and packets of a fault must not be negative, got {self}"
            raise InputError(msg)
        if (self.command or self.contains) and not self.packet:
            msg = f"what a packet must match needs packet >= 1, got {self}"
            raise InputError(msg)

    def matches(self, direction: Direction, command: bytes, content: bytes) -> bool:
        """Whether a packet counts."""
        return (
            self.direction in (None, direction)
            and (not self.command or self.command.encode() == command)
            and (not self.contains or self.contains.encode() in content)
        )


MID_RUN = When(direction=Direction.UP, packet=1, contains="benchmark_model", later_s=0.3)
"""While ``benchmark_model`` runs: shortly after its command line went to the phone."""

MID_PUSH = When(direction=Direction.UP, packet=1, command="WRTE", contains="DATA")
"""While a file is pushed: at the first packet with some of it."""

MID_ANSWER = When(direction=Direction.DOWN, packet=1, command="WRTE")
"""While the phone answers or gives a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong once.

    Attributes:
        kind: What.
        when: When it strikes.
        seconds: Of ``stall`` and ``delay``; infinite by default.
        late_ms: Of ``delay``.
        flips: Bytes that ``corrupt`` changes.
    """

    kind: FaultKind
    when: When = field(default_factory=When)
    seconds: float = math.inf
    late_ms: float = 50.0
    flips: int = 1

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.late_ms >= 0 and self.flips >= 1):
            msg = f"a fault lasts for a positive time and flips at least 1 byte, got {self}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that goes wrong.

    Attributes:
        faults: In any order.
        seed: Of which bytes are changed, and how.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0


PASSING = (FaultKind.DROP, FaultKind.STALL, FaultKind.DELAY, FaultKind.CORRUPT, FaultKind.CUT)
"""Kinds after which the phone can be reached again."""


def random_plan(
    seed: int,
    faults_per_minute: float,
    kinds: Sequence[FaultKind] = PASSING,
    *,
    duration_s: float = 3600.0,
) -> Plan:
    """Faults at random times, a Poisson process; half of them in mid-push, mid-run or mid-answer.

    The other half strike whatever packet comes next.

    Args:
        seed: The same one gives the same plan.
        faults_per_minute: On average.
        kinds: Among which to choose, each as often; one that is named twice comes twice as often.
        duration_s: Over which time.

    Raises:
        InputError: If there is no kind, or a number is not positive.
    """
    if not kinds or not (0 < faults_per_minute < math.inf and 0 < duration_s < math.inf):
        msg = (
            "a random plan needs kinds, a positive rate and a positive duration, "
            f"got {kinds!r}, {faults_per_minute!r} a minute over {duration_s!r} s"
        )
        raise InputError(msg)
    rng = random.Random(f"faults/{seed}")
    faults: list[Fault] = []
    at_s = rng.expovariate(faults_per_minute / 60)
    while at_s < duration_s:
        faults.append(_random_fault(rng, at_s, kinds))
        at_s += rng.expovariate(faults_per_minute / 60)
    return Plan(faults=tuple(faults), seed=seed)


def _random_fault(rng: random.Random, at_s: float, kinds: Sequence[FaultKind]) -> Fault:
    any_packet = When(direction=rng.choice([*Direction]), packet=1)
    chosen = rng.choice([any_packet, any_packet, any_packet, MID_RUN, MID_PUSH, MID_ANSWER])
    when = When(**{**asdict(chosen), "after_s": round(at_s, 3)})
    return Fault(
        kind=rng.choice(list(kinds)),
        when=when,
        seconds=rng.choice([0.5, 5.0, math.inf]),
        late_ms=round(rng.uniform(5, 200), 1),
        flips=rng.choice([1, 1, 8]),
    )


_VERSION = 1


def as_json(plan: Plan) -> str:
    """The plan as text; ``from_json`` reads it."""
    document: dict[str, Any] = {"version": _VERSION, **asdict(plan)}
    for fault in document["faults"]:
        fault["seconds"] = None if math.isinf(fault["seconds"]) else fault["seconds"]
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Plan:
    """The plan that a text holds; what it leaves out is as the classes have it.

    Raises:
        InputError: If it is no plan of this version.
    """
    try:
        document = json.loads(text)
        if document.pop("version") != _VERSION:
            msg = f"its version is not {_VERSION}"
            raise ValueError(msg)
        faults = tuple(_fault(each) for each in document.pop("faults", ()))
        return Plan(faults=faults, **document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"this is no plan of faults ({error}): {text[:200]!r}"
        raise InputError(msg) from error


def _fault(document: Mapping[str, Any]) -> Fault:
    fields = dict(document)
    when = dict(fields.pop("when", {}))
    if when.get("direction") is not None:
        when["direction"] = Direction(when["direction"])
    if fields.get("seconds", math.inf) is None:
        fields["seconds"] = math.inf
    return Fault(kind=FaultKind(fields.pop("kind")), when=When(**when), **fields)


class Schedule:
    """Which faults of a plan are due; each comes once.

    Args:
        plan: The faults.
    """

    def __init__(self, plan: Plan) -> None:
        self._lock = threading.Lock()
        self._waiting = sorted(plan.faults, key=lambda fault: fault.when.after_s)
        self._seen: dict[int, int] = {}
        self._later: list[tuple[float, Fault]] = []
        self._start_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since ``start``."""
        return time.monotonic() - self._start_s

    def start(self) -> None:
        """Time begins."""
        self._start_s = time.monotonic()

    def at_packet(
        self, direction: Direction, command: bytes, content: bytes, flowed: Mapping[Direction, int]
    ) -> tuple[Fault, ...]:
        """What strikes a packet, before which so many bytes had ``flowed``."""
        if not self._waiting:
            return ()
        with self._lock:
            due = []
            after = {**flowed, direction: flowed[direction] + len(content)}
            for fault in self._armed(after, beyond=True):
                when = fault.when
                if when.packet:
                    if not when.matches(direction, command, content):
                        continue
                    self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
                    if self._seen[id(fault)] < when.packet:
                        continue
                elif not when.after_bytes or when.direction not in (None, direction):
                    continue
                due.append(fault)
            return self._taken(due)

    def without_packet(self, flowed: Mapping[Direction, int]) -> tuple[Fault, ...]:
        """What strikes now, whatever flows."""
        if not self._waiting and not self._later:
            return ()
        with self._lock:
            now_s = self.elapsed_s
            late = tuple(fault for at_s, fault in self._later if at_s <= now_s)
            self._later = [each for each in self._later if each[0] > now_s]
            armed = self._armed(flowed, beyond=False)
            return late + self._taken([fault for fault in armed if not fault.when.packet])

    def _armed(self, flowed: Mapping[Direction, int], *, beyond: bool) -> list[Fault]:
        """Those whose time and bytes have come; the byte itself too unless ``beyond``."""
        armed, now_s = [], self.elapsed_s
        for fault in self._waiting:
            if fault.when.after_s > now_s:
                break
            chosen = fault.when.direction
            count = flowed[chosen] if chosen else sum(flowed.values())
            needed = fault.when.after_bytes
            if count > needed or (count == needed and not (beyond and needed)):
                armed.append(fault)
        return armed

    def _taken(self, due: list[Fault]) -> tuple[Fault, ...]:
        """Those of ``due`` that strike at once; none of them comes again."""
        chosen = {id(fault) for fault in due}
        self._waiting = [fault for fault in self._waiting if id(fault) not in chosen]
        now_s = self.elapsed_s
        self._later += [(now_s + f.when.later_s, f) for f in due if f.when.later_s]
        return tuple(fault for fault in due if not fault.when.later_s)
