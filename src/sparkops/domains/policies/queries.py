"""Statements on policies and the decisions taken under them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.policies.models import (
    Policy,
    PolicyDecision,
    PolicyPublication,
    PolicyStamp,
    PolicyVersion,
)

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
        # lint: allow unscoped-query -- the service has found the policy for this caller
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


def _readable(principal: Principal) -> ColumnElement[bool]:
    """Everybody reads the policies of the installation: they judge what everybody does."""
    return or_(Policy.project_id.is_(None), visible_to(principal, Policy.project_id))


async def policies(
    session: AsyncSession, principal: Principal, *, project_id: UUID, page: PageRequest
) -> Sequence[Policy]:
    """Return the policies of a project and of the installation, newest first, one more than the page holds."""
    here = or_(Policy.project_id == project_id, Policy.project_id.is_(None))
    statement = select(Policy).where(here, _readable(principal))
    if page.after is not None:
        statement = statement.where(Policy.id < page.after)
    return (await session.scalars(statement.order_by(Policy.id.desc()).limit(page.limit + 1))).all()


def _shown(policy: Policy) -> set[int]:
    return {policy.latest_version, policy.active_version or policy.latest_version}


async def documents(
    session: AsyncSession, *, policies: Collection[Policy]
) -> Mapping[tuple[UUID, int], Mapping[str, Any]]:
    """Return what lists show of the newest and the active texts of policies, by policy and version."""
    document = PolicyVersion.document
    wanted = [and_(PolicyVersion.policy_id == one.id, PolicyVersion.version.in_(_shown(one))) for one in policies]
    if not wanted:
        return {}
    rows = await session.execute(
        select(
            PolicyVersion.policy_id,
            PolicyVersion.version,
            document["description"].astext.label("description"),
            document["mode"].astext.label("mode"),
            func.jsonb_array_length(document["rules"]).label("rules"),
            func.coalesce(func.jsonb_array_length(document["tests"]), 0).label("tests"),
        ).where(or_(*wanted))
    )
    return {(row["policy_id"], row["version"]): dict(row) for row in rows.mappings()}


async def policy(session: AsyncSession, principal: Principal, *, policy_id: UUID) -> Policy | None:
    """Return a policy that the principal may read, or None."""
    found = await session.scalar(select(Policy).where(Policy.id == policy_id, _readable(principal)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def locked_policy(session: AsyncSession, principal: Principal, *, policy_id: UUID) -> Policy | None:
    """Return a policy, or None, and let nobody else change it until the transaction ends."""
    found = await session.scalar(select(Policy).where(Policy.id == policy_id, _readable(principal)).with_for_update())
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def text_of(
    session: AsyncSession, principal: Principal, *, policy_id: UUID, version: int
) -> PolicyVersion | None:
    """Return one text of a policy that the principal may read, or None."""
    found = await session.scalar(
        select(PolicyVersion)
        .join(Policy, Policy.id == PolicyVersion.policy_id)
        .where(PolicyVersion.policy_id == policy_id, PolicyVersion.version == version, _readable(principal))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of a policy, without its text."""

    version: int
    rules_total: int
    tests_total: int
    created_by: UUID | None
    created_at: Any


async def policy_versions(
    session: AsyncSession, principal: Principal, *, policy_id: UUID, before: int | None, limit: int
) -> Sequence[VersionLine]:
    """Return up to `limit` versions of a policy, newest first, below the number `before`."""
    statement = (
        select(
            PolicyVersion.version,
            func.jsonb_array_length(PolicyVersion.document["rules"]),
            func.coalesce(func.jsonb_array_length(PolicyVersion.document["tests"]), 0),
            PolicyVersion.created_by,
            PolicyVersion.created_at,
        )
        .join(Policy, Policy.id == PolicyVersion.policy_id)
        .where(PolicyVersion.policy_id == policy_id, _readable(principal))
    )
    if before is not None:
        statement = statement.where(PolicyVersion.version < before)
    rows = await session.execute(statement.order_by(PolicyVersion.version.desc()).limit(limit))
    return [VersionLine(*row) for row in rows.tuples()]


async def add_policy(
    session: AsyncSession, *, project_id: UUID | None, name: str, created_by: UUID | None
) -> Policy | None:
    """Insert a policy whose first version follows; None if there is one of this name."""
    added = await session.scalar(
        insert(Policy)
        .values(id=new_id(), project_id=project_id, name=name, latest_version=1, created_by=created_by)
        .on_conflict_do_nothing(index_elements=[Policy.project_id, Policy.name])
        .returning(Policy)
    )
    return added  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_version(
    session: AsyncSession,
    policy: Policy,
    *,
    version: int,
    source: str,
    document: Mapping[str, Json],
    created_by: UUID | None,
) -> PolicyVersion:
    """Insert a version. The policy's row must be locked or new, and `version` the next one."""
    changed = update(Policy).where(Policy.id == policy.id)
    await session.execute(changed.values(latest_version=version, updated_at=func.clock_timestamp()))
    added = insert(PolicyVersion).values(
        policy_id=policy.id, version=version, source=source, document=dict(document), created_by=created_by
    )
    return (await session.scalars(added.returning(PolicyVersion))).one()


async def add_publication(
    session: AsyncSession,
    *,
    policy_id: UUID,
    version: int | None,
    note: str | None,
    backtest_id: UUID | None,
    published_by: UUID | None,
) -> None:
    """Note who put a version in force, or (None) withdrew the policy."""
    await session.execute(
        insert(PolicyPublication).values(
            id=new_id(),
            policy_id=policy_id,
            version=version,
            note=note,
            backtest_id=backtest_id,
            published_by=published_by,
        )
    )


async def publications(
    session: AsyncSession, principal: Principal, *, policy_id: UUID, page: PageRequest
) -> Sequence[PolicyPublication]:
    """Return who put which version of a policy in force, newest first, one more than the page holds."""
    statement = (
        select(PolicyPublication)
        .join(Policy, Policy.id == PolicyPublication.policy_id)
        .where(PolicyPublication.policy_id == policy_id, _readable(principal))
    )
    if page.after is not None:
        statement = statement.where(PolicyPublication.id < page.after)
    return (await session.scalars(statement.order_by(PolicyPublication.id.desc()).limit(page.limit + 1))).all()


async def names_of_policies(session: AsyncSession, *, policy_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the names of policies by id, for showing whose rule decided."""
    # lint: allow unscoped-query -- names of what rows that may be seen refer to
    rows = await session.execute(select(Policy.id, Policy.name).where(Policy.id.in_(policy_ids)))
    return dict(rows.tuples().all())


async def active_policies(session: AsyncSession, *, project_id: UUID) -> Sequence[Policy]:
    """Return the policies that judge what happens in a project, in the order in which they are asked."""
    here = or_(Policy.project_id == project_id, Policy.project_id.is_(None))
    statement = select(Policy).where(here, Policy.active_version.is_not(None))
    return (await session.scalars(statement.order_by(Policy.project_id.is_not(None), Policy.name))).all()
