"""Lookup tables: what each layer of a space costs on one device, as others measured it.

The text form is the YAML of ProxylessNAS: a mapping of keys to ``count``, ``mean`` (ms) and
``var`` (ms squared). ``search_space.proxyless.table_key`` forms the keys. A key ``pocketnas``
beside them, which tables of others don't have, holds the version and the conditions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workspace.errors import InputError
from workspace.home import home

VERSION = 1
"""Of the text form."""

_HEADER = "pocketnas"

Condition = str | int
"""What a table says of one condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One layer.

    Attributes:
        mean_ms: Mean of its measurements.
        variance_ms2: Their variance, in ms squared.
        count: How many there are.
    """

    mean_ms: float
    variance_ms2: float
    count: int

    def __post_init__(self) -> None:
        times = (self.mean_ms, self.variance_ms2)
        fits = all(math.isfinite(t) and t >= 0 for t in times)
        if not fits or type(self.count) is not int or self.count < 1:
            msg = f"mean and var must be finite and not negative, count at least 1, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTable:
    """Entries under one set of conditions.

    Attributes:
        name: As the command line names it, e.g. ``"table:pixel1"``.
        entries: By key; never empty.
        conditions: Those that are known, by the names of ``Conditions.flat`` where they match.
        unknown: Names of conditions that whoever made the table did not publish.
    """

    name: str
    entries: Mapping[str, Entry]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A table that ships with the project.

    Attributes:
        file: In ``latency/tables``.
        conditions: As its authors published them.
        unknown: What they did not publish.
    """

    file: str
    conditions: Mapping[str, Condition]
    unknown: tuple[str, ...]


PUBLISHED = {
    "pixel1": Published(
        file="pixel1_proxylessnas.yaml",
        conditions={
            "device_model": "Pixel 1",
            "threads": 1,
            "input_size": 224,
            "statistic": "mean",
            "source": "ProxylessNAS, Cai et al., ICLR 2019, arXiv 1812.00332, as published",
        },
        unknown=(
            "unit",
            "build",
            "kernel",
            "runner",
            "runner_version",
            "cores",
            "clock_tier",
            "precision",
        ),
    )
}
"""By the name that follows ``table:``."""


def load(text: str) -> LatencyTable:
    """The table that ``text`` names, the part after ``table:`` of a source.

    Args:
        text: A published table, the name of a file in ``POCKETNAS_HOME/tables``, or a path.

    Raises:
        InputError: If there is none, or it is no table; the text names the entry.
    """
    if text in PUBLISHED:
        published = PUBLISHED[text]
        path = Path(__file__).parent / "tables" / published.file
        return LatencyTable(
            name=f"table:{text}",
            entries=read(path, text).entries,
            conditions=published.conditions,
            unknown=published.unknown,
        )
    shared = home() / "tables" / f"{text}.yaml"
    for path in (shared, Path(text)):
        if text and path.is_file():
            return read(path, text)
    msg = (
        f"no table {text!r}; there is {', '.join(PUBLISHED)}, and table:PATH for a YAML file "
        f"of yours ({shared} would be found by that name)"
    )
    raise InputError(msg)


def read(path: Path, name: str) -> LatencyTable:
    """The table in a YAML file.

    Raises:
        InputError: If it cannot be read, is no table or of a newer version; the text names what
            is wrong.
    """
    what = f"the table {str(path)!r}"
    try:
        document = yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        msg = f"{what} cannot be read: {error}"
        raise InputError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{what} is no YAML: {' '.join(str(error).split())}"
        raise InputError(msg) from error
    if not isinstance(document, dict) or not document:
        msg = f"{what} must map keys of layers to count, mean and var"
        raise InputError(msg)
    header = _header(document.pop(_HEADER, {"version": VERSION}), what)
    return LatencyTable(
        name=f"table:{name}",
        entries={_key(key, what): _entry(key, value, what) for key, value in document.items()},
        conditions=header,
    )


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses what YAML would silently drop: a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        """See yaml."""
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(made) != len(node.value):
            names = [key.value for key, _ in node.value]
            doubled = sorted({name for name in names if names.count(name) > 1})
            msg = f"keys that come twice: {', '.join(doubled)}"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
        return made


def _header(header: object, what: str) -> dict[str, Condition]:
    if not isinstance(header, dict) or type(header.get("version")) is not int:
        msg = f"{what} has a {_HEADER!r} entry without a version: {header!r}"
        raise InputError(msg)
    if header["version"] > VERSION:
        msg = (
            f"{what} was written by a newer version (form {header['version']}); "
            f"this one knows forms up to {VERSION}: update pocketnas to read it"
        )
        raise InputError(msg)
    conditions = header.get("conditions", {})
    if not isinstance(conditions, dict) or not all(
        isinstance(name, str) and isinstance(value, str | int)
        for name, value in conditions.items()
    ):
        msg = f"{what} must give conditions as names with text or numbers, got {conditions!r}"
        raise InputError(msg)
    return dict(conditions)


def _key(key: object, what: str) -> str:
    if not isinstance(key, str):
        msg = f"{what} has a key that is no text: {key!r}"
        raise InputError(msg)
    return key


def _entry(key: object, value: object, what: str) -> Entry:
    fields = value if isinstance(value, dict) else {}
    try:
        return Entry(
            mean_ms=_number(fields["mean"]),
            variance_ms2=_number(fields["var"]),
            count=fields["count"],
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{what}: entry {key!r} needs count, mean and var, got {value!r} ({error})"
        raise InputError(msg) from error


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{value!r} is no number"
        raise TypeError(msg)
    return float(value)
