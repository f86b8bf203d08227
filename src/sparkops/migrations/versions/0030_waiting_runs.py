"""Runs that wait for a budget are not counted yet.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("uncounted", sa.Boolean, server_default="false", nullable=False))
    op.create_index(
        "ix_runs_uncounted",
        "runs",
        ["project_id", "workflow_id", "created_by", "created_by_key"],
        postgresql_where=sa.text("status = 'queued' AND uncounted"),
    )


def downgrade() -> None:
    op.drop_index("ix_runs_uncounted", "runs")
    op.drop_column("runs", "uncounted")
