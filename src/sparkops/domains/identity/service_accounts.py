"""Service accounts: users that only keys act for. Each belongs to one project and has a role there; none signs in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Forbidden, NotFound
from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import ROLES, Role
from sparkops.core.principal import Place, Principal
from sparkops.domains.identity.keys import GRANTABLE
from sparkops.domains.identity.models import Membership, User

KIND: Final = "service"
MAX_ACCOUNTS: Final = 100
"""Of one project."""
_NOWHERE: Final = "service.invalid"
"""A domain that can have no mailbox: where a user needs an address, theirs is never anybody's."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account as its project sees it. `role` None: it was taken out of the project, and may do nothing."""

    id: UUID
    name: str
    role: Role | None
    created_at: datetime
    disabled_at: datetime | None


def check_role(principal: Principal, project_id: UUID, role: Role) -> None:
    """Do nothing if the caller may let an account act in this role.

    Raises:
        Forbidden: the role allows a key more than the caller may, or it is that of an owner.
    """
    if role is Role.OWNER:
        raise Forbidden("A project is owned by people.")
    more = sorted(one for one in ROLES[role] & GRANTABLE if not principal.may(one, project_id))
    if more:
        raise Forbidden(f"You cannot give a role that allows more than you may: {', '.join(more)}.")


async def create_account(session: AsyncSession, principal: Principal, place: Place, *, name: str, role: Role) -> UUID:
    """Add a service account to a project; return its id.

    Raises:
        Forbidden: as `check_role`.
        Conflict: the project has an account of this name, or as many as it may have.
    """
    check_role(principal, place.id, role)
    counted = await session.scalar(select(func.count()).select_from(User).where(User.project_id == place.id))
    if (counted or 0) >= MAX_ACCOUNTS:
        raise Conflict(f"A project has at most {MAX_ACCOUNTS} service accounts; disabled ones count, too.")
    account_id = new_id()
    added = await session.scalar(
        insert(User)
        .values(
            id=account_id,
            email=f"{name}@{place.id}.{_NOWHERE}",
            name=name,
            password_hash=None,
            is_admin=False,
            kind=KIND,
            project_id=place.id,
        )
        .on_conflict_do_nothing(index_elements=[User.email])
        .returning(User.id)
    )
    if added is None:
        raise Conflict(f"There is a service account called {name} already.")
    await session.execute(insert(Membership).values(project_id=place.id, user_id=account_id, role=role))
    return account_id


async def accounts_of(session: AsyncSession, *, project_id: UUID, page: PageRequest) -> Sequence[ServiceAccount]:
    """Return the service accounts of a project, newest first; one more than the page holds."""
    statement = _accounts(project_id).order_by(User.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        statement = statement.where(User.id < page.after)
    return [_account(row) for row in await session.execute(statement)]


async def find_account(session: AsyncSession, *, project_id: UUID, account_id: UUID) -> ServiceAccount:
    """Return a service account of a project.

    Raises:
        NotFound: there is no such account in it.
    """
    row = (await session.execute(_accounts(project_id).where(User.id == account_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such service account here.")
    return _account(row)


async def change_role(
    session: AsyncSession, principal: Principal, *, project_id: UUID, account_id: UUID, role: Role
) -> None:
    """Let an account of the project act in another role from now on; one that was taken out is put back.

    Raises:
        Forbidden: as `check_role`.
    """
    check_role(principal, project_id, role)
    statement = insert(Membership).values(project_id=project_id, user_id=account_id, role=role)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Membership.project_id, Membership.user_id], set_={"role": statement.excluded.role}
        )
    )


async def switch(session: AsyncSession, *, project_id: UUID, account_id: UUID, on: bool) -> None:
    """Disable an account of the project, or enable it again. While it is disabled its keys are refused."""
    await session.execute(
        update(User)
        .where(User.id == account_id, User.project_id == project_id, User.kind == KIND)
        .values(disabled_at=None if on else func.coalesce(User.disabled_at, func.clock_timestamp()))
    )


_Columns = tuple[UUID, str, str, datetime, datetime | None]


def _accounts(project_id: UUID) -> Select[_Columns]:
    return (
        select(User.id, User.name, Membership.role, User.created_at, User.disabled_at)
        .outerjoin(Membership, (Membership.user_id == User.id) & (Membership.project_id == project_id))
        .where(User.project_id == project_id, User.kind == KIND)
    )


def _account(row: Row[_Columns]) -> ServiceAccount:
    return ServiceAccount(row[0], row[1], Role(row[2]) if row[2] else None, row[3], row[4])
