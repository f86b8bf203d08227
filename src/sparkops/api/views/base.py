"""What all answers and all request bodies have in common."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """An answer: exactly the fields listed, never a database row as it is."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Body(BaseModel):
    """A request: an unknown field is refused, so that a typo or a smuggled field never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Ref(View):
    """A person, by id and name."""

    id: UUID
    name: str


class ProblemError(View):
    """One thing that is wrong, and where. `line` and `column` count from 1 in a text that was sent."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class Problem(View):
    """An RFC 9457 problem. `type` ends in a stable code; some problems carry further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None
    errors: list[ProblemError] | None = None


Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,62}$", examples=["weather"])]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["analyst"])]
