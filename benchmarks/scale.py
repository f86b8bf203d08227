"""What a second worker adds, and what a worker weighs that holds a thousand steps.

The steps of the first part wait far longer than they compute, as model calls do, and a worker has few places: so its
places are the limit, and neither the processors nor PostgreSQL, whose part is reported beside.
"""

import asyncio
import time

from benchmarks.stack import Running, running
from benchmarks.weight import cpu_seconds, descendants, pss_mib

SLOTS, DELAY_MS, ITEMS, ROUNDS = 10, 50, 600, 3
HELD = 1_000

_MAP = """
version: 1
name: {name}
steps:
  - id: each
    type: map
    with: {{over: {items}, concurrency: {items}}}
    steps:
      - {{id: work, type: tool, tool: noop, with: {{delay_ms: {delay}}}}}
output: done
"""
_RUNNING = "SELECT count(*) FROM steps WHERE status = 'running'"


async def scale_out() -> None:
    """Print how many such steps one worker does in a second, how many two do, and the ratio."""
    rates = {}
    for workers in (1, 2):
        async with running(workers=workers, slots=SLOTS) as stack:
            bench = stack.bench
            await bench.create(_MAP.format(name="slow", items=ITEMS, delay=DELAY_MS))
            await bench.run("slow")
            before, begun = cpu_seconds(_postgres(stack)), time.perf_counter()
            for _ in range(ROUNDS):
                await bench.run("slow")
            seconds = time.perf_counter() - begun
            rates[workers] = ROUNDS * ITEMS / seconds
            used = (cpu_seconds(_postgres(stack)) - before) / seconds
            bench.report.line("scale", "throughput", rates[workers], "steps/s", delay_ms=DELAY_MS)
            bench.report.line("scale", "postgres_cpu", used * 100, "% of a core")
            if workers == 2:
                bench.report.line("scale", "two_to_one", rates[2] / rates[1], "")


async def crowd() -> None:
    """Print what a worker weighs while it holds a thousand steps that wait for an answer."""
    async with running(workers=1, slots=HELD + 1) as stack:
        bench = stack.bench
        await bench.create(_MAP.format(name="crowd", items=HELD, delay=20_000))
        worker = stack.supervisor.workers[0].pid
        assert worker is not None, "the worker runs"
        idle = pss_mib([worker])
        await bench.client.post("/runs", {"project": bench.project, "workflow": "crowd"})
        while await bench.database.fetchval(_RUNNING) < HELD:
            await asyncio.sleep(0.05)
        bench.report.line("scale", "worker_idle", idle, "MiB")
        bench.report.line("scale", "worker_with_1000_steps", pss_mib([worker]), "MiB")


def _postgres(stack: Running) -> list[int]:
    embedded = stack.supervisor.embedded
    assert embedded is not None, "benchmarks run on the embedded servers"
    assert embedded.postgres.pid is not None, "PostgreSQL runs"
    return [embedded.postgres.pid, *descendants(embedded.postgres.pid)]
