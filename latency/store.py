"""Every measurement ever made, found again by what was timed and under which conditions."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from latency.document import (
    DocumentError,
    conditions_from_text,
    conditions_to_text,
    extra_from_text,
    extra_to_text,
    protocol_from_text,
    protocol_to_text,
    record_from_text,
    record_to_text,
)
from latency.measurement import Conditions, Interval, LatencyMeasurement, Verdict
from latency.presets import at_least, rank
from latency.schema import MEASUREMENT, REVISIONS, SESSION
from workspace.database import open_database, sqlite_url
from workspace.errors import InputError, OperationError
from workspace.home import home

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Row


class StoreError(OperationError):
    """A measurement that could not be written or read: a full disk, a lost connection."""


class MeasurementStore:
    """An SQL database of measurements; threads and processes may use it at once.

    Args:
        url: SQLAlchemy's, of SQLite or PostgreSQL.

    Raises:
        InputError: If it is of a newer version or cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._what = f"the store of measurements at {url!r}"
        self._engine = open_database(
            url,
            migrations=Path(__file__).parent / "migrations",
            revisions=REVISIONS,
            what=self._what,
        )

    @classmethod
    def shared(cls) -> MeasurementStore:
        """The one in ``POCKETNAS_HOME``, which is created where it is missing.

        Raises:
            InputError: If it is of a newer version or cannot be opened.
        """
        path = home() / "measurements.db"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"POCKETNAS_HOME {str(path.parent)!r} cannot be written to: {error}"
            raise InputError(msg) from error
        return cls(sqlite_url(path))

    @property
    def engine(self) -> Engine:
        """Of the database, for what else is kept in it."""
        return self._engine

    @property
    def what(self) -> str:
        """How errors call it."""
        return self._what

    def add(self, measurement: LatencyMeasurement) -> str:
        """Keep ``measurement`` with its sessions; its id. Adding it again changes nothing.

        Raises:
            StoreError: If the database refuses.
        """
        content = _content(measurement)
        records = [record_to_text(record) for record in measurement.sessions]
        identity = _digest(content, records)
        row = {"id": identity, "created": datetime.now(UTC).isoformat(), **content}
        sessions = [
            {
                "measurement_id": identity,
                "position": position,
                "started_at": record.started_at.isoformat(),
                "record": text,
            }
            for position, (record, text) in enumerate(
                zip(measurement.sessions, records, strict=True)
            )
        ]
        try:
            with self._engine.begin() as connection:
                connection.execute(MEASUREMENT.insert(), row)
                connection.execute(SESSION.insert(), sessions)
        except IntegrityError:
            self.get(identity)  # the id is a digest of the content, so someone has added it
        except DBAPIError as error:
            raise self._refused(error) from error
        return identity

    def get(self, identity: str) -> LatencyMeasurement:
        """The measurement that ``add`` called ``identity``.

        Raises:
            StoreError: If there is none, or the database refuses.
        """
        found = self._read(MEASUREMENT.c.id == identity)
        if not found:
            msg = f"{self._what} has no measurement {identity!r}"
            raise StoreError(msg)
        return found[0]

    def find(
        self, artifact_sha256: str, conditions: Conditions, preset: str
    ) -> LatencyMeasurement | None:
        """The best measurement of a file under ``conditions``, made with ``preset`` or a better.

        Stable ones come before others, then the better preset, then the newer. Rejected ones are
        never found.

        Raises:
            StoreError: If the database refuses.
        """
        found = self._read(
            (MEASUREMENT.c.artifact_sha256 == artifact_sha256)
            & (MEASUREMENT.c.conditions_key == conditions.key)
            & MEASUREMENT.c.preset.in_(at_least(preset))
            & (MEASUREMENT.c.verdict != Verdict.REJECTED.value)
        )
        return max(found, key=_worth, default=None)

    def _read(self, condition: ColumnElement[bool]) -> list[LatencyMeasurement]:
        """What meets ``condition``, oldest first."""
        query = (
            select(MEASUREMENT, SESSION.c.record)
            .join(SESSION)
            .where(condition)
            .order_by(MEASUREMENT.c.created, MEASUREMENT.c.id, SESSION.c.position)
        )
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        except DBAPIError as error:
            raise self._refused(error) from error
        try:
            groups = groupby(rows, key=lambda row: str(row.id))
            return [_measurement(list(group)) for _, group in groups]
        except DocumentError as error:
            msg = f"{self._what} holds what it should not: {error}"
            raise StoreError(msg) from error

    def _refused(self, error: DBAPIError) -> StoreError:
        return StoreError(f"{self._what} refuses: {error.orig}")


def identity_of(measurement: LatencyMeasurement) -> str:
    """What a store calls it, whether it is in one or not."""
    records = [record_to_text(record) for record in measurement.sessions]
    return _digest(_content(measurement), records)


def _content(measurement: LatencyMeasurement) -> dict[str, str | float]:
    """The columns of a measurement that its id is the digest of."""
    return {
        "artifact_sha256": measurement.artifact_sha256,
        "conditions_key": measurement.conditions.key,
        "conditions": conditions_to_text(measurement.conditions),
        "preset": measurement.protocol.preset,
        "protocol": protocol_to_text(measurement.protocol),
        "median_ms": measurement.median_ms,
        "low_ms": measurement.interval.low_ms,
        "high_ms": measurement.interval.high_ms,
        "confidence": measurement.interval.confidence,
        "verdict": measurement.verdict.value,
        "reason": measurement.reason,
        "extra": extra_to_text(measurement),
    }


def _digest(content: dict[str, str | float], records: list[str]) -> str:
    text = json.dumps([content, records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _measurement(rows: list[Row[tuple[object, ...]]]) -> LatencyMeasurement:
    """The measurement whose sessions are ``rows``, in order."""
    first = rows[0]
    return LatencyMeasurement(
        artifact_sha256=first.artifact_sha256,
        conditions=conditions_from_text(first.conditions),
        protocol=protocol_from_text(first.protocol),
        sessions=tuple(record_from_text(row.record) for row in rows),
        interval=Interval(low_ms=first.low_ms, high_ms=first.high_ms, confidence=first.confidence),
        verdict=Verdict(first.verdict),
        reason=first.reason,
        **extra_from_text(first.extra),
    )


def _worth(measurement: LatencyMeasurement) -> tuple[bool, int, str]:
    started = measurement.sessions[-1].started_at.astimezone(UTC).isoformat()
    stable = measurement.verdict is Verdict.STABLE
    return stable, rank(measurement.protocol.preset), started
