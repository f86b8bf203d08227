"""Roles that differ, and a stream of what happens to the platform's safety.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE memberships SET role = 'developer' WHERE role = 'member'")
    op.create_check_constraint(
        op.f("ck_memberships_role"), "memberships", "role IN ('owner', 'admin', 'developer', 'operator', 'viewer')"
    )
    security_events()


def security_events() -> None:
    op.create_table(
        "security_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("user_id", sa.UUID, nullable=True),
        sa.Column("email", sa.Text, nullable=True),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("address", sa.Text, nullable=True),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column("detail", JSONB, nullable=False),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name="ck_security_events_severity"),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
    )
    op.create_index("ix_security_events_kind_id", "security_events", ["kind", "id"])
    op.create_index("ix_security_events_user_id_id", "security_events", ["user_id", "id"])
    op.execute(
        "CREATE TRIGGER guard_final BEFORE UPDATE ON security_events FOR EACH ROW WHEN (true) "
        "EXECUTE FUNCTION guard_final()"
    )
    op.execute("GRANT SELECT, INSERT ON security_events TO sparkops_app")


def downgrade() -> None:
    op.drop_table("security_events")
    op.drop_constraint(op.f("ck_memberships_role"), "memberships")
    op.execute("UPDATE memberships SET role = 'member' WHERE role <> 'owner'")
