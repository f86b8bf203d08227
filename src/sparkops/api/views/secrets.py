"""Secrets as people see them: names, versions and uses. No view has a field for a value."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from sparkops.api.views.base import Body, Ref, Slug, View

SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", examples=["stripe-key"])]
SecretSource = Literal["database", "vault", "files"]


class Secret(View):
    """A secret, without what it holds. `project` of None: the installation's, to which its settings may refer."""

    id: UUID
    project: str | None
    name: str
    reference: str
    """How definitions and settings refer to its latest version."""
    description: str
    latest_version: int
    created_at: datetime
    archived_at: datetime | None
    last_used_at: datetime | None
    """When a call was given it last; None: never."""


class SecretList(View):
    items: list[Secret]
    next_cursor: str | None
    source: SecretSource
    """Where this installation keeps secrets. Only those in the database are listed and written here."""


class SecretReader(View):
    """A workflow whose latest version refers to the secret."""

    id: UUID
    name: str
    version: int


class SecretDetail(Secret):
    """A secret with the workflows that refer to it, at most a hundred."""

    workflows: list[SecretReader]


class SecretVersion(View):
    version: int
    kek_id: str
    """Which key of the installation encrypts it."""
    created_by: Ref | None
    """None: an operator, by the command line."""
    created_at: datetime


class SecretVersionList(View):
    items: list[SecretVersion]
    next_cursor: str | None


class SecretUse(View):
    """A call was given the value."""

    id: UUID
    version: int | None
    run_id: UUID
    step_id: UUID
    call_id: UUID
    at: datetime


class SecretUseList(View):
    items: list[SecretUse]
    next_cursor: str | None


class _ExactBody(Body):
    """A request with a value, of which nothing may be stripped."""

    model_config = ConfigDict(str_strip_whitespace=False)


class NewSecretVersion(_ExactBody):
    value: Annotated[SecretStr, Field(description="At least 8 characters, at most 32,768 bytes. Never shown again.")]


class NewSecret(NewSecretVersion):
    project: Annotated[Slug | None, Field(description="None: of the installation; for its administrators.")]
    name: SecretName
    description: Annotated[str, Field(max_length=500)] = ""
