"""The scripted model: a declared, deterministic stand-in, so that everything can be tried without a key.

It stands behind the same interface as a real model and says of every answer that it was scripted.
"""

import asyncio
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sparkops.core.durations import parse_duration
from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json, dumps
from sparkops.core.model_spec import SCRIPT_VARIABLES, SCRIPTED, Script, ScriptTurn, compile_when
from sparkops.core.model_spec import Price as StatedPrice
from sparkops.core.money import Micros
from sparkops.core.templates import Template, as_text, compile_template, compile_value
from sparkops.runtime.effects import CallFailed, OutcomeUnknown, Usage
from sparkops.runtime.llm import prices
from sparkops.runtime.llm.base import (
    AssistantMessage,
    FinishReason,
    ModelAnswer,
    ModelRequest,
    OnText,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets

CHARS_PER_TOKEN = 4
STREAM_PIECES = 4
_FREE = StatedPrice(input_usd_per_million=Decimal(0), output_usd_per_million=Decimal(0))


class Scripted:
    """Plays a script: the n-th model call of a conversation uses the n-th turn."""

    name = SCRIPTED
    scripted = True

    def __init__(self, script: Script, price: StatedPrice | None = None) -> None:
        """`price` of the definition counts where the script states none; without either the calls cost nothing."""
        self._script = script
        self._price = prices.Stated(script.price or price or _FREE)

    def bound(self, request: ModelRequest) -> Micros:
        """Return an upper bound of the cost: what the turn declares, or every byte a token and all output allowed."""
        turn = self._script.turns[min(_position(request), len(self._script.turns)) - 1]
        general = prices.bound(self._price, request.size, request.max_output_tokens)
        return max(general, self._price.cost(_declared(turn))) if turn.usage else general

    def bound_tokens(self, request: ModelRequest) -> int:
        """Return an upper bound of the tokens: what the turn declares, or every byte one and all output allowed."""
        turn = self._script.turns[min(_position(request), len(self._script.turns)) - 1]
        declared = _declared(turn) if turn.usage else Usage()
        general = request.size + request.max_output_tokens
        return max(general, declared.input_tokens + declared.output_tokens)

    async def complete(
        self,
        request: ModelRequest,
        on_text: OnText | None,
        deadline: float | None,
        secrets: CallSecrets = NO_SECRETS,
    ) -> ModelAnswer:
        """Answer with the turn that is due.

        Raises:
            CallFailed: the script has no such turn, its condition does not hold, or an expression failed.
            OutcomeUnknown: the turn's delay is longer than the deadline allows, as with a model that hangs.
        """
        position = _position(request)
        turn = self._turn(position)
        text, calls = _play(turn, position, request)
        await _delay(turn, deadline)
        if on_text is not None:
            for piece in _pieces(text):
                await on_text(piece)
        usage = _declared(turn) if turn.usage else _counted(request, text, calls)
        finish: FinishReason = "tool_calls" if calls else "stop"
        return ModelAnswer(text, SCRIPTED, finish, calls, usage, self._price.cost(usage))

    def _turn(self, position: int) -> ScriptTurn:
        if position > len(self._script.turns):
            raise _failed(f"The script has {len(self._script.turns)} turns, and turn {position} was asked for. Add it.")
        return self._script.turns[position - 1]


def _position(request: ModelRequest) -> int:
    return 1 + sum(isinstance(message, AssistantMessage) for message in request.messages)


def _play(turn: ScriptTurn, position: int, request: ModelRequest) -> tuple[str, tuple[ToolCall, ...]]:
    sees = _bindings(position, request)
    try:
        if turn.when is not None and not compile_when(turn.when).evaluate_bool(sees):
            raise _failed(f"The condition of turn {position} of the script does not hold: {turn.when}")
        text = _text(turn.text or "", sees)
        calls = [
            ToolCall(f"call-{position}-{place}", call.tool, _arguments(call.arguments, sees))
            for place, call in enumerate(turn.tool_calls, start=1)
        ]
    except ExpressionError as error:
        raise _failed(f"Turn {position} of the script cannot be played. {error.detail}") from error
    return text, tuple(calls)


def _bindings(position: int, request: ModelRequest) -> dict[str, Json]:
    prompt = next((message.text for message in request.messages if isinstance(message, UserMessage)), "")
    return {
        "prompt": prompt,
        "turn": position,
        "results": [_result(message) for message in request.messages if isinstance(message, ToolMessage)],
        "messages": [message.to_json() for message in request.messages],
    }


def _result(message: ToolMessage) -> Json:
    arguments = None if message.call.arguments is None else dict(message.call.arguments)
    return {
        "tool": message.call.tool,
        "arguments": arguments,
        "output": message.output,
        "is_error": message.is_error,
    }


def _text(source: str, sees: Mapping[str, Json]) -> str:
    compiled = compile_template(source, SCRIPT_VARIABLES)
    return as_text(compiled.render(sees)) if isinstance(compiled, Template) else compiled


def _arguments(source: Mapping[str, Any], sees: Mapping[str, Json]) -> dict[str, Json]:
    rendered = compile_value(dict(source), SCRIPT_VARIABLES).render(sees)
    assert isinstance(rendered, dict), "a map renders to a map"
    return rendered


async def _delay(turn: ScriptTurn, deadline: float | None) -> None:
    if turn.delay is None:
        return
    seconds = parse_duration(turn.delay).total_seconds()
    left = seconds if deadline is None else max(deadline - time.monotonic(), 0)
    await asyncio.sleep(min(seconds, left))
    if left < seconds:
        raise OutcomeUnknown(f"The scripted model did not answer in time: its turn waits {turn.delay}.")


def _pieces(text: str) -> list[str]:
    size = max(1, -(-len(text) // STREAM_PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _declared(turn: ScriptTurn) -> Usage:
    assert turn.usage is not None
    return Usage(turn.usage.input_tokens, turn.usage.output_tokens)


def _counted(request: ModelRequest, text: str, calls: tuple[ToolCall, ...]) -> Usage:
    asked = len(dumps(request.to_json()).decode())
    said = len(text) + sum(len(dumps(call.to_json()).decode()) for call in calls)
    return Usage(-(-asked // CHARS_PER_TOKEN), -(-said // CHARS_PER_TOKEN))


def _failed(message: str) -> CallFailed:
    return CallFailed("script-failed", message, retryable=False)
