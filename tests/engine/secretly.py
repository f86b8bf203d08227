"""Secrets of a world, tools that are given them and tell what they got, and a model that says its key aloud."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from redis.asyncio import Redis

from sparkops.core.config import Settings
from sparkops.core.envelope import Keys
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.secrets import queries, service
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.secrets.base import Secrets
from sparkops.runtime.secrets.sources import OfDatabase
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from tests.engine.conftest import LIMIT_SECONDS, World

KEYS = Keys("0f" * 32)
_ANYTHING = {"type": "object", "additionalProperties": True}


async def put(
    world: World, name: str, value: str, *, of_installation: bool = False, project: UUID | None = None
) -> None:
    """Put a secret, or a new version of it."""
    project_id = None if of_installation else project or world.project_id
    async with world.database.sessions.begin() as session:
        found = await queries.locked_by_name(session, project_id=project_id, name=name)
        if found is None:
            await service.create_secret(session, KEYS.ring(), project_id=project_id, name=name, value=value)
        else:
            await service.put_version(session, KEYS.ring(), found, value=value)


def secretly(world: World, *tools: Tool, keys: Keys = KEYS) -> Runtime:
    """A runtime that has the world's secrets, and these tools besides the built-in ones."""
    runtime = world.runtime()
    return replace(
        runtime,
        secrets=Secrets(OfDatabase(world.database, keys)),
        tools={**runtime.tools, **{tool.name: tool for tool in tools}},
    )


@dataclass
class Shop:
    """An outside service that is paid with a key, and is careless with it."""

    paid: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def tool(self) -> Tool:
        return Tool("shop.pay", "Pays.", _ANYTHING, EffectClass.IDEMPOTENT, self._pay, takes_secrets=True)

    async def _pay(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.paid.append(dict(arguments))
        key = str(arguments["key"])
        match arguments.get("how"):
            case "fails":
                raise CallFailed(
                    "refused", f"The key {key} is refused: {base64.b64encode(key.encode()).decode()}", retryable=False
                )
            case "breaks":
                raise RuntimeError(f"cannot pay with {key}")
            case "tells much":
                return ToolResult({"log": f"paid with {key}\n" * 4_000})
            case _:
                return ToolResult(told(key))


def told(key: str) -> dict[str, Any]:
    """What comes back: the key, in all the ways in which services tell it."""
    raw = key.encode()
    return {
        "you sent": {"Authorization": f"Bearer {key}"},
        "basic": base64.b64encode(b"user:" + raw).decode(),
        "pieces": [base64.urlsafe_b64encode(b"a" * shift + raw).decode() for shift in range(3)],
        "hex": [raw.hex(), raw.hex().upper()],
        "url": f"https://shop.example/pay?key={quote(key, safe='')}",
        "raw": json.dumps({"key": key}),
        key: "as a name",
    }


@dataclass
class Talker:
    """A model endpoint whose model says in its answer which key it was asked with, a few characters at a time."""

    keys: list[str] = field(default_factory=list)
    url: str = ""
    refuses: bool = False
    usage: Mapping[str, Any] = field(
        default_factory=lambda: {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    )

    def models(self, api_key: str, **stated: Any) -> tuple[Settings, Models]:
        """The settings of this endpoint, and its models. Nobody has to know its price where nothing is stated."""
        endpoint: dict[str, Any] = {"base_url": self.url, "model": "talker", "api_key": api_key}
        endpoint |= stated or {"unknown_price": "free"}
        settings = Settings.model_validate({"models": {"talker": endpoint}})
        return settings, Models(settings)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            lower = {name.lower(): value for name, value in headers.items()}
            asked = json.loads(await reader.readexactly(int(lower["content-length"])))
            key = lower["authorization"].removeprefix("Bearer ")
            self.keys.append(key)
            writer.write(self.reply(asked, key))
            await writer.drain()
        finally:
            writer.close()

    def reply(self, asked: Mapping[str, Any], key: str) -> bytes:
        """Answer a request; whoever wants something else than a text that tells the key says so by another class."""
        return self.refusal(key) if self.refuses else self.text(key)

    def text(self, key: str) -> bytes:
        text = f"My key is {key}, in base64 {base64.b64encode(key.encode()).decode()}."
        return self.stream([{"role": "assistant", "content": piece} for piece in in_pieces(text)], "stop")

    def stream(self, deltas: Sequence[Mapping[str, Any]], reason: str) -> bytes:
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        chunks.append({"choices": [], "usage": self.usage})
        base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "talker"}
        lines = [f"data: {json.dumps(base | chunk)}\n\n" for chunk in chunks]
        body = "".join([*lines, "data: [DONE]\n\n"]).encode()
        return _answer("200 OK", "text/event-stream", body)

    def refusal(self, key: str) -> bytes:
        body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}", "code": "x"}}).encode()
        return _answer("400 Bad Request", "application/json", body)


def in_pieces(text: str, size: int = 5) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _answer(status: str, kind: str, body: bytes) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def talking(talker: Talker | None = None) -> AsyncIterator[Talker]:
    talker = talker or Talker()
    server = await asyncio.start_server(talker.serve, "127.0.0.1", 0)
    talker.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield talker
    finally:
        server.close()


class Listener:
    """Everything that goes through Redis while it listens."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.heard: list[str] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Redis"]:
        async with Redis.from_url(self._url) as redis:
            ready = asyncio.Event()

            async def listen() -> None:
                async with redis.monitor() as monitor:
                    ready.set()
                    while True:
                        self.heard.append(str(await monitor.connection.read_response(timeout=LIMIT_SECONDS)))

            task = asyncio.create_task(listen())
            await ready.wait()
            try:
                yield redis
            finally:
                await redis.publish("the", "end")
                async with asyncio.timeout(LIMIT_SECONDS):
                    while not any('"the" "end"' in each for each in self.heard):
                        assert not task.done(), task.result()
                        await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait([task])


async def everything_stored(world: World) -> str:
    """All rows of all tables as texts, and all objects in object storage."""
    tables = await world.database.pool.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    rows = [
        row[0] for table in tables for row in await world.database.pool.fetch(f"SELECT t::text FROM {table['name']} t")
    ]
    objects = [file.read_text("latin-1") for file in world.settings.blob_dir.rglob("*") if file.is_file()]
    return "\n".join([*rows, *objects])


def traces(value: str, text: str) -> list[str]:
    """In which forms a value stands in a text."""
    raw = value.encode()
    looked_for = {"plain": value, "hex": raw.hex(), "HEX": raw.hex().upper(), "url": quote(value, safe="")}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        looked_for[f"base64 at {shift}"] = encoded[4:-4]
        looked_for[f"base64 for URLs at {shift}"] = encoded[4:-4].replace("+", "-").replace("/", "_")
    return [form for form, looks in looked_for.items() if looks in text]
