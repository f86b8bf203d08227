"""Backtests of policies, what they would have changed, and who published which version of a policy and why.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
MACHINES = {
    "violations": " open>acknowledged open>resolved acknowledged>open acknowledged>resolved resolved>open ",
    "backtests": (" queued>running queued>cancelled running>queued running>done running>failed running>cancelled "),
}


def upgrade() -> None:
    publications()
    backtests()
    for table, transitions in MACHINES.items():
        op.execute(
            f"CREATE TRIGGER guard_transition BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION guard_transition('{transitions}')"
        )


def publications() -> None:
    op.create_table(
        "policy_publications",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("policy_id", sa.UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=True),
        sa.Column("note", sa.Text, nullable=True),
        sa.Column("backtest_id", sa.UUID, nullable=True),
        sa.Column("published_by", sa.UUID, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name="fk_policy_publications_policy_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_policy_publications"),
    )
    op.create_index("ix_policy_publications_policy_id_id", "policy_publications", ["policy_id", "id"])
    guard_final("policy_publications", "true")
    op.execute("GRANT SELECT, INSERT ON policy_publications TO sparkops_app")


def backtests() -> None:
    op.create_table(
        "backtests",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("policy_id", sa.UUID, nullable=True),
        sa.Column("policy_name", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("beside", JSONB, nullable=False),
        sa.Column("default_effect", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subjects", ARRAY(sa.Text), nullable=True),
        sa.Column("names", ARRAY(sa.Text), nullable=True),
        sa.Column("status", sa.Text, server_default="queued", nullable=False),
        sa.Column("cancel_requested", sa.Boolean, server_default="false", nullable=False),
        sa.Column("claim_token", sa.UUID, nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger, nullable=True),
        sa.Column("judged", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("listed", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("counts", JSONB, server_default="{}", nullable=False),
        sa.Column("lacking", JSONB, server_default="{}", nullable=False),
        sa.Column("days", JSONB, server_default="{}", nullable=False),
        sa.Column("after_id", sa.UUID, nullable=True),
        sa.Column("error", JSONB, nullable=True),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_backtests_status"
        ),
        sa.CheckConstraint("default_effect IN ('allow', 'deny')", name="ck_backtests_default_effect"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_backtests_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_backtests"),
    )
    op.create_index("ix_backtests_project_id_id", "backtests", ["project_id", "id"])
    op.create_index(
        "ix_backtests_open", "backtests", ["id"], postgresql_where=sa.text("status IN ('queued', 'running')")
    )
    guard_final("backtests", "OLD.finished_at IS NOT NULL")
    op.create_table(
        "backtest_flips",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("backtest_id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("decision_id", sa.UUID, nullable=False),
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("was", sa.Text, nullable=False),
        sa.Column("old_rule", sa.Text, nullable=True),
        sa.Column("new_policy", sa.Text, nullable=True),
        sa.Column("new_rule", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("cost_micros", sa.BigInteger, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["backtest_id"], ["backtests.id"], name="fk_backtest_flips_backtest_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_backtest_flips_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_backtest_flips"),
    )
    op.create_index("ix_backtest_flips_backtest_id_id", "backtest_flips", ["backtest_id", "id"])
    guard_final("backtest_flips", "true")
    op.execute("GRANT SELECT, INSERT, UPDATE ON backtests TO sparkops_app")
    op.execute("GRANT SELECT, INSERT ON backtest_flips TO sparkops_app")


def guard_final(table: str, condition: str) -> None:
    op.execute(
        f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW "
        f"WHEN ({condition}) EXECUTE FUNCTION guard_final()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_transition ON violations")
    op.drop_table("backtest_flips")
    op.drop_table("backtests")
    op.drop_table("policy_publications")
