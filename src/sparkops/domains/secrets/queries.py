"""Statements on secrets. None of those that a door calls returns what is encrypted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from sparkops.core.envelope import Place, Sealed
from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.core.wrapped import Wrapped
from sparkops.domains.secrets.models import Secret, SecretUse, SecretVersion


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What may be told of a version: everything but its value."""

    version: int
    kek_id: str
    created_by: UUID | None
    created_at: datetime


def _theirs(
    principal: Principal, project_id: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]
) -> ColumnElement[bool]:
    """Return the condition that a row is of one of the principal's projects, or, for administrators, of none."""
    mine = visible_to(principal, project_id)
    return or_(mine, project_id.is_(None)) if principal.is_admin else mine


async def secrets(
    session: AsyncSession, principal: Principal, *, project_id: UUID | None, archived: bool, page: PageRequest
) -> Sequence[Secret]:
    """Return the secrets of a project or of the installation, newest first, one more than the page holds."""
    statement = select(Secret).where(
        Secret.project_id.is_not_distinct_from(project_id),
        _theirs(principal, Secret.project_id),
        Secret.archived_at.is_not(None) if archived else Secret.archived_at.is_(None),
    )
    if page.after is not None:
        statement = statement.where(Secret.id < page.after)
    return (await session.scalars(statement.order_by(Secret.id.desc()).limit(page.limit + 1))).all()


async def secret(session: AsyncSession, principal: Principal, *, secret_id: UUID, lock: bool = False) -> Secret | None:
    """Return a secret that the principal may reach, or None; `lock` until the transaction ends."""
    statement = select(Secret).where(Secret.id == secret_id, _theirs(principal, Secret.project_id))
    found = await session.scalar(statement.with_for_update() if lock else statement)
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def locked_by_name(session: AsyncSession, *, project_id: UUID | None, name: str) -> Secret | None:
    """Return a secret and keep others from changing it until the transaction ends; for commands of the operator."""
    found = await session.scalar(
        # lint: allow unscoped-query -- the operator's commands stand above projects
        select(Secret).where(Secret.project_id.is_not_distinct_from(project_id), Secret.name == name).with_for_update()
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def all_secrets(session: AsyncSession, *, project_id: UUID | None) -> Sequence[Secret]:
    """Return all secrets of a project or of the installation by name; for commands of the operator."""
    # lint: allow unscoped-query -- the operator's commands stand above projects
    statement = select(Secret).where(Secret.project_id.is_not_distinct_from(project_id)).order_by(Secret.name)
    return (await session.scalars(statement)).all()


async def versions(
    session: AsyncSession, principal: Principal, *, secret_id: UUID, page: PageRequest
) -> Sequence[tuple[UUID, VersionFacts]]:
    """Return the versions of a secret, newest first, one more than the page holds."""
    statement = select(
        SecretVersion.id,
        SecretVersion.version,
        SecretVersion.kek_id,
        SecretVersion.created_by,
        SecretVersion.created_at,
    ).where(SecretVersion.secret_id == secret_id, _theirs(principal, SecretVersion.project_id))
    if page.after is not None:
        statement = statement.where(SecretVersion.id < page.after)
    rows = await session.execute(statement.order_by(SecretVersion.id.desc()).limit(page.limit + 1))
    return [(row[0], VersionFacts(*row[1:])) for row in rows.tuples()]


def _uses_of(principal: Principal, project_id: UUID | None) -> ColumnElement[bool]:
    """Return the condition that a use is of a secret of this project, or, for administrators, of the installation."""
    if project_id is None:
        return and_(SecretUse.scope == "installation", true() if principal.is_admin else false())
    return and_(
        SecretUse.project_id == project_id,
        SecretUse.scope == "project",
        visible_to(principal, SecretUse.project_id),
    )


async def uses(
    session: AsyncSession, principal: Principal, *, project_id: UUID | None, name: str, page: PageRequest
) -> Sequence[SecretUse]:
    """Return the uses of a secret of a project or of the installation, newest first, one more than the page holds."""
    statement = select(SecretUse).where(_uses_of(principal, project_id), SecretUse.name == name)
    if page.after is not None:
        statement = statement.where(SecretUse.id < page.after)
    return (await session.scalars(statement.order_by(SecretUse.id.desc()).limit(page.limit + 1))).all()


async def last_uses(
    session: AsyncSession, principal: Principal, *, project_id: UUID | None, names: Collection[str]
) -> Mapping[str, datetime]:
    """Return when each of these secrets was last given to a call, for those that were."""
    rows = await session.execute(
        select(SecretUse.name, func.max(SecretUse.at))
        .where(_uses_of(principal, project_id), SecretUse.name.in_(names))
        .group_by(SecretUse.name)
    )
    return dict(rows.tuples().all())


async def add_secret(
    session: AsyncSession, *, project_id: UUID | None, name: str, description: str, created_by: UUID | None
) -> Secret | None:
    """Insert a secret without versions; None if the name is taken."""
    made = await session.scalar(
        insert(Secret)
        .values(
            id=new_id(),
            project_id=project_id,
            name=name,
            description=description,
            latest_version=0,
            created_by=created_by,
        )
        .on_conflict_do_nothing(index_elements=[Secret.project_id, Secret.name])
        .returning(Secret)
    )
    return made  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_version(
    session: AsyncSession, found: Secret, *, version: int, sealed: Sealed, created_by: UUID | None
) -> None:
    """Insert a version and make it the latest. The secret's row must be locked or new."""
    await session.execute(
        insert(SecretVersion).values(
            id=new_id(),
            project_id=found.project_id,
            secret_id=found.id,
            version=version,
            kek_id=sealed.kek_id,
            wrapped_key=sealed.wrapped_key,
            ciphertext=sealed.ciphertext,
            created_by=created_by,
        )
    )
    await session.execute(update(Secret).where(Secret.id == found.id).values(latest_version=version))
    await session.refresh(found)


async def change(session: AsyncSession, found: Secret, **values: object) -> None:
    """Set `description` or `archived_at` of a secret whose row is locked."""
    await session.execute(update(Secret).where(Secret.id == found.id).values(**values))
    await session.refresh(found)


VERSIONS: Final = Wrapped(
    SecretVersion,
    select(
        SecretVersion.id,
        SecretVersion.kek_id,
        SecretVersion.wrapped_key,
        SecretVersion.ciphertext,
        SecretVersion.project_id,
        Secret.name,
        SecretVersion.version,
    ).join(Secret, Secret.id == SecretVersion.secret_id),
    lambda row: Place(row.project_id, row.name, row.version),
)
"""What all versions of all secrets hold."""
