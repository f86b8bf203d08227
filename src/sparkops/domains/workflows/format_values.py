"""The small parts that definitions are made of: names, durations, how steps are joined, retried and excused."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from sparkops.core.durations import DURATION_PATTERN, parse_duration

MAX_STEPS = 2_000
"""Of a definition in all, those in bodies included."""
DEFAULT_ATTEMPTS = 3
DEFAULT_BACKOFF = "1s"
DEFAULT_MAX_BACKOFF = "1m"
EVENT_NAME_PATTERN = r"^[a-z][a-z0-9_.-]*$"
MAX_EVENT_NAME = 100
CODE_PATTERN = r"^[a-z][a-z0-9-]*$"

_WORD, _MAP = "<word>", "<map>"
VARIANT_TAGS: Final = frozenset({_WORD, _MAP})
"""Parts that pydantic puts into the paths of values that are either a word or a map; they stand in no text."""


class Closed(BaseModel):
    """A part of the definition: frozen, types as written, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _variant(value: Any) -> str:
    return _MAP if isinstance(value, dict | BaseModel) else _WORD


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=100)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
EventName = Annotated[str, Field(pattern=EVENT_NAME_PATTERN, max_length=MAX_EVENT_NAME)]
ErrorCode = Annotated[str, Field(pattern=CODE_PATTERN, max_length=100)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN), AfterValidator(_duration)]
Reference = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1)]
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
    Annotated[Literal["all", "any", "none_failed", "ended"], Tag(_WORD)] | Annotated[AtLeast, Tag(_MAP)],
    Discriminator(_variant),
]
OnError = Annotated[
    Annotated[Literal["fail", "continue"], Tag(_WORD)] | Annotated[Goto, Tag(_MAP)], Discriminator(_variant)
]


class Concurrency(Closed):
    """How many runs with the same key go on at once, and what becomes of one more."""

    key: Text | None = None
    limit: int = Field(default=1, ge=1, le=10_000)
    when_full: Literal["queue", "cancel_running", "reject"] = "queue"
