"""Statements that read calls. What changes them is the gate's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, ColumnElement, Label, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.orm import refers_to
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.effects.models import Call
from sparkops.domains.effects.state import CallStatus, EffectClass


async def calls(
    session: AsyncSession, principal: Principal, *, run_id: UUID, step_id: UUID | None, page: PageRequest
) -> Sequence[Call]:
    """Return the calls of a run, or of one of its steps, oldest first, one more than the page holds."""
    statement = select(Call).where(Call.run_id == run_id, visible_to(principal, Call.project_id))
    if step_id is not None:
        statement = statement.where(Call.step_id == step_id)
    if page.after is not None:
        statement = statement.where(Call.id > page.after)
    return (await session.scalars(statement.order_by(Call.id).limit(page.limit + 1))).all()


async def call(session: AsyncSession, principal: Principal, *, run_id: UUID, call_id: UUID) -> Call | None:
    """Return one call of one of the principal's runs, or None."""
    found = await session.scalar(
        select(Call).where(Call.run_id == run_id, Call.id == call_id, visible_to(principal, Call.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def calls_in_doubt(
    session: AsyncSession, principal: Principal, *, run_ids: Collection[UUID], step_ids: Collection[UUID]
) -> Sequence[Call]:
    """Return the calls of uncertain steps that a person has to say something about, in the order of each step."""
    unsent = and_(Call.status == CallStatus.PREPARED, Call.effect_class == EffectClass.UNSAFE)
    statement = select(Call).where(
        Call.run_id.in_(run_ids),
        Call.step_id.in_(step_ids),
        or_(Call.status == CallStatus.UNKNOWN, unsent),
        visible_to(principal, Call.project_id),
    )
    return (await session.scalars(statement.order_by(Call.step_id, Call.seq))).all()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the calls of a run add up to."""

    cost_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def _tokens(key: str) -> Label[int]:
    value: ColumnElement[int] = Call.usage[key].astext.cast(BigInteger)
    return func.coalesce(func.sum(value), 0).cast(BigInteger).label(key)


async def usage_of_runs(session: AsyncSession, *, run_ids: Collection[UUID]) -> Mapping[UUID, Usage]:
    """Return cost and tokens by run; a run without calls is missing."""
    cost = func.sum(Call.cost_micros).cast(BigInteger)
    rows = await session.execute(
        # lint: allow unscoped-query -- the caller has checked the runs
        select(Call.run_id, cost, _tokens("input_tokens"), _tokens("output_tokens"))
        .where(Call.run_id.in_(run_ids))
        .group_by(Call.run_id)
    )
    return {row[0]: Usage(*row[1:]) for row in rows.tuples()}


async def calls_refer_to(session: AsyncSession, *, run_id: UUID, sha256: str) -> bool:
    """Say whether a call of the run refers to this large value; the caller has checked the run."""
    # lint: allow unscoped-query -- the caller has checked the runs
    found = select(Call.id).where(
        Call.run_id == run_id, or_(refers_to(Call.request, sha256), refers_to(Call.response, sha256))
    )
    return bool(await session.scalar(select(exists(found))))


_IN_FLIGHT = "SELECT id, step_id FROM calls WHERE run_id = $1 AND kind = 'llm' AND status = 'prepared'"


async def model_calls_in_flight(pool: "asyncpg.Pool[asyncpg.Record]", *, run_id: UUID) -> Sequence[tuple[UUID, UUID]]:
    """Return (call, step) of the model calls that are being answered, for watchers whose membership was checked."""
    return [(row["id"], row["step_id"]) for row in await pool.fetch(_IN_FLIGHT, run_id)]
