"""Budgets as answers show them: one statement each, over the tables of several domains."""

# ruff: noqa: S608 -- statements are put together from parts that stand here

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from sparkops.core.db import Statements
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import seen_by

WINDOWS_SHOWN = 10
POINTS = 60
LINES = 500

_MEMBER = """
       CASE b.scope
         WHEN 'project' THEN (SELECT p.name FROM projects p WHERE p.id = b.scope_id)
         WHEN 'workflow' THEN (SELECT w.name FROM workflows w WHERE w.id = b.scope_id)
         WHEN 'agent' THEN (SELECT a.name FROM agents a WHERE a.id = b.scope_id)
         WHEN 'user' THEN (SELECT u.name FROM users u WHERE u.id = b.scope_id)
         WHEN 'api_key' THEN (SELECT k.name FROM api_keys k WHERE k.id = b.scope_id)
         WHEN 'run' THEN (SELECT w.name FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = b.scope_id)
       END AS member
"""
_WINDOW = f"""
       b.id, b.scope, b.scope_id, b.starts_at, b.ends_at, b.limit_micros, b.limit_tokens, b.limit_calls, b.limit_runs,
       b.spent_micros, b.reserved_micros, b.spent_tokens, b.reserved_tokens, b.calls, b.runs, b.created_at,
       clock_timestamp() AS now, {_MEMBER}
"""
_SEEN = """
   (d.project_id IS NOT NULL OR b.scope = 'installation' OR '00000000-0000-0000-0000-000000000000' = ANY ($2::uuid[])
    OR b.scope_id = $1 OR b.scope = 'project' AND b.scope_id = ANY ($2::uuid[])
    OR b.scope = 'api_key' AND EXISTS (SELECT 1 FROM api_keys k WHERE k.id = b.scope_id AND k.user_id = $1)
    OR b.scope = 'run' AND EXISTS (SELECT 1 FROM runs r WHERE r.id = b.scope_id AND r.project_id = ANY ($2::uuid[])))
"""
"""Of the installation's budgets a member sees what is theirs; administrators see all. $1: the user, $2: what they may
see (`core/tenancy.py`)."""
_DEFINED = f"""
SELECT d.*, p.slug AS project,
       CASE d.scope
         WHEN 'workflow' THEN (SELECT w.name FROM workflows w WHERE w.id = d.scope_id)
         WHEN 'agent' THEN (SELECT a.name FROM agents a WHERE a.id = d.scope_id)
         WHEN 'api_key' THEN (SELECT k.name FROM api_keys k WHERE k.id = d.scope_id)
         WHEN 'user' THEN (SELECT u.name FROM users u WHERE u.id = d.scope_id) END AS target,
       (SELECT count(*) FROM steps s WHERE s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'budget'
           AND s.waiting_for ->> 'budget_id' = d.id::text) AS waiting,
       g.members, g.windows
  FROM budget_definitions d LEFT JOIN projects p ON p.id = d.project_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS members,
           jsonb_agg(to_jsonb(w) ORDER BY w.place) FILTER (WHERE w.place <= {WINDOWS_SHOWN}) AS windows
      FROM (SELECT row_number() OVER (ORDER BY greatest(
                     (b.spent_micros + b.reserved_micros)::float8 / nullif(b.limit_micros, 0),
                     (b.spent_tokens + b.reserved_tokens)::float8 / nullif(b.limit_tokens, 0),
                     b.calls::float8 / nullif(b.limit_calls, 0), b.runs::float8 / nullif(b.limit_runs, 0)
                   ) DESC NULLS LAST, b.id) AS place, {_WINDOW}
              FROM budgets b
             WHERE b.definition_id = d.id AND (b.ends_at > clock_timestamp() OR b.ends_at IS NULL) AND {_SEEN}) w) g
"""
_OWN = "d.project_id = ANY ($2::uuid[])"


async def budget_rows(
    on: Statements, principal: Principal, *, project_id: UUID, archived: bool, page: PageRequest
) -> Sequence[asyncpg.Record]:
    """Return the budgets of a project of the principal's and of the installation, the newest first, one more than the
    page holds. `archived`: those that were given up."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        f"""{_DEFINED}
         WHERE (d.project_id = $3 AND {_OWN} OR d.project_id IS NULL) AND (d.archived_at IS NOT NULL) = $4
           AND ($5::uuid IS NULL OR d.id < $5)
         ORDER BY d.id DESC LIMIT $6""",
        principal.user_id,
        seen_by(principal),
        project_id,
        archived,
        page.after,
        page.limit + 1,
    )
    return found


async def budget_row(on: Statements, principal: Principal, *, budget_id: UUID) -> asyncpg.Record | None:
    """Return a budget of one of the principal's projects or of the installation, or None."""
    return await on.fetchrow(
        f"{_DEFINED} WHERE d.id = $3 AND (d.project_id IS NULL OR {_OWN})",
        principal.user_id,
        seen_by(principal),
        budget_id,
    )


async def window_rows(
    on: Statements, principal: Principal, *, budget_id: UUID, page: PageRequest
) -> Sequence[asyncpg.Record]:
    """Return the windows of a budget that the principal may see, the newest first, one more than the page holds."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        f"""SELECT {_WINDOW} FROM budgets b JOIN budget_definitions d ON d.id = b.definition_id
             WHERE d.id = $3 AND {_SEEN}
               AND ($4::uuid IS NULL
                    OR (b.created_at, b.id) < (SELECT c.created_at, c.id FROM budgets c WHERE c.id = $4))
             ORDER BY b.created_at DESC, b.id DESC LIMIT $5""",
        principal.user_id,
        seen_by(principal),
        budget_id,
        page.after,
        page.limit + 1,
    )
    return found


async def window_row(
    on: Statements, principal: Principal, *, budget_id: UUID, window_id: UUID
) -> asyncpg.Record | None:
    """Return one window of a budget, or None."""
    return await on.fetchrow(
        f"""SELECT {_WINDOW} FROM budgets b JOIN budget_definitions d ON d.id = b.definition_id
             WHERE d.id = $3 AND b.id = $4 AND {_SEEN}""",
        principal.user_id,
        seen_by(principal),
        budget_id,
        window_id,
    )


async def course_rows(on: Statements, *, window_id: UUID) -> Sequence[asyncpg.Record]:
    """Return {at, micros, tokens}: what had been spent in a window by the end of each of up to 60 parts of it."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        # lint: allow sql-scope -- who calls it has looked the window up for this caller
        """WITH span AS (
             SELECT coalesce(b.starts_at, b.created_at) AS since, least(clock_timestamp(), b.ends_at) AS until
               FROM budgets b WHERE b.id = $1),
           parts AS (
             SELECT least(greatest(width_bucket(extract(epoch FROM l.at)::float8, extract(epoch FROM s.since)::float8,
                    extract(epoch FROM s.until)::float8 + 0.001, $2), 1), $2) AS part,
                    sum(l.amount_micros) AS micros, sum(l.tokens) AS tokens
               FROM ledger_entries l, span s WHERE l.budget_id = $1 GROUP BY 1)
           SELECT s.since + (s.until - s.since) * (p.part::float8 / $2) AS at,
                  (sum(p.micros) OVER (ORDER BY p.part))::bigint AS micros,
                  (sum(p.tokens) OVER (ORDER BY p.part))::bigint AS tokens
             FROM parts p, span s ORDER BY p.part""",
        window_id,
        POINTS,
    )
    return found


async def notice_rows(
    on: Statements, principal: Principal, *, budget_id: UUID, page: PageRequest
) -> Sequence[asyncpg.Record]:
    """Return what was reached in windows that the principal may see, the latest first, one more than the page holds."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        f"""SELECT n.*, b.scope, b.scope_id, {_MEMBER},
                   (SELECT r.id FROM runs r WHERE r.id = n.run_id AND r.project_id = ANY ($2::uuid[])) AS run
              FROM budget_notices n JOIN budgets b ON b.id = n.budget_id
              JOIN budget_definitions d ON d.id = n.definition_id
             WHERE d.id = $3 AND {_SEEN}
               AND ($4::uuid IS NULL OR (n.at, n.id) < (SELECT o.at, o.id FROM budget_notices o WHERE o.id = $4))
             ORDER BY n.at DESC, n.id DESC LIMIT $5""",
        principal.user_id,
        seen_by(principal),
        budget_id,
        page.after,
        page.limit + 1,
    )
    return found


async def version_row(on: Statements, *, project_id: UUID, workflow: str, version: int | None) -> asyncpg.Record | None:
    """Return {id, workflow_id, name, version} of a workflow's version, the latest where none is named, or None."""
    return await on.fetchrow(
        """SELECT v.id, w.id AS workflow_id, w.name, v.version FROM workflows w
             JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce($3, w.latest_version)
            WHERE w.project_id = $1 AND w.name = $2""",
        project_id,
        workflow,
        version,
    )


async def cost_lines(on: Statements, *, run_id: UUID) -> Sequence[asyncpg.Record]:
    """Return what the calls of each step to each model and tool have cost, the dearest first."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        # lint: allow sql-scope -- who calls it has looked the run up for this caller
        """SELECT s.node_key AS step_key, s.type AS step_type, d.facts ->> 'agent.name' AS agent, c.kind, c.name,
                  count(*) AS calls, sum(c.cost_micros)::bigint AS cost_micros,
                  coalesce(sum((c.usage ->> 'input_tokens')::bigint), 0)::bigint AS input_tokens,
                  coalesce(sum((c.usage ->> 'output_tokens')::bigint), 0)::bigint AS output_tokens,
                  coalesce(sum((c.usage ->> 'cached_tokens')::bigint), 0)::bigint AS cached_tokens,
                  coalesce(sum((c.usage ->> 'reasoning_tokens')::bigint), 0)::bigint AS reasoning_tokens
             FROM calls c JOIN steps s ON s.id = c.step_id LEFT JOIN policy_decisions d ON d.id = c.decision_id
            WHERE c.run_id = $1 AND c.attempt > 0
            GROUP BY 1, 2, 3, 4, 5 ORDER BY sum(c.cost_micros) DESC, 1, 5 LIMIT $2""",
        run_id,
        LINES,
    )
    return found


async def cost_points(on: Statements, *, run_id: UUID) -> Sequence[asyncpg.Record]:
    """Return {at, micros}: what the calls of a run had cost after each of them, at most so many points."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        # lint: allow sql-scope -- who calls it has looked the run up for this caller
        """WITH line AS (
             SELECT c.finished_at AS at, (sum(c.cost_micros) OVER (ORDER BY c.finished_at, c.id))::bigint AS micros,
                    row_number() OVER (ORDER BY c.finished_at, c.id) AS no, count(*) OVER () AS all_of_them
               FROM calls c WHERE c.run_id = $1 AND c.cost_micros > 0 AND c.finished_at IS NOT NULL)
           SELECT at, micros FROM line WHERE no % (all_of_them / $2 + 1) = 0 OR no = all_of_them ORDER BY no""",
        run_id,
        LINES,
    )
    return found


async def run_sums(on: Statements, *, run_id: UUID) -> asyncpg.Record | None:
    """Return {own, below, presumed}: what a run has cost by the ledger."""
    return await on.fetchrow(
        # lint: allow sql-scope -- who calls it has looked the run up for this caller
        """SELECT coalesce(sum(l.amount_micros) FILTER (WHERE l.run_id = $1), 0)::bigint AS own,
                  coalesce(sum(l.amount_micros) FILTER (WHERE l.run_id <> $1), 0)::bigint AS below,
                  coalesce(sum(l.amount_micros) FILTER (WHERE l.kind = 'presumed'), 0)::bigint AS presumed
             FROM budgets b LEFT JOIN ledger_entries l ON l.budget_id = b.id
            WHERE b.definition_id IS NULL AND b.scope_id = $1""",
        run_id,
    )


async def run_budgets(on: Statements, principal: Principal, *, run_id: UUID) -> Sequence[asyncpg.Record]:
    """Return the budgets that the calls of a run counted against, its own first."""
    found: Sequence[asyncpg.Record] = await on.fetch(
        f"""SELECT b.definition_id,
                   coalesce(d.name, CASE b.scope_id WHEN $3 THEN 'This run' ELSE 'The run above' END) AS name,
                   b.period, b.ends_at, b.limit_micros, b.spent_micros, b.reserved_micros,
                   (SELECT coalesce(sum(l.amount_micros), 0)::bigint FROM ledger_entries l
                     WHERE l.budget_id = b.id AND l.run_id = $3) AS own
              FROM budgets b LEFT JOIN budget_definitions d ON d.id = b.definition_id
             WHERE (b.definition_id IS NULL AND b.scope_id = $3
                    OR b.id IN (SELECT DISTINCT unnest(v.budget_ids) FROM reservations v WHERE v.run_id = $3))
               AND (d.id IS NULL OR {_SEEN})
             ORDER BY d.id IS NOT NULL, b.created_at LIMIT 100""",
        principal.user_id,
        seen_by(principal),
        run_id,
    )
    return found
