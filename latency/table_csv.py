"""A table's entries as CSV, one row each.

Columns: ``key``; ``median_ms`` with ``mad_ms``, or ``mean_ms`` with ``variance_ms2``, of which a
row fills one; ``count``, ``sessions``, ``date``, ``known`` and ``raw`` (separated by spaces). Only
``key`` and one of the two times have to be there. A spread that comes in the other's form is
turned over as a normal distribution has it.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from latency.table import MAD_TO_DEVIATION, RESERVED, Entry, Known, LatencyTable, variance_of
from workspace.errors import InputError

COLUMNS = (
    "key",
    "median_ms",
    "mad_ms",
    "mean_ms",
    "variance_ms2",
    "count",
    "sessions",
    "date",
    "known",
    "raw",
)


def to_csv(table: LatencyTable) -> str:
    """The entries, and nothing else that the table says; ``from_csv`` reads the same again."""
    rows = [{"key": key, **_cells(entry)} for key, entry in table.entries.items()]
    filled = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, filled, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def from_csv(content: bytes, what: str) -> dict[str, Entry]:
    """The entries of a CSV file.

    Args:
        content: All of it, in UTF-8.
        what: The file in words, for errors.

    Raises:
        InputError: If a column is missing or unknown, or a row is none; names line and column.
    """
    found: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    for row in _rows(content, what):
        key = row.key()
        if key in found:
            row.refuse("key", f"{key!r} is on line {lines[key]} already")
        found[key], lines[key] = row.entry(), row.line
    if not found:
        msg = f"{what} has no rows"
        raise InputError(msg)
    return found


def _cells(entry: Entry) -> dict[str, str]:
    """Numbers as Python writes them, which read back to the last bit; empty what says nothing."""
    cells = {
        "count": str(entry.count),
        "sessions": str(entry.sessions) if entry.sessions else "",
        "date": entry.date,
        "known": "" if entry.known is Known.MEASURED else entry.known.value,
        "raw": " ".join(entry.raw),
    }
    if entry.mad_ms is None:
        return cells | {
            "mean_ms": repr(float(entry.ms)),
            "variance_ms2": repr(float(entry.variance_ms2)),
        }
    cells |= {"median_ms": repr(float(entry.ms)), "mad_ms": repr(float(entry.mad_ms))}
    follows = entry.variance_ms2 == variance_of(entry.mad_ms)
    return cells if follows else cells | {"variance_ms2": repr(float(entry.variance_ms2))}


def _rows(content: bytes, what: str) -> Iterator[_Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{what} is no text in UTF-8: {error}"
        raise InputError(msg) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            if columns is None:
                columns = _columns([cell.strip() for cell in cells], what)
            elif cells:
                yield _row(columns, cells, f"{what}, line {reader.line_num}", reader.line_num)
    except csv.Error as error:
        msg = f"{what}, line {reader.line_num}, is no CSV: {error}"
        raise InputError(msg) from error
    if columns is None:
        msg = f"{what} is empty"
        raise InputError(msg)


def _columns(names: list[str], what: str) -> list[str]:
    """Those of the first line, checked."""
    unknown = [name for name in names if name not in COLUMNS]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if "key" not in names or not {"median_ms", "mean_ms"} & set(names):
        lacks = "median_ms or mean_ms" if "key" in names else "key"
        msg = f"{what}, line 1, lacks the column {lacks}; it has {', '.join(names)}"
    elif unknown or twice:
        fault = f"{unknown[0]!r} is unknown" if unknown else f"{twice[0]!r} comes twice"
        msg = f"{what}, line 1: the column {fault}; there can be {', '.join(COLUMNS)}"
    else:
        return names
    raise InputError(msg)


def _row(columns: list[str], cells: list[str], where: str, line: int) -> _Row:
    if len(cells) != len(columns):
        column = columns[len(cells)] if len(cells) < len(columns) else columns[-1]
        msg = f"{where}, column {column}: {len(cells)} cells where line 1 has {len(columns)}"
        raise InputError(msg)
    return _Row(where=where, line=line, cells=dict(zip(columns, cells, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line.

    Attributes:
        where: In words.
        line: From 1.
        cells: By column, as they stand there.
    """

    where: str
    line: int
    cells: Mapping[str, str]

    def key(self) -> str:
        key = self.cells["key"]
        if not key or key != key.strip() or key == RESERVED:
            self.refuse("key", f"{key!r} is no key")
        return key

    def entry(self) -> Entry:
        median_ms, mean_ms = self._ms("median_ms"), self._ms("mean_ms")
        if (median_ms is None) == (mean_ms is None):
            column = "mean_ms" if "mean_ms" in self.cells else "median_ms"
            self.refuse(column, "a row needs median_ms or mean_ms, and one of them only")
        mad_ms, variance_ms2 = self._ms("mad_ms"), self._ms("variance_ms2")
        if variance_ms2 is None:
            variance_ms2 = variance_of(mad_ms or 0.0)
        if median_ms is None:
            mad_ms = None
        elif mad_ms is None:
            mad_ms = math.sqrt(variance_ms2) / MAD_TO_DEVIATION
        known = self._known()
        return Entry(
            ms=median_ms if median_ms is not None else mean_ms or 0.0,
            variance_ms2=variance_ms2,
            mad_ms=mad_ms,
            count=self._whole("count", least=1 if known is Known.MEASURED else 0),
            sessions=self._whole("sessions", least=0),
            date=self._date(),
            raw=tuple(self._cell("raw").split()),
            known=known,
        )

    def refuse(self, column: str, text: str) -> NoReturn:
        msg = f"{self.where}, column {column}: {text}"
        raise InputError(msg) from None

    def _cell(self, column: str) -> str:
        return self.cells.get(column, "").strip()

    def _ms(self, column: str) -> float | None:
        """A time, or its square; None where nothing is told."""
        text = self._cell(column)
        if not text:
            return None
        try:
            number = float(text.replace("_", "?"))  # Python's own grouping is not CSV's
        except ValueError:
            self.refuse(column, f"{text!r} is no number")
        if not 0 <= number < 1e100:  # whose square is finite
            self.refuse(column, f"{text!r} must be finite and not negative")
        return number

    def _whole(self, column: str, *, least: int) -> int:
        """A count; ``least`` where nothing is told."""
        text = self._cell(column)
        if not text:
            return least
        if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < least:
            self.refuse(column, f"{text!r} is no whole number from {least}")
        return int(text)

    def _date(self) -> str:
        text = self._cell("date")
        try:
            datetime.fromisoformat(text or "2000-01-01")
        except ValueError:
            self.refuse("date", f"{text!r} is no date like 2026-11-23")
        return text

    def _known(self) -> Known:
        text = self._cell("known") or Known.MEASURED
        if text not in set(Known):
            self.refuse("known", f"{text!r} is none of {', '.join(Known)}")
        return Known(text)
