"""The agent loop: ask the model, do what it asks, tell it what came of it, until it asks for nothing more.

Every effect goes through the gate, and nothing but recorded outcomes forms the next request: no clock, no chance.
After a crash the loop therefore runs again from its start, is answered from the record, and goes on where it broke.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkops.core.json import Json
from sparkops.core.money import Micros
from sparkops.core.schemas import schema_errors
from sparkops.core.storable import storable
from sparkops.core.templates import Path
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.domains.effects.state import CallKind
from sparkops.runtime import context
from sparkops.runtime.effects import Dispatch, Effect, Gate, Receipt, StepFailed, Usage
from sparkops.runtime.llm.base import (
    FinishReason,
    Message,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from sparkops.runtime.llm.effect import Speaker
from sparkops.runtime.outlook import Outlook
from sparkops.runtime.tools.base import Tool, ToolContext

MAX_CALLS_PER_TURN = 32
"""What one answer may ask for; the rest is refused, so that a model gone wild stays countable."""

NOTHING_WRITTEN: Final[Mapping[Path, str]] = {}

ContextFor = Callable[[Dispatch], ToolContext]


@dataclass(frozen=True, slots=True)
class AgentResult:
    """How the loop ended. `turns` counts model calls, `usage` sums them, replayed ones too."""

    text: str
    turns: int
    usage: Usage
    finish_reason: FinishReason
    model: str


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools an agent was given. `context_for` says on whose behalf a call runs."""

    tools: Mapping[str, Tool]
    context_for: ContextFor

    def refusal(self, call: ToolCall, place: int) -> ToolMessage | None:
        """Return the tool error for a call that must not be sent, or None."""
        tool = self.tools.get(call.tool)
        if place >= MAX_CALLS_PER_TURN:
            return context.refused(call, f"At most {MAX_CALLS_PER_TURN} tool calls fit in one turn; ask again for it.")
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return context.refused(call, f"There is no tool {call.tool!r} here. Tools: {known}.")
        if call.arguments is None:
            return context.malformed(call)
        wrong = schema_errors(tool.validator, dict(call.arguments))
        return context.refused(call, "The arguments do not fit: " + "; ".join(wrong)) if wrong else None

    def effect(self, call: ToolCall, facts: Mapping[str, Json]) -> Effect:
        """Return a valid call as an effect."""
        arguments = dict(call.arguments or {})
        return tool_effect(self.tools[call.tool], arguments, self.context_for, facts)


def tool_effect(
    tool: Tool,
    arguments: Mapping[str, Any],
    context_for: ContextFor,
    facts: Mapping[str, Json] | None = None,
    written: Mapping[Path, str] = NOTHING_WRITTEN,
) -> Effect:
    """Return a tool call as an effect. The arguments must have passed the tool's schema.

    `written`: the references to secrets that the definition has in them. They stay references in all that is recorded
    and become values when the call is sent.
    """

    def edited(request: Json) -> Effect:
        assert isinstance(request, dict), "an edit keeps the shape of a tool's request"
        return tool_effect(tool, request["arguments"], context_for, facts, written)

    async def send(dispatch: Dispatch) -> Receipt:
        context = context_for(dispatch)
        result = await tool.run(await context.secrets.fill(arguments, written) if written else arguments, context)
        return Receipt(storable(result.output), Micros(result.cost_micros + tool.price_micros), labels=result.labels)

    async def preview(dispatch: Dispatch) -> Outlook:
        assert tool.preview is not None, "asked only where there is one"
        return await tool.preview(arguments, context_for(dispatch))

    return Effect(
        kind=CallKind.TOOL,
        name=tool.name,
        request={"tool": tool.name, "arguments": dict(arguments)},
        effect_class=tool.effect_class,
        bound_micros=Micros(tool.bound_micros + tool.price_micros),
        tool_hash=tool.hash,
        send=send,
        facts={
            "tool.name": tool.name,
            "tool.capability": str(tool.capability),
            "tool.effect": str(tool.effect_class),
            "args": dict(arguments),
            **(facts or {}),
        },
        local=tool.local and not written,
        edited=edited,
        labels=tool.labels,
        preview=preview if tool.preview is not None else None,
    )


async def run_agent(
    definition: AgentDefinition,
    prompt: str,
    *,
    name: str,
    gate: Gate,
    speaker: Speaker,
    toolbox: Toolbox,
    version: int = 0,
    max_turns: int | None = None,
) -> AgentResult:
    """Run the loop to its end. `name`, `version` are the agent's; `max_turns` of the step wins over the definition's.

    Raises:
        StepFailed: a model call was denied or failed, or the turns were used up. Exceptions of the gate pass.
    """
    limit = max_turns or definition.max_turns
    messages: list[Message] = [UserMessage(prompt)]
    usage = Usage()
    for turn in range(1, limit + 1):
        facts: dict[str, Json] = {"agent.name": name, "agent.version": version, "run.turns": turn}
        answer = await speaker.ask(gate, _request(definition, messages, toolbox), facts)
        usage += answer.usage
        if not answer.tool_calls:
            return AgentResult(answer.text, turn, usage, answer.finish_reason, answer.model)
        if turn < limit:
            messages += [context.said(answer), *await _results(answer, gate, toolbox, facts)]
    raise StepFailed(
        "max-turns",
        f"The agent {name} still asked for tools after {limit} turns. Raise max_turns, or make its task smaller.",
    )


def _request(definition: AgentDefinition, messages: list[Message], toolbox: Toolbox) -> ModelRequest:
    return ModelRequest(
        messages=tuple(messages),
        max_output_tokens=definition.max_output_tokens,
        system=definition.instructions,
        tools=tuple(tool.spec for tool in toolbox.tools.values()),
        temperature=definition.temperature,
    )


async def _results(answer: ModelAnswer, gate: Gate, toolbox: Toolbox, facts: Mapping[str, Json]) -> list[ToolMessage]:
    """Do the calls of one turn that may be sent, in one go, and return a result for each call in order."""
    refusals = [toolbox.refusal(call, place) for place, call in enumerate(answer.tool_calls)]
    sendable = [call for call, refusal in zip(answer.tool_calls, refusals, strict=True) if refusal is None]
    effects = [toolbox.effect(call, facts) for call in sendable]
    outcomes = iter(await gate.perform(effects) if effects else [])
    return [
        context.told(call, next(outcomes)) if refusal is None else refusal
        for call, refusal in zip(answer.tool_calls, refusals, strict=True)
    ]
