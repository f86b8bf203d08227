"""Questions keep when people were reminded of them, violations when they had been open for too long, windows of
budgets whether the next one was seen to; notices tell where spending leads.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

ACTIONS = "'notify', 'require_approval', 'pause', 'deny'"
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
    _allow_notices(f"{ACTIONS}, 'forecast'")
    op.execute("INSERT INTO chores (name) VALUES ('forecasts')")


def _allow_notices(actions: str) -> None:
    op.drop_constraint("ck_budget_notices_action", "budget_notices", type_="check")
    op.create_check_constraint("ck_budget_notices_action", "budget_notices", f"action IN ({actions})")


def downgrade() -> None:
    op.execute("DELETE FROM chores WHERE name = 'forecasts'")
    op.execute("DELETE FROM budget_notices WHERE action = 'forecast'")
    _allow_notices(ACTIONS)
    op.drop_index("ix_budgets_turn")
    op.drop_column("budgets", "turned_at")
    op.drop_index("ix_violations_follow_up")
    op.drop_column("violations", "overdue_at")
    op.drop_index("ix_approvals_reminder")
    op.drop_column("approvals", "reminded_at")
