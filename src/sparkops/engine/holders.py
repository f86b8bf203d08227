"""Invariants about whose rows are: which project they belong to, and which worker wrote them."""

from collections.abc import Iterator, Mapping, Sequence

from sparkops.engine.invariant import Invariant

REFERENCES: Mapping[str, Sequence[str]] = {
    "agents": ("agent_versions.agent_id",),
    "agent_versions": ("approvals.agent_version_id",),
    "approvals": ("approval_messages.approval_id", "approval_votes.approval_id", "calls.approval_id"),
    "backtests": ("backtest_flips.backtest_id",),
    "budget_definitions": ("budget_notices.definition_id", "budgets.definition_id"),
    "budgets": ("budget_notices.budget_id", "ledger_entries.budget_id"),
    "calls": ("artifacts.call_id", "ledger_entries.call_id", "reservations.call_id", "secret_uses.call_id"),
    "halts": ("project_deletions.halt_id",),
    "policies": ("backtests.policy_id", "policy_decisions.policy_id", "violations.policy_id"),
    "policy_decisions": (
        *("approvals.decision_id", "backtest_flips.decision_id", "calls.decision_id", "violations.decision_id"),
    ),
    "runs": (
        *("approvals.run_id", "artifacts.run_id", "backtest_flips.run_id", "budget_notices.run_id", "calls.run_id"),
        *("events.run_id", "expansions.run_id", "frames.run_id", "ledger_entries.run_id", "outbox.run_id"),
        *("policy_decisions.run_id", "reservations.run_id", "run_counters.run_id", "runs.parent_run_id"),
        *("runs.source_run_id", "secret_uses.run_id", "step_attempts.run_id", "steps.run_id", "steps.child_run_id"),
        *("thinned_runs.run_id", "violations.run_id"),
    ),
    "secrets": ("secret_versions.secret_id",),
    "steps": (
        *("approvals.step_id", "artifacts.step_id", "budget_notices.step_id", "calls.step_id", "events.step_id"),
        *("expansions.step_id", "frames.parent_id", "policy_decisions.step_id", "runs.parent_step_id"),
        *("secret_uses.step_id", "step_attempts.step_id", "steps.parent_id", "violations.step_id"),
    ),
    "users": ("memberships.user_id",),
    "violations": ("violation_notes.violation_id",),
    "workflows": ("runs.workflow_id", "workflow_versions.workflow_id"),
    "workflow_versions": ("runs.workflow_version_id",),
}
"""By table, the columns of others that name a row of it by its id, where both know whose they are."""


def _crossing(table: str, place: str) -> str:
    referring, column = place.split(".")
    # lint: allow sql-text -- the names stand above
    return f"""
        SELECT r.{column} AS subject, '{place}' AS named_in, r.project_id AS by_project, t.project_id AS of_project
          FROM {referring} r JOIN {table} t ON t.id = r.{column} AND t.project_id <> r.project_id"""  # noqa: S608


def _crossings() -> Iterator[str]:
    for table, places in REFERENCES.items():
        for place in places:
            yield _crossing(table, place)
    yield """
        SELECT n.id, 'steps.needs', s.project_id, n.project_id
          FROM steps s CROSS JOIN LATERAL unnest(s.needs || s.reads || s.dependents) AS u (id)
          JOIN steps n ON n.id = u.id AND n.project_id <> s.project_id"""
    yield """
        SELECT b.id, 'budgets.scope_id', b.project_id, r.project_id
          FROM budgets b JOIN runs r ON r.id = b.scope_id AND r.project_id <> b.project_id
         WHERE b.definition_id IS NULL"""


HOLDERS: Sequence[Invariant] = (
    Invariant(
        "project-own",
        "A row of one project names no row of another; nor does a step need or read one. `subject` is what is named.",
        " UNION ALL ".join(_crossings()),
    ),
    Invariant(
        "poison-alone",
        "A step was given up as `poison` only after a death of a process in which there was no other.",
        """
        SELECT s.id AS subject, s.attempt, s.crashes, a.outcome, a.worker_session FROM steps s
          LEFT JOIN step_attempts a ON a.run_id = s.run_id AND a.step_id = s.id AND a.attempt = s.attempt
         WHERE s.status = 'failed' AND s.error ->> 'code' = 'poison' AND a.outcome IS DISTINCT FROM 'failed'
           AND (coalesce(a.outcome NOT IN ('lost', 'released'), true) OR EXISTS (
             SELECT 1 FROM step_attempts o
              WHERE o.worker_session = a.worker_session AND o.step_id <> a.step_id
                AND o.started_at < a.ended_at AND coalesce(o.ended_at, 'infinity') > a.started_at))
        """,
    ),
    Invariant(
        "epoch-over",
        "After an epoch had ended, none of its workers began or ended an attempt or prepared a call.",
        """
        WITH former AS (
          SELECT w.id, e.over FROM worker_sessions w CROSS JOIN LATERAL (
            SELECT min(l.at) AS over FROM audit l
             WHERE l.project_id IS NULL AND l.action = 'system.recover' AND l.at > w.started_at) e
           WHERE e.over IS NOT NULL)
        SELECT a.step_id AS subject, a.attempt, f.id AS worker_session, f.over FROM former f
          JOIN step_attempts a ON a.worker_session = f.id AND (a.started_at > f.over OR a.ended_at > f.over)
        UNION ALL
        SELECT c.id, a.attempt, f.id, f.over FROM former f
          JOIN step_attempts a ON a.worker_session = f.id
          JOIN calls c ON c.run_id = a.run_id AND c.step_id = a.step_id AND c.attempt = a.attempt
                      AND c.prepared_at > f.over
        """,
    ),
)
