"""Sub-workflows may be started again, where `steps.child_run_id` is the one that counts; runs to be advanced are noted.

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
    op.create_table(
        "unadvanced",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unadvanced"),
    )
    op.create_index("ix_unadvanced_run_id", "unadvanced", ["run_id"])
    op.execute("GRANT SELECT, INSERT, DELETE ON unadvanced TO sparkops_app")


def downgrade() -> None:
    op.drop_table("unadvanced")
    op.drop_index("ix_runs_parent_step_id")
    op.execute(
        "UPDATE runs r SET parent_step_id = NULL FROM steps s"
        " WHERE s.id = r.parent_step_id AND s.child_run_id IS DISTINCT FROM r.id"
    )
    op.create_index("uq_runs_parent_step_id", "runs", ["parent_step_id"], unique=True, postgresql_where=STARTED)
