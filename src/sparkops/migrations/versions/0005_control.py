"""What queues, by what it queues for; what is paused; and what a retry after a timeout has to know.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("jitter", "retries_timeouts")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("steps", sa.Column(column, sa.Boolean, server_default="true", nullable=False))
    op.create_index(
        "ix_runs_queue",
        "runs",
        [
            "project_id",
            "workflow_id",
            sa.literal_column("coalesce(concurrency_key, '')"),
            sa.literal_column("(parent_run_id IS NULL)"),
            "priority",
            "id",
        ],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_steps_deadline",
        "steps",
        ["fails_at"],
        postgresql_where=sa.text("status IN ('ready', 'waiting') AND fails_at IS NOT NULL"),
    )
    op.create_index("ix_runs_paused", "runs", ["workflow_id", "id"], postgresql_where=sa.text("status = 'paused'"))


def downgrade() -> None:
    op.drop_index("ix_runs_paused")
    op.drop_index("ix_steps_deadline")
    op.drop_index("ix_runs_queue")
    for column in reversed(COLUMNS):
        op.drop_column("steps", column)
