"""Looking a live installation over: every invariant in one snapshot, and what the server says of itself. Read-only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from sparkops.core.clock import utc_now
from sparkops.core.db import FORGETFUL, PLANNED_FOR_MANY, SILENCE_SECONDS, Database
from sparkops.engine.invariant import Invariant
from sparkops.engine.invariants import INVARIANTS

SHOWN = 20
CLOCK_TOLERANCE = timedelta(seconds=5)
"""Leases and timers use the database's clock alone; people and access tokens meet both."""

_OBSERVED: Sequence[Invariant] = (
    Invariant(
        "workers-heard",
        "A worker that holds steps has given a sign of life within the last minute.",
        """
        SELECT w.id AS subject, w.host, w.pid, w.seen_at, count(*) AS running FROM worker_sessions w
          JOIN steps s ON s.worker_session = w.id AND s.status = 'running'
         WHERE w.seen_at < clock_timestamp() - interval '1 minute'
         GROUP BY w.id
        """,
    ),
    Invariant(
        "policy-served",
        "Where people are asked or workers run, one of these serves the queue `policy`; else no question ever expires.",
        """
        SELECT 'policy' AS subject, q.open AS questions, w.alive AS workers
          FROM (SELECT count(*) AS open FROM approvals WHERE status = 'pending') q
          CROSS JOIN (SELECT count(*) AS alive, count(*) FILTER (WHERE queues ? 'policy') AS serving
                        FROM worker_sessions
                       WHERE ended_at IS NULL AND parent_id IS NULL
                         AND seen_at > clock_timestamp() - interval '1 minute') w
         WHERE w.serving = 0 AND (q.open > 0 OR w.alive > 0)
        """,
    ),
    Invariant(
        "outbox-moves",
        "An event for a subscription is delivered or given up within ten minutes after it is due.",
        """
        SELECT o.id AS subject, o.subscription, o.kind, o.attempt, o.next_at FROM outbox o
          JOIN subscriptions s ON s.name = o.subscription AND s.active
         WHERE o.status = 'pending' AND o.next_at < clock_timestamp() - interval '10 minutes'
           AND (o.lease_expires_at IS NULL OR o.lease_expires_at < clock_timestamp())
        """,
    ),
    Invariant(
        "audit-sealed",
        "A line of the audit trail is sealed within a minute; workers do so that have SPARKOPS_AUDIT_KEY.",
        """
        SELECT u.audit_id AS subject, a.at FROM audit_unsealed u JOIN audit a ON a.id = u.audit_id
         WHERE a.at < clock_timestamp() - interval '1 minute'
        """,
    ),
    Invariant(
        "server-durable",
        "The server keeps what it confirms: fsync, full_page_writes and synchronous_commit are on.",
        FORGETFUL,
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule, and what breaks it: the first rows, and how many there are.

    `unknown` says why the rule could not be checked; None: it was.
    """

    name: str
    rule: str
    rows: Sequence[Mapping[str, Any]] = ()
    total: int = 0
    unknown: str | None = None

    @property
    def ok(self) -> bool:
        return self.total == 0 and self.unknown is None


async def examine(database: Database, *, seconds: float) -> list[Finding]:
    """Check every rule within one snapshot; each may take so many seconds. Locks nothing and waits for nobody.

    Raises:
        asyncpg.PostgresError, OSError: the database went away.
    """
    async with database.pool.acquire() as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}; {PLANNED_FOR_MANY}")
            found = [await _check(connection, invariant, seconds) for invariant in (*INVARIANTS, *_OBSERVED)]
        return [*found, await _clocks(connection)]


async def _check(connection: Any, invariant: Invariant, seconds: float) -> Finding:
    # lint: allow sql-text -- the queries stand in engine/invariants.py
    query = f"SELECT count(*) OVER () AS total, to_jsonb(b) AS row FROM ({invariant.query}) b LIMIT {SHOWN}"  # noqa: S608
    try:
        async with connection.transaction():
            rows = await connection.fetch(query, timeout=seconds + SILENCE_SECONDS)
    except asyncpg.QueryCanceledError:
        return Finding(invariant.name, invariant.rule, unknown="it took too long; allow more with --timeout")
    except asyncpg.SyntaxOrAccessError as error:
        return Finding(invariant.name, invariant.rule, unknown=str(error))
    total = rows[0]["total"] if rows else 0
    return Finding(invariant.name, invariant.rule, [row["row"] for row in rows], total)


async def _clocks(connection: Any) -> Finding:
    """Compare the clocks at the middle of a question, which is as exact as the way there and back is short."""
    asked = utc_now()
    theirs = await connection.fetchval("SELECT clock_timestamp()")
    answered = utc_now()
    apart = theirs - (asked + (answered - asked) / 2)
    rule = f"The clocks of the database and of this machine are less than {CLOCK_TOLERANCE.seconds} s apart."
    rows = [{"subject": "clock", "ahead_seconds": apart.total_seconds()}] if abs(apart) > CLOCK_TOLERANCE else []
    return Finding("clocks", rule, rows, len(rows))
