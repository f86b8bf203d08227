"""A backtest of a policy of the installation looks at the decisions of all projects.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("backtests", "project_id", nullable=True)
    op.add_column("backtests", sa.Column("places", JSONB, nullable=True))
    op.create_check_constraint(op.f("ck_backtests_places"), "backtests", "(project_id IS NULL) = (places IS NOT NULL)")


def downgrade() -> None:
    # Programs of before know of no backtest without a project.
    op.execute("DELETE FROM backtests WHERE project_id IS NULL")
    op.drop_constraint(op.f("ck_backtests_places"), "backtests")
    op.drop_column("backtests", "places")
    op.alter_column("backtests", "project_id", nullable=False)
