"""People let runs begin, and let their output out: questions about the run itself.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

EXITS = {
    "awaiting_approval": "queued running denied cancelling compensating succeeded failed",
    "queued": "running paused cancelling",
    "running": "paused attention awaiting_approval cancelling compensating succeeded failed",
    "paused": "queued running cancelling",
    "attention": "running cancelling",
    "cancelling": "cancelled compensating",
    "compensating": "failed cancelled cancelling",
}
EXITS_BEFORE = {
    **EXITS,
    "awaiting_approval": "queued running denied cancelling",
    "running": "paused attention cancelling compensating succeeded failed",
}
GOING_ON = "status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')"
GOING_ON_BEFORE = "status IN ('running', 'attention', 'paused', 'cancelling', 'compensating')"
KINDS = "subject_kind IN ('run', 'step', 'call', 'output')"
KINDS_BEFORE = "subject_kind IN ('run', 'step', 'call')"
GUARD_CLEARED = """
CREATE FUNCTION guard_cleared() RETURNS trigger LANGUAGE plpgsql AS $$
-- A run that waits for people goes on only with an answer that was used for it, or when the rules do not ask any more.
DECLARE
  v_begins boolean := OLD.started_at IS NULL;
BEGIN
  IF EXISTS (SELECT 1 FROM approvals a
             WHERE a.subject_id = NEW.id AND a.subject_kind = CASE WHEN v_begins THEN 'run' ELSE 'output' END
               AND a.status = 'consumed')
     OR EXISTS (SELECT 1 FROM policy_decisions d
                WHERE d.run_id = NEW.id AND d.subject_id = NEW.id AND d.outcome = 'allow'
                  AND d.subject = CASE WHEN v_begins THEN 'run.create' ELSE 'output' END) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'run % was let go without a decision or an approval for it', NEW.id USING ERRCODE = 'SF004';
END $$
"""


def upgrade() -> None:
    _guard_runs(EXITS)
    _replace_going_on(GOING_ON)
    op.alter_column("approvals", "step_id", nullable=True)
    _replace_kinds(KINDS)
    op.create_check_constraint(
        op.f("ck_approvals_step"), "approvals", "(step_id IS NULL) = (subject_kind IN ('run', 'output'))"
    )
    op.execute(GUARD_CLEARED)
    op.execute(
        "CREATE TRIGGER guard_cleared BEFORE UPDATE ON runs FOR EACH ROW "
        "WHEN (OLD.status = 'awaiting_approval' AND NEW.status IN ('queued', 'running', 'succeeded')) "
        "EXECUTE FUNCTION guard_cleared()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_cleared ON runs")
    op.execute("DROP FUNCTION guard_cleared")
    op.drop_constraint(op.f("ck_approvals_step"), "approvals")
    op.execute("DELETE FROM approvals WHERE step_id IS NULL")
    _replace_kinds(KINDS_BEFORE)
    op.alter_column("approvals", "step_id", nullable=False)
    _replace_going_on(GOING_ON_BEFORE)
    _guard_runs(EXITS_BEFORE)


def _guard_runs(exits: dict[str, str]) -> None:
    listed = " ".join(f"{source}>{target}" for source, targets in exits.items() for target in targets.split())
    op.execute("DROP TRIGGER guard_transition ON runs")
    op.execute(
        "CREATE TRIGGER guard_transition BEFORE UPDATE ON runs FOR EACH ROW "
        f"WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION guard_transition(' {listed} ')"
    )


def _replace_going_on(condition: str) -> None:
    op.drop_index("ix_runs_going_on", "runs")
    op.create_index(
        "ix_runs_going_on",
        "runs",
        ["project_id", "workflow_id", "concurrency_key"],
        postgresql_where=sa.text(condition),
    )


def _replace_kinds(condition: str) -> None:
    op.drop_constraint("ck_approvals_subject_kind", "approvals", type_="check")
    op.create_check_constraint("ck_approvals_subject_kind", "approvals", condition)
