"""Statements that read runs, steps, attempts and events. What changes them is the engine's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, exists, func, lateral, or_, select, text, true
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, defer

from sparkops.core.paging import PageRequest
from sparkops.core.payloads import refers_to
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.runs.models import Event, Frame, Run, Step, StepAttempt, WorkerSession
from sparkops.domains.runs.state import RunStatus, StepStatus

_NO_PAYLOAD = (defer(Run.input, raiseload=True), defer(Run.output, raiseload=True))
_NO_OUTPUT = defer(Step.output, raiseload=True)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list of runs is narrowed to. None means: any."""

    statuses: Collection[RunStatus] | None = None
    workflow_ids: Collection[UUID] | None = None
    id_from: UUID | None = None
    id_to: UUID | None = None
    source_run_id: UUID | None = None


async def runs(
    session: AsyncSession, principal: Principal, *, project_id: UUID, where: RunFilter, page: PageRequest
) -> Sequence[Run]:
    """Return the runs of a project, newest first, one more than the page holds; without input and output."""
    return (await session.scalars(_runs(principal, project_id, where, page))).all()


def _runs(principal: Principal, project_id: UUID, where: RunFilter, page: PageRequest) -> Select[tuple[Run]]:
    size = page.limit + 1
    ids = _page_of_ids(project_id, where, page, size)
    statement = select(Run).where(Run.id.in_(ids), visible_to(principal, Run.project_id)).options(*_NO_PAYLOAD)
    return statement.order_by(Run.id.desc()).limit(size)


def _page_of_ids(project_id: UUID, where: RunFilter, page: PageRequest, size: int) -> Select[tuple[UUID]]:
    """Pick the page's runs: for every workflow or status asked for, walk its own index from the newest on.

    One walk with `IN` would either sort all matches or pass over all others; both grow with the table.
    """
    one: Select[tuple[UUID]] = select(Run.id).where(Run.project_id == project_id, *_bounds(where, page))
    if where.workflow_ids is not None:
        if where.statuses is not None:
            one = one.where(Run.status.in_(sorted(where.statuses)))
        return _newest_of_each(
            one, Run.workflow_id, cast(sorted(where.workflow_ids), ARRAY(PgUUID(as_uuid=True))), size
        )
    if where.statuses is not None:
        return _newest_of_each(one, Run.status, cast(sorted(where.statuses), ARRAY(Text)), size)
    return one.order_by(Run.id.desc()).limit(size)


def _newest_of_each(
    one: Select[tuple[UUID]], column: InstrumentedAttribute[Any], values: ColumnElement[Any], size: int
) -> Select[tuple[UUID]]:
    """Merge the newest runs of each value of a column.

    The two comparisons say the same as `=`, but leave the planner no order other than the one of the index on the
    column: with `=` it may walk all runs of the project by id and hope to meet the value soon.
    """
    wanted = func.unnest(values).table_valued("value", name="wanted").render_derived()
    walk = one.where(column >= wanted.c.value, column <= wanted.c.value).order_by(column, Run.id.desc()).limit(size)
    branch = lateral(walk.correlate(wanted))
    return select(branch.c.id).select_from(wanted.join(branch, true())).order_by(branch.c.id.desc()).limit(size)


def _bounds(where: RunFilter, page: PageRequest) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if page.after is not None:
        bounds.append(Run.id < page.after)
    if where.id_from is not None:
        bounds.append(Run.id >= where.id_from)
    if where.id_to is not None:
        bounds.append(Run.id <= where.id_to)
    if where.source_run_id is not None:
        bounds.append(Run.source_run_id == where.source_run_id)
    return bounds


async def run(session: AsyncSession, principal: Principal, *, run_id: UUID) -> Run | None:
    """Return a run of one of the principal's projects, or None."""
    found = await session.scalar(select(Run).where(Run.id == run_id, visible_to(principal, Run.project_id)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def step_counts(session: AsyncSession, *, run_ids: Collection[UUID]) -> Mapping[UUID, Mapping[StepStatus, int]]:
    """Return how many steps stand in each status, by run."""
    rows = await session.execute(
        select(Step.run_id, Step.status, func.count())
        .where(Step.run_id.in_(run_ids))
        .group_by(Step.run_id, Step.status)
    )
    counts: dict[UUID, dict[StepStatus, int]] = {}
    for run_id, status, count in rows.tuples():
        counts.setdefault(run_id, {})[StepStatus(status)] = count
    return counts


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps of a run are listed.

    `bodies` False: without those in bodies of maps and loops. `parent_id`: only those in bodies of this map or loop,
    with `frame_no` only those of one item or pass.
    """

    bodies: bool = True
    parent_id: UUID | None = None
    frame_no: int | None = None


async def steps(
    session: AsyncSession, principal: Principal, *, run_id: UUID, where: StepFilter, page: PageRequest
) -> Sequence[Step]:
    """Return steps of a run in the order of their ids, one more than the page holds; without outputs."""
    statement = select(Step).where(Step.run_id == run_id, visible_to(principal, Step.project_id)).options(_NO_OUTPUT)
    if not where.bodies:
        statement = statement.where(Step.parent_id.is_(None))
    if where.parent_id is not None:
        statement = statement.where(Step.parent_id == where.parent_id)
    if where.frame_no is not None:
        statement = statement.where(Step.frame_no == where.frame_no)
    if page.after is not None:
        statement = statement.where(Step.id > page.after)
    return (await session.scalars(statement.order_by(Step.id).limit(page.limit + 1))).all()


async def step(session: AsyncSession, principal: Principal, *, run_id: UUID, step_id: UUID) -> Step | None:
    """Return one step of one of the principal's runs, or None."""
    found = await session.scalar(
        select(Step).where(Step.id == step_id, Step.run_id == run_id, visible_to(principal, Step.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def step_keys(session: AsyncSession, *, step_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the keys of steps by id."""
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


async def runs_by_id(session: AsyncSession, principal: Principal, *, run_ids: Collection[UUID]) -> Mapping[UUID, Run]:
    """Return the principal's runs by id, without input and output."""
    statement = select(Run).where(Run.id.in_(run_ids), visible_to(principal, Run.project_id)).options(*_NO_PAYLOAD)
    rows = await session.scalars(statement)
    return {row.id: row for row in rows}


async def queued_behind(session: AsyncSession, *, run_id: UUID) -> str | None:
    """Return what leaves no room for a run: `pause`, `project`, `workflow` or `concurrency`; None: nothing does."""
    found: str | None = await session.scalar(
        text("SELECT engine.blocked_by(r) FROM runs r WHERE r.id = :id AND r.status = 'queued'"), {"id": run_id}
    )
    return found


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
    places = (
        select(Run.id).where(Run.id == run_id, or_(refers_to(Run.input, sha256), refers_to(Run.output, sha256))),
        select(Step.id).where(Step.run_id == run_id, refers_to(Step.output, sha256)),
        select(Frame.run_id).where(
            Frame.run_id == run_id, or_(refers_to(Frame.value, sha256), refers_to(Frame.output, sha256))
        ),
    )
    return bool(await session.scalar(select(or_(*(exists(place) for place in places)))))


_WATCHED = """
    SELECT c.last_seq, r.finished_at IS NOT NULL AS finished
      FROM runs r
      JOIN run_counters c ON c.run_id = r.id
      JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2
     WHERE r.id = $1
"""
_EVENTS_AFTER = """
    SELECT seq, at, kind, step_id, data FROM events WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


async def watched_run(
    pool: "asyncpg.Pool[asyncpg.Record]", principal: Principal, *, run_id: UUID
) -> tuple[int, bool] | None:
    """Return the newest sequence number of a run and whether it has ended; None if it is not the principal's.

    Over the bare pool, as all reading for live updates: one round trip each, many a second.
    """
    row = await pool.fetchrow(_WATCHED, run_id, principal.user_id)
    return (row["last_seq"], row["finished"]) if row else None


async def events_after(
    pool: "asyncpg.Pool[asyncpg.Record]", *, run_id: UUID, since: int, limit: int
) -> "Sequence[asyncpg.Record]":
    """Return up to `limit` events of a run after `since`, in order, for watchers whose membership was checked."""
    rows: list[asyncpg.Record] = await pool.fetch(_EVENTS_AFTER, run_id, since, limit)
    return rows
