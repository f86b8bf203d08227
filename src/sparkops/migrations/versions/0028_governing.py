"""Questions keep when people were reminded of them, and violations when they had been open for too long.

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


def downgrade() -> None:
    op.drop_index("ix_violations_follow_up")
    op.drop_column("violations", "overdue_at")
    op.drop_index("ix_approvals_reminder")
    op.drop_column("approvals", "reminded_at")
