"""`python -m tests.chaos.doors worker|isolated|api`: the real doors, with two more tools, behind a proxy."""

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
from sparkops.runtime.effects import OutcomeUnknown
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker import __main__ as worker_door
from sparkops.worker import app as worker_app
from sparkops.worker import isolated as isolated_door
from sparkops.worker.isolation import Isolation

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


def tools() -> dict[str, Tool]:
    return builtin_tools() | {
        "sink.send": sending("sink.send", EffectClass.IDEMPOTENT),
        "sink.once": sending("sink.once", EffectClass.UNSAFE),
    }


def behind_the_proxy(environ: Mapping[str, str] | None = None) -> Settings:
    settings = load_settings(environ)
    url, _ = settings.app_login
    there = make_url(url).set(port=int(os.environ[PROXY])).render_as_string(hide_password=False)
    return settings.model_copy(update={"app_database_url": SecretStr(there)})


def main(door: str) -> int:
    if door in ("worker", "isolated"):
        worker_app.builtin_tools = tools  # type: ignore[attr-defined]  # it is imported there
        isolation = partial(Isolation, command=(sys.executable, "-m", "tests.chaos.doors", "isolated"))
        worker_app.Isolation = isolation  # type: ignore[assignment, attr-defined]
        module: Any = worker_door if door == "worker" else isolated_door
        module.load_settings = behind_the_proxy
        sys.argv = [door, *sys.argv[2:]]
        code: int = module.main()
        return code
    projects.builtin_tools = tools  # type: ignore[attr-defined]
    api_door.load_settings = behind_the_proxy  # type: ignore[attr-defined, assignment]
    return api_door.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
