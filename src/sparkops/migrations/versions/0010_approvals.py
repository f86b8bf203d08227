"""What consent takes, who gave it, what an approver made of the request, and what was said about it.

Revision ID: 0010
Revises: 0009
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
ANYBODY = '{"approvers": [], "quorum": 1, "escalate_after_seconds": null, "escalate_to": [], "may_edit": false}'
COLUMNS: dict[str, Any] = {
    "name": sa.Text,
    "agent_version_id": sa.UUID,
    "decision_id": sa.UUID,
    "edited_request": JSONB,
    "edited_hash": sa.Text,
    "edited_by": sa.UUID,
    "edited_at": sa.DateTime(timezone=True),
    "escalate_at": sa.DateTime(timezone=True),
    "escalated_at": sa.DateTime(timezone=True),
}
EDITED = "num_nulls(edited_request, edited_hash, edited_by, edited_at) IN (0, 4)"
OPEN = "status IN ('pending', 'approved')"
OLD_KEY = "uq_approvals_subject_kind_subject_id_request_hash"


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("approvals", sa.Column(name, kind, nullable=True))
    op.add_column("approvals", sa.Column("demands", JSONB, server_default=ANYBODY, nullable=False))
    op.add_column("approvals", sa.Column("revision", sa.BigInteger, server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_approvals_edited"), "approvals", EDITED)
    op.execute(
        "UPDATE approvals a SET name = c.name, decision_id = c.decision_id FROM calls c"
        " WHERE a.subject_kind = 'call' AND c.run_id = a.run_id AND c.id = a.subject_id AND a.status IN"
        " ('pending', 'approved')"
    )
    op.drop_constraint(OLD_KEY, "approvals", type_="unique")
    op.create_index(
        "uq_approvals_open", "approvals", ["subject_id", "request_hash"], unique=True, postgresql_where=sa.text(OPEN)
    )
    op.create_index("ix_approvals_subject_id", "approvals", ["subject_id", "id"])
    op.create_index(
        "ix_approvals_kind", "approvals", ["project_id", "name", "rule", "id"], postgresql_where="name IS NOT NULL"
    )
    op.create_index(
        "ix_approvals_escalation",
        "approvals",
        ["escalate_at"],
        postgresql_where=sa.text("status = 'pending' AND escalated_at IS NULL"),
    )
    said_about(
        "approval_votes",
        "user_id",
        sa.Column("vote", sa.Text, nullable=False),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=True),
        sa.CheckConstraint("vote IN ('approve', 'reject')", name=op.f("ck_approval_votes_vote")),
        sa.UniqueConstraint(
            "approval_id",
            "user_id",
            "request_hash",
            "vote",
            name="uq_approval_votes_approval_id_user_id_request_hash_vote",
        ),
    )
    op.execute(
        "INSERT INTO approval_votes (id, approval_id, project_id, user_id, vote, request_hash, comment, at)"
        " SELECT gen_random_uuid(), id, project_id, decided_by,"
        "        CASE status WHEN 'rejected' THEN 'reject' ELSE 'approve' END, request_hash, comment, decided_at"
        "   FROM approvals WHERE decided_by IS NOT NULL"
    )
    said_about("approval_messages", "author_id", sa.Column("text", sa.Text, nullable=False))
    op.create_index("ix_approval_messages_approval_id", "approval_messages", ["approval_id", "id"])


def said_about(table: str, who: str, *more: sa.schema.SchemaItem) -> None:
    """Make a table of what people said about questions, in which nobody changes a row."""
    op.create_table(
        table,
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("approval_id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column(who, sa.UUID, nullable=False),
        *more,
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name=f"fk_{table}_approval_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=f"fk_{table}_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.execute(
        f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW WHEN (true) EXECUTE FUNCTION guard_final()"
    )
    op.execute(f"GRANT SELECT, INSERT ON {table} TO sparkops_app")


def downgrade() -> None:
    op.drop_table("approval_messages")
    op.drop_table("approval_votes")
    for index in ("ix_approvals_escalation", "ix_approvals_kind", "ix_approvals_subject_id", "uq_approvals_open"):
        op.drop_index(index)
    op.execute(
        "DELETE FROM approvals a USING approvals b"
        " WHERE b.subject_kind = a.subject_kind AND b.subject_id = a.subject_id AND b.request_hash = a.request_hash"
        " AND b.id > a.id"
    )
    op.create_unique_constraint(OLD_KEY, "approvals", ["subject_kind", "subject_id", "request_hash"])
    op.drop_constraint(op.f("ck_approvals_edited"), "approvals")
    for name in (*COLUMNS, "demands", "revision"):
        op.drop_column("approvals", name)
