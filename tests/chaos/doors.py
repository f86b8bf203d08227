"""`python -m tests.chaos.doors api|worker|isolated`: the real doors, with two more tools, behind a proxy."""

import asyncio
import os
import random
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from sparkops.api import __main__ as api_door
from sparkops.api.routes import projects
from sparkops.core.config import Settings, load_settings
from sparkops.core.json import digest
from sparkops.core.money import Micros
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.effects import CallFailed, OutcomeUnknown
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker import __main__ as worker_door
from sparkops.worker import app as worker_app
from sparkops.worker import isolated as isolated_door
from sparkops.worker.isolation import Isolation
from tests.chaos.government import ASKED_ABOUT

SINK, PROXY = "CHAOS_SINK", "CHAOS_PROXY"
"""Variables with the ports of the target outside and of the proxy in front of the database."""
ANSWER_SECONDS = 5.0


def sending(name: str, effect_class: EffectClass) -> Tool:
    """A tool that tells the target its call id, its class and the digest of what it sends, and waits for an answer."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        line = f"{context.call_id} {effect_class} {digest(dict(arguments))}\n"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ[SINK]))
                writer.write(line.encode())
                answer = await reader.readline()
                writer.close()
        except (OSError, TimeoutError) as error:
            raise OutcomeUnknown("the target did not answer") from error
        if not answer:
            raise OutcomeUnknown("the target hung up")
        return ToolResult({"answer": answer.decode().strip()}, Micros(random.randrange(4)))

    return Tool(name, "Sends.", {"type": "object"}, effect_class, run, bound_micros=Micros(5))


def failing(name: str, often: float, *, retryable: bool) -> Tool:
    """A tool that touches nothing and fails so often."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if random.random() < often:
            raise CallFailed("out-of-order", "It does not work.", retryable=retryable)
        return ToolResult(dict(arguments))

    return Tool(name, "Fails.", {"type": "object"}, EffectClass.PURE, run)


def tools() -> dict[str, Tool]:
    return builtin_tools() | {
        "sink.send": sending("sink.send", EffectClass.IDEMPOTENT),
        ASKED_ABOUT: sending(ASKED_ABOUT, EffectClass.IDEMPOTENT),
        "sink.once": sending("sink.once", EffectClass.UNSAFE),
        "sink.flaky": failing("sink.flaky", 0.4, retryable=True),
        "sink.broken": failing("sink.broken", 1.0, retryable=False),
    }


def behind_the_proxy(environ: Mapping[str, str] | None = None) -> Settings:
    settings = load_settings(environ)
    url, _ = settings.app_login
    there = make_url(url).set(port=int(os.environ[PROXY])).render_as_string(hide_password=False)
    return settings.model_copy(update={"app_database_url": SecretStr(there)})


def prepare() -> None:
    """Put tools and proxy into the real doors."""
    worker_app.builtin_tools = tools  # type: ignore[attr-defined]  # it is imported there
    command = (sys.executable, "-m", "tests.chaos.doors", "isolated")
    worker_app.Isolation = partial(Isolation, command=command)  # type: ignore[assignment, attr-defined]
    projects.builtin_tools = tools  # type: ignore[attr-defined]
    for module in (worker_door, isolated_door, api_door):
        module.load_settings = behind_the_proxy  # type: ignore[attr-defined]


def main() -> int:
    """Be the door that the first argument names."""
    prepare()
    door: Any = {"worker": worker_door, "isolated": isolated_door, "api": api_door}[sys.argv.pop(1)]
    code: int = door.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
