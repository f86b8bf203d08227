"""API keys and service accounts."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from sparkops.api.views.base import Body, Name, Slug, View
from sparkops.core.permissions import Permission, Role

MAX_DAYS = 3_650
DEFAULT_DAYS = 90


class ApiKey(View):
    """An API key, as it is listed. What it proves itself with is shown once, when it is made."""

    id: UUID
    name: str
    prefix: str
    """How the key begins, so that it can be told from others: `spk_` and its id."""
    status: Literal["active", "expired", "revoked"]
    scopes: list[str]
    """The permissions it was given; it never may more than its user."""
    projects: list[str]
    """Slugs of the projects it reaches, as far as the caller belongs to them."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    last_used_from: str | None
    """The network it was last used from."""
    revoked_at: datetime | None


class ApiKeyList(View):
    items: list[ApiKey]
    next_cursor: str | None


class NewKeyTerms(Body):
    """What a key is for. `expires_in_days` null: until it is revoked."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Permission], Field(min_length=1, max_length=len(Permission))]
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = DEFAULT_DAYS


class NewApiKey(NewKeyTerms):
    """A key that acts for the caller, in some of their projects."""

    projects: Annotated[list[Slug], Field(min_length=1, max_length=50)]


class NewAccountKey(NewKeyTerms):
    """A key that acts for a service account, in its project."""


class CreatedApiKey(ApiKey):
    """A key that was just made."""

    key: str
    """Keep it now: it is shown this once, and stored nowhere."""


class KeyScope(View):
    """A permission that keys can be given."""

    scope: Permission
    description: str
    roles: list[Role]
    """The roles that have it: a key of somebody with another one cannot use it."""


class KeyScopeList(View):
    items: list[KeyScope]


class ServiceAccount(View):
    """An account that only keys act for."""

    id: UUID
    name: str
    role: Role | None
    """Null: it was taken out of the project, and its keys reach nothing."""
    created_at: datetime
    disabled_at: datetime | None
    """Since then its keys are refused."""


class ServiceAccountList(View):
    items: list[ServiceAccount]
    next_cursor: str | None


class NewServiceAccount(Body):
    name: Name
    role: Role


class ServiceAccountChange(Body):
    """What is to be changed of a service account; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.role is None and self.disabled is None:
            raise ValueError("say what to change: role, disabled")
        return self
