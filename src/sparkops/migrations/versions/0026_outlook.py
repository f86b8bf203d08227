"""Questions keep what the call that they are about would do.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("approvals", sa.Column("outlook", JSONB, nullable=True))


def downgrade() -> None:
    op.drop_column("approvals", "outlook")
