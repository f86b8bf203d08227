"""What all answers and all request bodies have in common."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from sparkops.core.document import dotted
from sparkops.core.storable import LEAST, MOST, beyond


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


def _kept(value: JsonValue) -> JsonValue:
    for path in beyond(value):
        raise ValueError(f"{dotted(path)} is not between {LEAST} and {MOST}; no other whole number can be kept")
    return value


Kept = Annotated[JsonValue, AfterValidator(_kept)]
"""Any JSON, with whole numbers that can be stored and read again."""

VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


def _within_reach(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must lie between the years 1970 and 9998")
    return moment


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
"""A moment with its offset that the database and ids made of it can hold."""
