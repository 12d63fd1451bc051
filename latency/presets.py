"""How hard a measurement tries, by name."""

from __future__ import annotations

from latency.measurement import MeasurementProtocol
from workspace.errors import InputError

QUICK = MeasurementProtocol(
    preset="quick",
    warmup_runs=5,
    warmup_min_s=0.05,
    timed_runs=10,
    timed_min_s=0.1,
    sessions_min=3,
    sessions_max=4,
    half_width=0.10,
)
"""A first look without a sentinel: about two seconds on a computer."""

SEARCH = MeasurementProtocol(
    preset="search",
    warmup_runs=10,
    warmup_min_s=0.5,
    timed_runs=50,
    timed_min_s=1.0,
    sessions_min=5,
    sessions_max=12,
    half_width=0.02,
    sentinel_every=8,
)
"""For candidates: enough to rank networks 3 % apart, ten to thirty seconds on a computer."""

FINAL = MeasurementProtocol(
    preset="final",
    warmup_runs=10,
    warmup_min_s=0.5,
    timed_runs=1024,
    timed_min_s=60.0,
    sessions_min=5,
    sessions_max=12,
    half_width=0.01,
    sentinel_every=3,
)
"""For networks that are published: at least five minutes each, as MLPerf Mobile's minima."""

PRESETS = {protocol.preset: protocol for protocol in (QUICK, SEARCH, FINAL)}
"""From the least to the most thorough."""


def preset(name: str) -> MeasurementProtocol:
    """The protocol called ``name``.

    Raises:
        InputError: If there is none.
    """
    if name not in PRESETS:
        msg = f"unknown preset {name!r}; there are {', '.join(PRESETS)}"
        raise InputError(msg)
    return PRESETS[name]


def rank(name: str) -> int:
    """How thorough a preset is: 0 the least, -1 for one that is not ours."""
    names = list(PRESETS)
    return names.index(name) if name in names else -1


def at_least(name: str) -> tuple[str, ...]:
    """The presets that are as thorough as ``name``, or more; itself alone if it is not ours.

    >>> at_least("search")
    ('search', 'final')
    """
    return tuple(PRESETS)[rank(name) :] if name in PRESETS else (name,)
