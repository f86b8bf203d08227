"""One send to an OpenAI-compatible endpoint through Pydantic AI, in our terms. Only this file knows the library.

Importing it takes about 1.5 s of CPU and 33 MB, so `openai_compatible.py` does so at the first real model call.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2
from openai import APIStatusError, AsyncOpenAI
from pydantic_ai import exceptions as failures
from pydantic_ai import messages as theirs
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from sparkops.core.json import dumps, loads
from sparkops.runtime.effects import Usage
from sparkops.runtime.egress import host_port
from sparkops.runtime.llm.base import (
    AssistantMessage,
    FinishReason,
    Message,
    ModelRequest,
    OnText,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from sparkops.runtime.llm.failures import Failure, Reason

_OPENAI = "api.openai.com"
"""Wants `max_completion_tokens`; servers that are only compatible may know `max_tokens` alone."""
_NO_KEY = "no-key"
_QUOTED_CHARS = 300
_FIRST_CLIENT_ERROR = 400
_MOST_TOKENS = 1_000_000_000
"""More than any model reads or writes: an endpoint that says so is not believed."""
_CACHE_READS = ("cache_read_input_tokens", "prompt_cache_hit_tokens")
_CACHE_WRITES = ("cache_creation_input_tokens",)
"""How endpoints say so that do not use the usual names."""


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What came back. `usage` of None: the endpoint did not say."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage | None
    finish_reason: FinishReason
    model: str


class Wire:
    """One endpoint and model. Holds no connection of its own: the HTTP client is given."""

    def __init__(self, *, base_url: str, model: str, api_key: str, client: httpx2.AsyncClient) -> None:
        sdk = AsyncOpenAI(base_url=base_url, api_key=api_key or _NO_KEY, http_client=client, max_retries=0)
        profile = OpenAIModelProfile(
            openai_chat_streaming_requires_finish_reason=True,
            openai_chat_supports_max_completion_tokens=host_port(base_url)[0] == _OPENAI,
            supports_json_schema_output=True,
        )
        provider = OpenAICompatibleProvider("endpoint", openai_client=sdk, profile=profile)
        self._model = OpenAIChatModel(model, provider=provider)

    async def send(self, request: ModelRequest, on_text: OnText | None, timeout_seconds: float) -> WireAnswer:
        """Send the request once and return the whole answer.

        Raises:
            Failure: there is none, for the reason it names.
        """
        names = {_wire_name(tool.name): tool.name for tool in request.tools}
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._exchange(request, on_text, timeout_seconds)
        except TimeoutError as error:
            raise Failure(Reason.NO_ANSWER, f"no complete answer within {timeout_seconds:.0f} s") from error
        except failures.AgentRunError as error:
            raise _failure(error) from error
        return _answer(response, names)

    async def _exchange(
        self, request: ModelRequest, on_text: OnText | None, timeout_seconds: float
    ) -> theirs.ModelResponse:
        settings = ModelSettings(max_tokens=request.max_output_tokens, timeout=timeout_seconds)
        if request.temperature is not None:
            settings["temperature"] = request.temperature
        messages = _messages(request)
        parameters = _parameters(request)
        if on_text is None:
            return await model_request(
                self._model, messages, model_settings=settings, model_request_parameters=parameters
            )
        async with model_request_stream(
            self._model, messages, model_settings=settings, model_request_parameters=parameters
        ) as stream:
            async for event in stream:
                if text := _streamed_text(event):
                    await on_text(text)
            return stream.get()


def _wire_name(tool: str) -> str:
    """Return the tool's name as endpoints accept it: letters, digits, `_` and `-` only."""
    return tool.replace(".", "__")


def _parameters(request: ModelRequest) -> ModelRequestParameters:
    tools = [
        ToolDefinition(
            name=_wire_name(tool.name), description=tool.description, parameters_json_schema=dict(tool.parameters)
        )
        for tool in request.tools
    ]
    if request.output_schema is None:
        return ModelRequestParameters(function_tools=tools)
    output = OutputObjectDefinition(json_schema=dict(request.output_schema), name="output")
    return ModelRequestParameters(function_tools=tools, output_mode="native", output_object=output)


def _messages(request: ModelRequest) -> list[theirs.ModelMessage]:
    messages = [_message(message) for message in request.messages]
    for message in reversed(messages):
        if isinstance(message, theirs.ModelRequest):
            message.instructions = request.system
            break
    return messages


def _message(message: Message) -> theirs.ModelMessage:
    match message:
        case UserMessage(text):
            return theirs.ModelRequest(parts=[theirs.UserPromptPart(content=text)])
        case ToolMessage(call, output):
            content = output if isinstance(output, str) else dumps(output).decode()
            part = theirs.ToolReturnPart(tool_name=_wire_name(call.tool), content=content, tool_call_id=call.id)
            return theirs.ModelRequest(parts=[part])
        case AssistantMessage(text, tool_calls):
            said: list[theirs.ModelResponsePart] = [theirs.TextPart(content=text)] if text else []
            return theirs.ModelResponse(parts=[*said, *(_tool_call_part(call) for call in tool_calls)])


def _tool_call_part(call: ToolCall) -> theirs.ToolCallPart:
    # What was no JSON goes back as an empty object: some servers refuse a conversation they cannot parse.
    arguments = dumps(dict(call.arguments or {})).decode()
    return theirs.ToolCallPart(tool_name=_wire_name(call.tool), args=arguments, tool_call_id=call.id)


def _streamed_text(event: theirs.ModelResponseStreamEvent) -> str | None:
    if isinstance(event, theirs.PartStartEvent) and isinstance(event.part, theirs.TextPart):
        return event.part.content
    if isinstance(event, theirs.PartDeltaEvent) and isinstance(event.delta, theirs.TextPartDelta):
        return event.delta.content_delta
    return None


_FINISH: Mapping[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
}


def _answer(response: theirs.ModelResponse, names: Mapping[str, str]) -> WireAnswer:
    calls = [part for part in response.parts if isinstance(part, theirs.ToolCallPart)]
    return WireAnswer(
        text="".join(part.content for part in response.parts if isinstance(part, theirs.TextPart)),
        tool_calls=tuple(_tool_call(part, names) for part in calls),
        usage=_usage(response.usage),
        finish_reason=_FINISH.get(response.finish_reason, "other"),
        model=response.model_name or "",
    )


def _tool_call(part: theirs.ToolCallPart, names: Mapping[str, str]) -> ToolCall:
    tool = names.get(part.tool_name, part.tool_name)
    raw = part.args if isinstance(part.args, str) else dumps(part.args or {}).decode()
    try:
        arguments = loads(raw or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return ToolCall(part.tool_call_id, tool, None, raw)
    return ToolCall(part.tool_call_id, tool, arguments)


def _usage(usage: RequestUsage) -> Usage | None:
    """Return what the endpoint says it used; None: it does not say, or nothing that can be.

    What does not fit among the input or the output was counted beside it, as some endpoints do, and is added.
    """
    details = usage.details
    cached = usage.cache_read_tokens or _first(details, _CACHE_READS)
    written = usage.cache_write_tokens or _first(details, _CACHE_WRITES)
    reasoned = usage.output_reasoning_tokens or _first(details, ("reasoning_tokens",))
    read, said = usage.input_tokens, usage.output_tokens
    counts = (read, said, cached, written, reasoned)
    if not (read or said) or not all(isinstance(count, int) and 0 <= count <= _MOST_TOKENS for count in counts):
        return None
    return Usage(
        input_tokens=read if cached + written <= read else read + cached + written,
        output_tokens=said if reasoned <= said else said + reasoned,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoned,
    )


def _first(details: Mapping[str, int], names: Sequence[str]) -> int:
    return next((details[name] for name in names if details.get(name)), 0)


_REASONS: Sequence[tuple[type[failures.AgentRunError], Reason]] = (
    (failures.ModelAuthenticationError, Reason.KEY_REFUSED),
    (failures.ModelNotFoundError, Reason.UNKNOWN_MODEL),
    (failures.ModelContextWindowExceededError, Reason.TOO_LONG),
    (failures.ModelRequestRejectedError, Reason.REJECTED),
    (failures.ModelQuotaExceededError, Reason.NO_CREDIT),
    (failures.ModelRateLimitError, Reason.RATE_LIMITED),
    (failures.ModelUnavailableError, Reason.UNAVAILABLE),
    (failures.ModelServerError, Reason.UNAVAILABLE),
)


def _failure(error: failures.AgentRunError) -> Failure:
    if not isinstance(error, failures.ModelAPIError):
        return Failure(Reason.NO_ANSWER, "the answer cannot be understood: " + _quote(error.message))
    if isinstance(error, failures.ModelConnectionError):
        reached = error.phase not in ("pool", "connect")
        reason = Reason.NO_ANSWER if reached else Reason.UNREACHABLE
        return Failure(reason, "the connection broke off" if reached else "no connection could be made")
    status = _status(error)
    if status is None or error.in_stream:
        # What broke after the answer had begun may have been paid for.
        return Failure(Reason.NO_ANSWER, _quote(_said(error)))
    if status < _FIRST_CLIENT_ERROR:
        return Failure(Reason.REJECTED, "it leads elsewhere, and redirects are not followed", status=status)
    reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.REJECTED)
    return Failure(reason, _quote(_said(error)), status=status, retry_after=error.retry_after)


def _status(error: failures.ModelAPIError) -> int | None:
    if isinstance(error, failures.ModelHTTPError):
        return error.status_code
    return error.__cause__.status_code if isinstance(error.__cause__, APIStatusError) else None


def _said(error: failures.ModelAPIError) -> str:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        message = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(message, str):
            return message
    return error.message


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED_CHARS else line[:_QUOTED_CHARS] + "…"
