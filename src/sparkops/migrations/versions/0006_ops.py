"""Dead letters can be sent again, outbox rows lock no subscription, and a worker session knows whose child it is.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TRANSITIONS = " pending>delivered pending>dead dead>pending "


def upgrade() -> None:
    # A foreign key would lock the one row of a subscription in every transaction that writes an event.
    op.drop_constraint("fk_outbox_subscription", "outbox", type_="foreignkey")
    guard_final("OLD.status = 'delivered'")
    op.execute(
        "CREATE TRIGGER guard_transition BEFORE UPDATE ON outbox FOR EACH ROW "
        f"WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION guard_transition('{TRANSITIONS}')"
    )
    op.create_index("ix_outbox_dead", "outbox", [sa.text("id DESC")], postgresql_where=sa.text("status = 'dead'"))
    op.create_index("ix_outbox_delivered", "outbox", ["ended_at"], postgresql_where=sa.text("status = 'delivered'"))
    op.add_column("worker_sessions", sa.Column("parent_id", sa.UUID, nullable=True))
    op.create_index(
        "ix_worker_sessions_parent_id",
        "worker_sessions",
        ["parent_id"],
        postgresql_where=sa.text("parent_id IS NOT NULL AND ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_column("worker_sessions", "parent_id")
    op.drop_index("ix_outbox_delivered")
    op.drop_index("ix_outbox_dead")
    op.execute("DROP TRIGGER guard_transition ON outbox")
    guard_final("OLD.status IN ('delivered', 'dead')")
    op.create_foreign_key(
        "fk_outbox_subscription", "outbox", "subscriptions", ["subscription"], ["name"], ondelete="CASCADE"
    )


def guard_final(condition: str) -> None:
    op.execute("DROP TRIGGER guard_final ON outbox")
    op.execute(
        "CREATE TRIGGER guard_final BEFORE UPDATE ON outbox FOR EACH ROW "
        f"WHEN ({condition}) EXECUTE FUNCTION guard_final()"
    )
