"""Objectives of outcomes, as the algorithm was told them."""

import sqlalchemy as sa
from alembic import op

revision = "study_4"
down_revision = "study_3"


def upgrade() -> None:
    """Add a column to outcomes; earlier ones have accuracy, latency and memory elsewhere."""
    column = sa.Column("objectives", sa.Text, nullable=False, server_default="[]")
    op.add_column("outcome", column)
