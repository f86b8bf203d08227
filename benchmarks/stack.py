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
from sparkops.core.db import open_database
from sparkops.engine.diagnosis import examine
from sparkops.local.example.people import administrator
from sparkops.local.supervisor import Supervisor

PROJECT = "bench"
AUDIT_SECONDS = 300.0
"""What each rule may take: there may be many thousands of runs."""
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

    In the end its doctor is asked, and what is broken printed as lines.

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
                assert stack.embedded is not None, "benchmarks run on the embedded servers"
                bench = Bench(
                    client,
                    owner,
                    PROJECT,
                    report,
                    os.getpid(),
                    plain,
                    partial(_processes, stack),
                    stack.embedded.admin_url,
                    stack.endpoints.redis_url,
                )
                yield Running(bench, stack)
                plain.close()
                await _ask_the_doctor(stack, report)
            await owner.close()


async def _ask_the_doctor(stack: Supervisor, report: Report) -> None:
    """Print how many rules were asked and, of each that is broken or could not be asked, how many rows break it."""
    async with open_database(stack.endpoints.database_url, name="bench", pool_size=1) as database:
        findings = await examine(database, seconds=AUDIT_SECONDS)
    wrong = [each for each in findings if not each.ok]
    report.line("doctor", "broken", len(wrong), "rules", asked=len(findings))
    for each in wrong:
        report.line("doctor", each.name, each.total, "rows", unknown=each.unknown, first=list(each.rows[:1]))


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
