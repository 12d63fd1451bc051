"""Studies: proposals, what was found of each, what became of each."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "study_1"
down_revision = None


def _per_proposal(name: str, *columns: sa.Column[Any]) -> None:
    """A table with a row for each proposal, or for some."""
    op.create_table(
        name,
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        *columns,
        sa.ForeignKeyConstraint(["study_id", "index"], ["proposal.study_id", "proposal.index"]),
    )


def _latency() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("low_ms", sa.Double, nullable=False),
        sa.Column("high_ms", sa.Double, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("coverage", sa.Double, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("artifact_sha256", sa.String(64), nullable=False),
        sa.Column("measurement", sa.Text, nullable=False),
    )


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "study",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
    )
    op.create_table(
        "proposal",
        sa.Column(
            "study_id",
            sa.Integer,
            sa.ForeignKey("study.id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("asked_after", sa.Integer, nullable=False),
        sa.Column("point", sa.Text, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("architecture", sa.Text, nullable=False),
    )
    op.create_index("proposal_by_key", "proposal", ["study_id", "key_sha256"])
    _per_proposal("latency", *_latency())
    _per_proposal(
        "training",
        sa.Column("accuracy", sa.Double, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("feedback", sa.Text, nullable=False),
        sa.Column("stand_in", sa.Text, nullable=False),
    )
    _per_proposal(
        "outcome",
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("failure", sa.String(16), nullable=False),
        sa.Column("reward", sa.Double),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("same_as", sa.Integer),
    )
    op.create_index("outcome_by_told", "outcome", ["study_id", "told"], unique=True)
    _per_proposal("final_latency", *_latency())
