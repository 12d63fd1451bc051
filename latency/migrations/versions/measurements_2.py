"""Drift and labels of measurements, readings of the sentinel, acceptance tests of phones."""

import sqlalchemy as sa
from alembic import op

revision = "measurements_2"
down_revision = "measurements_1"


def upgrade() -> None:
    """Add a column and two tables."""
    op.add_column("measurement", sa.Column("extra", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "sentinel_reading",
        sa.Column("conditions_key", sa.String(64), primary_key=True),
        sa.Column("artifact_sha256", sa.String(64), primary_key=True),
        sa.Column("taken", sa.String(40), primary_key=True),
        sa.Column("value_ms", sa.Double, nullable=False),
    )
    op.create_table(
        "acceptance",
        sa.Column("unit", sa.String(64), primary_key=True),
        sa.Column("taken", sa.String(40), primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
    )
