"""What has to be said of a latency beyond its measurement."""

import sqlalchemy as sa
from alembic import op

revision = "study_2"
down_revision = "study_1"


def upgrade() -> None:
    """Add a column to both tables of latencies."""
    for table in ("latency", "final_latency"):
        op.add_column(table, sa.Column("labels", sa.Text, nullable=False, server_default="[]"))
