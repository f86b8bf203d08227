"""Questions keep when people were reminded of them, violations when they had been open for too long, and windows of
budgets whether the next one was seen to.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("approvals", sa.Column("reminded_at", TIME, nullable=True))
    op.create_index(
        "ix_approvals_reminder",
        "approvals",
        ["expires_at"],
        postgresql_where=sa.text("status = 'pending' AND reminded_at IS NULL"),
    )
    op.add_column("violations", sa.Column("overdue_at", TIME, nullable=True))
    op.create_index(
        "ix_violations_follow_up",
        "violations",
        ["severity", "at"],
        postgresql_where=sa.text("status = 'open' AND overdue_at IS NULL"),
    )
    op.add_column("budgets", sa.Column("turned_at", TIME, nullable=True))
    op.execute("UPDATE budgets SET turned_at = clock_timestamp() WHERE ends_at <= clock_timestamp()")
    op.create_index(
        "ix_budgets_turn", "budgets", ["ends_at"], postgresql_where=sa.text("turned_at IS NULL AND ends_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_budgets_turn")
    op.drop_column("budgets", "turned_at")
    op.drop_index("ix_violations_follow_up")
    op.drop_column("violations", "overdue_at")
    op.drop_index("ix_approvals_reminder")
    op.drop_column("approvals", "reminded_at")
