"""A stack of its own on a temporary directory, with a project, somebody signed in, and a look into its database."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.plain import PlainClient
from benchmarks.report import Report, machine
from benchmarks.workloads import Bench
from sparkops.core.client import ApiClient
from sparkops.core.config import RateLimits, load_settings
from sparkops.local.example.people import administrator
from sparkops.local.supervisor import Supervisor

PROJECT = "bench"
UNHURRIED = RateLimits(reads=1_000_000, writes=1_000_000, runs=1_000_000)
"""One caller is all the load there is."""


@dataclass(frozen=True)
class Running:
    """A stack that runs, and what measures it."""

    bench: Bench
    supervisor: Supervisor


@asynccontextmanager
async def running(*, workers: int, **changed: Any) -> AsyncIterator[Running]:
    """Start a stack; `changed` are settings that differ from the defaults, which the figures then name.

    Raises:
        SparkOpsError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="sparkops-bench-") as directory:
        settings = load_settings(data_dir=Path(directory), port=0, workers=workers, rate_limits=UNHURRIED, **changed)
        async with Supervisor(settings) as stack:
            owner = await asyncpg.connect(stack.endpoints.database_url)
            login = administrator(stack.settings, stack.data)
            async with ApiClient(stack.endpoints.api_url) as client:
                await client.sign_in(login.email, login.password)
                await client.post("/projects", {"slug": PROJECT, "name": "Bench"})
                report = Report({**await _settings(owner), "workers": workers, **changed})
                plain = PlainClient(client.url, client.token or "")
                bench = Bench(client, owner, PROJECT, report, os.getpid(), plain, partial(_processes, stack))
                yield Running(bench, stack)
                plain.close()
            await owner.close()


def _processes(stack: Supervisor) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for child in stack.children:
        if child.pid is not None:
            role = child.plan.name.lower().partition("-")[0].removesuffix("ql")
            found.setdefault(role, []).append(child.pid)
    return found


async def _settings(owner: "asyncpg.Connection") -> dict[str, Any]:
    shown = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    return {**machine(), "postgres": {name: await owner.fetchval(f"SHOW {name}") for name in shown}}
