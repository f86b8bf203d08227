"""Who is what in a project: changing roles, taking people out, and the people of the installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, column, delete, func, insert, select, table, update
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import Role
from sparkops.core.principal import Principal
from sparkops.domains.identity import queries
from sparkops.domains.identity.factor_models import SecondFactor
from sparkops.domains.identity.models import Membership, User


class LastOwner(Conflict):
    code, title = "last-owner", "A project keeps an owner"


class OwnersOnly(Forbidden):
    code, title = "owners-only", "Only owners make and unmake owners"


PERSON: Final = "person"
_NOBODY: Final = "There is no such member here."


async def find_user(session: AsyncSession, *, email: str) -> User:
    """Return the person with this address; a service account belongs to the project that made it, and to no other.

    Raises:
        Invalid: nobody has it.
    """
    user = await queries.user_by_email(session, email=email)
    if user is None or user.kind != PERSON:
        raise Invalid(
            f"Nobody has the address {email.strip().lower()}; an administrator adds people with `sparkops users add`.",
            errors=[{"path": "email", "message": "nobody has this address"}],
        )
    return user


async def put_role(
    session: AsyncSession, principal: Principal, *, project_id: UUID, user_id: UUID, role: Role
) -> Role | None:
    """Make a user that exists a member with this role, or change the role. The caller has checked that the principal
    manages the members of this project. Returns the role of before, None of somebody who was no member.

    Raises:
        OwnersOnly: the role is, or was, owner, and the principal is none.
        LastOwner: the project would be left without an owner who may sign in.
    """
    before = await _role_under_lock(session, project_id=project_id, user_id=user_id)
    _check_ownership(principal, project_id, before, role)
    if before is None:
        session.add(Membership(project_id=project_id, user_id=user_id, role=role))
        await session.flush()
        return None
    if before is Role.OWNER and role is not Role.OWNER:
        await _check_owners(session, project_id=project_id, without=user_id)
    # Owners are made by people: no group that somebody leaves may take the only owner away.
    stays = {"source": "manual"} if role is Role.OWNER else {}
    mine = (Membership.project_id == project_id, Membership.user_id == user_id)
    await session.execute(update(Membership).where(*mine).values(role=role, **stays))
    return before


async def change_role(
    session: AsyncSession, principal: Principal, *, project_id: UUID, user_id: UUID, role: Role
) -> Role:
    """Change the role of a member, as `put_role`. Returns the role of before.

    Raises:
        NotFound: they are no member.
        OwnersOnly, LastOwner: as `put_role`.
    """
    before = await _role_under_lock(session, project_id=project_id, user_id=user_id)
    if before is None:
        raise NotFound(_NOBODY)
    await put_role(session, principal, project_id=project_id, user_id=user_id, role=role)
    return before


async def remove_member(session: AsyncSession, principal: Principal, *, project_id: UUID, user_id: UUID) -> Role:
    """Take a member out of a project: from their next request on it does not exist for them. Returns their role.

    Raises:
        NotFound: they are no member.
        OwnersOnly: they are an owner, and the principal is none.
        LastOwner: no owner who may sign in would be left.
    """
    before = await _role_under_lock(session, project_id=project_id, user_id=user_id)
    if before is None:
        raise NotFound(_NOBODY)
    _check_ownership(principal, project_id, before, None)
    if before is Role.OWNER:
        await _check_owners(session, project_id=project_id, without=user_id)
    await session.execute(delete(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id))
    return before


async def _role_under_lock(session: AsyncSession, *, project_id: UUID, user_id: UUID) -> Role | None:
    """Return somebody's role in a project, None of a stranger. Until the transaction ends nobody else changes who owns
    the project: all lock the rows of its owners first."""
    owners = select(Membership.user_id).where(Membership.project_id == project_id, Membership.role == Role.OWNER)
    await session.execute(owners.order_by(Membership.user_id).with_for_update())
    role = await session.scalar(
        select(Membership.role).where(Membership.project_id == project_id, Membership.user_id == user_id)
    )
    return None if role is None else Role(role)


def _check_ownership(principal: Principal, project_id: UUID, before: Role | None, after: Role | None) -> None:
    own = principal.places.get(project_id)
    if Role.OWNER in (before, after) and (own is None or own.role is not Role.OWNER):
        raise OwnersOnly("Only an owner of the project makes and unmakes owners; ask one of them.")


async def _check_owners(session: AsyncSession, *, project_id: UUID, without: UUID) -> None:
    """Refuse to leave a project without an owner; the rows of its owners are locked. Who is disabled is none."""
    others = (
        select(func.count())
        .select_from(Membership)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.project_id == project_id,
            Membership.role == Role.OWNER,
            Membership.user_id != without,
            User.disabled_at.is_(None),
            User.kind == PERSON,
        )
    )
    if not await session.scalar(others):
        raise LastOwner("This is the only owner who may sign in; make somebody else an owner first.")


async def check_not_needed(session: AsyncSession, *, user_id: UUID) -> None:
    """Do nothing if every project of a person keeps an owner who may sign in without them. Until the transaction ends
    nobody else changes who owns these projects.

    Raises:
        LastOwner: one does not; `projects` names them all.
    """
    slugs: list[str] = await session.scalar(select(func.engine.owned_alone(user_id, type_=ARRAY(Text)))) or []
    if slugs:
        raise LastOwner(
            f"This person is the only owner who may sign in of {', '.join(slugs)}. Let somebody else own these first:"
            " this person can, or the command line (`sparkops users own`).",
            projects=slugs,
        )


async def name_owner(session: AsyncSession, *, user: User, slug: str) -> tuple[UUID, Role | None]:
    """Let a person own a project, as the operator of the installation says; return the project's id and the role of
    before.

    Raises:
        NotFound: there is no such project.
        Conflict: the person is disabled, or is a service account.
    """
    project_id = await session.scalar(
        select(column("id", Uuid)).select_from(table("projects")).where(column("slug") == slug)
    )
    if project_id is None:
        raise NotFound(f"There is no project {slug}.")
    if user.disabled_at is not None or user.kind != PERSON:
        raise Conflict("Only a person who may sign in can own a project.")
    before = await _role_under_lock(session, project_id=project_id, user_id=user.id)
    if before is None:
        # Not as an object: to order objects all tables they refer to are needed, which the command line does not know.
        await session.execute(insert(Membership).values(project_id=project_id, user_id=user.id, role=Role.OWNER))
    else:
        mine = (Membership.project_id == project_id, Membership.user_id == user.id)
        await session.execute(update(Membership).where(*mine).values(role=Role.OWNER, source="manual"))
    return project_id, before


@dataclass(frozen=True, slots=True)
class Person:
    """A user as administrators of the installation see them. `projects`: in how many they have a role. `has_factor`: a
    second one, which counts."""

    id: UUID
    email: str
    name: str
    is_admin: bool
    created_at: datetime
    disabled_at: datetime | None
    projects: int
    has_factor: bool


async def people(session: AsyncSession, *, part: str, page: PageRequest) -> Sequence[Person]:
    """Return the people of the installation whose name or address has this part, the newest first, one more than the
    page holds. The caller has checked that they may be seen."""
    projects = select(func.count()).where(Membership.user_id == User.id).correlate(User).scalar_subquery()
    factor = (
        select(SecondFactor.id)
        .where(SecondFactor.user_id == User.id, SecondFactor.confirmed_at.is_not(None))
        .correlate(User)
        .exists()
    )
    statement = select(User, projects, factor).where(User.kind == PERSON).order_by(User.id.desc()).limit(page.limit + 1)
    if part:
        statement = statement.where(
            User.email.icontains(part, autoescape=True) | User.name.icontains(part, autoescape=True)
        )
    if page.after is not None:
        statement = statement.where(User.id < page.after)
    return [_person(*row) for row in (await session.execute(statement)).tuples()]


def _person(user: User, projects: int, has_factor: bool) -> Person:
    return Person(
        user.id, user.email, user.name, user.is_admin, user.created_at, user.disabled_at, projects, has_factor
    )
