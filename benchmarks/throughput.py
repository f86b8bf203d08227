"""W3 and W5: many runs through the API, and reading while many are stored."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from benchmarks.weight import cpu_seconds, descendants
from benchmarks.workloads import Bench, sequence
from sparkops.core.json import dumps, loads

RUNS = 500
CONNECTIONS = 4
ROUNDS = 3
READS = 200
STORED = 100_000
SECONDS = 300.0

_COUNTERS = """
SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal,
       pg_current_snapshot()::text AS snapshot,
       (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()) AS transactions
"""
_LEFT = "SELECT count(*) FROM runs WHERE finished_at IS NULL"
_END = """
SELECT max(finished_at) AS at, count(*) FILTER (WHERE status <> 'succeeded') AS bad FROM runs
 WHERE $1::uuid IS NULL OR id > $1
"""
_LAST = "SELECT id FROM runs ORDER BY id DESC LIMIT 1"


async def w3(bench: Bench) -> None:
    """Runs of three steps, submitted over four connections as fast as the API takes them, until all are done."""
    await bench.create(sequence("three", 3))
    await flood(bench, "three", 50)
    for _ in range(ROUNDS):
        await flooded(bench, "W3", "three", RUNS)


async def flooded(bench: Bench, workload: str, workflow: str, runs: int, **about: Any) -> Mapping[str, float]:
    """Report what so many runs of a workflow cost; return `cpu_all` in ms and `commits`, a run each."""
    before, idle = await _counters(bench), cpu(bench)
    last = await last_run(bench)
    sent = await flood(bench, workflow, runs)
    took = await ended(bench, last) - sent["begun"]
    after, used = await _counters(bench), cpu(bench)
    bench.report.line(workload, "throughput", runs / took, "runs/s", runs=runs, connections=CONNECTIONS, **about)
    bench.report.spread(workload, "submit", sent["latencies_ms"], "ms", **about)
    for role, seconds in used.items():
        bench.report.line(workload, f"cpu_{role}", (seconds - idle[role]) / runs * 1000, "ms/run", **about)
    costs = {
        "cpu_all": (sum(used.values()) - sum(idle.values())) / runs * 1000,
        "commits": (after["commits"] - before["commits"]) / runs,
    }
    bench.report.line(workload, "cpu_all", costs["cpu_all"], "ms/run", **about)
    bench.report.line(workload, "commits", costs["commits"], "/run", **about)
    bench.report.line(workload, "wal", (after["wal"] - before["wal"]) / runs / 1024, "kB/run", **about)
    return costs


async def last_run(bench: Bench) -> UUID | None:
    """Return the newest run that there is."""
    found: UUID | None = await bench.database.fetchval(_LAST)
    return found


async def ended(bench: Bench, after: UUID | None) -> float:
    """Return when the last run ended of those that began after this one, in seconds since the epoch.

    Raises:
        RuntimeError: one of them did not succeed.
    """
    end = await bench.database.fetchrow(_END, after)
    if end["bad"]:
        raise RuntimeError(f"{end['bad']} runs did not succeed")
    at: float = end["at"].timestamp()
    return at


def cpu(bench: Bench) -> dict[str, float]:
    """Return the processor time so far, in seconds, by what a process is."""
    return {
        role: cpu_seconds([each for pid in pids for each in (pid, *descendants(pid))])
        for role, pids in bench.processes().items()
    }


async def _counters(bench: Bench) -> Mapping[str, int]:
    """Return positions of the log and of the counter of transactions that wrote."""
    row = await bench.database.fetchrow(_COUNTERS)
    return {"wal": int(row["wal"]), "commits": int(row["snapshot"].split(":")[1])}


async def flood(bench: Bench, workflow: str, runs: int) -> Mapping[str, Any]:
    """Submit this many runs and wait until every one has ended; return what the client says."""
    given = {
        "port": urlsplit(bench.client.url).port,
        "token": bench.client.token,
        "project": bench.project,
        "workflow": workflow,
        "runs": runs,
        "connections": CONNECTIONS,
    }
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.client", dumps(given).decode()), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    if client.returncode != 0:
        raise RuntimeError("the client failed")
    async with asyncio.timeout(SECONDS):
        while await bench.database.fetchval(_LEFT):
            await asyncio.sleep(0.02)
    said: Mapping[str, Any] = loads(out)
    return said


_STORE = """
WITH source AS (
  SELECT * FROM runs WHERE workflow_id = (SELECT id FROM workflows WHERE name = 'three') AND status = 'succeeded'
   LIMIT 1),
copied AS (
  INSERT INTO runs (id, project_id, workflow_id, workflow_version_id, status, input, output, created_by, created_at,
                    started_at, finished_at)
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || 'a000'
          || lpad(to_hex(n), 12, '0'))::uuid, s.project_id, s.workflow_id, s.workflow_version_id,
         (ARRAY['succeeded', 'failed', 'cancelled'])[1 + n % 3], s.input, s.output, s.created_by, at, at, at
    FROM source s, generate_series(1, $1) n, LATERAL (SELECT now() - make_interval(secs => n) AS at) t
  RETURNING id, project_id, status, created_at),
parts AS (  -- the last one ends as its run does
  SELECT c.id AS run_id, c.project_id, c.created_at AS at, o.id AS of, o.node_key, o.type, o.position, o.effect_class,
         o.mechanical, o.hands_over, overlay(c.id::text placing '700' || o.position + 1 from 15 for 4)::uuid AS id,
         CASE WHEN o.position = 0 THEN '{}'
              ELSE ARRAY[overlay(c.id::text placing '700' || o.position from 15 for 4)::uuid] END AS needs,
         CASE WHEN o.position = 2 THEN c.status ELSE 'succeeded' END AS status
    FROM copied c JOIN steps o ON o.run_id = (SELECT id FROM source)),
stored AS (
  INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, effect_class, mechanical, hands_over,
                     needs, status, attempt, started_at, finished_at)
  SELECT id, run_id, project_id, node_key, node_key, type, position, effect_class, mechanical, hands_over, needs,
         status, 1, at, at FROM parts),
attempts AS (
  INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, started_at, ended_at, outcome)
  SELECT run_id, id, 1, project_id, gen_random_uuid(), at, at, status FROM parts),
lines AS (
  INSERT INTO events (run_id, seq, project_id, at, kind, step_id, data)
  SELECT c.id, e.seq, c.project_id, c.created_at,
         CASE WHEN e.kind LIKE '%.succeeded' THEN split_part(e.kind, '.', 1) || '.' || coalesce(p.status, c.status)
              ELSE e.kind END, p.id, e.data
    FROM copied c JOIN events e ON e.run_id = (SELECT id FROM source)
    LEFT JOIN parts p ON p.run_id = c.id AND p.of = e.step_id)
INSERT INTO run_counters (run_id, project_id, last_seq)
SELECT c.id, c.project_id, o.last_seq FROM copied c JOIN run_counters o ON o.run_id = (SELECT id FROM source)
"""
"""Whole runs, like one that has ended: with attempts and a log."""


async def w5(bench: Bench) -> None:
    """The latest 50 runs, and one run with its steps, with few and with many runs stored."""
    if not (await bench.client.get("/runs", project=bench.project, workflow="three", limit="1"))["items"]:
        await bench.create(sequence("three", 3))
        await flood(bench, "three", RUNS)
    for stored in (RUNS, STORED):
        if stored > RUNS:
            await bench.database.execute(_STORE, stored, timeout=300)
            await bench.database.execute("VACUUM ANALYZE runs, steps, step_attempts, events, run_counters", timeout=300)
            bench.plain.close()  # the server has hung up meanwhile
        run = (await bench.client.get("/runs", project=bench.project, limit="1"))["items"][0]["id"]
        page = f"/runs?project={bench.project}&limit=50"
        for metric, paths in (
            ("list", [page]),
            ("list_failed", [f"{page}&status=failed"]),
            ("list_attention", [f"{page}&status=attention"]),
            ("run_with_steps", [f"/runs/{run}", f"/runs/{run}/steps"]),
        ):
            bench.report.spread("W5", metric, [_read(bench, paths) for _ in range(READS)], "ms", stored=stored)


def _read(bench: Bench, paths: Sequence[str]) -> float:
    begun = time.perf_counter()
    for path in paths:
        bench.plain.get(path)
    return (time.perf_counter() - begun) * 1000
