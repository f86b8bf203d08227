"""The shape of a workflow definition: which keys there are and what may stand in them. Meaning is `checks.py`."""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from sparkops.core.durations import DURATION_PATTERN, parse_duration
from sparkops.core.json import Json
from sparkops.core.model_spec import ModelSpec

MAX_STEPS = 2_000
DEFAULT_ATTEMPTS = 3
DEFAULT_BACKOFF = "1s"
DEFAULT_MAX_BACKOFF = "1m"
DEFAULT_EXPIRES = "24h"


class Closed(BaseModel):
    """A part of the definition: frozen, types as written, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=100)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN), AfterValidator(_duration)]
Reference = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1)]


class Retry(Closed):
    """How often a failed attempt is followed by another, and how long the pauses grow."""

    attempts: int = Field(default=DEFAULT_ATTEMPTS, ge=1, le=100)
    backoff: Duration = DEFAULT_BACKOFF
    max_backoff: Duration = DEFAULT_MAX_BACKOFF


class AgentWith(Closed):
    prompt: Text
    max_turns: int | None = Field(default=None, ge=1, le=100)


class LlmWith(ModelSpec):
    prompt: Text
    system: str | None = None
    max_output_tokens: int = Field(ge=1, le=1_000_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    output_schema: dict[str, Any] | None = None


class TransformWith(Closed):
    """`value` gives the output itself; `template` gives a text, filled from `data`."""

    value: Any = None
    template: str | None = None
    data: Any = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if ("value" in self.model_fields_set) == (self.template is not None):
            raise ValueError("a transform needs either value or template")
        if self.template is None and "data" in self.model_fields_set:
            raise ValueError("data is only for a template")
        return self


class ApprovalWith(Closed):
    title: Text
    show: Any = None
    expires: Duration = DEFAULT_EXPIRES


class _Step(Closed):
    id: StepId
    needs: tuple[str, ...] = Field(default=(), strict=False)
    if_: Text | None = Field(default=None, alias="if")


class _Attempted(_Step):
    """A step that a worker attempts: it may be tried again, and each attempt may be limited."""

    retry: Retry = Retry()
    timeout: Duration | None = None


class AgentStep(_Attempted):
    type: Literal["agent"]
    agent: Reference
    with_: AgentWith = Field(alias="with")


class LlmStep(_Attempted):
    type: Literal["llm"]
    with_: LlmWith = Field(alias="with")


class ToolStep(_Attempted):
    type: Literal["tool"]
    tool: Reference
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")


class TransformStep(_Step):
    type: Literal["transform"]
    with_: TransformWith = Field(alias="with")


class ApprovalStep(_Step):
    type: Literal["approval"]
    with_: ApprovalWith = Field(alias="with")


Step = AgentStep | LlmStep | ToolStep | TransformStep | ApprovalStep
STEP_FORMATS: Final[dict[str, type[Step]]] = {
    "agent": AgentStep,
    "llm": LlmStep,
    "tool": ToolStep,
    "transform": TransformStep,
    "approval": ApprovalStep,
}
LITERAL_KEYS: Final[dict[str, frozenset[str]]] = {
    "agent": frozenset({"max_turns"}),
    "llm": frozenset({"model", "script", "price", "max_output_tokens", "temperature", "output_schema"}),
    "tool": frozenset(),
    "transform": frozenset({"template"}),
    "approval": frozenset({"expires"}),
}
"""The keys of `with` whose strings are taken as they are: `${{ }}` in them is not evaluated with the step."""


class Head(Closed):
    """Everything but the steps."""

    version: Literal[1]
    name: Name
    description: str | None = Field(default=None, max_length=10_000)
    input: dict[str, Any] | None = None
    budget_usd: Decimal | None = Field(default=None, ge=0, le=1_000_000, strict=False, allow_inf_nan=False)
    timeout: Duration | None = None
    output: Any = None


class Workflow(Head):
    """A workflow: steps that run as soon as the steps they need have succeeded."""

    steps: tuple[Annotated[Step, Field(discriminator="type")], ...] = Field(
        min_length=1, max_length=MAX_STEPS, strict=False
    )


def workflow_schema() -> dict[str, Json]:
    """Return the JSON Schema of the format, for editors and for the page."""
    schema: dict[str, Json] = TypeAdapter(Workflow).json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
