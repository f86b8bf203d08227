"""Who is signed in, projects, members."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from sparkops.api.views.base import Body, Ref, Slug, View
from sparkops.api.views.control import MaxRunningRuns
from sparkops.core.permissions import Role
from sparkops.domains.projects.state import DeletionStatus

Days = Annotated[int, Field(ge=1, le=36_500)]
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
    must_enrol: bool
    """The installation demands a second factor, and there is none yet: nothing else is allowed until there is."""


class SignedOut(View):
    """Signed out here. `leave_at`: where the browser goes to sign out at the OpenID provider, too; null: nowhere."""

    leave_at: str | None


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
    keep_runs_days: int | None
    """Runs that ended longer ago are removed; null: they are kept for ever."""
    keep_log_days: int | None
    """As above, of the logs of runs and of events from outside."""
    keep_values_days: int | None
    """As above, of what runs worked with: inputs, outputs, requests, responses, files."""
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
    keep_runs_days: Days | None = None
    """After so many days an ended run is removed with all that belongs to it but its costs; null: never."""
    keep_log_days: Days | None = None
    """As above, of the logs of runs and of events from outside."""
    keep_values_days: Days | None = None
    """As above, of what runs worked with: inputs, outputs, requests, responses, files."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"say what to change: {', '.join(type(self).model_fields)}")
        return self


class NewDeletion(Body):
    """That a project is to be deleted: its slug once more, and why."""

    slug: Slug
    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class Deletion(View):
    """That somebody wants the project deleted. It is stopped meanwhile; from `due_at` on its data is removed."""

    id: UUID
    status: DeletionStatus
    reason: str
    asked_by: Ref
    asked_at: datetime
    due_at: datetime
    cancelled_by: Ref | None
    cancelled_at: datetime | None


class DeletionState(View):
    """Whether the project is to be deleted."""

    deletion: Deletion | None
    """The last that was asked for; null: nobody ever has."""
    delay_seconds: float
    """How long one that is asked for now can be taken back."""


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
    may_create_projects: bool
    """Administrators of the installation may; others where it says so (`project_creators`)."""


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
