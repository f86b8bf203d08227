"""Runs and their steps as answers show them: one statement each, over the tables of several domains.

Statements are put together from parts that stand here; what a caller asks for becomes an argument.
"""

# ruff: noqa: S608 -- the parts are ours

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from sparkops.core.db import Statements
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.domains.runs.pages import RunFilter, page_of_ids
from sparkops.domains.runs.queries import StepFilter

_SUMMARY = """
       r.id, r.workflow_version_id, r.status, r.trigger, r.error, r.pins, r.priority, r.created_by, r.created_at,
       r.started_at, r.finished_at, r.paused_at, r.paused_by, r.cancel_requested_at, r.step_count, r.source_run_id,
       r.source_kind, p.slug AS project, u.name AS creator, w.name AS pauser, c.last_seq, b.limit_micros,
       b.spent_micros, b.reserved_micros, k.cost_micros, k.input_tokens, k.output_tokens
"""
_BESIDE = """
  JOIN projects p ON p.id = r.project_id
  LEFT JOIN users u ON u.id = r.created_by
  LEFT JOIN users w ON w.id = r.paused_by
  LEFT JOIN run_counters c ON c.run_id = r.id
  LEFT JOIN budgets b ON b.definition_id IS NULL AND b.scope_id = r.id
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(cost_micros), 0)::bigint AS cost_micros,
           coalesce(sum((usage ->> 'input_tokens')::bigint), 0)::bigint AS input_tokens,
           coalesce(sum((usage ->> 'output_tokens')::bigint), 0)::bigint AS output_tokens
      FROM calls WHERE run_id = r.id) k ON true
"""
_PROJECT = "(SELECT id FROM projects WHERE slug = $1 AND id = ANY ($2))"

_RUN = f"""
SELECT {_SUMMARY}, r.input, r.output, r.ends_as, r.parent_run_id, r.parent_step_id,
       s.node_key AS parent_key, r.concurrency_key, r.concurrency_limit, t.log_removed_at, t.values_removed_at,
       CASE WHEN r.finished_at IS NULL AND r.started_at IS NOT NULL
            THEN r.deadline_at + engine.stood(
              r.project_id, coalesce(r.clock_from, r.started_at), coalesce(r.paused_at, clock_timestamp()))
            ELSE r.deadline_at END AS deadline_at,
       CASE WHEN r.status = 'queued'
            THEN coalesce(engine.blocked_by(r), CASE WHEN r.uncounted THEN 'budget' END) END AS queued_behind,
       CASE WHEN r.status = 'queued' AND r.uncounted THEN (
         SELECT jsonb_agg(jsonb_build_object(
                  'id', w.definition_id, 'name', w.name, 'limit_runs', w.of, 'used_runs', w.used, 'percent', w.percent,
                  'resets_at', w.ends_at))
           FROM engine.budget_runs(r.project_id, r.workflow_id, r.created_by, r.created_by_key) w)
            END AS queued_budgets,
       (SELECT jsonb_object_agg(n.status, n.steps)
          FROM (SELECT status, count(*) AS steps FROM steps WHERE run_id = r.id GROUP BY status) n) AS steps_by_status
  FROM runs r
  {_BESIDE}
  LEFT JOIN steps s ON s.id = r.parent_step_id
  LEFT JOIN thinned_runs t ON t.run_id = r.id
 WHERE r.id = $1 AND r.project_id = ANY ($2)
"""


def runs_statement(
    principal: Principal, slug: str, where: RunFilter, page: PageRequest
) -> tuple[str, Sequence[object]]:
    """Return the statement for a page of runs and its arguments."""
    arguments: list[object] = [slug, list(principal.places)]

    def mark(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    ids = page_of_ids(_PROJECT, where, page, mark)
    # lint: allow sql-text -- parts stand in the code, values are arguments
    return f"SELECT {_SUMMARY} FROM ({ids}) page JOIN runs r ON r.id = page.id {_BESIDE} ORDER BY r.id DESC", arguments


async def run_rows(
    on: Statements, principal: Principal, *, slug: str, where: RunFilter, page: PageRequest
) -> "Sequence[asyncpg.Record]":
    """Return the runs of a project as lists show them, newest first, one more than the page holds.

    None are found where the principal is not a member of the project, and where there is no such project.
    """
    statement, arguments = runs_statement(principal, slug, where, page)
    rows: list[asyncpg.Record] = await on.fetch(statement, *arguments)
    return rows


async def run_row(on: Statements, principal: Principal, *, run_id: UUID) -> "asyncpg.Record | None":
    """Return one run of the principal's whole, or None. `steps_by_status` of None: it has no steps."""
    return await on.fetchrow(_RUN, run_id, list(principal.places))


_STEPS = """
SELECT s.id, s.node_key, s.path, s.type, s.position, s.needs, s.status, s.attempt, s.failures, s.crashes, s.ready_at,
       s.started_at, s.finished_at, s.waiting_for, s.error, s.copied_from, s.parent_id, s.frame_no, s.undo_of, s.held,
       s.not_before, s.wake_at, s.child_run_id, r.workflow_version_id, child.status AS child_status,
       child.workflow_version_id AS child_version_id,
       CASE WHEN s.fails_at IS NOT NULL AND s.finished_at IS NULL
            THEN engine.step_fails_at(s, clock_timestamp()) ELSE s.fails_at END AS fails_at, to_jsonb(e) AS expansion,
       CASE WHEN s.type = 'branch' AND s.status = 'succeeded' THEN s.output -> 'chosen' END AS chosen,
       (SELECT coalesce(sum(cost_micros), 0)::bigint FROM calls WHERE run_id = s.run_id AND step_id = s.id)
         AS cost_micros{more}
  FROM ({ids}) page
  JOIN steps s ON s.id = page.id
  JOIN runs r ON r.id = s.run_id
  LEFT JOIN expansions e ON e.step_id = s.id
  LEFT JOIN runs child ON child.id = s.child_run_id AND child.project_id = s.project_id
 ORDER BY s.id
"""
_OF_RUN = "SELECT id FROM steps WHERE run_id = (SELECT id FROM runs WHERE id = $1 AND project_id = ANY ($2))"
_ONE_STEP = _STEPS.format(more=", s.output", ids=f"{_OF_RUN} AND id = $3")


async def step_rows(
    on: Statements, principal: Principal, *, run_id: UUID, where: StepFilter, page: PageRequest
) -> "Sequence[asyncpg.Record]":
    """Return steps of a run in the order of their ids, one more than the page holds; without outputs.

    None are found where the run is not the principal's, too.
    """
    bounds = (("parent_id =", where.parent_id), ("frame_no =", where.frame_no), ("id >", page.after))
    asked = [(bound, value) for bound, value in bounds if value is not None]
    narrowed = "".join(f" AND {bound} ${number}" for number, (bound, _) in enumerate(asked, 4))
    if not where.bodies:
        narrowed += " AND parent_id IS NULL"
    # lint: allow sql-text -- parts stand in the code, values are arguments
    statement = _STEPS.format(more="", ids=f"{_OF_RUN}{narrowed} ORDER BY id LIMIT $3")
    values = [value for _, value in asked]
    rows: list[asyncpg.Record] = await on.fetch(statement, run_id, list(principal.places), page.limit + 1, *values)
    return rows


async def step_row(on: Statements, principal: Principal, *, run_id: UUID, step_id: UUID) -> "asyncpg.Record | None":
    """Return one step of one of the principal's runs with its output, or None."""
    return await on.fetchrow(_ONE_STEP, run_id, list(principal.places), step_id)
