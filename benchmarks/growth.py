"""What size costs: a step of a run of 10,000 beside one of a run of 100, and a claim with 100,000 steps queued."""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from benchmarks.weight import cpu_seconds, descendants
from benchmarks.workloads import Bench
from sparkops.core.db import PLANNED_ONCE

SMALL, LARGE = 100, 10_000
SMALL_ROUNDS = 20
QUEUE = "bench"
QUEUED = 100_000
CLAIMS = 300

_MAP = """
version: 1
name: map-{items}
steps:
  - id: each
    type: map
    with: {{over: {items}, concurrency: 100}}
    steps:
      - {{id: work, type: tool, tool: noop}}
output: done
"""
_FLOOD = """
INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, effect_class, queue, status, ready_at)
SELECT gen_random_uuid(), r.id, r.project_id, 'q' || n, 'q' || n, 'tool', n, 'pure', $2, 'ready', now()
  FROM (SELECT id, project_id FROM runs ORDER BY id DESC LIMIT 1) r, generate_series($1::int, $1::int + $3::int - 1) n
"""
_CLAIM = "SELECT engine.claim(ARRAY[$1], 16, $2, (SELECT epoch FROM system), $3)"


async def growth(bench: Bench) -> None:
    """Compare the small with the large; the figures of interest are their ratios."""
    costs = {}
    for items, rounds in ((SMALL, SMALL_ROUNDS), (LARGE, 1)):
        await bench.create(_MAP.format(items=items))
        if items == SMALL:
            await bench.run(f"map-{items}")  # the first is not like the others
        before, begun = cpu_seconds(descendants(bench.root)), time.perf_counter()
        for _ in range(rounds):
            await bench.run(f"map-{items}")
        steps = items * rounds
        costs[items] = (cpu_seconds(descendants(bench.root)) - before) / steps * 1000
        bench.report.line("growth", "cpu_per_step", costs[items], "ms", steps_of_run=items)
        bench.report.line(
            "growth", "time_per_step", (time.perf_counter() - begun) / steps * 1000, "ms", steps_of_run=items
        )
    bench.report.line("growth", "cpu_per_step_ratio", costs[LARGE] / costs[SMALL], "")
    await _claims(bench)


async def _claims(bench: Bench) -> None:
    times = {}
    there = 0
    try:
        for queued in (SMALL, QUEUED):
            await bench.database.execute(_FLOOD, there, QUEUE, queued - there, timeout=120)
            await bench.database.execute("VACUUM ANALYZE steps", timeout=120)
            there = queued
            times[queued] = await _claim_ms(bench.database)
            bench.report.line("growth", "claim_of_16_p50", times[queued], "ms", queued=queued)
        bench.report.line("growth", "claim_ratio", times[QUEUED] / times[SMALL], "")
    finally:
        await bench.database.execute("DELETE FROM steps WHERE queue = $1", QUEUE, timeout=120)


async def _claim_ms(database: "asyncpg.Connection") -> float:
    """Return the median time of a claim, each rolled back."""
    for name, value in PLANNED_ONCE.items():
        await database.execute(f"SET {name} = {value}")
    arguments: tuple[str, UUID, Any] = (QUEUE, uuid4(), timedelta(seconds=15))
    times = []
    for _ in range(CLAIMS):
        transaction = database.transaction()
        await transaction.start()
        begun = time.perf_counter()
        await database.fetchval(_CLAIM, *arguments)
        times.append((time.perf_counter() - begun) * 1000)
        await transaction.rollback()
    return sorted(times)[len(times) // 2]
