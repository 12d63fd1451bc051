"""Looks at trainings under way, and what those that were stopped early were expected to give."""

import sqlalchemy as sa
from alembic import op

revision = "study_3"
down_revision = "study_2"


def upgrade() -> None:
    """Add columns to trainings and outcomes."""
    op.add_column("training", sa.Column("looks", sa.Text, nullable=False, server_default="[]"))
    op.add_column("training", sa.Column("stopped", sa.Integer, nullable=False, server_default="0"))
    op.add_column("outcome", sa.Column("expected", sa.Double))
    op.add_column("outcome", sa.Column("deviation", sa.Double))
