"""Measurements with their sessions."""

import sqlalchemy as sa
from alembic import op

revision = "measurements_1"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "measurement",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("artifact_sha256", sa.String(64), nullable=False),
        sa.Column("conditions_key", sa.String(64), nullable=False),
        sa.Column("conditions", sa.Text, nullable=False),
        sa.Column("preset", sa.String(40), nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("median_ms", sa.Double, nullable=False),
        sa.Column("low_ms", sa.Double, nullable=False),
        sa.Column("high_ms", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
    )
    op.create_index("measurement_by_subject", "measurement", ["artifact_sha256", "conditions_key"])
    op.create_table(
        "measurement_session",
        sa.Column(
            "measurement_id", sa.String(64), sa.ForeignKey("measurement.id"), primary_key=True
        ),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at", sa.String(40), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
