"""The small parts that definitions are made of: names, durations, how steps are joined, retried and excused."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from sparkops.core.durations import DURATION_HINT
from sparkops.core.shapes import MAP, WORD, Closed, Duration, Text

MAX_STEPS = 2_000
"""Of a definition in all, those in bodies included."""
DEFAULT_ATTEMPTS = 3
DEFAULT_BACKOFF = "1s"
DEFAULT_MAX_BACKOFF = "1m"
EVENT_NAME_PATTERN = r"^[a-z][a-z0-9_.-]*$"
MAX_EVENT_NAME = 100
CODE_PATTERN = r"^[a-z][a-z0-9-]*$"

HINTS: Final = {
    "name": "use small letters, digits and -, starting with a letter: weather-report",
    "workflow": "the name of a workflow of this project: small letters, digits and -",
    "id": "use small letters, digits and _, starting with a letter: fetch_all",
    "version": "the only version of the format is 1",
    "join": "one of all, any, none_failed and ended, or {at_least: 2}",
    "on_error": "one of fail and continue, or {goto: handler}",
    "on": "a list of error codes in small letters, digits and -: [timeout, rate-limited]",
    "event": "use small letters, digits, '.', _ and -, starting with a letter: payment.received",
    **dict.fromkeys(("timeout", "deadline", "backoff", "max_backoff", "expires"), DURATION_HINT),
}
"""What may stand at a key, for people."""


def _variant(value: Any) -> str:
    return MAP if isinstance(value, dict | BaseModel) else WORD


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=100)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
EventName = Annotated[str, Field(pattern=EVENT_NAME_PATTERN, max_length=MAX_EVENT_NAME)]
ErrorCode = Annotated[str, Field(pattern=CODE_PATTERN, max_length=100)]
Reference = Annotated[str, Field(min_length=1, max_length=200)]
Ids = Annotated[tuple[str, ...], Field(strict=False, max_length=MAX_STEPS)]


class Retry(Closed):
    """How often a failed attempt is followed by another, how long the pauses grow, and after which errors."""

    attempts: int = Field(default=DEFAULT_ATTEMPTS, ge=1, le=100)
    backoff: Duration = DEFAULT_BACKOFF
    max_backoff: Duration = DEFAULT_MAX_BACKOFF
    jitter: bool = True
    on: Annotated[tuple[ErrorCode, ...], Field(strict=False, min_length=1, max_length=50)] | None = None


class AtLeast(Closed):
    """The step starts once this many of its needs are met."""

    at_least: int = Field(ge=1, le=MAX_STEPS)


class Goto(Closed):
    """The step that runs instead where this one has failed."""

    goto: StepId


Join = Annotated[
    Annotated[Literal["all", "any", "none_failed", "ended"], Tag(WORD)] | Annotated[AtLeast, Tag(MAP)],
    Discriminator(_variant),
]
OnError = Annotated[
    Annotated[Literal["fail", "continue"], Tag(WORD)] | Annotated[Goto, Tag(MAP)], Discriminator(_variant)
]


class Concurrency(Closed):
    """How many runs with the same key go on at once, and what becomes of one more."""

    key: Text | None = None
    limit: int = Field(default=1, ge=1, le=10_000)
    when_full: Literal["queue", "cancel_running", "reject"] = "queue"
