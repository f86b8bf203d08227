"""Statements that read runs, steps, attempts and events. What changes them is the engine's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from sparkops.core.db import Statements
from sparkops.core.orm import refers_to
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.runs.models import Event, Frame, Run, Step, StepAttempt, WorkerSession
from sparkops.domains.runs.state import StepStatus

_NO_PAYLOAD = (defer(Run.input, raiseload=True), defer(Run.output, raiseload=True))
_NO_OUTPUT = defer(Step.output, raiseload=True)


_OWN_RUN = "SELECT project_id FROM runs WHERE id = $1 AND project_id = ANY ($2)"


async def project_of_run(on: Statements, principal: Principal, *, run_id: UUID) -> UUID | None:
    """Return the project of a run of the principal's, or None."""
    found: UUID | None = await on.fetchval(_OWN_RUN, run_id, list(principal.places))
    return found


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps of a run are listed.

    `bodies` False: without those in bodies of maps and loops. `parent_id`: only those in bodies of this map or loop,
    with `frame_no` only those of one item or pass.
    """

    bodies: bool = True
    parent_id: UUID | None = None
    frame_no: int | None = None


async def step(session: AsyncSession, principal: Principal, *, run_id: UUID, step_id: UUID) -> Step | None:
    """Return one step of one of the principal's runs, or None; without its output."""
    statement = select(Step).where(Step.id == step_id, Step.run_id == run_id, visible_to(principal, Step.project_id))
    found = await session.scalar(statement.options(_NO_OUTPUT))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def step_keys(session: AsyncSession, *, step_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the keys of steps by id."""
    # lint: allow unscoped-query -- names of what rows that may be seen refer to
    rows = await session.execute(select(Step.id, Step.node_key).where(Step.id.in_(step_ids)))
    return dict(rows.tuples().all())


async def attempts(
    session: AsyncSession, principal: Principal, *, run_id: UUID, step_id: UUID
) -> Sequence[tuple[StepAttempt, WorkerSession | None]]:
    """Return the attempts at a step in order, each with the worker that held it."""
    rows = await session.execute(
        select(StepAttempt, WorkerSession)
        .outerjoin(WorkerSession, WorkerSession.id == StepAttempt.worker_session)
        .where(
            StepAttempt.run_id == run_id,
            StepAttempt.step_id == step_id,
            visible_to(principal, StepAttempt.project_id),
        )
        .order_by(StepAttempt.attempt)
    )
    return rows.tuples().all()


async def attempts_of_steps(
    session: AsyncSession, principal: Principal, *, run_ids: Collection[UUID], step_ids: Collection[UUID]
) -> Sequence[tuple[StepAttempt, WorkerSession | None]]:
    """Return all attempts at these steps of these runs, each with the worker that held it."""
    rows = await session.execute(
        select(StepAttempt, WorkerSession)
        .outerjoin(WorkerSession, WorkerSession.id == StepAttempt.worker_session)
        .where(
            StepAttempt.run_id.in_(run_ids),
            StepAttempt.step_id.in_(step_ids),
            visible_to(principal, StepAttempt.project_id),
        )
    )
    return rows.tuples().all()


async def uncertain_steps(
    session: AsyncSession, principal: Principal, *, project_id: UUID, page: PageRequest
) -> Sequence[Step]:
    """Return the uncertain steps of a project, those of the newest runs first, one more than the page holds."""
    statement = select(Step).where(
        Step.project_id == project_id, Step.status == StepStatus.UNCERTAIN, visible_to(principal, Step.project_id)
    )
    if page.after is not None:
        statement = statement.where(Step.id < page.after)
    statement = statement.options(_NO_OUTPUT).order_by(Step.id.desc())
    return (await session.scalars(statement.limit(page.limit + 1))).all()


async def events(
    session: AsyncSession, principal: Principal, *, run_id: UUID, since: int, limit: int
) -> Sequence[Event]:
    """Return up to `limit` events of a run after `since`, in order."""
    statement = select(Event).where(Event.run_id == run_id, Event.seq > since, visible_to(principal, Event.project_id))
    return (await session.scalars(statement.order_by(Event.seq).limit(limit))).all()


async def run_values(session: AsyncSession, principal: Principal, *, run_id: UUID) -> Run | None:
    """Return a run of the principal's with its input and output, as they are stored, or None."""
    found = await session.scalar(select(Run).where(Run.id == run_id, visible_to(principal, Run.project_id)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def runs_by_id(session: AsyncSession, principal: Principal, *, run_ids: Collection[UUID]) -> Mapping[UUID, Run]:
    """Return the principal's runs by id, without input and output."""
    statement = select(Run).where(Run.id.in_(run_ids), visible_to(principal, Run.project_id)).options(*_NO_PAYLOAD)
    rows = await session.scalars(statement)
    return {row.id: row for row in rows}


async def workers_seen(session: AsyncSession, *, within_seconds: float) -> int:
    """Return how many workers have given a sign of life lately, by the database's clock."""
    count = await session.scalar(
        select(func.count())
        .select_from(WorkerSession)
        .where(
            WorkerSession.ended_at.is_(None),
            WorkerSession.seen_at > func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, within_seconds),
        )
    )
    return count or 0


async def run_refers_to(session: AsyncSession, *, run_id: UUID, sha256: str) -> bool:
    """Say whether the run, a step or a frame of it refers to this large value; the caller has checked the run."""
    # lint: allow unscoped-query -- the caller has checked the run
    places = (
        select(Run.id).where(Run.id == run_id, or_(refers_to(Run.input, sha256), refers_to(Run.output, sha256))),
        select(Step.id).where(Step.run_id == run_id, refers_to(Step.output, sha256)),
        select(Frame.run_id).where(
            Frame.run_id == run_id, or_(refers_to(Frame.value, sha256), refers_to(Frame.output, sha256))
        ),
    )
    return bool(await session.scalar(select(or_(*(exists(place) for place in places)))))


_WATCHED = """
    SELECT r.project_id, c.last_seq, r.finished_at IS NOT NULL AS finished
      FROM runs r
      JOIN run_counters c ON c.run_id = r.id
      JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2
     WHERE r.id = $1 AND r.project_id = ANY ($3)
"""
_EVENTS_AFTER = """
    SELECT seq, at, kind, step_id, data FROM events WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


async def watched_run(
    pool: "asyncpg.Pool[asyncpg.Record]", principal: Principal, *, run_id: UUID
) -> tuple[UUID, int, bool] | None:
    """Return a run's project, its newest sequence number, and whether it has ended; None if it is not the principal's.

    Over the bare pool, as all reading for live updates: one round trip each, many a second.
    """
    row = await pool.fetchrow(_WATCHED, run_id, principal.user_id, principal.reach(Permission.RUN_READ))
    return (row["project_id"], row["last_seq"], row["finished"]) if row else None


async def events_after(
    pool: "asyncpg.Pool[asyncpg.Record]", *, run_id: UUID, since: int, limit: int
) -> "Sequence[asyncpg.Record]":
    """Return up to `limit` events of a run after `since`, in order, for watchers whose membership was checked."""
    rows: list[asyncpg.Record] = await pool.fetch(_EVENTS_AFTER, run_id, since, limit)
    return rows
