"""A target outside the platform that counts what reaches it, and tools that send there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sparkops.core.money import Micros
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.effects import OutcomeUnknown
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult


@dataclass
class Sink:
    """Answers each line that it gets, once `open`; hangs up instead while `rude`. `got` counts lines by call id."""

    port: int = 0
    got: Counter[str] = field(default_factory=Counter)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    rude: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        self.got[line.decode().strip()] += 1
        self.reached.set()
        if not self.rude:
            await self.open.wait()
            writer.write(b"done\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Sink]:
    """A sink on a free port, open from the start."""
    sink = Sink()
    sink.open.set()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        sink.open.set()
        server.close()


def sending(port: int, effect_class: EffectClass, name: str = "send") -> Tool:
    """A tool that sends its call id to the sink and waits for the answer."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{context.call_id}\n".encode())
            answer = await reader.readline()
        finally:
            writer.close()
        if not answer:
            raise OutcomeUnknown("the sink hung up without an answer")
        return ToolResult({"answer": answer.decode().strip()}, Micros(3))

    return Tool(name, "Sends.", {"type": "object"}, effect_class, run, bound_micros=Micros(5))
