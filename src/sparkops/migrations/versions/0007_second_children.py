"""A step may start the run of its sub-workflow again; `steps.child_run_id` is the one that counts.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STARTED = sa.text("parent_step_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index("uq_runs_parent_step_id")
    op.create_index("ix_runs_parent_step_id", "runs", ["parent_step_id"], postgresql_where=STARTED)


def downgrade() -> None:
    op.drop_index("ix_runs_parent_step_id")
    op.execute(
        "UPDATE runs r SET parent_step_id = NULL FROM steps s"
        " WHERE s.id = r.parent_step_id AND s.child_run_id IS DISTINCT FROM r.id"
    )
    op.create_index("uq_runs_parent_step_id", "runs", ["parent_step_id"], unique=True, postgresql_where=STARTED)
