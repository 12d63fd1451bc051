"""The tables of a study, as this version of the code knows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

REVISIONS = ("study_1", "study_2", "study_3", "study_4")
"""Schemas that this version knows, oldest first."""

SCHEMA = MetaData()
"""The last of them."""

STUDY = Table(
    "study",
    SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created", String(40), nullable=False),
    Column("versions", Text, nullable=False),
    Column("config", Text, nullable=False),
)

PROPOSAL = Table(
    "proposal",
    SCHEMA,
    Column("study_id", Integer, ForeignKey("study.id"), primary_key=True, autoincrement=False),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("asked_after", Integer, nullable=False),
    Column("point", Text, nullable=False),
    Column("parents", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("key_sha256", String(64), nullable=False),
    Column("architecture", Text, nullable=False),
    Index("proposal_by_key", "study_id", "key_sha256"),
)


def _per_proposal(name: str, *columns: Column[Any] | Index) -> Table:
    """A table with a row for each proposal, or for some."""
    return Table(
        name,
        SCHEMA,
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("index", Integer, primary_key=True, autoincrement=False),
        *columns,
        ForeignKeyConstraint(["study_id", "index"], ["proposal.study_id", "proposal.index"]),
    )


def _latency(name: str) -> Table:
    return _per_proposal(
        name,
        Column("latency_ms", Double, nullable=False),
        Column("low_ms", Double, nullable=False),
        Column("high_ms", Double, nullable=False),
        Column("origin", String(16), nullable=False),
        Column("source", Text, nullable=False),
        Column("coverage", Double, nullable=False),
        Column("verdict", String(16), nullable=False),
        Column("artifact_sha256", String(64), nullable=False),
        Column("measurement", Text, nullable=False),
        Column("labels", Text, nullable=False, server_default="[]"),
    )


LATENCY = _latency("latency")
"""What a candidate was found to take while the search went on."""

FINAL_LATENCY = _latency("final_latency")
"""What the front was found to take when it was measured again at the end."""

TRAINING = _per_proposal(
    "training",
    Column("accuracy", Double, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("feedback", Text, nullable=False),
    Column("stand_in", Text, nullable=False),
    Column("looks", Text, nullable=False, server_default="[]"),
    Column("stopped", Integer, nullable=False, server_default="0"),
)

OUTCOME = _per_proposal(
    "outcome",
    Column("told", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("failure", String(16), nullable=False),
    Column("reward", Double),
    Column("expected", Double),
    Column("deviation", Double),
    Column("objectives", Text, nullable=False, server_default="[]"),
    Column("text", Text, nullable=False),
    Column("same_as", Integer),
    Index("outcome_by_told", "study_id", "told", unique=True),
)
