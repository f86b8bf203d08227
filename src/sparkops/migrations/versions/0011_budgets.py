"""Budgets that people define, for scopes and periods, in money, tokens, calls and runs.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
SCOPES = "'installation', 'project', 'workflow', 'agent', 'api_key', 'user', 'run'"
PERIODS = "'run', 'hour', 'day', 'week', 'month', 'total'"
ACTIONS = "'notify', 'require_approval', 'pause', 'deny'"
KINDS = "'money', 'tokens', 'calls', 'runs'"
LIMITS = ("limit_tokens", "limit_calls", "limit_runs", "top_micros", "top_tokens", "top_calls", "top_runs")
COUNTS = ("spent_tokens", "reserved_tokens", "calls", "runs")
ONE_OF = "limit_micros IS NOT NULL OR limit_tokens IS NOT NULL OR limit_calls IS NOT NULL OR limit_runs IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "budget_definitions",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("scope_id", sa.UUID, nullable=True),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("limit_micros", sa.BigInteger, nullable=True),
        sa.Column("limit_tokens", sa.BigInteger, nullable=True),
        sa.Column("limit_calls", sa.BigInteger, nullable=True),
        sa.Column("limit_runs", sa.BigInteger, nullable=True),
        sa.Column("thresholds", JSONB, nullable=False),
        sa.Column("admission", sa.Text, nullable=True),
        sa.Column("admission_by", sa.Text, server_default="p95", nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"scope IN ({SCOPES})", name="ck_budget_definitions_scope"),
        sa.CheckConstraint(f"period IN ({PERIODS})", name="ck_budget_definitions_period"),
        sa.CheckConstraint("admission IN ('ask', 'refuse')", name="ck_budget_definitions_admission"),
        sa.CheckConstraint("admission_by IN ('median', 'p95')", name="ck_budget_definitions_admission_by"),
        sa.CheckConstraint(ONE_OF, name="ck_budget_definitions_limits"),
        sa.CheckConstraint(
            "least(limit_micros, limit_tokens, limit_calls, limit_runs) >= 0", name="ck_budget_definitions_amounts"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_budget_definitions_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_budget_definitions"),
    )
    op.create_index(
        "uq_budget_definitions_name",
        "budget_definitions",
        ["project_id", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("archived_at IS NULL"),
    )
    counted()
    kept()
    op.execute("GRANT SELECT, INSERT, UPDATE ON budget_definitions TO sparkops_app")


def counted() -> None:
    """Let a row of `budgets` be a window of a definition."""
    op.add_column("budgets", sa.Column("definition_id", sa.UUID, nullable=True))
    op.create_foreign_key(
        "fk_budgets_definition_id",
        "budgets",
        "budget_definitions",
        ["definition_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.add_column("budgets", sa.Column("window_key", sa.Text, nullable=True))
    op.add_column("budgets", sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("budgets", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("budgets", sa.Column("thresholds", JSONB, nullable=True))
    for name in LIMITS:
        op.add_column("budgets", sa.Column(name, sa.BigInteger, nullable=True))
    for name in COUNTS:
        op.add_column("budgets", sa.Column(name, sa.BigInteger, server_default="0", nullable=False))
    op.add_column("budgets", sa.Column("changed_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False))
    op.alter_column("budgets", "limit_micros", nullable=True)
    op.alter_column("budgets", "project_id", nullable=True)
    op.drop_constraint("uq_budgets_scope_scope_id_period", "budgets", type_="unique")
    op.create_index(
        "uq_budgets_run", "budgets", ["scope_id"], unique=True, postgresql_where=sa.text("definition_id IS NULL")
    )
    op.create_index(
        "uq_budgets_window",
        "budgets",
        ["definition_id", "scope_id", "window_key"],
        unique=True,
        postgresql_where=sa.text("definition_id IS NOT NULL"),
    )
    op.drop_constraint("ck_budgets_amounts", "budgets", type_="check")
    op.create_check_constraint(
        "ck_budgets_amounts",
        "budgets",
        "least(spent_micros, reserved_micros, spent_tokens, reserved_tokens, calls, runs) >= 0",
    )
    op.create_check_constraint("ck_budgets_defined", "budgets", "(definition_id IS NULL) = (window_key IS NULL)")


def kept() -> None:
    """Let holds and the ledger tell of tokens and runs, and keep when a threshold was reached."""
    op.add_column("reservations", sa.Column("amount_tokens", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("reservations", sa.Column("actual_tokens", sa.BigInteger, nullable=True))
    op.add_column("reservations", sa.Column("consented", sa.Boolean, server_default="false", nullable=False))
    op.add_column("ledger_entries", sa.Column("tokens", sa.BigInteger, server_default="0", nullable=False))
    op.drop_constraint("ck_ledger_entries_kind", "ledger_entries", type_="check")
    op.create_check_constraint("ck_ledger_entries_kind", "ledger_entries", "kind IN ('actual', 'presumed', 'run')")
    op.create_index("ix_ledger_entries_budget_id_at", "ledger_entries", ["budget_id", "at"])
    op.create_table(
        "budget_notices",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("definition_id", sa.UUID, nullable=False),
        sa.Column("budget_id", sa.UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("percent", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("step_id", sa.UUID, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="ck_budget_notices_kind"),
        sa.CheckConstraint(f"action IN ({ACTIONS})", name="ck_budget_notices_action"),
        sa.ForeignKeyConstraint(
            ["definition_id"], ["budget_definitions.id"], name="fk_budget_notices_definition_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_budget_notices"),
        sa.UniqueConstraint(
            "budget_id", "kind", "percent", "action", name="uq_budget_notices_budget_id_kind_percent_action"
        ),
    )
    op.create_index("ix_budget_notices_definition_id_at", "budget_notices", ["definition_id", "at"])
    op.execute(
        "CREATE TRIGGER guard_final BEFORE UPDATE ON budget_notices FOR EACH ROW WHEN (true)"
        " EXECUTE FUNCTION guard_final()"
    )
    op.execute("GRANT SELECT, INSERT ON budget_notices TO sparkops_app")


def downgrade() -> None:
    op.drop_table("budget_notices")
    op.drop_index("ix_ledger_entries_budget_id_at")
    op.execute("DELETE FROM ledger_entries WHERE budget_id IN (SELECT id FROM budgets WHERE definition_id IS NOT NULL)")
    op.execute("ALTER TABLE reservations DISABLE TRIGGER USER")
    op.execute(
        "UPDATE reservations SET budget_ids = ARRAY(SELECT b.id FROM budgets b WHERE b.definition_id IS NULL"
        " AND b.id = ANY (budget_ids))"
    )
    op.execute("ALTER TABLE reservations ENABLE TRIGGER USER")
    op.execute("DELETE FROM budgets WHERE definition_id IS NOT NULL")
    op.drop_constraint("ck_ledger_entries_kind", "ledger_entries", type_="check")
    op.create_check_constraint("ck_ledger_entries_kind", "ledger_entries", "kind IN ('actual', 'presumed')")
    op.drop_column("ledger_entries", "tokens")
    for name in ("amount_tokens", "actual_tokens", "consented"):
        op.drop_column("reservations", name)
    op.drop_constraint("ck_budgets_defined", "budgets", type_="check")
    op.drop_constraint("ck_budgets_amounts", "budgets", type_="check")
    op.drop_index("uq_budgets_window")
    op.drop_index("uq_budgets_run")
    for name in ("changed_at", *COUNTS, *LIMITS, "thresholds", "ends_at", "starts_at", "window_key", "definition_id"):
        op.drop_column("budgets", name)
    op.create_check_constraint("ck_budgets_amounts", "budgets", "spent_micros >= 0 AND reserved_micros >= 0")
    op.alter_column("budgets", "limit_micros", nullable=False)
    op.alter_column("budgets", "project_id", nullable=False)
    op.create_unique_constraint("uq_budgets_scope_scope_id_period", "budgets", ["scope", "scope_id", "period"])
    op.drop_table("budget_definitions")
