"""What the `with` of each step type holds."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from sparkops.core.durations import parse_duration
from sparkops.core.model_spec import ModelSpec
from sparkops.core.shapes import MAX_QUORUM, Approvers, Closed, Duration, Text
from sparkops.domains.workflows.format_values import EventName, Ids

DEFAULT_EXPIRES = "24h"
DEFAULT_EVENT_TIMEOUT = "24h"
DEFAULT_CONCURRENCY = 10
MAX_ITEMS = 10_000
MAX_PASSES = 1_000


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
    """`vouch` is a value that whoever approves has looked at, and that goes on without labels."""

    title: Text
    show: Any = None
    vouch: Any = None
    expires: Duration = DEFAULT_EXPIRES
    approvers: Approvers | None = None
    quorum: int = Field(default=1, ge=1, le=MAX_QUORUM)
    escalate_after: Duration | None = None
    escalate_to: Approvers | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        people = set(self.approvers or ())
        if people and all("@" in each for each in people) and self.quorum > len(people):
            raise ValueError(f"only {len(people)} may approve, and {self.quorum} must")
        if (self.escalate_after is None) != (self.escalate_to is None):
            raise ValueError("escalate_after and escalate_to belong together: say both, when and to whom")
        if self.escalate_after and parse_duration(self.escalate_after) >= parse_duration(self.expires):
            raise ValueError("the question expires before it is escalated")
        return self


class Case(Closed):
    """Where `when` holds, the branch goes on to these steps."""

    when: Text
    then: Ids


class BranchWith(Closed):
    """The first case that holds is taken, or else `else`."""

    cases: tuple[Case, ...] = Field(min_length=1, max_length=100, strict=False)
    else_: Ids = Field(default=(), alias="else")


class MapWith(Closed):
    """`over` is a list, or a whole number n for the items 0 to n-1; as it stands, or from an expression."""

    over: Any
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, ge=1, le=1_000)
    on_item_error: Literal["stop", "continue"] = "stop"


class LoopWith(Closed):
    """Passes are made until `until` holds, at most `max`; without `until` exactly `max`."""

    max: int = Field(ge=1, le=MAX_PASSES)
    until: Text | None = None
    at_max: Literal["fail", "succeed"] | None = None

    @model_validator(mode="after")
    def _at_max_needs_until(self) -> Self:
        if self.at_max is not None and self.until is None:
            raise ValueError("at_max says what it means that until did not come true, but there is no until")
        return self


class WaitWith(Closed):
    """Waits `for` a while, `until` an instant, or for an `event`."""

    for_: Text | None = Field(default=None, alias="for")
    until: Text | None = None
    event: EventName | None = None
    filter: Text | None = None
    timeout: Duration = DEFAULT_EVENT_TIMEOUT
    on_timeout: Literal["fail", "continue"] = "fail"

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(value is not None for value in (self.for_, self.until, self.event)) != 1:
            raise ValueError("a wait needs one of for, until and event")
        for_events = sorted(self.model_fields_set & {"filter", "timeout", "on_timeout"})
        if self.event is None and for_events:
            raise ValueError(f"{for_events[0]} is only for an event")
        return self
