"""A fleet as people write it: in a configuration, and on the command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from latency.fleet import FleetDevice, FleetSource
from latency.load import FleetRule, LoadRule
from latency.source import LatencySource
from workspace.errors import InputError

FORM = "[NAME=]SOURCE@TARGET_MS[*WEIGHT]"
"""Of a device on the command line."""

_TEXT = re.compile(
    r"(?:(?P<name>[^=:@]+)=)?(?P<latency>.+)@(?P<target_ms>[^@*]+)(?:\*(?P<weight>[^@*]+))?"
)
_Number = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FleetEntry(BaseModel):
    """One device of a fleet.

    Attributes:
        name: For people; the source where none was given.
        latency: Its source as text.
        target_ms: What a network may take on it.
        weight: Among all devices.
        final_on: What times the front at the end in its stead; empty for the source itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    latency: str
    target_ms: _Number
    weight: _Number = 1.0
    final_on: str = ""


def entries_from(texts: Sequence[str], flag: str) -> list[dict[str, object]]:
    """What repeated options say of a fleet's devices.

    >>> entries_from(["old=adb:1A@lab:5038@80*2"], "--fleet")
    [{'name': 'old', 'latency': 'adb:1A@lab:5038', 'target_ms': 80.0, 'weight': 2.0}]

    Raises:
        InputError: If one is not of the form.
    """
    entries: list[dict[str, object]] = []
    for text in texts:
        match = _TEXT.fullmatch(text)
        if match is None:
            msg = f"{flag} takes {FORM}, as in table:pixel1@75, got {text!r}"
            raise InputError(msg)
        entry: dict[str, object] = {}
        for name, value in match.groupdict().items():
            if value is not None:
                is_number = name in ("target_ms", "weight")
                entry[name] = _number(value, text, flag) if is_number else value
        entries.append(entry)
    return entries


def checked(settings: Mapping[str, object]) -> dict[str, object]:
    """A search's settings with a name for each device of its fleet, if it has one.

    Raises:
        InputError: If there is neither a target nor a fleet, or both, or a device has no source
            or no target, or two have the same one.
    """
    made = dict(settings)
    if "fleet" not in made:
        if made.get("target_ms") is None:
            msg = (
                "no target: give --target-ms, the latency in ms that the network may take, or "
                "--fleet for several devices, each with its own"
            )
            raise InputError(msg)
        if "fleet_rule" in made:
            msg = "a fleet rule would be without effect, since there is no fleet: leave it out"
            raise InputError(msg)
        return made
    for name in ("latency", "target_ms", "final_on"):
        if made.get(name):
            msg = (
                f"{name!r} is for one device, and a fleet's devices have their own: leave it out, "
                f"got {made[name]!r}"
            )
            raise InputError(msg)
    made["latency"] = ""
    made["fleet"] = _entries(made["fleet"])
    if made.get("fleet_rule", FleetRule.WORST) == FleetRule.WORST:
        _refuse_weights(made["fleet"])
    return made


def fleet_source(
    entries: Sequence[FleetEntry],
    rule: str,
    exponents: tuple[float, float],
    opened: Callable[[FleetEntry], LatencySource],
) -> FleetSource:
    """The source that asks every device.

    Args:
        entries: At least one.
        rule: How their loads make one.
        exponents: Of the search's reward, below and beyond the target.
        opened: Makes a device's own source.
    """
    kind = LoadRule(
        kind=FleetRule(rule),
        weights=tuple(entry.weight for entry in entries),
        exponents=exponents,
    )
    devices = [
        FleetDevice(
            name=entry.name,
            source=opened(entry),
            target_ms=entry.target_ms,
            weight=entry.weight,
        )
        for entry in entries
    ]
    return FleetSource(devices, kind)


def _number(value: str, text: str, flag: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        msg = f"{flag} takes {FORM}, {value!r} in {text!r} is no number"
        raise InputError(msg) from error


def _entries(fleet: object) -> object:
    """Entries with a name each; whatever is of another form is left for its own check."""
    if isinstance(fleet, Mapping) or not isinstance(fleet, Sequence | tuple):
        return fleet
    if not fleet:
        msg = 'the fleet has no devices: give each a [[fleet]] with latency = "…" and target_ms'
        raise InputError(msg)
    entries = []
    for number, entry in enumerate(fleet, 1):
        if isinstance(entry, FleetEntry):
            entry = entry.model_dump()
        if not isinstance(entry, Mapping):
            return fleet
        named = {**entry, "name": entry.get("name") or entry.get("latency")}
        _require_whole(number, named)
        entries.append(named)
    _require_different([str(entry["name"]) for entry in entries], "are called")
    _require_different([_device(str(entry["latency"])) for entry in entries], "are")
    return entries


def _require_whole(number: int, entry: Mapping[str, object]) -> None:
    if not str(entry.get("latency") or "").strip():
        called = f" ({entry['name']})" if entry["name"] else ""
        msg = (
            f"device {number} of the fleet{called} has no source: give it latency = "
            '"adb:SERIAL", "host", "table:NAME" or another'
        )
        raise InputError(msg)
    if entry.get("target_ms") is None:
        msg = (
            f"device {number} of the fleet ({entry['name']}) has no target: give it target_ms, "
            "the latency in ms that a network may take there"
        )
        raise InputError(msg)


def _device(latency: str) -> str:
    """What is timed in the end: a mixed source's device."""
    return latency.rpartition(",")[2] if latency.startswith("hybrid:") else latency


def _require_different(names: Sequence[str], what: str) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        msg = f"{count} devices of the fleet {what} {name!r}: give each once"
        raise InputError(msg)


def _refuse_weights(fleet: object) -> None:
    """A weight that counts for nothing is refused."""
    for entry in fleet if isinstance(fleet, list) else ():
        if isinstance(entry, Mapping) and entry.get("weight", 1.0) != 1.0:
            msg = (
                f"the weight {entry['weight']!r} of {entry['name']} would be without effect, "
                "since the worst device decides: leave it out, or give --fleet-rule weighted or "
                "each"
            )
            raise InputError(msg)
