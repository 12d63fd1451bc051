"""Latencies of whole networks, measured now or read from a CSV file of the user's."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latency.evidence import Measurement
from latency.predictor_source import measured_on
from latency.signatures import parts_of
from latency.source import LatencyEstimate, LatencyRequest, LatencySource, NetworkSubject
from workspace.errors import InputError
from workspace.numbers import finite

if TYPE_CHECKING:
    from latency.table import Condition
    from search_space.architecture import Head

_COLUMNS = ("architecture", "latency_ms")
_MORE = ("variance_ms2",)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredNetwork:
    """A network and what it takes.

    Attributes:
        key: Of its architecture.
        measurement: Of it.
        conditions: Under which; nothing where a file does not tell.
    """

    key: str
    measurement: Measurement
    conditions: dict[str, Condition]


def measure(
    source: LatencySource, subjects: Sequence[NetworkSubject], preset: str, step: int
) -> Iterator[MeasuredNetwork | str]:
    """Measure networks in batches, which are interleaved.

    Args:
        source: Of devices.
        subjects: To measure.
        preset: How hard to try.
        step: Networks of a batch.

    Yields:
        Each network in order of completion, or why one has no latency.

    Raises:
        InputError: If the source gives no measurements.
    """
    for start in range(0, len(subjects), step):
        batch = subjects[start : start + step]
        requests = [
            LatencyRequest(id=str(number), subject=subject, preset=preset)
            for number, subject in enumerate(batch)
        ]
        for answer in source.estimate(requests):
            if not isinstance(answer, LatencyEstimate):
                yield answer.text
                continue
            if answer.measurement is None:
                msg = f"{answer.source} gives no measurements: name a device, host or adb:SERIAL"
                raise InputError(msg)
            subject = batch[int(answer.request_id)]
            yield MeasuredNetwork(
                key=subject.architecture.key,
                measurement=measured_on(parts_of(subject.architecture, subject.head), answer),
                conditions=dict(answer.measurement.conditions.flat()),
            )


def from_csv(path: Path, head: Head) -> list[MeasuredNetwork]:
    """The networks of a file with the columns ``architecture`` and ``latency_ms``.

    An architecture is whatever ``pocketnas arch`` takes; ``variance_ms2`` may stand beside.

    Args:
        path: Of the file.
        head: What the networks end in.

    Raises:
        InputError: If it cannot be read, a column is missing, or a row is none; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(reader.fieldnames or (), path)
            return [_row(row, f"{str(path)!r}, line {reader.line_num}", head) for row in reader]
    except OSError as error:
        msg = f"{str(path)!r} cannot be read: {error.strerror or error}"
        raise InputError(msg) from error
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{str(path)!r} is no CSV: {error}"
        raise InputError(msg) from error


def _check_columns(names: Sequence[str], path: Path) -> None:
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        found = ", ".join(names) or "none"
        msg = f"{str(path)!r} lacks the column {missing[0]}; it has {found}"
        raise InputError(msg)
    unknown = [name for name in names if name not in (*_COLUMNS, *_MORE)]
    if unknown:
        msg = (
            f"{str(path)!r}: the column {unknown[0]!r} is unknown; there can be {_COLUMNS + _MORE}"
        )
        raise InputError(msg)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = f"{str(path)!r}: the column {twice[0]!r} comes twice"
        raise InputError(msg)


def _row(row: Mapping[str | Any, str | Any], where: str, head: Head) -> MeasuredNetwork:
    from search_space import catalog

    if None in row or None in row.values():
        msg = f"{where}: not as many cells as line 1 has (a number has a point, and no comma)"
        raise InputError(msg)
    try:
        architecture = catalog.resolve(row["architecture"] or "")
        parts = parts_of(architecture, head)
        measurement = Measurement(
            parts=parts,
            latency_ms=finite(row["latency_ms"] or "", "latency_ms"),
            variance_ms2=finite(row.get("variance_ms2") or "0", "variance_ms2"),
        )
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from error
    return MeasuredNetwork(key=architecture.key, measurement=measurement, conditions={})
