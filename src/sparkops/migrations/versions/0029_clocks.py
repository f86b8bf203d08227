"""Runs and steps keep from when on halts have not been given back to their clocks.

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table in ("runs", "steps"):
        op.add_column(table, sa.Column("clock_from", TIME, nullable=True))
    op.create_index("ix_halts_scope_id", "halts", ["scope_id", "released_at"])


def downgrade() -> None:
    op.drop_index("ix_halts_scope_id", "halts")
    for table in ("runs", "steps"):
        op.drop_column(table, "clock_from")
