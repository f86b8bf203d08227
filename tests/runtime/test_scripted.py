"""The scripted model: deterministic, declared, and never mistaken for a model."""

import time
from typing import Any

import pytest

from sparkops.core.model_spec import Script
from sparkops.runtime.effects import CallFailed, OutcomeUnknown, Usage
from sparkops.runtime.llm.base import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, UserMessage
from sparkops.runtime.llm.scripted import Scripted

PRICE = {"input_usd_per_million": "1", "output_usd_per_million": "10"}


def scripted(*turns: dict[str, Any], **more: Any) -> Scripted:
    return Scripted(Script.model_validate({"turns": turns, **more}))


def request(*messages: Message) -> ModelRequest:
    return ModelRequest((UserMessage("Which month was the wettest?"), *messages), max_output_tokens=50)


QUERY = ToolCall("call-1-1", "sql.query", {"sql": "SELECT 1"})
ASKED = (AssistantMessage("Let me look.", (QUERY,)), ToolMessage(QUERY, {"rows": [{"month": 11}]}, is_error=False))


async def test_the_nth_call_plays_the_nth_turn_with_what_it_may_see() -> None:
    model = scripted(
        {
            "text": "You asked: ${{ prompt }}",
            "tool_calls": [
                {"tool": "sql.query", "arguments": {"sql": "SELECT ${{ turn }}", "limit": "${{ turn + 1 }}"}}
            ],
        },
        {
            "when": "size(results) == 1 && !results[0].is_error",
            "text": "Month ${{ results[0].output.rows[0].month }}, of ${{ size(messages) }} messages.",
        },
    )
    first = await model.complete(request(), None, None)
    assert first.text == "You asked: Which month was the wettest?"
    assert first.tool_calls == (ToolCall("call-1-1", "sql.query", {"sql": "SELECT 1", "limit": 2}),)
    assert (first.model, first.finish_reason, model.scripted) == ("scripted", "tool_calls", True)
    second = await model.complete(request(*ASKED), None, None)
    assert (second.text, second.finish_reason) == ("Month 11, of 3 messages.", "stop")
    assert await model.complete(request(*ASKED), None, None) == second


async def test_usage_and_price_are_declared_or_counted() -> None:
    declared = scripted({"text": "x", "usage": {"input_tokens": 1_000, "output_tokens": 100}}, price=PRICE)
    answer = await declared.complete(request(), None, None)
    assert (answer.usage, answer.cost_micros) == (Usage(1_000, 100), 2_000)
    counted = await scripted({"text": "12345"}).complete(request(), None, None)
    assert counted.usage.output_tokens == 2, "five characters are two tokens, rounded up"
    assert counted.usage.input_tokens > 0
    assert counted.cost_micros == 0, "a script without a price is free"


async def test_the_bound_covers_what_a_turn_declares() -> None:
    model = scripted({"text": "x", "usage": {"input_tokens": 10_000, "output_tokens": 900}}, price=PRICE)
    assert model.bound(request()) >= (await model.complete(request(), None, None)).cost_micros
    undeclared = scripted({"text": "x"}, price=PRICE)
    assert undeclared.bound(request()) >= (await undeclared.complete(request(), None, None)).cost_micros


async def test_text_streams_in_a_few_pieces() -> None:
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    answer = await scripted({"text": "The wettest month was November."}).complete(request(), hear, None)
    assert "".join(pieces) == answer.text
    assert 2 <= len(pieces) <= 4


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ({"when": "turn == 2", "text": "x"}, "The condition of turn 1 of the script does not hold: turn == 2"),
        ({"text": "${{ results[0].output }}"}, "Turn 1 of the script cannot be played"),
        ({"text": "x", "tool_calls": [{"tool": "t", "arguments": {"a": "${{ results[3] }}"}}]}, "cannot be played"),
    ],
)
async def test_a_script_that_does_not_fit_says_so(turn: dict[str, Any], words: str) -> None:
    with pytest.raises(CallFailed, match="script") as failed:
        await scripted(turn).complete(request(), None, None)
    assert words in failed.value.message
    assert not failed.value.retryable


async def test_a_script_that_is_used_up_says_so() -> None:
    with pytest.raises(CallFailed, match="has 1 turns, and turn 2 was asked for"):
        await scripted({"text": "x"}).complete(request(*ASKED), None, None)


async def test_a_delay_is_waited_for_but_not_past_the_deadline() -> None:
    model = scripted({"text": "x", "delay": "80ms"})
    began = time.monotonic()
    await model.complete(request(), None, None)
    assert time.monotonic() - began >= 0.08
    with pytest.raises(OutcomeUnknown, match="waits 80ms"):
        await model.complete(request(), None, time.monotonic() + 0.01)
