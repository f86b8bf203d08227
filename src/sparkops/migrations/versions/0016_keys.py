"""API keys, service accounts, and accounts elsewhere by which people sign in.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
SERVICE = "kind = 'person' OR (project_id IS NOT NULL AND password_hash IS NULL AND NOT is_admin)"
TIED = """
CREATE FUNCTION guard_service_membership() RETURNS trigger LANGUAGE plpgsql AS $$
-- A service account belongs to the one project that it was made for.
BEGIN
  IF EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id AND kind = 'service' AND project_id <> NEW.project_id) THEN
    RAISE EXCEPTION 'service account % belongs to another project', NEW.user_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    accounts()
    keys()
    identities()
    op.add_column("runs", sa.Column("created_by_key", sa.UUID, nullable=True))


def accounts() -> None:
    op.add_column("users", sa.Column("kind", sa.Text, server_default="person", nullable=False))
    op.add_column("users", sa.Column("project_id", sa.UUID, nullable=True))
    op.create_foreign_key("fk_users_project_id", "users", "projects", ["project_id"], ["id"], ondelete="CASCADE")
    op.create_index("ix_users_project_id", "users", ["project_id"], postgresql_where=sa.text("project_id IS NOT NULL"))
    op.alter_column("users", "password_hash", nullable=True)
    op.create_check_constraint(op.f("ck_users_kind"), "users", "kind IN ('person', 'service')")
    op.create_check_constraint(op.f("ck_users_service"), "users", SERVICE)
    op.create_check_constraint(op.f("ck_users_person"), "users", "kind = 'service' OR project_id IS NULL")
    op.add_column("memberships", sa.Column("source", sa.Text, server_default="manual", nullable=False))
    op.create_check_constraint(op.f("ck_memberships_source"), "memberships", "source IN ('manual', 'oidc')")
    op.execute(TIED)
    op.execute(
        "CREATE TRIGGER guard_service_membership BEFORE INSERT OR UPDATE ON memberships "
        "FOR EACH ROW EXECUTE FUNCTION guard_service_membership()"
    )
    op.execute("GRANT DELETE ON memberships TO sparkops_app")


def keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_from", sa.Text, nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.UUID, nullable=True),
        sa.CheckConstraint("length(secret_hash) = 64", name="ck_api_keys_secret_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("public_id", name="uq_api_keys_public_id"),
    )
    op.create_index("ix_api_keys_user_id_id", "api_keys", ["user_id", "id"])
    op.create_table(
        "api_key_projects",
        sa.Column("key_id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_api_key_projects_key_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_api_key_projects_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "project_id", name="pk_api_key_projects"),
    )
    op.create_index("ix_api_key_projects_project_id", "api_key_projects", ["project_id"])
    op.create_table(
        "api_key_networks",
        sa.Column("key_id", sa.UUID, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_api_key_networks_key_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "network", name="pk_api_key_networks"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON api_keys TO sparkops_app")
    op.execute("GRANT SELECT, INSERT ON api_key_projects, api_key_networks TO sparkops_app")


def identities() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("user_id", sa.UUID, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("made_admin", sa.Boolean, server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_sign_in_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_identities_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sa.UniqueConstraint("issuer", "subject", name="uq_identities_issuer_subject"),
        sa.UniqueConstraint("user_id", "issuer", name="uq_identities_user_id_issuer"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON identities TO sparkops_app")


def downgrade() -> None:
    op.drop_column("runs", "created_by_key")
    for table in ("identities", "api_key_networks", "api_key_projects", "api_keys"):
        op.drop_table(table)
    op.execute("REVOKE DELETE ON memberships FROM sparkops_app")
    op.execute("DROP TRIGGER guard_service_membership ON memberships")
    op.execute("DROP FUNCTION guard_service_membership()")
    op.drop_constraint(op.f("ck_memberships_source"), "memberships", type_="check")
    op.drop_column("memberships", "source")
    op.execute("DELETE FROM users WHERE kind = 'service'")
    for name in ("ck_users_person", "ck_users_service", "ck_users_kind"):
        op.drop_constraint(op.f(name), "users", type_="check")
    op.drop_index("ix_users_project_id")
    op.drop_column("users", "project_id")
    op.drop_column("users", "kind")
