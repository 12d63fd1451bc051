"""How hard a measurement tries, by name."""

from __future__ import annotations

from dataclasses import replace

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

TABLE = MeasurementProtocol(
    preset="table",
    warmup_runs=10,
    warmup_min_s=0.2,
    timed_runs=50,
    timed_min_s=0.5,
    sessions_min=5,
    sessions_max=5,
    half_width=0.02,
    sentinel_every=8,
)
"""For the thousands of files behind a table, most of which run for a fraction of a millisecond:
five sessions each, half as long as those of a search."""

LEAST_SESSIONS = 3
"""For an interval that is of use."""

PRESETS = {protocol.preset: protocol for protocol in (QUICK, SEARCH, FINAL)}
"""From the least to the most thorough."""

_BY_NAME = {**PRESETS, TABLE.preset: TABLE}


def preset(name: str) -> MeasurementProtocol:
    """The protocol called ``name``; ``NAME/SESSIONS`` fixes the number of its sessions.

    Raises:
        InputError: If there is none.
    """
    base, slash, sessions = name.partition("/")
    if base not in _BY_NAME or (slash and not sessions.isdecimal()):
        msg = f"unknown preset {name!r}; there are {', '.join(PRESETS)}"
        raise InputError(msg)
    return exactly(_BY_NAME[base], int(sessions)) if slash else _BY_NAME[base]


def exactly(protocol: MeasurementProtocol, sessions: int) -> MeasurementProtocol:
    """``protocol`` with a number of sessions that is fixed beforehand.

    >>> exactly(SEARCH, 7).preset
    'search/7'

    Raises:
        InputError: If they are too few for an interval.
    """
    if sessions < LEAST_SESSIONS:
        msg = f"an interval needs at least {LEAST_SESSIONS} sessions, got {sessions}"
        raise InputError(msg)
    name = f"{protocol.preset.partition('/')[0]}/{sessions}"
    return replace(protocol, preset=name, sessions_min=sessions, sessions_max=sessions)


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
