"""Lookup tables: what each part of a space's networks costs on one device.

An entry is the time of one part in its place; a correction, fitted on whole networks, turns the
sum of a network's entries into its latency. ``latency.table_text`` has the text form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from latency.heads import CLASSIFIER, of_kind, require_kind
from search_space.architecture import Head
from workspace.errors import InputError, OperationError

Condition = str | int | bool | list[int]
"""What a table says of one condition."""

MAD_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""

CLASSES = 1000
"""Of a head where a table does not say (ImageNet's)."""

RESERVED = "pocketnas"
"""What no entry's key may be: in the text form it stands for what is said of all entries."""


class TableMismatchError(OperationError):
    """Entries under different conditions were to stand in one table; names the fields."""


class Known(StrEnum):
    """How an entry was found."""

    MEASURED = "measured"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One part.

    Attributes:
        ms: The mean of its measurements as published tables give it, or the median of sessions.
        variance_ms2: Of one measurement, in ms squared; of what is predicted, how far off it is.
        count: Measurements behind it; 0 where it is predicted.
        mad_ms: Median absolute deviation of sessions; None where a table tells a variance.
        sessions: Process starts behind it; 0 where that is not known.
        date: Of its last session, as in ISO 8601; empty where that is not known.
        raw: What the store of measurements calls those behind it.
        known: How it was found.
    """

    ms: float
    variance_ms2: float
    count: int
    mad_ms: float | None = None
    sessions: int = 0
    date: str = ""
    raw: tuple[str, ...] = ()
    known: Known = Known.MEASURED

    def __post_init__(self) -> None:
        times = (self.ms, self.variance_ms2, self.mad_ms or 0.0)
        fits = all(math.isfinite(t) and t >= 0 for t in times)
        whole = all(type(number) is int for number in (self.count, self.sessions))
        least = 1 if self.known is Known.MEASURED else 0
        if not fits or not whole or self.count < least or self.sessions < 0:
            msg = f"times must be finite and not negative, count at least {least}, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How a network's latency follows from the sum of its entries.

    ``constant_ms + scale * sum of entries + sum of terms_ms[kind] over its parts``

    Attributes:
        scale: Of the sum: parts run faster alone than among others.
        constant_ms: A run's own cost.
        terms_ms: By the kind of a part; a kind that is not in it has none.
        residual_share: Standard deviation of a network's latency around this, as a share of it;
            each network by a correction that was fitted without it.
        networks: Keys of the networks it was fitted on, shortened to 16 digits of their SHA-256.
    """

    scale: float = 1.0
    constant_ms: float = 0.0
    terms_ms: Mapping[str, float] = field(default_factory=dict)
    residual_share: float = 0.0
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.scale, self.constant_ms, self.residual_share, *self.terms_ms.values())
        if not all(map(math.isfinite, numbers)) or self.scale <= 0 or self.residual_share < 0:
            msg = f"a correction needs finite numbers, a positive scale and spread, got {self}"
            raise ValueError(msg)

    @property
    def is_none(self) -> bool:
        """Whether a network takes just the sum of its entries."""
        return self.scale == 1.0 and not self.constant_ms and not any(self.terms_ms.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """How far a table was from whole networks that it was not fitted to.

    Attributes:
        date: In ISO 8601.
        numbers: By the names of ``latency.accuracy.Accuracy``, all as of corrected sums.
        additivity_error: Median of |sum of entries - latency| / latency, without correction.
        networks: Shortened keys, as in ``Correction``.
    """

    date: str
    numbers: Mapping[str, float]
    additivity_error: float
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.additivity_error, *self.numbers.values()))):
            msg = f"a validation needs finite numbers, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTable:
    """Entries under one set of conditions.

    Attributes:
        name: As the command line names it, e.g. ``"table:pixel1"``.
        entries: By key; never empty.
        conditions: Those that are known, by the names of ``Conditions.flat`` where they match.
        unknown: Names of conditions that whoever made the table did not publish.
        space: The space it was made for, as text; empty where that is not said.
        classes: Of its networks' heads; 0 where that is not said.
        head: Kind of its networks' heads: ``"classifier"``, ``"detector"``, ``"videoclassifier"``.
        made_by: Digest of the code that made it; empty where that is not known.
        labels: What has to be said of it beyond its conditions.
        correction: Of sums.
        validations: Oldest first.
    """

    name: str
    entries: Mapping[str, Entry]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    space: str = ""
    classes: int = 0
    head: str = CLASSIFIER
    made_by: str = ""
    labels: tuple[str, ...] = ()
    correction: Correction = Correction()
    validations: tuple[Validation, ...] = ()

    def __post_init__(self) -> None:
        if not self.entries or RESERVED in self.entries:
            msg = f"a table needs entries, none of them called {RESERVED!r}: {self.name}"
            raise ValueError(msg)
        require_kind(self.head)

    def head_of(self, classes: int | None = None) -> Head:
        """What its networks end in, of so many classes; of its own, or 1000, where None."""
        return of_kind(self.head, classes or self.classes or CLASSES)

    @property
    def predicted(self) -> int:
        """How many entries are no measurements."""
        return sum(entry.known is Known.PREDICTED for entry in self.entries.values())


def differences(first: Mapping[str, Condition], second: Mapping[str, Condition]) -> dict[str, str]:
    """Conditions that both tell and that differ, each with both values as text."""
    return {
        name: f"{first[name]!r} and {second[name]!r}"
        for name in first
        if name in second and first[name] != second[name]
    }


def require_same(first: LatencyTable, second: LatencyTable) -> None:
    """Do nothing if entries of the two may stand in one table.

    Raises:
        TableMismatchError: If a condition differs or is told by one of them only, or both tell a
            space or classes and these differ, or heads do; names each.
    """
    found = differences(first.conditions, second.conditions)
    only = set(first.conditions) ^ set(second.conditions)
    found |= dict.fromkeys(sorted(only), "told by one of them only")
    for name in ("space", "classes", "head"):
        mine, theirs = getattr(first, name), getattr(second, name)
        if mine and theirs and mine != theirs:
            found[name] = f"{mine!r} and {theirs!r}"
    if found:
        named = "; ".join(f"{name}: {values}" for name, values in found.items())
        msg = f"{first.name} and {second.name} are under different conditions ({named})"
        raise TableMismatchError(msg)


def merged(first: LatencyTable, second: LatencyTable) -> LatencyTable:
    """The entries of both; of a key in both, the one with more sessions, then the newer one.

    Entries are the same whichever table comes first. The correction stays that of the table with
    more networks behind it; labels, validations and digests of what made them are joined. Merging
    a table with itself changes nothing.

    Raises:
        TableMismatchError: If they are under different conditions.
    """
    require_same(first, second)
    entries = dict(first.entries)
    for key, entry in second.entries.items():
        known = entries.get(key)
        entries[key] = entry if known is None else max(known, entry, key=_worth)
    corrections = (first.correction, second.correction)
    both = [*first.validations, *(v for v in second.validations if v not in first.validations)]
    return replace(
        first,
        entries=entries,
        space=first.space or second.space,
        classes=first.classes or second.classes,
        unknown=tuple(dict.fromkeys((*first.unknown, *second.unknown))),
        made_by=" ".join(dict.fromkeys(f"{first.made_by} {second.made_by}".split())),
        labels=tuple(dict.fromkeys((*first.labels, *second.labels))),
        correction=max(corrections, key=lambda each: len(each.networks)),
        validations=tuple(sorted(both, key=lambda each: each.date)),
    )


def variance_of(mad_ms: float) -> float:
    """Of one session, as a normal distribution with that median absolute deviation has it."""
    return (MAD_TO_DEVIATION * mad_ms) ** 2


def _worth(entry: Entry) -> tuple[object, ...]:
    """Larger is better; equal for equal entries only, so that their order says nothing."""
    own = entry.known is Known.MEASURED, entry.sessions, entry.count, entry.date
    spread = math.inf if entry.mad_ms is None else entry.mad_ms
    return *own, -entry.ms, -entry.variance_ms2, -spread, entry.raw


def require_covered(what: str, missing: tuple[str, ...], whose: str) -> None:
    """Do nothing if nothing is missing.

    Raises:
        InputError: Otherwise; the text names the first few.
    """
    if missing:
        shown = ", ".join(missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        msg = f"{what} lacks layers of {whose}: {shown}{more}"
        raise InputError(msg)
