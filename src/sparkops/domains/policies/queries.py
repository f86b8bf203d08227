"""Statements on policies and the decisions taken under them."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.policies.models import Policy, PolicyDecision, PolicyStamp, PolicyVersion

_CHANGED = text("SELECT engine.rules_changed(:scope)")


async def stamp(session: AsyncSession, *, scope_id: UUID) -> int:
    """Return how often the rules of a project, or of the installation, have changed."""
    found = await session.scalar(select(PolicyStamp.version).where(PolicyStamp.scope_id == scope_id))
    return found or 0


async def rules_changed(session: AsyncSession, *, scope_id: UUID) -> None:
    """From the commit on, what was judged under the rules of before is judged again."""
    await session.execute(_CHANGED, {"scope": scope_id})


async def policy_named(session: AsyncSession, principal: Principal, *, project_id: UUID, name: str) -> Policy | None:
    """Return a policy of one of the principal's projects, or None."""
    found = await session.scalar(
        select(Policy).where(
            Policy.project_id == project_id, Policy.name == name, visible_to(principal, Policy.project_id)
        )
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def names_of_policies(session: AsyncSession, *, policy_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the names of policies, also of the installation's; the caller has found them in what it may see."""
    rows = await session.execute(select(Policy.id, Policy.name).where(Policy.id.in_(policy_ids)))
    return dict(rows.tuples().all())


async def policy_version(
    session: AsyncSession, principal: Principal, *, policy_id: UUID, version: int
) -> PolicyVersion | None:
    """Return one text of a policy of one of the principal's projects, or None."""
    found = await session.scalar(
        select(PolicyVersion)
        .join(Policy, Policy.id == PolicyVersion.policy_id)
        .where(
            PolicyVersion.policy_id == policy_id,
            PolicyVersion.version == version,
            visible_to(principal, Policy.project_id),
        )
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def next_version(
    session: AsyncSession,
    *,
    project_id: UUID | None,
    name: str,
    source: str,
    document: Mapping[str, Json],
    created_by: UUID | None,
) -> tuple[UUID, int]:
    """Insert the next version of a policy, and the policy where there is none yet; return its id and the version."""
    fresh = insert(Policy).values(
        id=new_id(), project_id=project_id, name=name, latest_version=1, created_by=created_by
    )
    row = (
        await session.execute(
            fresh.on_conflict_do_update(
                index_elements=[Policy.project_id, Policy.name],
                set_={"latest_version": Policy.latest_version + 1, "updated_at": func.clock_timestamp()},
            ).returning(Policy.id, Policy.latest_version)
        )
    ).one()
    await session.execute(
        insert(PolicyVersion).values(
            policy_id=row.id, version=row.latest_version, source=source, document=dict(document), created_by=created_by
        )
    )
    return row.id, row.latest_version


async def activate(session: AsyncSession, *, policy_id: UUID, version: int | None) -> None:
    """Let this version of a policy decide; None: no version of it."""
    await session.execute(
        update(Policy).where(Policy.id == policy_id).values(active_version=version, updated_at=func.clock_timestamp())
    )


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
