"""Triggers that refuse what the protocol does not list, whoever writes it.

SF002: a transition that is not in the table, or a change to a row that is final.
SF004: a call prepared without a decision that allows it or an approval that was used for it.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRANSITIONS = {
    "runs": {
        "awaiting_approval": "queued running denied cancelling",
        "queued": "running paused cancelling",
        "running": "paused attention cancelling compensating succeeded failed",
        "paused": "queued running cancelling",
        "attention": "running cancelling",
        "cancelling": "cancelled compensating",
        "compensating": "failed cancelled cancelling",
    },
    "steps": {
        "pending": "ready skipped succeeded failed cancelled",
        "ready": "running cancelled",
        "running": "succeeded ready failed waiting uncertain cancelled",
        "waiting": "ready failed cancelled",
        "uncertain": "ready succeeded failed cancelled",
    },
    "calls": {
        "proposed": "denied waiting_approval prepared",
        "waiting_approval": "prepared denied expired",
        "prepared": "done failed unknown",
        "unknown": "done failed",
    },
    "approvals": {
        "pending": "approved rejected expired withdrawn",
        "approved": "consumed expired withdrawn",
    },
    "reservations": {"held": "settled released"},
}

FINAL = {
    "runs": "OLD.finished_at IS NOT NULL",
    "steps": "OLD.finished_at IS NOT NULL",
    "step_attempts": "OLD.ended_at IS NOT NULL",
    "calls": "OLD.status IN ('done', 'failed', 'denied', 'expired')",
    "approvals": "OLD.status IN ('rejected', 'expired', 'withdrawn', 'consumed')",
    "reservations": "OLD.status IN ('settled', 'released')",
    "events": "true",
    "audit": "true",
    "ledger_entries": "true",
    "policy_decisions": "true",
    "agent_versions": "true",
    "workflow_versions": "true",
}
"""When a row may not be changed any more, as a condition on it."""

GUARD_TRANSITION = """
CREATE FUNCTION guard_transition() RETURNS trigger LANGUAGE plpgsql AS $$
-- TG_ARGV[0] lists the allowed changes as ' from>to from>to '.
BEGIN
  IF position(' ' || OLD.status || '>' || NEW.status || ' ' IN TG_ARGV[0]) = 0 THEN
    RAISE EXCEPTION '% % may not go from % to %', TG_TABLE_NAME, OLD, OLD.status, NEW.status
      USING ERRCODE = 'SF002';
  END IF;
  RETURN NEW;
END $$
"""

GUARD_FINAL = """
CREATE FUNCTION guard_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a final row of % may not change', TG_TABLE_NAME USING ERRCODE = 'SF002';
END $$
"""

GUARD_PREPARED = """
CREATE FUNCTION guard_prepared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status = 'prepared' THEN
    RETURN NEW;
  END IF;
  IF EXISTS (SELECT 1 FROM policy_decisions d
             WHERE d.id = NEW.decision_id AND d.subject_id = NEW.id
               AND d.request_hash = NEW.request_hash AND d.outcome = 'allow') THEN
    RETURN NEW;
  END IF;
  IF EXISTS (SELECT 1 FROM approvals a
             WHERE a.id = NEW.approval_id AND a.subject_id = NEW.id AND a.status = 'consumed'
               AND a.request_hash = NEW.request_hash AND a.tool_hash IS NOT DISTINCT FROM NEW.tool_hash) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'call % was prepared without a decision or an approval for exactly this request', NEW.id
    USING ERRCODE = 'SF004';
END $$
"""


FILL_HASH = """
CREATE FUNCTION fill_content_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.content_hash := encode(sha256(convert_to(jsonb_build_array(
    NEW.id, NEW.at, NEW.project_id, NEW.actor, NEW.action, NEW.object, NEW.detail, NEW.request_id)::text, 'UTF8')), 'hex');
  RETURN NEW;
END $$
"""


def listed(exits: dict[str, str]) -> str:
    pairs = [f"{source}>{target}" for source, targets in exits.items() for target in targets.split()]
    return f" {' '.join(pairs)} "


def upgrade() -> None:
    op.execute(GUARD_TRANSITION)
    op.execute(GUARD_FINAL)
    op.execute(GUARD_PREPARED)
    op.execute(FILL_HASH)
    op.execute(
        "CREATE TRIGGER fill_content_hash BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION fill_content_hash()"
    )
    for table, exits in TRANSITIONS.items():
        op.execute(
            f"CREATE TRIGGER guard_transition BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION guard_transition('{listed(exits)}')"
        )
    for table, condition in FINAL.items():
        op.execute(
            f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION guard_final()"
        )
    op.execute(
        "CREATE TRIGGER guard_prepared BEFORE INSERT OR UPDATE ON calls FOR EACH ROW "
        "WHEN (NEW.status = 'prepared') EXECUTE FUNCTION guard_prepared()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER fill_content_hash ON audit")
    op.execute("DROP TRIGGER guard_prepared ON calls")
    for table in FINAL:
        op.execute(f"DROP TRIGGER guard_final ON {table}")
    for table in TRANSITIONS:
        op.execute(f"DROP TRIGGER guard_transition ON {table}")
    op.execute("DROP FUNCTION fill_content_hash")
    op.execute("DROP FUNCTION guard_prepared")
    op.execute("DROP FUNCTION guard_final")
    op.execute("DROP FUNCTION guard_transition")
