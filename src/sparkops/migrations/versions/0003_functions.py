"""The schema of the protocol's transactions; the functions themselves are `migrations/functions/`.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA engine")
    op.execute("GRANT USAGE ON SCHEMA engine TO sparkops_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA engine CASCADE")
