"""What ``pocketnas table build`` and ``validate`` do, once their options are read."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from latency.builder import BATCH, Builder
from latency.correction import Whole, short
from latency.presets import TABLE, exactly
from latency.source import NetworkSubject
from latency.source import create as open_source
from latency.table_file import PUBLISHED, load, new_path, path_of, write
from latency.table_plan import Plan, plan, random_networks
from latency.table_source import TableSource
from latency.table_validation import Compared, compare, noted, require_conditions
from pocketnas.measured_networks import measure
from search_space.architecture import Head
from search_space.space import SearchSpace, create
from workspace.code import digest_of
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from latency.builder import BuildProgress
    from latency.source import LatencySource, SourceSettings
    from latency.table import LatencyTable

MADE_BY = ("exporters", "latency", "search_space")
"""Packages whose code decides what a table says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A table to be built.

    Attributes:
        space: By name.
        options: Of the space.
        head: What its networks end in.
        budget_s: Of all devices together, in wall-clock seconds; None for all there is.
        sessions: Of each file; None for the usual number.
        seed: Of the whole networks.
    """

    space: str
    options: Mapping[str, str]
    head: Head
    budget_s: float | None
    sessions: int | None
    seed: int


def space_text(name: str, options: Mapping[str, str]) -> str:
    """A space with its options, as tables name it.

    >>> space_text("mnasnet", {"size": "64", "blocks": "5"})
    'mnasnet blocks=5 size=64'
    """
    return shlex.join((name, *(f"{key}={options[key]}" for key in sorted(options))))


def space_of(text: str) -> SearchSpace:
    """What ``space_text`` named.

    Raises:
        InputError: If there is no such space.
    """
    name, *options = shlex.split(text)
    return create(name, dict(each.split("=", 1) for each in options))


def plans(asked: Asked, devices: int) -> tuple[Plan, Plan]:
    """All that the table needs, and what the budget allows of it on so many devices.

    Raises:
        InputError: If the space has no layers to time, or the budget is too short.
    """
    protocol = TABLE if asked.sessions is None else exactly(TABLE, asked.sessions)
    space = create(asked.space, asked.options)
    everything = plan(space, asked.head, protocol, seed=asked.seed)
    budget_s = None if asked.budget_s is None else asked.budget_s * devices
    return everything, everything.within(budget_s)


def build(
    asked: Asked,
    on: str,
    settings: SourceSettings,
    name: str,
    *,
    force: bool,
    say: Callable[[str], None],
    tell: Callable[[BuildProgress], None],
) -> LatencyTable:
    """Build a table and keep it in ``POCKETNAS_HOME/tables``.

    Raises:
        InputError: If anything asked for does not fit, or there is one of that name that may not
            be replaced.
        OperationError: If it cannot be built; what was timed stays in the store.
    """
    path = new_path(name)
    if path.exists() and not force:
        msg = (
            f"the table {name!r} is there already ({path}): say --force to build it anew (what "
            "was timed is known), or another --name"
        )
        raise InputError(msg)
    with devices(on, settings) as source:
        everything, affordable = plans(asked, source.lanes)
        say(estimate(everything, affordable, source))
        table = Builder(source, affordable, precision=settings.precision, tell=tell).table(
            f"table:{name}",
            made_by=digest_of(*MADE_BY),
            space=space_text(asked.space, asked.options),
            everything=everything.pieces,
        )
    write(table, path)
    return table


def estimate(everything: Plan, affordable: Plan, source: LatencySource) -> str:
    """What a builder is about to do, and how long it should take."""
    inputs = len({piece.input_shape for piece in affordable.pieces})
    lanes = source.lanes
    hours = affordable.device_hours()
    left_out = len(everything.pieces) - len(affordable.pieces)
    more = f" ({left_out} more will be predicted)" if left_out else ""
    return (
        f"{len(affordable.pieces)} layers{more} on {inputs} inputs, {len(affordable.fitted)} "
        f"networks to fit and {len(affordable.held_out)} to validate: {affordable.files} files, "
        f"{affordable.protocol.sessions_min} sessions each; about {hours:.2g} device-hours, "
        f"{hours / lanes:.2g} h on {lanes} device{'s' if lanes > 1 else ''} ({source.name})"
    )


def check(
    name: str,
    on: str,
    settings: SourceSettings,
    *,
    networks: int,
    seed: int | None,
    say: Callable[[str], None],
) -> tuple[LatencyTable, Compared]:
    """Measure random networks that a table was not fitted to, and note in it how far it was.

    Args:
        name: Of the table, or its path.
        on: The source that measures.
        settings: Of the source.
        networks: How many.
        seed: Of the networks; None for others than those of earlier validations.
        say: Is told what goes on.

    Raises:
        InputError: If the table is of other conditions than the device, or names no space, or one
            of which it lacks layers.
        OperationError: If too few could be measured.
    """
    name = name.removeprefix("table:")
    table = load(name)
    if not table.space:
        msg = f"{table.name} does not say which space it is of, so that none can be drawn from it"
        raise InputError(msg)
    space, head = space_of(table.space), table.head_of()
    TableSource(table).require_covers(space, head)
    drawn = random_networks(
        space,
        head,
        networks + len(table.correction.networks),
        seed=1 + len(table.validations) if seed is None else seed,
    )
    subjects = _unfitted(drawn, table.correction.networks)[:networks]
    say(f"measuring {len(subjects)} networks of the space {table.space!r} on {on}")
    with devices(on, settings) as source:
        found, failures = _measured(table, source, subjects)
    if len(found) < networks / 2:
        why = f": {failures[-1]}" if failures else ""
        msg = f"only {len(found)} of {networks} networks could be measured{why}"
        raise OperationError(msg)
    compared = compare(table, found)
    table = noted(table, compared)
    path = path_of(name) if path_of(name).is_file() else Path(name)
    if name not in PUBLISHED and path.is_file():
        write(table, path)
    return table, compared


def _measured(
    table: LatencyTable, source: LatencySource, subjects: Sequence[NetworkSubject]
) -> tuple[list[Whole], list[str]]:
    """Networks with their latencies, and why others have none.

    The first alone, so that other conditions are known before much is measured.
    """
    found, failures = [], []
    step = BATCH * source.lanes
    first = measure(source, subjects[:1], "table", step)
    for one in chain(first, measure(source, subjects[1:], "table", step)):
        if isinstance(one, str):
            failures.append(one)
            continue
        require_conditions(table.name, table.conditions, one.conditions)
        parts, latency_ms = one.measurement.parts, one.measurement.latency_ms
        found.append(Whole(key=one.key, parts=parts, latency_ms=latency_ms))
    return found, failures


def _unfitted(subjects: Sequence[NetworkSubject], fitted: Sequence[str]) -> list[NetworkSubject]:
    return [each for each in subjects if short(each.architecture.key) not in fitted]


@contextmanager
def devices(on: str, settings: SourceSettings) -> Iterator[LatencySource]:
    """The source, which has to time files.

    Raises:
        InputError: If it cannot.
    """
    if on.startswith(("table:", "predictor:", "hybrid:")):
        msg = f"only a device measures: host, adb:SERIAL or adb:any, got {on!r}"
        raise InputError(msg)
    source = open_source(on, settings)
    try:
        yield source
    finally:
        source.close()
