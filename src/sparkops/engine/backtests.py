"""Backtests on their way through the queue `policy`: taken under a lease, recorded page by page, ended.

Nothing here is needed to decide anything: a backtest that is lost with its process is taken up again where the last
page was recorded, because all that it depends on is frozen in its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.errors import Forbidden
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.policies.backtest import MAX_DECISIONS
from sparkops.domains.policies.let_go import LET_GO

QUEUE = "policy"
MAX_ATTEMPTS = 3
"""A backtest whose process died so often is given up."""
MAX_LISTED = 1_000
"""How many flips are listed; all are counted."""
LEASE = timedelta(seconds=60)
"""Renewed with every page, which takes far less."""

_WAITING = """
SELECT EXISTS (SELECT 1 FROM backtests
                WHERE status = 'queued' OR (status = 'running' AND lease_expires_at < clock_timestamp()))
"""
_GIVE_UP = """
UPDATE backtests SET status = 'failed', finished_at = clock_timestamp(), claim_token = NULL,
       error = '{"code": "gave-up", "message": "The process that judged it died each time."}'
 WHERE status = 'running' AND lease_expires_at < clock_timestamp() AND attempts >= $1
"""
_CLAIM = """
UPDATE backtests b
   SET status = 'running', claim_token = $1, lease_expires_at = clock_timestamp() + $2, attempts = attempts + 1,
       started_at = coalesce(started_at, clock_timestamp())
 WHERE b.id = (SELECT id FROM backtests
                WHERE status = 'queued' OR (status = 'running' AND lease_expires_at < clock_timestamp())
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING b.*, (SELECT slug FROM projects p WHERE p.id = b.project_id) AS slug
"""
# What only says that consent was there is not judged once more beside what was asked.
_COUNT = f"""
SELECT count(*) FROM (
  SELECT 1 FROM policy_decisions d
   WHERE d.project_id = $1 AND d.id >= $2 AND d.id < $3
     AND ($4::text[] IS NULL OR d.subject = ANY ($4)) AND ($5::text[] IS NULL OR d.name = ANY ($5))
     AND NOT ({LET_GO.format("d")})
   LIMIT $6) n
"""  # noqa: S608 -- a constant
_PAGE = f"""
SELECT d.id, d.project_id, d.run_id, d.subject, d.name, d.at, d.outcome, d.rule, d.facts,
       CASE WHEN $7 AND d.subject = 'tool.call'
            THEN (SELECT CASE WHEN c.request_hash = d.request_hash THEN c.request
                              ELSE (SELECT a.edited_request FROM approvals a
                                     WHERE a.run_id = d.run_id AND a.subject_id = c.id
                                       AND a.edited_hash = d.request_hash LIMIT 1) END
                    FROM calls c WHERE c.run_id = d.run_id AND c.id = d.subject_id) END AS request,
       CASE WHEN $8 AND d.subject = 'run.create' THEN (SELECT r.input FROM runs r WHERE r.id = d.run_id) END AS input,
       CASE WHEN $9 AND d.subject = 'output' THEN (SELECT r.output FROM runs r WHERE r.id = d.run_id) END AS output
  FROM policy_decisions d
 WHERE d.project_id = $1 AND d.id >= $2 AND d.id < $3
   AND NOT ({LET_GO.format("d")})
   AND ($4::text[] IS NULL OR d.subject = ANY ($4)) AND ($5::text[] IS NULL OR d.name = ANY ($5))
 ORDER BY d.id DESC LIMIT $6
"""  # noqa: S608 -- a constant
# A condition that no index answers: the newest of all are found by the primary key, and never sorted.
_ONE, _SEVERAL = "d.project_id = $1", "(d.project_id = ANY ($1)) IS TRUE"
_COUNT_OF_ALL, _PAGE_OF_ALL = _COUNT.replace(_ONE, _SEVERAL), _PAGE.replace(_ONE, _SEVERAL)
_EVERYWHERE = """
SELECT p.id, p.slug, p.default_effect, p.time_zone,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(y.id, y.project_id, y.name, y.active_version)), '[]')
          FROM policies y
         WHERE (y.project_id = p.id OR y.project_id IS NULL) AND y.active_version IS NOT NULL) AS policies
  FROM projects p ORDER BY p.id
"""
_COSTS = """
SELECT d.id, c.cost_micros FROM unnest($1::uuid[]) AS w (id)
  JOIN policy_decisions d ON d.id = w.id
  JOIN calls c ON c.run_id = d.run_id AND c.id = d.subject_id AND c.decision_id = d.id
"""
_RECORD = """
WITH held AS (
  UPDATE backtests
     SET total = coalesce($3, total), judged = $4, listed = $5, counts = $6, lacking = $7, days = $8, after_id = $9,
         lease_expires_at = clock_timestamp() + $10
   WHERE id = $1 AND claim_token = $2 AND status = 'running'
  RETURNING id, cancel_requested),
listed AS (
  INSERT INTO backtest_flips (id, backtest_id, project_id, decision_id, run_id, subject, name, at, change, was,
                              old_rule, new_policy, new_rule, reason, cost_micros)
  SELECT f.id, h.id, p.id, f.decision_id, f.run_id, f.subject, f.name, f.at, f.change, f.was, f.old_rule,
         f.new_policy, f.new_rule, f.reason, f.cost_micros
    FROM held h, jsonb_to_recordset($11::jsonb) AS f (
      id uuid, decision_id uuid, run_id uuid, subject text, name text, at timestamptz, change text, was text,
      old_rule text, new_policy text, new_rule text, reason text, cost_micros bigint)
    JOIN policy_decisions d ON d.id = f.decision_id JOIN projects p ON p.id = d.project_id
     FOR KEY SHARE OF p)
SELECT cancel_requested FROM held
"""
_END = """
UPDATE backtests SET status = $3, finished_at = clock_timestamp(), claim_token = NULL, error = $4
 WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_RELEASE = """
UPDATE backtests SET status = 'queued', claim_token = NULL, lease_expires_at = NULL, attempts = attempts - 1
 WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_TEXTS = "SELECT document FROM policy_versions WHERE policy_id = $1 AND version = $2"


@dataclass(frozen=True, slots=True)
class Taken:
    """A backtest in the hands of this process, until the lease ends; `token` fences who comes too late."""

    token: UUID
    row: Mapping[str, Any]

    @property
    def id(self) -> UUID:
        found: UUID = self.row["id"]
        return found


@dataclass(frozen=True, slots=True)
class Window:
    """Which decisions are judged: of these ids, the newest first, on these subjects and about these names.

    `where` is the project that they are of, or several.
    """

    where: UUID | Sequence[UUID]
    first: UUID
    below: UUID
    subjects: Sequence[str] | None
    names: Sequence[str] | None

    def args(self, below: UUID | None) -> tuple[object, ...]:
        return self.where, self.first, below or self.below, self.subjects, self.names


class InForce(NamedTuple):
    """A version of a policy that judges."""

    id: UUID
    project_id: UUID | None
    name: str
    active_version: int


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What the decisions of one of all projects are judged by."""

    project_id: UUID
    slug: str
    default_effect: str
    time_zone: str
    policies: Sequence[InForce]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backtest has got, as its row keeps it. `total` None: leave what it was."""

    total: int | None
    judged: int
    listed: int
    counts: Mapping[str, int]
    lacking: Mapping[str, int]
    days: Mapping[str, Mapping[str, Any]]
    after_id: UUID | None


async def every_place(database: Database, principal: Principal) -> Sequence[Everywhere]:
    """Return what each project is judged by now, also those that the principal does not belong to.

    Raises:
        Forbidden: who asks is no administrator of the installation.
    """
    if not principal.is_admin:
        raise Forbidden("Only administrators of the installation look at the decisions of all projects.")
    return [
        Everywhere(
            row["id"],
            row["slug"],
            row["default_effect"],
            row["time_zone"],
            [InForce(UUID(id_), of and UUID(of), name, version) for id_, of, name, version in row["policies"]],
        )
        for row in await database.pool.fetch(_EVERYWHERE)
    ]


async def backtests_wait(database: Database) -> bool:
    """Say whether there is a backtest to be taken."""
    found: bool = await database.pool.fetchval(_WAITING)
    return found


async def claim_backtest(database: Database) -> Taken | None:
    """Take the oldest backtest that waits, or whose process has died; None: there is none."""
    await database.pool.execute(_GIVE_UP, MAX_ATTEMPTS)
    token = new_id()
    row = await database.pool.fetchrow(_CLAIM, token, LEASE)
    return None if row is None else Taken(token, dict(row))


async def document_of_version(database: Database, policy_id: UUID, version: int) -> dict[str, Any] | None:
    """Return the document of a version; None: it was removed with its project."""
    found: dict[str, Any] | None = await database.pool.fetchval(_TEXTS, policy_id, version)
    return found


async def count_decisions(database: Database, window: Window) -> int:
    """Return how many decisions will be judged."""
    query = _COUNT if isinstance(window.where, UUID) else _COUNT_OF_ALL
    found: int = await database.pool.fetchval(query, *window.args(None), MAX_DECISIONS)
    return found


async def decisions_page(
    database: Database, window: Window, *, below: UUID | None, limit: int, wanted: frozenset[str]
) -> Sequence[Mapping[str, Any]]:
    """Return up to `limit` decisions below this id, newest first.

    `wanted`: which of `args`, `input` and `output`, that are kept with what a decision is about, are read with it.
    """
    more = ["args" in wanted, "input" in wanted, "output" in wanted]
    query = _PAGE if isinstance(window.where, UUID) else _PAGE_OF_ALL
    rows: Sequence[Mapping[str, Any]] = await database.pool.fetch(query, *window.args(below), limit, *more)
    return rows


async def costs_of(database: Database, decision_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return what the calls have cost that were made under these decisions."""
    return {row["id"]: row["cost_micros"] for row in await database.pool.fetch(_COSTS, list(decision_ids))}


async def record_progress(
    database: Database, taken: Taken, progress: Progress, flips: Sequence[Mapping[str, Any]]
) -> bool | None:
    """Keep a page of results and the lease. Returns whether somebody asked to cancel; None: others have it now."""
    failpoint("before_backtest_page")
    found: bool | None = await database.pool.fetchval(
        _RECORD,
        taken.id,
        taken.token,
        progress.total,
        progress.judged,
        progress.listed,
        dict(progress.counts),
        dict(progress.lacking),
        dict(progress.days),
        progress.after_id,
        LEASE,
        list(flips),
    )
    failpoint("after_backtest_page")
    return found


async def end_backtest(database: Database, taken: Taken, status: str, error: Mapping[str, str] | None = None) -> None:
    """Record that it is done, failed or cancelled; nothing happens if others have it now."""
    await database.pool.execute(_END, taken.id, taken.token, status, None if error is None else dict(error))


async def release_backtest(database: Database, taken: Taken) -> None:
    """Give it back without blame: another process goes on after the last page that was recorded."""
    await database.pool.execute(_RELEASE, taken.id, taken.token)
