"""Questions keep which budgets they are about, and to whom people have given their voice.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("approvals", sa.Column("budgets", JSONB, server_default="[]", nullable=False))
    op.add_column("approvals", sa.Column("reassigned", JSONB, server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("approvals", "reassigned")
    op.drop_column("approvals", "budgets")
