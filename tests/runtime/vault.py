"""Something that speaks the protocol of HashiCorp Vault's KV version 2, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeVault:
    """Entries by their path below `/v1/`, each a list of versions; None: that version was deleted."""

    token: str
    entries: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sealed: bool = False
    says: bytes | None = None
    """What it answers instead, with status 200."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, **data: Any) -> None:
        self.entries.setdefault(path, []).append(data)

    def answer(self, target: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((target, headers))
        parts = urlsplit(target)
        if self.sealed:
            return 503, b'{"errors": ["Vault is sealed"]}'
        if headers.get("x-vault-token") != self.token:
            return 403, b'{"errors": ["permission denied"]}'
        if self.says is not None:
            return 200, self.says
        versions = self.entries.get(parts.path.removeprefix("/v1/"), [])
        number = int(parse_qs(parts.query).get("version", [str(len(versions))])[0])
        data = versions[number - 1] if 0 < number <= len(versions) else None
        if data is None:
            return 404, b'{"errors": []}'
        return 200, json.dumps({"data": {"data": data, "metadata": {"version": number, "destroyed": False}}}).encode()


@asynccontextmanager
async def running(vault: FakeVault) -> AsyncIterator[FakeVault]:
    """Let it listen."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                _, target, _ = line.decode().split(" ", 2)
                headers = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                status, body = vault.answer(target, headers)
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    vault.port = server.sockets[0].getsockname()[1]
    try:
        yield vault
    finally:
        server.close()
