"""The tables of the store of measurements; ``migrations/`` makes them."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text

REVISIONS = ("measurements_1", "measurements_2")
"""Schemas that this version knows, oldest first."""

SCHEMA = MetaData()
"""The last of them."""

MEASUREMENT = Table(
    "measurement",
    SCHEMA,
    Column("id", String(64), primary_key=True),
    Column("artifact_sha256", String(64), nullable=False),
    Column("conditions_key", String(64), nullable=False),
    Column("conditions", Text, nullable=False),
    Column("preset", String(40), nullable=False),
    Column("protocol", Text, nullable=False),
    Column("median_ms", Double, nullable=False),
    Column("low_ms", Double, nullable=False),
    Column("high_ms", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", String(40), nullable=False),
    Column("extra", Text, nullable=False, server_default="{}"),
    Index("measurement_by_subject", "artifact_sha256", "conditions_key"),
)

SESSION = Table(
    "measurement_session",
    SCHEMA,
    Column("measurement_id", String(64), ForeignKey("measurement.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("started_at", String(40), nullable=False),
    Column("record", Text, nullable=False),
)

SENTINEL = Table(
    "sentinel_reading",
    SCHEMA,
    Column("conditions_key", String(64), primary_key=True),
    Column("artifact_sha256", String(64), primary_key=True),
    Column("taken", String(40), primary_key=True),
    Column("value_ms", Double, nullable=False),
)

ACCEPTANCE = Table(
    "acceptance",
    SCHEMA,
    Column("unit", String(64), primary_key=True),
    Column("taken", String(40), primary_key=True),
    Column("report", Text, nullable=False),
)
