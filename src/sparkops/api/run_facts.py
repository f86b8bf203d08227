"""What lists show of runs beside their own row: one statement for a whole page, over the tables of several domains."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import asyncpg

_FACTS = """
SELECT r.id, u.name AS creator, w.name AS pauser, c.last_seq, b.limit_micros, b.spent_micros, b.reserved_micros,
       k.cost_micros, k.input_tokens, k.output_tokens
  FROM runs r
  LEFT JOIN users u ON u.id = r.created_by
  LEFT JOIN users w ON w.id = r.paused_by
  LEFT JOIN run_counters c ON c.run_id = r.id
  LEFT JOIN budgets b ON b.scope = 'run' AND b.scope_id = r.id
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(cost_micros), 0)::bigint AS cost_micros,
           coalesce(sum((usage ->> 'input_tokens')::bigint), 0)::bigint AS input_tokens,
           coalesce(sum((usage ->> 'output_tokens')::bigint), 0)::bigint AS output_tokens
      FROM calls WHERE run_id = r.id) k ON true
 WHERE r.id = ANY ($1)
"""

Facts = Mapping[str, Any]


async def facts_of_runs(pool: "asyncpg.Pool[asyncpg.Record]", *, run_ids: Collection[UUID]) -> Mapping[UUID, Facts]:
    """Return for each run: creator, pauser, last_seq, its budget's limit_micros (None: it has none), spent_micros and
    reserved_micros, and what its calls add up to: cost_micros, input_tokens, output_tokens."""
    return {row["id"]: row for row in await pool.fetch(_FACTS, list(run_ids))}
