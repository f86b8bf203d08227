"""Who is signed in, projects, members."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from sparkops.api.views.base import Body, Slug, View
from sparkops.api.views.control import MaxRunningRuns
from sparkops.core.permissions import Role

DefaultEffect = Literal["allow", "deny"]


class User(View):
    """A person who may sign in."""

    id: UUID
    email: str
    name: str
    is_admin: bool


class SignIn(Body):
    """The credentials of a user."""

    email: Annotated[str, Field(min_length=3, max_length=320)]
    password: Annotated[str, Field(min_length=1, max_length=1_024)]

    model_config = Body.model_config | {"str_strip_whitespace": False}


class Tokens(View):
    """An access token; send it as `Authorization: Bearer`. The refresh token travels in a cookie."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds."""
    user: User


class Project(View):
    """A project, with the caller's role in it."""

    id: UUID
    slug: str
    name: str
    role: Role
    max_running_runs: int | None
    """How many of its runs go on at once, the others queue; null: any number."""
    default_effect: DefaultEffect
    """What is decided where no rule matches."""
    time_zone: str
    """Whose clocks rules and budgets go by: an IANA name."""
    created_at: datetime


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone that is known here; write it as Europe/Berlin")
    return name


class ProjectSettings(Body):
    """What is to be changed of a project; what is left out stays."""

    max_running_runs: MaxRunningRuns | None = None
    """How many of its runs go on at once, the others queue; null: any number."""
    default_effect: DefaultEffect | None = None
    time_zone: Annotated[str, Field(max_length=100), AfterValidator(_zone)] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say what to change: max_running_runs, default_effect, time_zone")
        return self


class ProjectList(View):
    items: list[Project]
    next_cursor: str | None


class NewProject(Body):
    slug: Slug
    name: Annotated[str, Field(min_length=1, max_length=200)]


class Me(View):
    """The caller and all projects that the caller is a member of."""

    user: User
    projects: list[Project]


class Member(View):
    """A member of a project."""

    user_id: UUID
    email: str
    name: str
    role: Role
    joined_at: datetime


class MemberList(View):
    items: list[Member]
    next_cursor: str | None


class NewMember(Body):
    email: Annotated[str, Field(min_length=3, max_length=320)]
    role: Role = Role.DEVELOPER


class Ticket(View):
    """Opens one WebSocket, once, within `expires_in` seconds."""

    ticket: str
    expires_in: int
