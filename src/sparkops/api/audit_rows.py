"""The audit trail and the security events as answers show them: with names, over the tables of several domains."""

# ruff: noqa: S608 -- statements are put together from parts that stand here

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg

from sparkops.core.db import Statements

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

WAITING_COUNTED: Final = 1_000
ROOTS_AT_ONCE: Final = 1_000

_SHOWN: Final = """
a.id AS number, a.at, p.slug AS project, a.actor, u.id AS user_id, u.name AS user_name, a.via, a.address,
a.request_id, a.action, a.object
"""
_WHOLE: Final = f"{_SHOWN}, a.detail, a.before, a.after, a.content_hash"
_NAMED: Final = """
LEFT JOIN projects p ON p.id = a.project_id
LEFT JOIN users u ON u.id = CASE WHEN a.actor ~ '^user:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                                 THEN substr(a.actor, 6)::uuid END
"""
_SEAL: Final = "SELECT number, at, root FROM audit_seals WHERE at >= $2 AND $1 = ANY (ids) ORDER BY at LIMIT 1"
# lint: allow sql-scope -- it counts, for administrators and those who look after a project
_CHAIN: Final = f"""
SELECT l.number, l.at, l.lines, l.root, w.waiting, w.since,
       coalesce(w.since < clock_timestamp() - interval '1 minute', false) AS behind
  FROM (SELECT count(*) AS waiting, min(a.at) AS since
          FROM (SELECT audit_id FROM audit_unsealed ORDER BY audit_id LIMIT {WAITING_COUNTED}) u
          JOIN audit a ON a.id = u.audit_id) w
  LEFT JOIN (SELECT number, at, lines, root FROM audit_seals ORDER BY number DESC LIMIT 1) l ON true
"""
_ROOTS: Final = """
SELECT number, at, lines, root, previous, mac, key_id FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2
"""
_EVENTS: Final = """
SELECT e.id AS number, e.at, e.kind, e.severity, u.id AS user_id, u.name AS user_name, e.email, p.slug AS project,
       e.address, e.request_id, e.detail
  FROM (SELECT * FROM security_events a {where} ORDER BY a.id DESC LIMIT {limit}) e
  LEFT JOIN projects p ON p.id = e.project_id
  LEFT JOIN users u ON u.id = e.user_id
 ORDER BY e.id DESC
"""


@dataclass(slots=True)
class Where:
    """Conditions on rows `a`, with their values; None as a value: whatever."""

    values: list[object] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    def add(self, condition: str, value: object) -> None:
        """Add a condition, in which `$` stands for the value."""
        if value is not None:
            self.values.append(value)
            self.conditions.append(condition.replace("$", f"${len(self.values)}"))

    def text(self) -> str:
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""

    def mark(self, value: object) -> str:
        """Add a value that is used elsewhere, and return its mark."""
        self.values.append(value)
        return f"${len(self.values)}"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are wanted; None: whatever.

    `action` and `object` name one, such as `policy.publish`, or all that begin so: `policy`.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    request_id: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which security events are wanted; None: whatever. `kind`: one, or all that begin so."""

    kind: str | None = None
    severity: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


Rows = Sequence["asyncpg.Record"]


async def lines(
    on: Statements, project_id: UUID | None, wanted: LineFilter, *, before: int | None, limit: int, whole: bool = False
) -> Rows:
    """Return lines of a project, newest first; `project_id` None: of the whole installation.

    `whole`: with what they changed.
    """
    where = _lines_where(project_id, wanted)
    where.add("a.id < $", before)
    limited = where.mark(limit)
    shown = _WHOLE if whole else _SHOWN
    # lint: allow sql-scope -- lines of the project that `where` names, or of all for administrators
    # lint: allow sql-text -- conditions stand in the code, values are arguments
    newest = f"SELECT * FROM audit a {where.text()} ORDER BY a.id DESC LIMIT {limited}"
    # lint: allow sql-text -- conditions stand in the code, values are arguments
    rows: Rows = await on.fetch(f"SELECT {shown} FROM ({newest}) a {_NAMED} ORDER BY a.id DESC", *where.values)
    return rows


async def line(on: Statements, project_id: UUID | None, number: int) -> "asyncpg.Record | None":
    """Return a line of a project with what it changed, or None; `project_id` None: of any."""
    where = _lines_where(project_id, LineFilter())
    where.add("a.id = $", number)
    # lint: allow sql-text -- conditions stand in the code, values are arguments
    return await on.fetchrow(f"SELECT {_WHOLE} FROM audit a {_NAMED} {where.text()}", *where.values)


async def seal_of(pool: Pool, number: int, at: datetime) -> "asyncpg.Record | None":
    """Return the seal that covers a line of this time, which is one of the first after it; None: it waits for one."""
    return await pool.fetchrow(_SEAL, number, at)


async def chain(pool: Pool) -> "asyncpg.Record":
    """Return the last seal, how many lines wait for the next one, and since when."""
    return await pool.fetchrow(_CHAIN)


async def roots(pool: Pool, after: int, limit: int) -> Rows:
    """Return what is kept outside of the seals that come after this one."""
    rows: Rows = await pool.fetch(_ROOTS, after, limit)
    return rows


async def security_events(
    on: Statements, project_id: UUID | None, wanted: EventFilter, *, before: int | None, limit: int
) -> Rows:
    """Return security events, newest first; `project_id` None: of the whole installation."""
    where = Where()
    where.add("a.project_id = $", project_id)
    where.add(_begins("kind", "."), wanted.kind)
    where.add("a.severity = $", wanted.severity)
    where.add("a.address = $", wanted.address)
    where.add("a.at >= $", wanted.since)
    where.add("a.at < $", wanted.until)
    where.add("a.id < $", before)
    limited = where.mark(limit)
    rows: Rows = await on.fetch(_EVENTS.format(where=where.text(), limit=limited), *where.values)
    return rows


def _lines_where(project_id: UUID | None, wanted: LineFilter) -> Where:
    where = Where()
    where.add("a.project_id = $", project_id)
    where.add("a.actor = $", wanted.actor)
    where.add(_begins("action", "."), wanted.action)
    where.add(_begins("object", ":"), wanted.object)
    where.add("a.request_id = $", wanted.request_id)
    where.add("a.address = $", wanted.address)
    where.add("a.at >= $", wanted.since)
    where.add("a.at < $", wanted.until)
    return where


def _begins(column: str, separator: str) -> str:
    """Return the condition that a value is a name, or one of those below it."""
    return f"(a.{column} = $ OR starts_with(a.{column}, $ || '{separator}'))"


def as_document(row: "asyncpg.Record") -> dict[str, Any]:
    """Return a whole line as it is exported."""
    return {
        "number": row["number"],
        "at": row["at"].isoformat(),
        "project": row["project"],
        "actor": row["actor"],
        "name": row["user_name"],
        "via": row["via"],
        "address": row["address"],
        "request_id": row["request_id"],
        "action": row["action"],
        "object": row["object"],
        "detail": row["detail"],
        "before": row["before"],
        "after": row["after"],
        "content_hash": row["content_hash"],
    }
