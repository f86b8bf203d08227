"""The target outside the platform: counts what reaches it by call id, takes its time, and sometimes hangs up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random


@dataclass
class Target:
    """`got` counts sends by call id, `bodies` has the digests that came with each, `classes` its effect class."""

    random: Random
    port: int = 0
    got: Counter[str] = field(default_factory=Counter)
    classes: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, set[str]] = field(default_factory=dict)
    hung_up: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            line = (await reader.readline()).decode().split()
            if len(line) == 3:
                await self._answer(writer, *line)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, call_id: str, effect_class: str, body: str) -> None:
        self.got[call_id] += 1
        self.classes[call_id] = effect_class
        self.bodies.setdefault(call_id, set()).add(body)
        await asyncio.sleep(self.random.uniform(0.05, 1.2))
        if self.random.random() < 0.03:
            self.hung_up += 1
            return
        writer.write(b"done\n")
        await writer.drain()


@asynccontextmanager
async def listening(random: Random) -> AsyncIterator[Target]:
    target = Target(random)
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()
