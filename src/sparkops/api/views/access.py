"""Roles and what they allow, and the people of the installation."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sparkops.api.views.base import Body, View
from sparkops.core.permissions import Permission, Role


class PermissionRow(View):
    """One thing that may be allowed."""

    permission: Permission
    description: str
    scope: Literal["project", "installation"]
    """Whether it comes with a role in a project, or with the whole installation."""
    operations: list[str]
    """The operations of this API that need it."""


class RoleRow(View):
    """What one role allows in its project."""

    role: Role
    permissions: list[Permission]


class PermissionTable(View):
    """Who may do what. Roles come in order: each allows what the next one does, and more."""

    permissions: list[PermissionRow]
    roles: list[RoleRow]
    signed_in: list[str]
    """The operations that everybody may use who is signed in."""
    people: list[str]
    """The operations for people who are signed in, and for no key."""
    open: list[str]
    """The operations that everybody may use."""


class ChangeMember(Body):
    role: Role


class Person(View):
    """Somebody of the installation, as its administrators see them."""

    id: UUID
    email: str
    name: str
    is_admin: bool
    created_at: datetime
    disabled_at: datetime | None
    """Since when they may not sign in; null: they may."""
    projects: int
    """In how many projects they have a role."""
    has_factor: bool
    """They have a second factor."""


class PersonList(View):
    items: list[Person]
    next_cursor: str | None
