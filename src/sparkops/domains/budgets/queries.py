"""Statements that read budgets. What changes them is the gate's."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.domains.budgets.models import Budget


async def budgets_of_runs(session: AsyncSession, *, run_ids: Collection[UUID]) -> Mapping[UUID, Budget]:
    """Return the budget of each run that has one of its own."""
    rows = await session.scalars(select(Budget).where(Budget.scope == "run", Budget.scope_id.in_(run_ids)))
    return {row.scope_id: row for row in rows}
