"""Families of refresh tokens, people without a password, one-time links, and attempts counted.

Everybody signs in once more: older refresh tokens do not say to which family they belong.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NOW = sa.text("now()")
OF_SESSIONS = ("family_key", "successor", "revoked_because", "device", "address")


def upgrade() -> None:
    op.alter_column("users", "password_hash", nullable=True)
    op.execute("DELETE FROM sessions")
    op.add_column("sessions", sa.Column("family_key", sa.LargeBinary, nullable=False))
    op.add_column("sessions", sa.Column("successor", sa.LargeBinary, nullable=True))
    for name in ("revoked_because", "device", "address"):
        op.add_column("sessions", sa.Column(name, sa.Text, nullable=True))
    op.create_table(
        "account_links",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("user_id", sa.UUID, nullable=True),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.Column("replaced_at", TIME, nullable=True),
        sa.CheckConstraint("purpose IN ('reset', 'invite', 'setup')", name="ck_account_links_purpose"),
        sa.CheckConstraint("(purpose = 'setup') = (user_id IS NULL)", name="ck_account_links_of_a_user"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_account_links_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_account_links"),
        sa.UniqueConstraint("token_hash", name="uq_account_links_token_hash"),
    )
    op.create_index("ix_account_links_user_id", "account_links", ["user_id"])
    op.execute("GRANT SELECT, INSERT, UPDATE ON account_links TO sparkops_app")
    op.create_table(
        "attempts",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("forget_at", TIME, nullable=False),
        sa.Column("blocked_until", TIME, nullable=True),
        sa.Column("refused", sa.BigInteger, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )
    op.create_index("ix_attempts_forget_at", "attempts", ["forget_at"])
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON attempts TO sparkops_app")


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("account_links")
    op.execute("DELETE FROM sessions")
    for name in OF_SESSIONS:
        op.drop_column("sessions", name)
    op.execute("UPDATE users SET password_hash = '' WHERE password_hash IS NULL")
    op.alter_column("users", "password_hash", nullable=False)
