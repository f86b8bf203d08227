"""Statements on policies and the decisions taken under them."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.policies.models import Policy, PolicyDecision


async def policy(session: AsyncSession, principal: Principal, *, project_id: UUID) -> Policy | None:
    """Return the policy of one of the principal's projects, or None."""
    found = await session.scalar(
        select(Policy).where(Policy.project_id == project_id, visible_to(principal, Policy.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_policy(session: AsyncSession, *, project_id: UUID, rules: Sequence[Json], updated_by: UUID) -> None:
    """Insert the first version of a project's policy."""
    await session.execute(
        insert(Policy).values(project_id=project_id, version=1, rules=list(rules), updated_by=updated_by)
    )


async def next_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID, rules: Sequence[Json]
) -> Policy | None:
    """Replace the rules and count the version up; None if the project is not the principal's."""
    changed = await session.scalar(
        update(Policy)
        .where(Policy.project_id == project_id, visible_to(principal, Policy.project_id))
        .values(
            version=Policy.version + 1,
            rules=list(rules),
            updated_by=principal.user_id,
            updated_at=func.clock_timestamp(),
        )
        .returning(Policy)
    )
    return changed  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def decisions(
    session: AsyncSession, principal: Principal, *, decision_ids: Collection[UUID]
) -> Mapping[UUID, PolicyDecision]:
    """Return recorded decisions by id."""
    rows = await session.scalars(
        select(PolicyDecision).where(
            PolicyDecision.id.in_(decision_ids), visible_to(principal, PolicyDecision.project_id)
        )
    )
    return {row.id: row for row in rows}
