"""Members can be taken out of a project again. The policies on rows are not a revision's: see `migrations/walls.py`.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT DELETE ON memberships TO sparkops_app")


def downgrade() -> None:
    op.execute("REVOKE DELETE ON memberships FROM sparkops_app")
