"""The text form of tables: YAML, one line an entry, in two forms.

* As ProxylessNAS published its own: a mapping of keys to ``count``, ``mean`` (ms) and ``var`` (ms
  squared). ``search_space.proxyless.table_key`` forms the keys.
* Ours, version 2: the same mapping to ``median``, ``mad`` (ms), ``count``, ``sessions``, ``date``
  and ``raw`` (names in the store of measurements), with ``var`` where it does not follow from
  ``mad``; what is predicted says so.

A key ``pocketnas`` before the entries holds version, number of entries, conditions, space,
correction and validations; tables of others have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from latency.heads import CLASSIFIER
from latency.table import RESERVED, Correction, Entry, Known, LatencyTable, variance_of

VERSION = 2
"""Of the text form."""

_LONGEST_KEY = 1000
"""Characters that YAML takes before a colon, and some to spare for quotes."""

_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def to_text(table: LatencyTable) -> str:
    """What ``latency.table_reader`` reads; the same table gives the same text."""
    header = {
        "version": VERSION,
        "entries": len(table.entries),
        "space": table.space,
        "classes": table.classes,
        "head": "" if table.head == CLASSIFIER else table.head,
        "made_by": table.made_by,
        "conditions": dict(table.conditions),
        "unknown": list(table.unknown),
        "labels": list(table.labels),
        "correction": {} if table.correction == Correction() else _plain(asdict(table.correction)),
        "validations": [_plain(asdict(each)) for each in table.validations],
    }
    kept = {name: value for name, value in header.items() if value not in ("", 0, [], {})}
    head = yaml.dump(
        {RESERVED: kept},
        Dumper=_Dumper,
        sort_keys=False,
        width=100,
        default_flow_style=None,
        allow_unicode=True,
    )
    return f"{head}{''.join(_line(key, entry) for key, entry in table.entries.items())}"


def _line(key: str, entry: Entry) -> str:
    """One entry; numbers as Python writes them, which read back to the last bit."""
    if entry.mad_ms is None:
        shown: dict[str, object] = {"mean": float(entry.ms), "var": float(entry.variance_ms2)}
    else:
        shown = {"median": float(entry.ms), "mad": float(entry.mad_ms)}
        if entry.variance_ms2 != variance_of(entry.mad_ms):
            shown["var"] = float(entry.variance_ms2)
    shown["count"] = entry.count
    more = {
        "sessions": entry.sessions,
        "date": entry.date,
        "raw": list(entry.raw),
        "known": "" if entry.known is Known.MEASURED else entry.known.value,
    }
    shown |= {name: value for name, value in more.items() if value}
    named = _flow(key, style=None if key.isprintable() else '"')
    if len(named) > _LONGEST_KEY:
        return f"? {named}\n: {_flow(shown)}\n"
    return f"{named}: {_flow(shown)}\n"


def _flow(value: object, style: str | None = None) -> str:
    """On one line."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        width=10**9,
        default_flow_style=True,
        default_style=style,
        allow_unicode=True,
    )
    return text.removesuffix("...\n").rstrip("\n")


def _plain(value: object) -> Any:  # noqa: ANN401 - what YAML takes
    """Lists for tuples, which YAML does not know; every number as a float."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, int) else value
