"""Start a stack of its own on a temporary directory, measure, stop."""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.decisions import measure_decisions
from benchmarks.growth import growth
from benchmarks.limits import measure_limits
from benchmarks.plain import PlainClient
from benchmarks.report import Report
from benchmarks.throughput import w3, w5
from benchmarks.weight import measure_weight
from benchmarks.workloads import Bench, w1, w2, w4
from sparkops import __version__
from sparkops.core.config import load_settings
from sparkops.core.errors import SparkOpsError
from sparkops.local.client import ApiClient
from sparkops.local.example.people import administrator
from sparkops.local.supervisor import Supervisor

PROJECT = "bench"
WORKLOADS = {"W1": w1, "W2": w2, "W3": w3, "W4": w4, "W5": w5, "growth": growth}
ALL = (*WORKLOADS, "W6", "limits", "decisions")


async def measure(wanted: Sequence[str], workers: int) -> None:
    """Measure the workloads that are wanted, and print a line for each figure."""
    with tempfile.TemporaryDirectory(prefix="sparkops-bench-") as directory:
        settings = load_settings(data_dir=Path(directory), port=0, workers=workers)
        async with Supervisor(settings) as stack:
            assert stack.embedded is not None, "benchmarks run on the embedded servers"
            owner = await asyncpg.connect(stack.endpoints.database_url)
            login = administrator(stack.settings, stack.data)
            async with ApiClient(stack.endpoints.api_url) as client:
                await client.sign_in(login.email, login.password)
                await client.post("/projects", {"slug": PROJECT, "name": "Bench"})
                report = Report(await _settings(owner, workers))
                if "W6" in wanted:
                    await measure_weight(report, os.getpid(), stack.data.root)
                for name in wanted:
                    if name in WORKLOADS:
                        plain = PlainClient(client.url, client.token or "")
                        await WORKLOADS[name](Bench(client, owner, PROJECT, report, os.getpid(), plain))
                        plain.close()
                if "limits" in wanted:
                    await measure_limits(report, stack.embedded)
            await owner.close()


async def _settings(owner: "asyncpg.Connection", workers: int) -> dict[str, Any]:
    shown = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    return _machine() | {
        "workers": workers,
        "postgres": {name: await owner.fetchval(f"SHOW {name}") for name in shown},
    }


def _machine() -> dict[str, Any]:
    return {"sparkops": __version__, "python": platform.python_version(), "cores": os.cpu_count()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"any of {', '.join(ALL)}; all by default")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    unknown = sorted(set(options.workloads) - set(ALL))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(ALL)}")
    wanted = options.workloads or ALL
    if "decisions" in wanted:
        measure_decisions(Report(_machine()))
    try:
        if set(wanted) != {"decisions"}:
            asyncio.run(measure(wanted, options.workers))
    except SparkOpsError as error:
        sys.stderr.write(f"bench: {error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
