"""Projects that are deleted, how long a project keeps what has ended, and objects that nothing refers to.

Lines of the ledger and reservations outlive their project where a budget of the installation has counted them, so that
they no longer refer to it by a foreign key.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")
KEPT = ("keep_runs_days", "keep_log_days", "keep_values_days")
OUTLIVES = ("ledger_entries", "reservations")

VALUES = {
    "runs": "input output",
    "steps": "output",
    "frames": "value output",
    "calls": "request response",
    "approvals": "proposed_request edited_request",
    "policy_decisions": "facts",
}
"""What retention may take out of a row that is final, and nothing else of it."""
FINAL = {
    "runs": "OLD.finished_at IS NOT NULL",
    "steps": "OLD.finished_at IS NOT NULL",
    "frames": "OLD.finished_at IS NOT NULL",
    "calls": "OLD.status IN ('done', 'failed', 'denied', 'expired')",
    "approvals": "OLD.status IN ('rejected', 'expired', 'withdrawn', 'consumed')",
    "policy_decisions": "true",
}

GUARD_VALUES = """
CREATE FUNCTION guard_final_values() RETURNS trigger LANGUAGE plpgsql AS $$
-- As guard_final, but lets the owner of the table take values out of a row: that is engine.thin_values, which runs as
-- the owner. TG_ARGV[0] lists the columns that may be emptied; nothing else may change.
DECLARE
  v_columns text[] := string_to_array(TG_ARGV[0], ' ');
  v_column text;
BEGIN
  IF current_setting('sparkops.thinning', true) = 'on'
     AND current_user = (SELECT tableowner FROM pg_tables WHERE schemaname = TG_TABLE_SCHEMA AND tablename = TG_TABLE_NAME)
     AND to_jsonb(NEW) - v_columns = to_jsonb(OLD) - v_columns THEN
    FOREACH v_column IN ARRAY v_columns LOOP
      IF coalesce(to_jsonb(NEW) -> v_column, 'null') NOT IN (
           'null', '{}', '{"$removed": true}', coalesce(to_jsonb(OLD) -> v_column, 'null')) THEN
        RAISE EXCEPTION 'a value of a final row of % may only be removed', TG_TABLE_NAME USING ERRCODE = 'SF002';
      END IF;
    END LOOP;
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a final row of % may not change', TG_TABLE_NAME USING ERRCODE = 'SF002';
END $$
"""


def upgrade() -> None:
    for column in KEPT:
        op.add_column("projects", sa.Column(column, sa.BigInteger, nullable=True))
        op.create_check_constraint(op.f(f"ck_projects_{column}"), "projects", f"{column} BETWEEN 1 AND 36500")
    for table in OUTLIVES:
        op.drop_constraint(f"fk_{table}_project_id", table)
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])
    deletions()
    thinned_runs()
    upkeep()


def deletions() -> None:
    op.create_table(
        "project_deletions",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default="asked", nullable=False),
        sa.Column("halt_id", sa.UUID, nullable=True),
        sa.Column("asked_by", sa.UUID, nullable=False),
        sa.Column("asked_at", TIME, server_default=NOW, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("cancelled_by", sa.UUID, nullable=True),
        sa.Column("cancelled_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("removed", JSONB, server_default="{}", nullable=False),
        sa.Column("claim_token", sa.UUID, nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.CheckConstraint("status IN ('asked', 'cancelled', 'removing', 'done')", name="ck_project_deletions_status"),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="ck_project_deletions_cancelled"
        ),
        sa.CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="ck_project_deletions_finished"),
        sa.PrimaryKeyConstraint("id", name="pk_project_deletions"),
    )
    op.create_index(
        "uq_project_deletions_open",
        "project_deletions",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('asked', 'removing')"),
    )
    op.create_index("ix_project_deletions_project_id_id", "project_deletions", ["project_id", "id"])
    op.execute(
        "CREATE TRIGGER guard_transition BEFORE UPDATE ON project_deletions FOR EACH ROW "
        "WHEN (OLD.status IS DISTINCT FROM NEW.status) "
        "EXECUTE FUNCTION guard_transition(' asked>cancelled asked>removing removing>done ')"
    )
    op.execute(
        "CREATE TRIGGER guard_final BEFORE UPDATE ON project_deletions FOR EACH ROW "
        "WHEN (OLD.status IN ('cancelled', 'done')) EXECUTE FUNCTION guard_final()"
    )
    op.execute("GRANT SELECT ON project_deletions TO sparkops_app")


def thinned_runs() -> None:
    op.create_table(
        "thinned_runs",
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("log_removed_at", TIME, nullable=True),
        sa.Column("log_removed_to", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("values_removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_thinned_runs_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_thinned_runs"),
    )
    op.execute("GRANT SELECT ON thinned_runs TO sparkops_app")
    op.execute(GUARD_VALUES)
    for table, columns in VALUES.items():
        op.execute(f"DROP TRIGGER guard_final ON {table}")
        op.execute(
            f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({FINAL[table]}) "
            f"EXECUTE FUNCTION guard_final_values('{columns}')"
        )


def upkeep() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("next_at", TIME, server_default=NOW, nullable=False),
        sa.Column("claim_token", sa.UUID, nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("found", JSONB, server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_chores"),
    )
    op.execute("INSERT INTO chores (name) VALUES ('retention'), ('collection')")
    op.create_table(
        "condemned_objects",
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("condemned_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_condemned_objects"),
    )
    op.create_index("ix_condemned_objects_condemned_at", "condemned_objects", ["condemned_at"])
    op.execute("GRANT SELECT, UPDATE ON chores TO sparkops_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON condemned_objects TO sparkops_app")


def downgrade() -> None:
    op.drop_table("condemned_objects")
    op.drop_table("chores")
    for table, condition in FINAL.items():
        op.execute(f"DROP TRIGGER guard_final ON {table}")
        op.execute(
            f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION guard_final()"
        )
    op.execute("DROP FUNCTION guard_final_values")
    op.drop_table("thinned_runs")
    op.drop_table("project_deletions")
    op.drop_index("ix_artifacts_sha256", "artifacts")
    for table in OUTLIVES:
        op.execute(f"DELETE FROM {table} l WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = l.project_id)")
        op.create_foreign_key(f"fk_{table}_project_id", table, "projects", ["project_id"], ["id"], ondelete="CASCADE")
    for column in KEPT:
        op.drop_column("projects", column)
