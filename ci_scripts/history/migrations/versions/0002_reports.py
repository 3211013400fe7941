"""Who is about to report on a patch set, and what was reported last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "history_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(400), nullable=False),
        sa.Column("holder", sa.String(100)),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.Text()),
        sa.Column("message", sa.String(100)),
        sa.Column("vote", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="history_reports_pk"),
        sa.UniqueConstraint("place", name="history_reports_place_key"),
    )
