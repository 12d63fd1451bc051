"""What devices were like before: readings of the sentinel, and acceptance tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError

from latency.measurement import Conditions
from latency.schema import ACCEPTANCE, SENTINEL
from latency.store import MeasurementStore, StoreError

RECENT = 20
"""Readings of the sentinel that make up a device's level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The result of an acceptance test.

    Attributes:
        unit: Hash of the phone's serial number.
        taken: ISO 8601, UTC.
        report: JSON object with the figures.
    """

    unit: str
    taken: str
    report: dict[str, object]

    @property
    def passed(self) -> bool:
        """Whether the phone may be trusted."""
        return self.report.get("passed") is True

    def sentence(self) -> str:
        """One line for people."""
        outcome = "passed" if self.passed else f"failed: {self.report.get('failed')}"
        return f"acceptance test of {self.taken[:10]} {outcome}"


class History:
    """Kept in the database of measurements.

    Args:
        store: Whose database.
    """

    def __init__(self, store: MeasurementStore) -> None:
        self._store = store

    def add_sentinel(self, conditions: Conditions, sha256: str, value_ms: float) -> None:
        """Keep a reading of the sentinel.

        Raises:
            StoreError: If the database refuses.
        """
        row = {
            "conditions_key": conditions.key,
            "artifact_sha256": sha256,
            "taken": datetime.now(UTC).isoformat(),
            "value_ms": value_ms,
        }
        try:
            with self._store.engine.begin() as connection:
                connection.execute(SENTINEL.insert(), row)
        except IntegrityError:
            return  # two readings in one microsecond: one is enough
        except DBAPIError as error:
            raise self._refused(error) from error

    def sentinel_level_ms(self, conditions: Conditions, sha256: str) -> float | None:
        """The median of the recent readings under ``conditions``; None if there are none.

        Raises:
            StoreError: If the database refuses.
        """
        query = (
            select(SENTINEL.c.value_ms)
            .where(SENTINEL.c.conditions_key == conditions.key)
            .where(SENTINEL.c.artifact_sha256 == sha256)
            .order_by(SENTINEL.c.taken.desc())
            .limit(RECENT)
        )
        try:
            with self._store.engine.connect() as connection:
                values = [float(value) for value in connection.execute(query).scalars()]
        except DBAPIError as error:
            raise self._refused(error) from error
        return median(values) if values else None

    def add_acceptance(self, unit: str, report: dict[str, object]) -> None:
        """Keep the result of an acceptance test.

        Raises:
            StoreError: If the database refuses.
        """
        row = {
            "unit": unit,
            "taken": datetime.now(UTC).isoformat(),
            "report": json.dumps(report, sort_keys=True),
        }
        try:
            with self._store.engine.begin() as connection:
                connection.execute(ACCEPTANCE.insert(), row)
        except DBAPIError as error:
            raise self._refused(error) from error

    def acceptance(self, unit: str) -> Accepted | None:
        """The last acceptance test of a phone; None if it never had one.

        Raises:
            StoreError: If the database refuses.
        """
        query = (
            select(ACCEPTANCE)
            .where(ACCEPTANCE.c.unit == unit)
            .order_by(ACCEPTANCE.c.taken.desc())
            .limit(1)
        )
        try:
            with self._store.engine.connect() as connection:
                row = connection.execute(query).first()
        except DBAPIError as error:
            raise self._refused(error) from error
        if row is None:
            return None
        return Accepted(unit=row.unit, taken=row.taken, report=json.loads(row.report))

    def _refused(self, error: DBAPIError) -> StoreError:
        return StoreError(f"{self._store.what} refuses: {error.orig}")
