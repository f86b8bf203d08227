"""What the whole engine needs: bodies of maps and loops, sub-workflows, sources of runs, halts, events in and out.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UUID = sa.UUID
TIME = sa.DateTime(timezone=True)

TABLES = ("halts", "received_events", "subscriptions", "outbox", "expansions", "frames")
FILL_FACTORS = {"expansions": 50, "frames": 70, "outbox": 70}
FINAL = {
    "halts": "OLD.released_at IS NOT NULL",
    "frames": "OLD.finished_at IS NOT NULL",
    "outbox": "OLD.status IN ('delivered', 'dead')",
}
CHECKS = {
    "runs": {
        "source_kind": "source_kind IN ('retry', 'fork', 'rerun')",
        "ends_as": "ends_as IN ('failed', 'cancelled')",
    },
    "steps": {
        "on_error": "on_error IN ('fail', 'continue', 'goto')",
        "frame": "(parent_id IS NULL) = (frame_no IS NULL)",
    },
}
INDEXES = ("ix_steps_awaited_event", "ix_steps_isolate", "ix_steps_uncertain")
"""Those on columns that were there before: they do not go with a column."""
COLUMNS = {
    "projects": ("max_running_runs",),
    "runs": (
        "priority",
        "concurrency_key",
        "concurrency_limit",
        "parent_run_id",
        "parent_step_id",
        "lineage",
        "source_run_id",
        "source_kind",
        "step_count",
        "has_undo",
        "ends_as",
        "paused_at",
        "paused_by",
    ),
    "steps": (
        "backoff",
        "max_backoff",
        "deadline",
        "on_error",
        "parent_id",
        "frame_no",
        "reads_frame",
        "child_run_id",
        "undo_of",
        "copied_from",
        "fails_at",
    ),
    "workflows": ("max_running_runs",),
}


def upgrade() -> None:
    create()
    op.execute("ALTER TABLE runs DISABLE TRIGGER USER")
    op.execute("UPDATE runs SET step_count = (SELECT count(*) FROM steps WHERE run_id = runs.id)")
    op.execute("ALTER TABLE runs ENABLE TRIGGER USER")
    for table, checks in CHECKS.items():
        for name, condition in checks.items():
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition})")
    for table, factor in FILL_FACTORS.items():
        op.execute(f"ALTER TABLE {table} SET (fillfactor = {factor})")
    for table, condition in FINAL.items():
        op.execute(
            f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION guard_final()"
        )
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO sparkops_app")


def downgrade() -> None:
    for index in INDEXES:
        op.drop_index(index)
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column)
    for table in reversed(TABLES):
        op.drop_table(table)


def create() -> None:
    op.create_table(
        "halts",
        sa.Column("id", UUID, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("scope_id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("created_by", UUID, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("released_by", UUID, nullable=True),
        sa.Column("released_at", TIME, nullable=True),
        sa.CheckConstraint("(scope = 'installation') = (project_id IS NULL)", name="ck_halts_project"),
        sa.CheckConstraint("kind = 'pause' OR scope <> 'workflow'", name="ck_halts_stop"),
        sa.CheckConstraint("kind IN ('pause', 'stop')", name="ck_halts_kind"),
        sa.CheckConstraint("scope IN ('installation', 'project', 'workflow')", name="ck_halts_scope"),
        sa.PrimaryKeyConstraint("id", name="pk_halts"),
    )
    op.create_index(
        "uq_halts_in_force", "halts", ["scope_id", "kind"], unique=True, postgresql_where=sa.text("released_at IS NULL")
    )
    op.create_table(
        "received_events",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.Column("data_hash", sa.Text, nullable=False),
        sa.Column("created_by", UUID, nullable=True),
        sa.Column("received_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("matched_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_received_events_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_received_events"),
        sa.UniqueConstraint("project_id", "event_id", name="uq_received_events_project_id_event_id"),
    )
    op.create_index("ix_received_events_name", "received_events", ["project_id", "name", "received_at"])
    op.create_index(
        "ix_received_events_unmatched",
        "received_events",
        ["received_at"],
        postgresql_where=sa.text("matched_at IS NULL"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("project_id", UUID, nullable=True),
        sa.Column("active", sa.Boolean, server_default="true", nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_subscriptions_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name="pk_subscriptions"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", UUID, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("status", sa.Text, server_default="pending", nullable=False),
        sa.Column("attempt", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("claim_token", UUID, nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("next_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="ck_outbox_status"),
        sa.ForeignKeyConstraint(
            ["subscription"], ["subscriptions.name"], name="fk_outbox_subscription", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("subscription", "run_id", "seq", name="uq_outbox_subscription_run_id_seq"),
    )
    op.create_index(
        "ix_outbox_due", "outbox", ["subscription", "next_at"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "expansions",
        sa.Column("step_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=True),
        sa.Column("concurrency", sa.BigInteger, nullable=False),
        sa.Column("stop_on_error", sa.Boolean, nullable=False),
        sa.Column("expanded", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("started", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("ended", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger, server_default="0", nullable=False),
        sa.CheckConstraint(
            "0 <= failed AND failed <= ended AND ended <= started AND started <= expanded", name="ck_expansions_order"
        ),
        sa.ForeignKeyConstraint(["step_id"], ["steps.id"], name="fk_expansions_step_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("step_id", name="pk_expansions"),
    )
    op.create_table(
        "frames",
        sa.Column("parent_id", UUID, nullable=False),
        sa.Column("frame_no", sa.BigInteger, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("value", JSONB(), nullable=True),
        sa.Column("status", sa.Text, server_default="waiting", nullable=False),
        sa.Column("output", JSONB(), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="ck_frames_finished"
        ),
        sa.CheckConstraint(
            "status IN ('waiting', 'open', 'succeeded', 'failed', 'cancelled')", name="ck_frames_status"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["steps.id"], name="fk_frames_parent_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("parent_id", "frame_no", name="pk_frames"),
    )
    op.add_column("projects", sa.Column("max_running_runs", sa.BigInteger, nullable=True))
    op.add_column("runs", sa.Column("priority", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("runs", sa.Column("concurrency_key", sa.Text, nullable=True))
    op.add_column("runs", sa.Column("concurrency_limit", sa.BigInteger, nullable=True))
    op.add_column("runs", sa.Column("parent_run_id", UUID, nullable=True))
    op.add_column("runs", sa.Column("parent_step_id", UUID, nullable=True))
    op.add_column("runs", sa.Column("lineage", sa.ARRAY(UUID), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("runs", sa.Column("source_run_id", UUID, nullable=True))
    op.add_column("runs", sa.Column("source_kind", sa.Text, nullable=True))
    op.add_column("runs", sa.Column("step_count", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("runs", sa.Column("has_undo", sa.Boolean, server_default="false", nullable=False))
    op.add_column("runs", sa.Column("ends_as", sa.Text, nullable=True))
    op.add_column("runs", sa.Column("paused_at", TIME, nullable=True))
    op.add_column("runs", sa.Column("paused_by", UUID, nullable=True))
    op.create_index(
        "ix_runs_going_on",
        "runs",
        ["project_id", "workflow_id", "concurrency_key"],
        postgresql_where=sa.text("status IN ('running', 'attention', 'paused', 'cancelling', 'compensating')"),
    )
    op.create_index(
        "ix_runs_parent_run_id", "runs", ["parent_run_id"], postgresql_where=sa.text("parent_run_id IS NOT NULL")
    )
    op.create_index(
        "ix_runs_queued", "runs", ["project_id", "priority", "id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_runs_source_run_id", "runs", ["source_run_id"], postgresql_where=sa.text("source_run_id IS NOT NULL")
    )
    op.create_index(
        "uq_runs_parent_step_id",
        "runs",
        ["parent_step_id"],
        unique=True,
        postgresql_where=sa.text("parent_step_id IS NOT NULL"),
    )
    op.add_column("steps", sa.Column("backoff", sa.Interval(), server_default=sa.text("'1 second'"), nullable=False))
    op.add_column(
        "steps", sa.Column("max_backoff", sa.Interval(), server_default=sa.text("'1 minute'"), nullable=False)
    )
    op.add_column("steps", sa.Column("deadline", sa.Interval(), nullable=True))
    op.add_column("steps", sa.Column("on_error", sa.Text, server_default="fail", nullable=False))
    op.add_column("steps", sa.Column("parent_id", UUID, nullable=True))
    op.add_column("steps", sa.Column("frame_no", sa.BigInteger, nullable=True))
    op.add_column("steps", sa.Column("reads_frame", sa.Boolean, server_default="false", nullable=False))
    op.add_column("steps", sa.Column("child_run_id", UUID, nullable=True))
    op.add_column("steps", sa.Column("undo_of", UUID, nullable=True))
    op.add_column("steps", sa.Column("copied_from", UUID, nullable=True))
    op.add_column("steps", sa.Column("fails_at", TIME, nullable=True))
    op.create_index(
        "ix_steps_awaited_event",
        "steps",
        ["project_id", sa.literal_column("(waiting_for ->> 'event')")],
        postgresql_where=sa.text("status = 'waiting' AND waiting_for ->> 'kind' = 'event'"),
    )
    op.create_index(
        "ix_steps_frame", "steps", ["parent_id", "frame_no"], postgresql_where=sa.text("parent_id IS NOT NULL")
    )
    op.create_index("ix_steps_isolate", "steps", ["queue"], postgresql_where=sa.text("status = 'ready' AND isolate"))
    op.create_index("ix_steps_uncertain", "steps", ["project_id"], postgresql_where=sa.text("status = 'uncertain'"))
    op.add_column("workflows", sa.Column("max_running_runs", sa.BigInteger, nullable=True))
