"""Every table of the platform: project_id everywhere, two roles, three tables partitioned by ranges of run_id.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UUID = sa.UUID
TIME = sa.DateTime(timezone=True)

TABLES = (
    "audit",
    "calls",
    "events",
    "projects",
    "step_attempts",
    "system",
    "users",
    "worker_sessions",
    "agents",
    "approvals",
    "artifacts",
    "budgets",
    "memberships",
    "policies",
    "policy_decisions",
    "reservations",
    "sessions",
    "tools",
    "workflows",
    "agent_versions",
    "ledger_entries",
    "workflow_versions",
    "runs",
    "run_counters",
    "steps",
)
PARTITIONED = ("calls", "events", "step_attempts")
APPEND_ONLY = ("audit", "events", "ledger_entries", "policy_decisions")
FILL_FACTORS = {"runs": 70, "steps": 60, "run_counters": 50, "budgets": 70}
"""Rows that are updated in place leave room on their page for the next version."""

ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sparkops_app') THEN
    CREATE ROLE sparkops_app NOLOGIN;
  END IF;
  IF NOT pg_has_role(current_user, 'sparkops_app', 'MEMBER') THEN
    EXECUTE format('GRANT sparkops_app TO %I', current_user);
  END IF;
END $$
"""

PARTITIONS = """
CREATE FUNCTION ensure_partitions(p_months int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- After it, this month and the next p_months months have partitions of their own. A UUIDv7 begins with its
-- millisecond, so a month is a range of run ids. Safe to repeat; the default partition takes what lies outside.
DECLARE
  v_table text;
  v_month timestamptz;
  v_from uuid;
  v_to uuid;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['calls', 'events', 'step_attempts'] LOOP
    FOR v_month IN SELECT generate_series(
        date_trunc('month', clock_timestamp(), 'UTC'),
        date_trunc('month', clock_timestamp(), 'UTC') + make_interval(months => p_months), interval '1 month') LOOP
      CONTINUE WHEN to_regclass(format('%I', v_table || to_char(v_month AT TIME ZONE 'UTC', '_YYYY_MM'))) IS NOT NULL;
      v_from := (lpad(to_hex((extract(epoch FROM v_month) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
      v_to := (lpad(to_hex((extract(epoch FROM v_month + interval '1 month') * 1000)::bigint), 12, '0')
               || repeat('0', 20))::uuid;
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                     v_table || to_char(v_month AT TIME ZONE 'UTC', '_YYYY_MM'), v_table, v_from, v_to);
    END LOOP;
  END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute(ROLE)
    create_tables()
    for table, factor in FILL_FACTORS.items():
        op.execute(f"ALTER TABLE {table} SET (fillfactor = {factor})")
    for table in PARTITIONED:
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(PARTITIONS)
    op.execute("SELECT ensure_partitions(2)")
    op.execute("INSERT INTO system (epoch) VALUES (gen_random_uuid())")
    grant()


def downgrade() -> None:
    op.execute("DROP FUNCTION ensure_partitions")
    for table in reversed(TABLES):
        op.drop_table(table)
    # The role stays: it belongs to the whole server, and other databases may use it.


def grant() -> None:
    """Let the application read and write rows. It owns nothing, deletes nothing, and cannot rewrite history."""
    op.execute("GRANT USAGE ON SCHEMA public TO sparkops_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO sparkops_app")
    op.execute("REVOKE UPDATE ON system FROM sparkops_app")
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE ON {table} FROM sparkops_app")


def create_tables() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("project_id", UUID, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_project_id_id", "audit", ["project_id", "id"])
    op.create_table(
        "calls",
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("step_id", UUID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tool_hash", sa.Text, nullable=True),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("request", JSONB(), nullable=False),
        sa.Column("effect_class", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("decision_id", UUID, nullable=True),
        sa.Column("approval_id", UUID, nullable=True),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("sends", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("response", JSONB(), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("usage", JSONB(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("proposed_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("prepared_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint("effect_class IN ('pure', 'idempotent', 'txn', 'unsafe')", name="ck_calls_effect_class"),
        sa.CheckConstraint("kind IN ('llm', 'tool')", name="ck_calls_kind"),
        sa.CheckConstraint(
            "status IN ('proposed', 'denied', 'waiting_approval', 'expired', 'prepared', 'done', 'failed', 'unknown')",
            name="ck_calls_status",
        ),
        sa.CheckConstraint("cost_micros >= 0", name="ck_calls_cost"),
        sa.PrimaryKeyConstraint("run_id", "id", name="pk_calls"),
        sa.UniqueConstraint("run_id", "step_id", "seq", name="uq_calls_run_id_step_id_seq"),
        postgresql_partition_by="RANGE (run_id)",
    )
    op.create_index("ix_calls_project_id_id", "calls", ["project_id", "id"])
    op.create_table(
        "events",
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("step_id", UUID, nullable=True),
        sa.Column("data", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_events"),
        postgresql_partition_by="RANGE (run_id)",
    )
    op.create_table(
        "projects",
        sa.Column("id", UUID, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z][a-z0-9-]{1,62}$'", name="ck_projects_slug"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("slug", name="uq_projects_slug"),
    )
    op.create_table(
        "step_attempts",
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("step_id", UUID, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("claim_token", UUID, nullable=False),
        sa.Column("worker_session", UUID, nullable=True),
        sa.Column("started_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("outcome", sa.Text, nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'failed', 'waiting', 'released', 'lost', 'timed_out', 'uncertain', 'cancelled')",
            name="ck_step_attempts_outcome",
        ),
        sa.PrimaryKeyConstraint("run_id", "step_id", "attempt", name="pk_step_attempts"),
        postgresql_partition_by="RANGE (run_id)",
    )
    op.create_table(
        "system",
        sa.Column("only", sa.Boolean, server_default="true", nullable=False),
        sa.Column("epoch", UUID, nullable=False),
        sa.CheckConstraint('"only"', name="ck_system_one_row"),
        sa.PrimaryKeyConstraint("only", name="pk_system"),
    )
    op.create_table(
        "users",
        sa.Column("id", UUID, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("is_admin", sa.Boolean, server_default="false", nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.CheckConstraint("email = lower(email)", name="ck_users_email_lower"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "worker_sessions",
        sa.Column("id", UUID, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("queues", JSONB(), nullable=False),
        sa.Column("slots", sa.BigInteger, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("started_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("seen_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("draining", sa.Boolean, server_default="false", nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_worker_sessions"),
    )
    op.create_table(
        "agents",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("latest_version", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_agents_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("project_id", "name", name="uq_agents_project_id_name"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("step_id", UUID, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", UUID, nullable=False),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("tool_hash", sa.Text, nullable=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("proposed_request", JSONB(), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("rule", sa.Text, nullable=True),
        sa.Column("requested_by", UUID, nullable=True),
        sa.Column("requested_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("decided_by", UUID, nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("comment", sa.Text, nullable=True),
        sa.Column("consumed_at", TIME, nullable=True),
        sa.CheckConstraint("(status = 'consumed') = (consumed_at IS NOT NULL)", name="ck_approvals_consumed"),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'rejected', 'expired', 'withdrawn', 'consumed')",
            name="ck_approvals_status",
        ),
        sa.CheckConstraint("subject_kind IN ('run', 'step', 'call')", name="ck_approvals_subject_kind"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_approvals_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.UniqueConstraint(
            "subject_kind", "subject_id", "request_hash", name="uq_approvals_subject_kind_subject_id_request_hash"
        ),
    )
    op.create_index(
        "ix_approvals_expiry",
        "approvals",
        ["expires_at"],
        postgresql_where=sa.text("status IN ('pending', 'approved')"),
    )
    op.create_index("ix_approvals_project_id_status_id", "approvals", ["project_id", "status", "id"])
    op.create_index("ix_approvals_run_id", "approvals", ["run_id"])
    op.create_table(
        "artifacts",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("step_id", UUID, nullable=False),
        sa.Column("call_id", UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("size_bytes >= 0", name="ck_artifacts_size"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_artifacts_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("call_id", "name", name="uq_artifacts_call_id_name"),
        sa.UniqueConstraint("run_id", "name", "version", name="uq_artifacts_run_id_name_version"),
    )
    op.create_index("ix_artifacts_project_id_id", "artifacts", ["project_id", "id"])
    op.create_table(
        "budgets",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("scope_id", UUID, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("limit_micros", sa.BigInteger, nullable=False),
        sa.Column("spent_micros", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("reserved_micros", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("limit_micros >= 0", name="ck_budgets_limit"),
        sa.CheckConstraint("spent_micros >= 0 AND reserved_micros >= 0", name="ck_budgets_amounts"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_budgets_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
        sa.UniqueConstraint("scope", "scope_id", "period", name="uq_budgets_scope_scope_id_period"),
    )
    op.create_table(
        "memberships",
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_memberships_project_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    op.create_table(
        "policies",
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("updated_by", UUID, nullable=True),
        sa.Column("updated_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_policies_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", name="pk_policies"),
    )
    op.create_table(
        "policy_decisions",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", UUID, nullable=False),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("policy_version", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column("at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("outcome IN ('allow', 'deny', 'require_approval')", name="ck_policy_decisions_outcome"),
        sa.CheckConstraint("subject_kind IN ('run', 'step', 'call')", name="ck_policy_decisions_subject_kind"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_policy_decisions_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_policy_decisions"),
    )
    op.create_index("ix_policy_decisions_project_id_id", "policy_decisions", ["project_id", "id"])
    op.create_index("ix_policy_decisions_run_id", "policy_decisions", ["run_id"])
    op.create_table(
        "reservations",
        sa.Column("call_id", UUID, nullable=False),
        sa.Column("send_no", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("budget_ids", sa.ARRAY(UUID), nullable=False),
        sa.Column("amount_micros", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("actual_micros", sa.BigInteger, nullable=True),
        sa.Column("held_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint("(status = 'settled') = (actual_micros IS NOT NULL)", name="ck_reservations_actual"),
        sa.CheckConstraint("status IN ('held', 'settled', 'released')", name="ck_reservations_status"),
        sa.CheckConstraint("amount_micros >= 0", name="ck_reservations_amount"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_reservations_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_id", "send_no", name="pk_reservations"),
    )
    op.create_index("ix_reservations_run_id", "reservations", ["run_id"])
    op.create_table(
        "sessions",
        sa.Column("id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=True),
        sa.Column("rotated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("previous_hash", name="uq_sessions_previous_hash"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "tools",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("effect_class", sa.Text, nullable=False),
        sa.Column("settings", JSONB(), nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_tools_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_tools"),
        sa.UniqueConstraint("project_id", "name", name="uq_tools_project_id_name"),
    )
    op.create_table(
        "workflows",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("latest_version", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_workflows_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
        sa.UniqueConstraint("project_id", "name", name="uq_workflows_project_id_name"),
    )
    op.create_table(
        "agent_versions",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("agent_id", UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_by", UUID, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_versions_agent_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_agent_versions_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_agent_versions"),
        sa.UniqueConstraint("agent_id", "version", name="uq_agent_versions_agent_id_version"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("budget_id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("call_id", UUID, nullable=False),
        sa.Column("send_no", sa.BigInteger, nullable=False),
        sa.Column("amount_micros", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('actual', 'presumed')", name="ck_ledger_entries_kind"),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name="fk_ledger_entries_budget_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_ledger_entries_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
        sa.UniqueConstraint("budget_id", "call_id", "send_no", name="uq_ledger_entries_budget_id_call_id_send_no"),
    )
    op.create_index("ix_ledger_entries_project_id_id", "ledger_entries", ["project_id", "id"])
    op.create_index("ix_ledger_entries_run_id", "ledger_entries", ["run_id"])
    op.create_table(
        "workflow_versions",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("workflow_id", UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_by", UUID, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_workflow_versions_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="fk_workflow_versions_workflow_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_versions"),
        sa.UniqueConstraint("workflow_id", "version", name="uq_workflow_versions_workflow_id_version"),
    )
    op.create_table(
        "runs",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("workflow_id", UUID, nullable=False),
        sa.Column("workflow_version_id", UUID, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, server_default="api", nullable=False),
        sa.Column("input", JSONB(), nullable=False),
        sa.Column("output", JSONB(), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("pins", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("loop_version", sa.BigInteger, server_default="1", nullable=False),
        sa.Column("idem_key", sa.Text, nullable=True),
        sa.Column("idem_hash", sa.Text, nullable=True),
        sa.Column("created_by", UUID, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("deadline_at", TIME, nullable=True),
        sa.Column("cancel_requested_at", TIME, nullable=True),
        sa.Column("cancelled_by", UUID, nullable=True),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled', 'denied')) = (finished_at IS NOT NULL)",
            name="ck_runs_finished",
        ),
        sa.CheckConstraint(
            "status IN ('awaiting_approval', 'queued', 'running', 'paused', 'attention', 'cancelling', 'compensating', 'succeeded', 'failed', 'cancelled', 'denied')",
            name="ck_runs_status",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_runs_project_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workflow_version_id"], ["workflow_versions.id"], name="fk_runs_workflow_version_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("project_id", "idem_key", name="uq_runs_project_id_idem_key"),
    )
    op.create_index(
        "ix_runs_deadline",
        "runs",
        ["deadline_at"],
        postgresql_where=sa.text("deadline_at IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "ix_runs_open",
        "runs",
        ["id"],
        postgresql_where=sa.text("status NOT IN ('succeeded', 'failed', 'cancelled', 'denied')"),
    )
    op.create_index("ix_runs_project_id_id", "runs", ["project_id", sa.literal_column("id DESC")])
    op.create_index("ix_runs_project_id_status_id", "runs", ["project_id", "status", sa.literal_column("id DESC")])
    op.create_index(
        "ix_runs_project_id_workflow_id_id", "runs", ["project_id", "workflow_id", sa.literal_column("id DESC")]
    )
    op.create_table(
        "run_counters",
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("last_seq", sa.BigInteger, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_counters_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_counters"),
    )
    op.create_table(
        "steps",
        sa.Column("id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("node_key", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("queue", sa.Text, server_default="run", nullable=False),
        sa.Column("priority", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("held", sa.Boolean, server_default="false", nullable=False),
        sa.Column("inline", sa.Boolean, server_default="false", nullable=False),
        sa.Column("mechanical", sa.Boolean, server_default="false", nullable=False),
        sa.Column("hands_over", sa.Boolean, server_default="false", nullable=False),
        sa.Column("needs", sa.ARRAY(UUID), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("dependents", sa.ARRAY(UUID), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("reads", sa.ARRAY(UUID), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("reads_input", sa.Boolean, server_default="false", nullable=False),
        sa.Column("effect_class", sa.Text, nullable=False),
        sa.Column("timeout", sa.Interval(), nullable=True),
        sa.Column("max_attempts", sa.BigInteger, server_default="3", nullable=False),
        sa.Column("max_crashes", sa.BigInteger, server_default="3", nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("claim_token", UUID, nullable=True),
        sa.Column("worker_session", UUID, nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("step_deadline_at", TIME, nullable=True),
        sa.Column("not_before", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("wake_at", TIME, nullable=True),
        sa.Column("waiting_for", JSONB(), nullable=True),
        sa.Column("failures", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("crashes", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("isolate", sa.Boolean, server_default="false", nullable=False),
        sa.Column("cancel_requested", sa.Boolean, server_default="false", nullable=False),
        sa.Column("output", JSONB(), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("ready_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint("(status = 'running') = (claim_token IS NOT NULL)", name="ck_steps_token"),
        sa.CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="ck_steps_lease"),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'skipped', 'cancelled')) = (finished_at IS NOT NULL)",
            name="ck_steps_finished",
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'ready', 'running', 'waiting', 'uncertain', 'succeeded', 'failed', 'skipped', 'cancelled')",
            name="ck_steps_status",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_steps_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_steps"),
        sa.UniqueConstraint("run_id", "path", name="uq_steps_run_id_path"),
    )
    op.create_index(
        "ix_steps_open",
        "steps",
        ["run_id"],
        postgresql_where=sa.text("status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')"),
    )
    op.create_index(
        "ix_steps_ready",
        "steps",
        ["queue", "project_id", "priority", "not_before", "id"],
        postgresql_where=sa.text("status = 'ready' AND NOT held"),
    )
    op.create_index("ix_steps_running", "steps", ["id"], postgresql_where=sa.text("status = 'running'"))
    op.create_index("ix_steps_timers", "steps", ["wake_at"], postgresql_where=sa.text("status = 'waiting'"))
    # ### end Alembic commands ###
