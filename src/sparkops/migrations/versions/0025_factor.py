"""A second factor: keys of authenticator apps, recovery codes, sign-ins that wait for a code, and how sessions began.

Revision ID: 0025
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def _user(table: str) -> tuple[sa.Column[object], sa.ForeignKeyConstraint]:
    return (
        sa.Column("user_id", sa.UUID, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE"),
    )


def upgrade() -> None:
    op.add_column("sessions", sa.Column("methods", ARRAY(sa.Text), server_default="{}", nullable=False))
    op.create_table(
        "second_factors",
        sa.Column("id", sa.UUID, nullable=False),
        *_user("second_factors"),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("begun_at", TIME, server_default=NOW, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("last_step", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_second_factors"),
        sa.UniqueConstraint("user_id", name="uq_second_factors_user_id"),
        sa.CheckConstraint("(confirmed_at IS NULL) = (last_step IS NULL)", name="ck_second_factors_confirmed"),
    )
    # Column by column: sessions of the API read no key, not even encrypted (`migrations/walls.py`).
    op.execute(
        "GRANT INSERT, DELETE, UPDATE (confirmed_at, last_step, kek_id, wrapped_key), SELECT (id, user_id, kek_id, "
        "wrapped_key, ciphertext, begun_at, confirmed_at, last_step) ON second_factors TO sparkops_app"
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.UUID, nullable=False),
        *_user("recovery_codes"),
        sa.Column("code_hash", sa.Text, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
        sa.UniqueConstraint("code_hash", name="uq_recovery_codes_code_hash"),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])
    op.execute("GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON recovery_codes TO sparkops_app")
    op.create_table(
        "challenges",
        sa.Column("id", sa.UUID, nullable=False),
        *_user("challenges"),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_challenges"),
        sa.UniqueConstraint("token_hash", name="uq_challenges_token_hash"),
    )
    op.create_index("ix_challenges_user_id", "challenges", ["user_id"])
    op.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])
    op.execute("GRANT SELECT, INSERT, DELETE, UPDATE ON challenges TO sparkops_app")


def downgrade() -> None:
    for table in ("challenges", "recovery_codes", "second_factors"):
        op.drop_table(table)
    op.drop_column("sessions", "methods")
