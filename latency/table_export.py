"""Tables for others: as text of ours, as CSV, and as ProxylessNAS's code reads them."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import yaml

from latency.heads import CLASSIFIER
from latency.table import Correction, LatencyTable
from latency.table_csv import to_csv
from latency.table_text import to_text
from workspace.errors import InputError


class ExportForm(StrEnum):
    """What a table can be written as."""

    POCKETNAS = "pocketnas"
    CSV = "csv"
    PROXYLESS = "proxyless"


def exported(table: LatencyTable, form: ExportForm, *, lossy: bool = False) -> str:
    """The table as text of a form.

    Args:
        table: Any.
        form: Of the text.
        lossy: Whether it may say what is not so: medians as if they were means, predicted entries
            as if they were measured.

    Raises:
        InputError: If it would, and may not; says what.
    """
    match form:
        case ExportForm.POCKETNAS:
            return to_text(table)
        case ExportForm.CSV:
            return to_csv(table)
        case ExportForm.PROXYLESS:
            found = untrue(table)
            if found and not lossy:
                msg = (
                    f"the form proxyless knows means of measurements only, {table.name} has "
                    f"{' and '.join(found)}, which would be written as such: say --lossy if they "
                    "may, or take the form csv"
                )
                raise InputError(msg)
            return _proxyless(table)
    assert_never(form)


def untrue(table: LatencyTable) -> tuple[str, ...]:
    """What the form of ProxylessNAS would say that is not so."""
    entries = table.entries.values()
    medians = sum(entry.mad_ms is not None for entry in entries)
    return (
        *([f"{medians} medians"] if medians else []),
        *([f"{table.predicted} predicted entries"] if table.predicted else []),
    )


def left_out(table: LatencyTable, form: ExportForm) -> tuple[str, ...]:
    """What the table tells and a form has no place for."""
    if form is ExportForm.POCKETNAS:
        return ()
    entries = table.entries.values()
    told: dict[str, object] = {
        "space": table.space,
        "classes": table.classes,
        "head": table.head != CLASSIFIER,
        "made_by": table.made_by,
        "conditions": table.conditions,
        "unknown": table.unknown,
        "labels": table.labels,
        "correction": table.correction != Correction(),
        "validations": table.validations,
    }
    if form is ExportForm.PROXYLESS:
        told |= {
            "sessions and dates": any(entry.sessions or entry.date for entry in entries),
            "names of raw data": any(entry.raw for entry in entries),
        }
    return tuple(name for name, value in told.items() if value)


def _proxyless(table: LatencyTable) -> str:
    """Three fields an entry, as published: nothing of ours beside them."""
    entries = {
        key: {
            "count": max(entry.count, 1),
            "mean": float(entry.ms),
            "var": float(entry.variance_ms2),
        }
        for key, entry in table.entries.items()
    }
    text: str = yaml.dump(entries, Dumper=yaml.SafeDumper, sort_keys=False, width=10**6)
    return text
