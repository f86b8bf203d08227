"""What a model is to us: one request, one answer, a bound of its cost. No provider's shapes above this line."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from sparkops.core.json import Json, dumps
from sparkops.core.money import Micros
from sparkops.runtime.effects import FREE, Usage
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets

OnText = Callable[[str], Awaitable[None]]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as the model asked for it. `arguments` of None: what it wrote, kept in `raw`, is no JSON object."""

    id: str
    tool: str
    arguments: Mapping[str, Json] | None
    raw: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        arguments = None if self.arguments is None else dict(self.arguments)
        return {"id": self.id, "tool": self.tool, "arguments": arguments, "raw": self.raw}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ToolCall":
        """Read the JSON form back."""
        return cls(data["id"], data["tool"], data["arguments"], data["raw"])


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the step asks."""

    text: str

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"role": "user", "text": self.text}


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model answered in an earlier turn."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"role": "assistant", "text": self.text, "tool_calls": [call.to_json() for call in self.tool_calls]}


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """The result of one tool call; an error is told to the model in `output`."""

    call: ToolCall
    output: Json
    is_error: bool

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form. It names the call only: its arguments stand in the turn before."""
        return {
            "role": "tool",
            "id": self.call.id,
            "tool": self.call.tool,
            "output": self.output,
            "is_error": self.is_error,
        }


Message = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as it is offered to a model. `hash` is the digest of the pinned definition."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class ModelRequest:
    """One call of a model. Made from recorded things alone, so that it is the same after a crash."""

    messages: tuple[Message, ...]
    max_output_tokens: int
    system: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    temperature: float | None = None
    output_schema: Mapping[str, Any] | None = None

    @cached_property
    def size(self) -> int:
        """How many bytes its JSON has; a token is at least one."""
        return len(dumps(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """Return what is journaled: the whole conversation, and the tools by name and digest."""
        return {
            "system": self.system,
            "messages": [message.to_json() for message in self.messages],
            "tools": [{"name": tool.name, "hash": tool.hash} for tool in self.tools],
            "max_output_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "output_schema": None if self.output_schema is None else dict(self.output_schema),
        }


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the model said, what it used, and what that cost."""

    text: str
    model: str
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cost_micros: Micros = FREE

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form, as the call's row keeps it."""
        return {
            "text": self.text,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "tool_calls": [call.to_json() for call in self.tool_calls],
            "usage": dict(self.usage.to_json()),
            "cost_micros": self.cost_micros,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ModelAnswer":
        """Read the JSON form back."""
        return cls(
            text=data["text"],
            model=data["model"],
            finish_reason=data["finish_reason"],
            tool_calls=tuple(ToolCall.from_json(call) for call in data["tool_calls"]),
            usage=Usage.from_json(data["usage"]),
            cost_micros=Micros(data["cost_micros"]),
        )


class Model(Protocol):
    """A model that can be asked. `scripted` marks a declared stand-in, which is always shown as such."""

    @property
    def name(self) -> str:
        """The model as its endpoint knows it."""
        ...

    @property
    def scripted(self) -> bool:
        """Whether this is a script and no model."""
        ...

    def bound(self, request: ModelRequest) -> Micros:
        """Return an upper bound of what this request can cost."""
        ...

    def bound_tokens(self, request: ModelRequest) -> int:
        """Return an upper bound of the tokens that this request can take, read and written."""
        ...

    async def complete(
        self,
        request: ModelRequest,
        on_text: OnText | None,
        deadline: float | None,
        secrets: CallSecrets = NO_SECRETS,
    ) -> ModelAnswer:
        """Ask, and hand over text as it comes. `deadline` is of `time.monotonic()`; the key may be one of `secrets`.

        Raises:
            CallFailed: it definitely failed; the message says what to do.
            OutcomeUnknown: the request left and no complete answer came.
        """
        ...
