"""Sessions that nobody uses end; records that are over are pruned; what a deletion scans is found by project.

Revision ID: 0024
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
AGED = {
    "ix_sessions_expires_at": ("sessions", "expires_at"),
    "ix_account_links_expires_at": ("account_links", "expires_at"),
    "ix_secret_uses_at": ("secret_uses", "at"),
    "ix_security_events_at": ("security_events", "at"),
}
OWNED = {
    "ix_budgets_project_id": ("budgets", "project_id"),
    "ix_reservations_project_id": ("reservations", "project_id"),
    "ix_outbox_project_id": ("outbox", "project_id"),
}


def upgrade() -> None:
    op.add_column("sessions", sa.Column("ends_at", TIME, nullable=True))
    op.execute("UPDATE sessions SET ends_at = expires_at")
    op.alter_column("sessions", "ends_at", nullable=False)
    op.add_column("sessions", sa.Column("issuer", sa.Text, nullable=True))
    for name, (table, column) in {**AGED, **OWNED}.items():
        op.create_index(name, table, [column])
    op.execute("INSERT INTO chores (name) VALUES ('records')")


def downgrade() -> None:
    op.execute("DELETE FROM chores WHERE name = 'records'")
    for name in (*AGED, *OWNED):
        op.drop_index(name)
    op.execute("UPDATE sessions SET expires_at = ends_at")
    op.drop_column("sessions", "issuer")
    op.drop_column("sessions", "ends_at")
