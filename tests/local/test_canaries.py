"""200 canaries through the whole platform: API, two workers, Redis and a watcher. None is left anywhere afterwards.

Each is put where people put secrets, leaves for where it is wanted, and comes back in every way in which services tell
what they were given; others are typed where they do not belong. Looked at are a dump of the database and the files
below it, everything that went through Redis and lies in it, every frame of the WebSocket, every answer of the API,
objects and logs.
"""

import asyncio
import base64
import html
import json
import string
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

import asyncpg
import httpx2
import pytest
from ahocorasick_rs import BytesAhoCorasick
from redis.asyncio import Redis
from sqlalchemy.engine import make_url
from websockets.asyncio.client import connect

from sparkops.core.config import load_settings
from sparkops.local.binaries import find_postgres
from sparkops.local.example.people import administrator
from sparkops.local.postgres import DATABASE
from sparkops.local.stack import EmbeddedServers
from sparkops.local.supervisor import Supervisor
from tests.engine.secretly import Listener, Talker, in_pieces, talking

ROOT = Path(__file__).parents[2]
DOOR = "tests.local.canary_doors"
FORKS = "tests.local.canary_forks"
RUN_SECONDS = 120
TOOL, MODEL, SQL, TYPED = 120, 24, 10, 46
assert TOOL + MODEL + SQL + TYPED == 200
MIN_FORM = 8
"""A shorter form would be found by chance."""

TELLS = ("", "fails", "breaks", "tells much", "logs")
LOUD = ("text", "refuses", "calls", "calls badly")
"""What a model does that was asked with a canary: says it, is refused with it, asks for a tool with it."""


def word(dice: Random, length: int) -> str:
    return "".join(dice.choices(string.ascii_letters + string.digits, k=length))


def in_headers(dice: Random) -> Sequence[str]:
    """Canaries that fit into a header."""
    token = word(dice, 14)
    return (
        f"sk-{token}",
        word(dice, 8),
        f"{token}+/={token[::-1]}",
        base64.b64encode(dice.randbytes(24)).decode(),
        f'{token}"\\{{}}<b>&amp;',
        f"{token}?a=b&c=%2F#d",
        dice.randbytes(20).hex(),
        token * 20,
        str(dice.randrange(10**15, 10**16)),
    )


def anything(dice: Random) -> Sequence[str]:
    token = word(dice, 20)
    return (
        *in_headers(dice),
        f"ключ-{token}-日本-🔑",
        f"tab\there {token} \x7f and a space",
        f"-----BEGIN KEY-----\n{token * 3}\n{token[::-1] * 3}\n-----END KEY-----\n",
        json.dumps({"client_secret": token, "note": "a/b"}),
        f"https://user:{token}%21@example.com/path?x=1",
        f"it's {token!r}; DROP TABLE secrets; --",
        f"${{{{ {token} }}}}\r\n",
        f"\u2028{token}\ufeff",
    )


def forms(value: str) -> Iterator[bytes]:
    """The ways in which a value may stand somewhere."""
    raw = value.encode()
    written = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], html.escape(value)}
    written |= {value.lower(), quote(value, safe=""), quote(value), quote_plus(value), raw.hex(), raw.hex().upper()}
    for before in range(3):
        first, end = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        encoded = base64.b64encode(bytes(before) + raw).decode()[first:end]
        written |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return (text.encode() for text in written if len(text) >= MIN_FORM)


class Loud(Talker):
    """A model endpoint whose models, by their names, tell the key in different ways."""

    def reply(self, asked: Mapping[str, Any], key: str) -> bytes:
        how = asked["model"]
        if how == "refuses":
            return self.refusal(key)
        if how.startswith("calls") and asked["messages"][-1]["role"] == "user":
            arguments = json.dumps({"key": key, key: base64.b64encode(key.encode()).decode()})
            text = arguments if how == "calls" else arguments[:-1]
            deltas = [
                {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in in_pieces(text, size=3)
            ]
            first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "noop", "arguments": ""}}
            return self.stream([{"role": "assistant", "tool_calls": [first]}, *deltas], "tool_calls")
        return self.text(key)


@dataclass
class Canaries:
    """By the names of their secrets. `typed` have none: they were put where they do not belong."""

    tool: dict[str, str] = field(default_factory=dict)
    model: dict[str, str] = field(default_factory=dict)
    sql: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, dice: Random) -> "Canaries":
        made = cls()
        for number in range(TOOL):
            made.tool[f"tool-{number}"] = anything(dice)[number % len(anything(dice))]
        for number in range(MODEL):
            made.model[f"model-{number}"] = in_headers(dice)[number % len(in_headers(dice))]
        for number in range(SQL):
            made.sql[f"sql-{number}"] = in_headers(dice)[number % len(in_headers(dice))]
        made.typed = [anything(dice)[number % len(anything(dice))] for number in range(TYPED)]
        assert len({*made.named.values(), *made.typed}) == 200
        return made

    @property
    def named(self) -> dict[str, str]:
        return self.tool | self.model | self.sql


@dataclass
class Platform:
    """A running stack, and everything that came out of it."""

    stack: Supervisor
    canaries: Canaries
    client: httpx2.AsyncClient
    answers: list[bytes] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    async def ask(self, method: str, path: str, *, well: bool = True, **request: Any) -> httpx2.Response:
        answer = await self.client.request(method, f"/api/v1{path}", **request)
        self.answers.append(str(answer.headers).encode() + answer.content)
        assert answer.is_success == well, (path, answer.text)
        return answer

    async def run(self, source: str) -> str:
        """Run a workflow to its end, watched from the beginning; returns the id of the run."""
        made = await self.ask("POST", "/workflows", json={"project": "canaries", "source": source})
        started = await self.ask("POST", "/runs", json={"project": "canaries", "workflow": made.json()["name"]})
        run_id: str = started.json()["id"]
        ticket = (await self.ask("POST", "/live/tickets")).json()["ticket"]
        address = f"{self.stack.endpoints.api_url.replace('http', 'ws', 1)}/api/v1/ws?ticket={ticket}"
        async with connect(address, max_size=None) as socket, asyncio.timeout(RUN_SECONDS):
            await socket.send(json.dumps({"sub": f"run:{run_id}", "since": 0}))
            while not self._ended(frame := await socket.recv()):
                self.frames.append(frame.encode() if isinstance(frame, str) else frame)
        return run_id

    def _ended(self, frame: str | bytes) -> bool:
        self.frames.append(frame.encode() if isinstance(frame, str) else frame)
        events = json.loads(frame).get("events", [])
        return any(one["kind"].startswith("run.") and one["data"].get("status") in ENDS for one in events)


ENDS = ("succeeded", "failed", "cancelled")


async def put_secrets(platform: Platform, canaries: Mapping[str, str], project: str | None) -> None:
    for name, value in canaries.items():
        await platform.ask("POST", "/secrets", json={"project": project, "name": name, "value": value})


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    monkeypatch.chdir(ROOT)
    canaries = Canaries.of(Random(1))
    async with talking(Loud()) as talker:
        models: dict[str, Any] = {
            name: {
                "base_url": talker.url,
                "model": LOUD[number % len(LOUD)],
                "api_key": f"secret://{name}",
                "unknown_price": "free",
            }
            for number, name in enumerate(canaries.model)
        }
        connections = {name: {"url": f"secret://{name}", "projects": ["canaries"]} for name in canaries.sql}
        settings = load_settings(
            {}, data_dir=tmp_path, port=0, workers=2, models=models, connections=connections,
            event_log="file", log_level="debug",
        )  # fmt: skip
        stack = Supervisor(
            settings,
            api_command=(sys.executable, "-m", DOOR, "api"),
            worker_command=(sys.executable, "-m", DOOR, "worker"),
            doors_command=(sys.executable, "-m", FORKS),
        )
        async with stack, httpx2.AsyncClient(base_url=stack.endpoints.api_url, timeout=60, trust_env=False) as client:
            login = administrator(stack.settings, stack.data)
            signed_in = await client.post(
                "/api/v1/auth/sign-in", json={"email": login.email, "password": login.password}
            )
            client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
            yield Platform(stack, canaries, client)


async def readers(servers: EmbeddedServers, passwords: Mapping[str, str]) -> dict[str, str]:
    """Make a role for each password, which may read one table that holds it; return how to connect. Every second
    URL names a database that is not there."""
    urls = {}
    admin = await asyncpg.connect(servers.admin_url)
    await admin.execute("CREATE DATABASE elsewhere")
    there = make_url(servers.admin_url).set(database="elsewhere")
    owner = await asyncpg.connect(there.render_as_string(hide_password=False))
    await owner.execute("CREATE TABLE notes (name text, text text); REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for row in await admin.fetch("SELECT datname FROM pg_database WHERE datallowconn"):
        await admin.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{row["datname"]}" FROM PUBLIC')
    for number, (name, password) in enumerate(passwords.items()):
        role = name.replace("-", "_")
        literal = await admin.fetchval("SELECT quote_literal($1::text)", password)
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD {literal}")
        await admin.execute(f"GRANT CONNECT ON DATABASE elsewhere TO {role}")
        await owner.execute(f"GRANT SELECT ON notes TO {role}")
        await owner.execute("INSERT INTO notes VALUES ($1, $2)", name, password)
        database = "elsewhere" if number % 2 else f"nowhere_{number}"
        urls[name] = there.set(username=role, password=password, database=database).render_as_string(
            hide_password=False
        )
    await owner.close()
    await admin.close()
    return urls


def tool_steps(names: Sequence[str]) -> str:
    lines = ["version: 1", "name: tools", "steps:"]
    for number, name in enumerate(names):
        how = TELLS[number % len(TELLS)]
        tool = "shop.tell" if how == "logs" else "shop.pay"
        arguments = f"{{key: 'secret://{name}', how: '{how}'}}"
        lines.append(f"  - {{id: s{number}, type: tool, tool: {tool}, on_error: continue, with: {arguments}}}")
    kept = "{name: answer.json, content: '${{ string(steps.s0.output) }}'}"
    lines.append(f"  - {{id: keep, type: tool, tool: files.write, needs: [s0], with: {kept}, on_error: continue}}")
    return "\n".join([*lines, ""])


def model_steps(names: Sequence[str]) -> str:
    lines = ["version: 1", "name: models", "steps:"]
    for number, name in enumerate(names):
        if LOUD[number % len(LOUD)].startswith("calls"):
            step = f"type: agent, agent: {name}, with: {{prompt: go}}"
        else:
            step = f"type: llm, with: {{model: {name}, prompt: who, max_output_tokens: 999}}"
        lines.append(f"  - {{id: m{number}, on_error: continue, {step}}}")
    return "\n".join([*lines, ""])


def sql_steps(names: Sequence[str]) -> str:
    lines = ["version: 1", "name: queries", "steps:"]
    for number, name in enumerate(names):
        arguments = f"{{connection: {name}, sql: 'SELECT text FROM notes'}}"
        lines.append(f"  - {{id: q{number}, type: tool, tool: sql.query, on_error: continue, with: {arguments}}}")
    return "\n".join([*lines, ""])


async def type_wrongly(platform: Platform) -> None:
    """Put canaries where they do not belong, so that each request is refused.

    The name of a field that does not exist is the one thing that is told to whoever sent it: typos are found by it.
    """
    values = iter(platform.canaries.typed)
    project = "canaries"
    wrong: list[tuple[str, str, dict[str, Any]]] = []
    for value in values:
        safe = quote(value, safe="")
        number = len(wrong) % 15
        wrong.append(
            (
                ("POST", "/secrets", {"json": {"project": project, "name": value, "value": "another-value"}}),
                ("POST", "/secrets", {"json": {"project": project, "name": "short", "value": [value]}}),
                ("POST", "/secrets", {"json": {"project": project, "name": "key", "value": f"{value}\0"}}),
                ("POST", "/secrets", {"json": {"project": project, "name": "key", "value": value * 4_100}}),
                ("POST", "/secrets", {"json": {"project": project, "name": "key", "value": {value: value}}}),
                ("POST", "/secrets", {"content": f'{{"value": {json.dumps(value)}, '.encode()}),
                ("POST", "/runs", {"json": {"project": value, "workflow": "tools"}}),
                ("POST", "/runs", {"json": {"project": project, "workflow": "tools", "version": value}}),
                ("POST", "/auth/sign-in", {"json": {"email": value, "password": value}}),
                ("POST", "/auth/sign-in", {"json": {"email": "admin@example.com", "password": value}}),
                ("GET", "/me", {"headers": {"Authorization": f"Bearer {safe}"}}),
                ("GET", f"/runs?project={project}&limit={safe}", {}),
                ("POST", "/agents", {"json": {"project": project, "name": value, "definition": {}}}),
                ("POST", "/projects", {"json": {"slug": value, "name": "x"}}),
                ("POST", "/auth/choose-password", {"json": {"token": value, "password": value[::-1]}}),
            )[number]
        )
    for method, path, request in wrong:
        await platform.ask(method, path, well=False, **request)


async def look_at_everything(platform: Platform, run_ids: Sequence[str]) -> None:
    """Read what the API has to show of these runs."""
    paths = [
        "/runs?project=canaries",
        "/secrets?project=canaries",
        "/audit?project=canaries",
        "/decisions?project=canaries",
    ]
    for run_id in run_ids:
        paths += [f"/runs/{run_id}{what}" for what in ("", "/steps", "/calls", "/events", "/artifacts")]
    for path in paths:
        await platform.ask("GET", path)
    await platform.ask("GET", "/audit/export?project=canaries")
    for run_id in run_ids:
        for step in (await platform.ask("GET", f"/runs/{run_id}/steps")).json()["items"]:
            await platform.ask("GET", f"/runs/{run_id}/steps/{step['id']}")


def dump(stack: Supervisor) -> bytes:
    """All of the database, as `pg_dump` writes it."""
    assert stack.embedded is not None
    url = make_url(stack.embedded.admin_url).set(drivername="postgresql", database=DATABASE)
    command = [str(find_postgres() / "pg_dump"), "--inserts", url.render_as_string(hide_password=False)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


async def in_redis(url: str) -> bytes:
    async with Redis.from_url(url) as redis:
        names = [bytes(name) async for name in redis.scan_iter("*")]
        return b"\n".join([name + bytes(await redis.dump(name) or b"") for name in names])


@pytest.mark.timeout(400)
async def test_of_two_hundred_canaries_none_is_left_anywhere(platform: Platform, tmp_path: Path) -> None:
    canaries, stack = platform.canaries, platform.stack
    assert stack.embedded is not None
    await platform.ask("POST", "/projects", json={"slug": "canaries", "name": "Canaries"})
    await put_secrets(platform, canaries.tool, "canaries")
    await put_secrets(platform, canaries.model, None)
    await put_secrets(platform, await readers(stack.embedded, canaries.sql), None)
    for number, name in enumerate(canaries.model):
        if LOUD[number % len(LOUD)].startswith("calls"):
            agent = {"model": name, "instructions": "go", "tools": ["noop"]}
            await platform.ask("POST", "/agents", json={"project": "canaries", "name": name, "definition": agent})
    listener = Listener(stack.embedded.redis_url)
    async with listener.listening():
        run_ids = [
            await platform.run(tool_steps(list(canaries.tool))),
            await platform.run(model_steps(list(canaries.model))),
            await platform.run(sql_steps(list(canaries.sql))),
        ]
        await type_wrongly(platform)
        await look_at_everything(platform, run_ids)
    redis = await in_redis(stack.embedded.redis_url)
    places = {
        "database": dump(stack),
        "redis": redis + "\n".join(listener.heard).encode(),
        "websocket": b"\n".join(platform.frames),
        "answers": b"\n".join(platform.answers),
    }
    places |= files_below(tmp_path)
    logs = b"".join(text for name, text in places.items() if name.startswith("logs/"))
    for name, text in {**places, "logs": logs}.items():
        if name in ("database", "redis", "websocket", "answers", "logs"):
            assert b"[secret:" in text, f"nothing came to {name}"
    found = leaks(canaries, places)
    assert found == [], "\n".join(found)


def files_below(directory: Path) -> dict[str, bytes]:
    """Logs, objects, and the files of both servers."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def leaks(canaries: Canaries, places: Mapping[str, bytes]) -> list[str]:
    """Say which canaries stand where. Those that another database has are not looked for in the server's files."""
    whose = [(name, form) for name, value in canaries.named.items() for form in forms(value)]
    whose += [(f"typed-{number}", form) for number, value in enumerate(canaries.typed) for form in forms(value)]
    automaton = BytesAhoCorasick([form for _, form in whose])
    found = set()
    for place, text in places.items():
        for index, start, _ in automaton.find_matches_as_indexes(text):
            name, form = whose[index]
            if not (name in canaries.sql and place.startswith("postgres")):
                found.add(f"{name} in {place}: {form[:60]!r} in {text[max(0, start - 80) : start + 80]!r}")
    return sorted(found)
