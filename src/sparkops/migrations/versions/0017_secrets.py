"""Secrets, their encrypted versions, and the record of every use.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
NAME = "^[a-z][a-z0-9_-]{0,62}$"


def upgrade() -> None:
    secrets()
    uses()
    op.execute("GRANT SELECT, INSERT ON secrets, secret_uses TO sparkops_app")
    # Column by column, so that the role of the API can be given less: see `NOT_FOR_THE_API` in `migrations/walls.py`.
    op.execute(
        "GRANT INSERT, SELECT (id, project_id, secret_id, version, kek_id, wrapped_key, ciphertext, created_by, "
        "created_at) ON secret_versions TO sparkops_app"
    )
    op.execute("GRANT UPDATE (description, latest_version, archived_at) ON secrets TO sparkops_app")
    # A value never changes; its data key is wrapped anew when the key of the installation does.
    op.execute("GRANT UPDATE (kek_id, wrapped_key) ON secret_versions TO sparkops_app")


def secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, server_default="", nullable=False),
        sa.Column("latest_version", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"name ~ '{NAME}'", name="ck_secrets_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_secrets_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_secrets"),
    )
    op.create_index(
        "uq_secrets_project_id_name",
        "secrets",
        ["project_id", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "secret_versions",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("secret_id", sa.UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_secret_versions_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["secret_id"], ["secrets.id"], name="fk_secret_versions_secret_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_secret_versions"),
        sa.UniqueConstraint("secret_id", "version", name="uq_secret_versions_secret_id_version"),
    )
    op.create_index("ix_secret_versions_kek_id_id", "secret_versions", ["kek_id", "id"])


def uses() -> None:
    op.create_table(
        "secret_uses",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=True),
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("step_id", sa.UUID, nullable=False),
        sa.Column("call_id", sa.UUID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("scope IN ('project', 'installation')", name="ck_secret_uses_scope"),
        sa.CheckConstraint("source IN ('database', 'vault', 'files')", name="ck_secret_uses_source"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_secret_uses_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_secret_uses"),
    )
    op.create_index("ix_secret_uses_project_id_name_id", "secret_uses", ["project_id", "name", "id"])
    op.create_index(
        "ix_secret_uses_installation",
        "secret_uses",
        ["name", "id"],
        postgresql_where=sa.text("scope = 'installation'"),
    )


def downgrade() -> None:
    op.drop_table("secret_uses")
    op.drop_table("secret_versions")
    op.drop_table("secrets")
