"""The adapter over a real socket, against a model server that nobody here wrote and that breaks on demand."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from sparkops.core.config import ModelEndpoint, Settings
from sparkops.core.json import canonical, loads
from sparkops.core.model_spec import ModelSpec, Price
from sparkops.runtime.effects import CallFailed, OutcomeUnknown, StepFailed
from sparkops.runtime.llm.base import (
    AssistantMessage,
    Model,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from sparkops.runtime.llm.openai_compatible import request_bytes
from sparkops.runtime.llm.registry import Models
from tests.runtime.conftest import Peer

SQL = ToolSpec(
    "sql.query",
    "Reads a database.",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"], "additionalProperties": False},
    "hash",
)
ASK = ModelRequest((UserMessage("Say hello."),), max_output_tokens=64, system="Be brief.", temperature=0.0)
ASK_WITH_TOOL = ModelRequest((UserMessage("Query the database."),), max_output_tokens=64, tools=(SQL,))


def endpoint(base_url: str, **changes: Any) -> ModelEndpoint:
    return ModelEndpoint.model_validate(
        {"base_url": base_url, "model": "gpt-4o-mini", "api_key": SecretStr("key"), "timeout_seconds": 20, **changes}
    )


@pytest.fixture
async def models(peer: Peer) -> AsyncIterator[Models]:
    async with Models(Settings(models={"default": endpoint(peer.base_url)})) as made:
        yield made


@pytest.fixture
def model(models: Models) -> Model:
    return models.resolve(ModelSpec(model="default"), "weather")


async def complete(model: Model, request: ModelRequest = ASK, *, stream: bool = False) -> ModelAnswer:
    async def hear(piece: str) -> None:
        await asyncio.sleep(0)

    return await model.complete(request, hear if stream else None, None)


async def test_an_answer_carries_text_usage_and_a_cost_below_the_bound(model: Model) -> None:
    answer = await complete(model)
    assert answer.text
    assert answer.finish_reason == "stop"
    assert answer.usage.input_tokens > 0
    assert 0 < answer.cost_micros <= model.bound(ASK)
    assert not model.scripted


async def test_a_stream_hands_text_over_in_pieces_and_ends_as_the_same_answer(model: Model) -> None:
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    streamed = await model.complete(ASK, hear, None)
    assert len(pieces) > 1
    assert "".join(pieces) == streamed.text
    assert streamed == await complete(model)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_call_comes_back_under_the_tools_own_name(model: Model, stream: bool) -> None:
    answer = await complete(model, ASK_WITH_TOOL, stream=stream)
    assert [call.tool for call in answer.tool_calls] == ["sql.query"]
    assert set(answer.tool_calls[0].arguments or {}) == {"sql"}
    assert answer.finish_reason == "tool_calls"


async def test_a_conversation_with_results_and_broken_calls_is_understood(model: Model) -> None:
    good, broken = ToolCall("c1", "sql.query", {"sql": "SELECT 1"}), ToolCall("c2", "sql.query", None, "{oops")
    request = ModelRequest(
        (
            UserMessage("Query the database."),
            AssistantMessage("I will.", (good, broken)),
            ToolMessage(good, {"rows": []}, is_error=False),
            ToolMessage(broken, {"error": "no JSON"}, is_error=True),
        ),
        max_output_tokens=64,
        tools=(SQL,),
    )
    assert (await complete(model, request)).text


@pytest.mark.parametrize("stream", [False, True])
async def test_arguments_that_are_no_json_come_back_as_written(model: Model, peer: Peer, stream: bool) -> None:
    peer.break_next(type="tool_fault", kind="malformed_arguments")
    (call,) = (await complete(model, ASK_WITH_TOOL, stream=stream)).tool_calls
    assert call.arguments is None
    assert call.raw


async def test_a_rate_limit_is_waited_out_as_long_as_it_asks(model: Model, peer: Peer) -> None:
    await complete(model)
    peer.break_next(type="fail", status=429, retry_after=0.5, times=2)
    began = time.monotonic()
    assert (await complete(model)).text
    assert time.monotonic() - began >= 1.0
    assert peer.findings() == []


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_is_asked_again(model: Model, peer: Peer, status: int) -> None:
    peer.break_next(type="fail", status=status, times=1, retry_after=0.1)
    assert (await complete(model, stream=True)).text
    assert len(peer.requests()) == 2


async def test_a_wait_that_would_pass_the_deadline_is_not_begun(model: Model, peer: Peer) -> None:
    peer.break_next(type="fail", status=429, retry_after=60)
    began = time.monotonic()
    with pytest.raises(CallFailed, match="asks to wait 60 s") as failed:
        await complete(model)
    assert time.monotonic() - began < 2
    assert (failed.value.code, failed.value.retryable) == ("model-rate-limited", True)
    assert len(peer.requests()) == 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "model-key-refused", "was refused (401). Set SPARKOPS_MODEL_API_KEY"),
        (404, "model-unknown", "does not know the model gpt-4o-mini (404"),
        (400, "model-rejected", "rejected the request (400)"),
    ],
)
async def test_a_refusal_is_not_repeated_and_says_what_to_do(
    model: Model, peer: Peer, status: int, code: str, words: str
) -> None:
    peer.break_next(type="fail", status=status)
    with pytest.raises(CallFailed) as failed:
        await complete(model)
    assert (failed.value.code, failed.value.retryable) == (code, False)
    assert words in failed.value.message
    assert len(peer.requests()) == 1


@pytest.mark.parametrize("kind", ["truncate", "disconnect", "malformed"])
async def test_a_stream_that_breaks_off_is_never_an_answer(model: Model, peer: Peer, kind: str) -> None:
    peer.break_next(type="stream_fault", kind=kind, after_chunks=2)
    with pytest.raises(OutcomeUnknown, match="did not finish its answer"):
        await complete(model, stream=True)
    assert len(peer.requests()) == 1, "it may have been paid for, so only the step may ask again"
    assert (await complete(model, stream=True)).text
    assert not [finding for finding in peer.findings() if finding.startswith("error")]


@pytest.mark.parametrize(
    "fault", [{"type": "delay", "seconds": 3}, {"type": "stream_fault", "kind": "stall", "stall_seconds": 3}]
)
async def test_no_answer_in_time_is_an_unknown_outcome(models: Models, peer: Peer, fault: dict[str, Any]) -> None:
    model = models.resolve(ModelSpec(model="default"), "weather")
    await complete(model)
    peer.break_next(**fault)
    with pytest.raises(OutcomeUnknown, match="no complete answer within"):
        await model.complete(ASK, None if fault["type"] == "delay" else _ignore, time.monotonic() + 0.5)


async def _ignore(piece: str) -> None:
    await asyncio.sleep(0)


async def test_an_endpoint_that_does_not_run_is_said_to_be_unreachable(peer: Peer) -> None:
    nowhere = endpoint("http://127.0.0.1:9/v1", timeout_seconds=1)
    async with Models(Settings(models={"mine": nowhere})) as models:
        with pytest.raises(CallFailed, match=r"base_url of models\.mine in the settings") as failed:
            await complete(models.resolve(ModelSpec(model="mine"), "weather"))
    assert (failed.value.code, failed.value.retryable) == ("model-unreachable", True)


@asynccontextmanager
async def answering(answer: bytes, heard: list[dict[str, Any]] | None = None) -> AsyncIterator[str]:
    """A server that gives every request this answer; yields its address, and keeps the bodies it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        body = loads(await reader.readexactly(length))
        if heard is not None:
            heard.append(body)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_a_redirect_is_not_followed(peer: Peer) -> None:
    redirect = f"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: {peer.base_url}/chat/completions\r\n\r\n"
    async with answering(redirect.encode()) as url, Models(Settings(models={"default": endpoint(url)})) as models:
        with pytest.raises(CallFailed, match="redirects are not followed") as failed:
            await complete(models.resolve(ModelSpec(model="default"), "weather"))
    assert (failed.value.code, failed.value.retryable) == ("model-rejected", False)
    assert peer.requests() == []


async def test_a_stated_price_counts_before_the_known_one(models: Models) -> None:
    price = Price(input_usd_per_million=Decimal(0), output_usd_per_million=Decimal(1_000))
    answer = await complete(models.resolve(ModelSpec(model="default", price=price), "weather"))
    assert answer.cost_micros == answer.usage.output_tokens * 1_000


def test_an_unknown_price_says_what_to_state() -> None:
    models = Models(Settings(models={"default": endpoint("http://127.0.0.1:9/v1", model="my-own-model")}))
    with pytest.raises(StepFailed, match="SPARKOPS_MODEL_INPUT_USD_PER_MILLION") as failed:
        models.resolve(ModelSpec(model="default"), "weather")
    assert failed.value.code == "price-unknown"


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(StepFailed, match="no model endpoint called default") as failed:
        Models(Settings()).resolve(ModelSpec(model="default"), "weather")
    assert failed.value.code == "model-not-configured"


def test_an_endpoint_of_other_projects_is_one_that_does_not_exist() -> None:
    stated = endpoint("http://127.0.0.1:9/v1", input_usd_per_million=1, output_usd_per_million=1)
    settings = Settings(models={"theirs": stated.model_copy(update={"projects": ("people",)}), "all": stated})
    models = Models(settings)
    assert models.resolve(ModelSpec(model="theirs"), "people") is not None
    with pytest.raises(StepFailed, match=r"no model endpoint called theirs \(there are: all\)") as failed:
        models.resolve(ModelSpec(model="theirs"), "shop")
    assert failed.value.code == "model-not-configured"


HI = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hi"}}]}'
)
ANSWER_HI = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(HI)}\r\n\r\n".encode() + HI


async def test_usage_that_the_endpoint_does_not_report_is_charged_at_the_bound() -> None:
    async with answering(ANSWER_HI) as url, Models(Settings(models={"default": endpoint(url)})) as models:
        model = models.resolve(ModelSpec(model="default"), "weather")
        said = await complete(model)
    assert said.text == "hi"
    assert said.cost_micros == model.bound(ASK)


async def test_what_bounds_the_cost_is_sent_and_nothing_that_was_not_asked_for() -> None:
    heard: list[dict[str, Any]] = []
    request = replace(ASK, tools=(SQL,), output_schema={"type": "object", "properties": {"a": {"type": "integer"}}})
    async with answering(ANSWER_HI, heard) as url, Models(Settings(models={"default": endpoint(url)})) as models:
        model = models.resolve(ModelSpec(model="default"), "weather")
        await complete(model, request)
    (body,) = heard
    assert len(canonical(body)) <= request_bytes(request) + 500, "what wraps the request adds little to its size"
    assert (body.pop("max_tokens"), body.pop("temperature"), body.pop("model")) == (64, 0.0, "gpt-4o-mini")
    assert body.pop("messages") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello."},
    ]
    assert [tool["function"]["name"] for tool in body.pop("tools")] == ["sql__query"]
    assert body.pop("response_format")["type"] == "json_schema"
    assert set(body) <= {"stream", "tool_choice"}


async def test_structured_output_is_asked_for_and_comes_as_json(model: Model) -> None:
    schema = {"type": "object", "properties": {"month": {"type": "integer"}}, "required": ["month"]}
    answer = await complete(model, replace(ASK, output_schema=schema))
    assert isinstance(loads(answer.text)["month"], int)


async def test_an_error_in_a_stream_that_had_begun_is_an_unknown_outcome_and_not_sent_again() -> None:
    chunk = (
        b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":"It was"}}]}\n\n'
    )
    broken = b'data: {"error":{"message":"overloaded","type":"server_error","code":"503"}}\n\n'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + chunk + broken
    heard: list[str] = []

    async def hear(piece: str) -> None:
        heard.append(piece)

    async with answering(answer) as url, Models(Settings(models={"default": endpoint(url)})) as models:
        with pytest.raises(OutcomeUnknown, match="overloaded"):
            await models.resolve(ModelSpec(model="default"), "weather").complete(ASK, hear, None)
    assert heard == ["It was"], "asked once: what was shown is not shown again"
