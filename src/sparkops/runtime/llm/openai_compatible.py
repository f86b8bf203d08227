"""A model behind any OpenAI-compatible endpoint: bounded, retried within its deadline, its failures explained."""

import asyncio
import importlib
import random
import time
from typing import TYPE_CHECKING

import httpx2

from sparkops.core.config import ModelEndpoint
from sparkops.core.json import dumps
from sparkops.core.money import Micros
from sparkops.runtime.effects import Usage
from sparkops.runtime.llm import prices
from sparkops.runtime.llm.base import ModelAnswer, ModelRequest, OnText
from sparkops.runtime.llm.failures import WORTH_ANOTHER_SEND, EndpointWords, Failure, explain
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets

if TYPE_CHECKING:
    from sparkops.runtime.llm.wire import Wire, WireAnswer

MAX_SENDS = 5
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
_TOOL_OVERHEAD_BYTES = 64
"""What an endpoint's own wrapping of a tool's definition adds, with room to spare."""


def request_bytes(request: ModelRequest) -> int:
    """Return the size of the request, which is at least its number of tokens."""
    tools = sum(
        len(dumps([tool.name, tool.description, dict(tool.parameters)])) + _TOOL_OVERHEAD_BYTES
        for tool in request.tools
    )
    return request.size + tools


class OpenAICompatible:
    """One model of one configured endpoint."""

    scripted = False

    def __init__(
        self, endpoint_name: str, endpoint: ModelEndpoint, price: prices.Price, client: httpx2.AsyncClient
    ) -> None:
        self.name = endpoint.model
        self._endpoint = endpoint
        self._price = price
        self._client = client
        self._words = EndpointWords(endpoint_name, endpoint.base_url, endpoint.model)
        self._wire: Wire | None = None
        self._key = ""

    def bound(self, request: ModelRequest) -> Micros:
        """Return an upper bound of the cost: every byte a token, and all the output that is allowed."""
        return prices.bound(self._price, request_bytes(request), request.max_output_tokens)

    def bound_tokens(self, request: ModelRequest) -> int:
        """Return an upper bound of the tokens: every byte one, and all the output that is allowed."""
        return request_bytes(request) + request.max_output_tokens

    async def complete(
        self,
        request: ModelRequest,
        on_text: OnText | None,
        deadline: float | None,
        secrets: CallSecrets = NO_SECRETS,
    ) -> ModelAnswer:
        """Ask until there is an answer, a failure that will not pass, or no time.

        What is sent again was answered by a status that costs nothing, or never left. The wait is what the endpoint
        asks for, else it doubles, with full jitter.

        Raises:
            CallFailed: it definitely failed.
            OutcomeUnknown: the request left and no complete answer came.
        """
        wire = await self._connected(await secrets.setting(self._endpoint.api_key.get_secret_value()))
        until = time.monotonic() + self._endpoint.timeout_seconds
        until = until if deadline is None else min(until, deadline)
        for send in range(1, MAX_SENDS + 1):
            try:
                answer = await wire.send(request, on_text, max(until - time.monotonic(), 0.001))
            except Failure as failure:
                if not await self._wait(failure, send, until):
                    raise explain(failure, self._words) from failure
            else:
                return self._priced(answer, request)
        raise AssertionError("the last send either answers or raises")

    async def _wait(self, failure: Failure, send: int, until: float) -> bool:
        """Wait before the next send; False if there is none, because it would not help or come too late."""
        if failure.reason not in WORTH_ANOTHER_SEND or send == MAX_SENDS:
            return False
        backoff = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (send - 1))
        seconds = failure.retry_after if failure.retry_after is not None else backoff * random.random()  # noqa: S311
        if time.monotonic() + seconds >= until:
            return False
        await asyncio.sleep(seconds)
        return True

    def _priced(self, answer: "WireAnswer", request: ModelRequest) -> ModelAnswer:
        # An endpoint that does not say what it used is charged at the bound: never less than it may have cost.
        usage = answer.usage or Usage(request_bytes(request), request.max_output_tokens)
        return ModelAnswer(
            text=answer.text,
            model=answer.model or self.name,
            finish_reason=answer.finish_reason,
            tool_calls=answer.tool_calls,
            usage=usage,
            cost_micros=self._price.cost(usage) if answer.usage else self.bound(request),
        )

    async def _connected(self, key: str) -> "Wire":
        """Return the way to the endpoint under this key, made at the first call and when the key has changed.

        Here and nowhere else a module is imported late: the library behind it costs a worker 33 MB and 1.5 s of CPU,
        which one that only runs scripts, tools or nothing should not pay. A thread does it, so that heartbeats go on.
        """
        if self._wire is None or self._key != key:
            module = await asyncio.to_thread(importlib.import_module, "sparkops.runtime.llm.wire")
            wire: Wire = module.Wire(
                base_url=self._endpoint.base_url, model=self.name, api_key=key, client=self._client
            )
            self._wire, self._key = wire, key
            return wire
        return self._wire
