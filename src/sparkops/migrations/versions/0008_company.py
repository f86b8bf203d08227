"""Isolated steps run in company before they run alone, which takes one death more.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("steps", "max_crashes", server_default="4")
    op.execute("UPDATE steps SET max_crashes = 4 WHERE max_crashes = 3 AND finished_at IS NULL")


def downgrade() -> None:
    op.alter_column("steps", "max_crashes", server_default="3")
    op.execute("UPDATE steps SET max_crashes = 3 WHERE max_crashes = 4 AND finished_at IS NULL")
