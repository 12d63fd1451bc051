"""What a person says of the conditions that a table of theirs was measured under."""

from __future__ import annotations

from collections.abc import Mapping

from devices.device import ClockTier, Delegate
from exporters.artifact import Precision
from latency.measurement import Statistic
from latency.table import Condition
from workspace.errors import InputError

_MEMBERS = {
    "delegate": Delegate,
    "clock_tier": ClockTier,
    "precision": Precision,
    "statistic": Statistic,
}
_WHOLE = ("ram_mb", "threads", "clock_khz", "input_size")
_LISTS = ("core_khz", "cores")
_FLAGS = ("on_this_computer", "gives_single_runs")
_TEXTS = (
    "device_model",
    "unit",
    "soc",
    "abi",
    "build",
    "kernel",
    "device_stand_in",
    "runner",
    "runner_dialect",
    "runner_version",
    "runner_sha256",
    "runner_stand_in",
    "source",
)
NAMES = (*_TEXTS, *_MEMBERS, *_WHOLE, *_LISTS, *_FLAGS)
"""Those of ``Conditions.flat``; what published tables tell beside them: ``input_size``, and where
the figures are from, ``source``."""

TO_BE_KNOWN = (
    "device_model",
    "unit",
    "build",
    "soc",
    "runner",
    "runner_version",
    "delegate",
    "precision",
    "threads",
    "cores",
    "clock_tier",
)
"""What a latency depends on; a table that does not tell one of them says so."""


def conditions_from(texts: Mapping[str, str]) -> dict[str, Condition]:
    """Conditions as the command line gives them, with the types that devices give them.

    >>> conditions_from({"device_model": "Pixel 6", "threads": "1", "cores": "6,7"})
    {'device_model': 'Pixel 6', 'threads': 1, 'cores': [6, 7]}

    Raises:
        InputError: If there is no such condition, or it cannot be that.
    """
    return {name: _condition(name, text.strip()) for name, text in texts.items()}


def unknown_of(conditions: Mapping[str, Condition]) -> tuple[str, ...]:
    """What ``conditions`` do not tell and should."""
    return tuple(name for name in TO_BE_KNOWN if name not in conditions)


def _condition(name: str, text: str) -> Condition:
    if name not in NAMES:
        msg = f"there is no condition {name!r}; there are {', '.join(NAMES)}"
        raise InputError(msg)
    if not text:
        msg = f"the condition {name} is empty; leave out what is not known"
        raise InputError(msg)
    if name in _MEMBERS:
        return _one_of(name, text, tuple(_MEMBERS[name]))
    if name in _FLAGS:
        return _one_of(name, text, ("true", "false")) == "true"
    if name in _WHOLE:
        return _whole(name, text)
    if name in _LISTS:
        return [_whole(name, each.strip()) for each in text.strip("[]").split(",")]
    return text


def _one_of(name: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        msg = f"the condition {name} is one of {', '.join(allowed)}, got {text!r}"
        raise InputError(msg)
    return str(text)


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        msg = f"the condition {name} needs whole numbers, got {text!r}"
        raise InputError(msg)
    return int(text)
