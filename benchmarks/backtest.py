"""A backtest of a million decisions, end to end: asked for through the API, read from the database, judged by the
worker that looks after the queue `policy`, its flips and progress recorded.

The decisions are copies of those that real calls left behind, spread over a day: their facts are what the gate wrote
down, their arguments are read with their calls.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from benchmarks.decisions import rules
from benchmarks.governed import AGENT, WORKFLOW
from benchmarks.stack import running
from benchmarks.throughput import cpu
from benchmarks.weight import cpu_seconds, descendants
from benchmarks.workloads import Bench
from sparkops.core.json import dumps

DECISIONS: Final = 1_000_000
AT_ONCE: Final = 50_000
RULES: Final = 50
ASKED: Final = 10
LACKING: Final = "principal.role"
SECONDS: Final = 600.0

_CALLS: Final = "SELECT id FROM policy_decisions WHERE run_id = $1 AND subject IN ('llm.call', 'tool.call')"
# Copies of the decisions `$3`, numbered `$1` to `$2`, twelve a second; the fact `$4` is left out of them.
_COPY: Final = """
WITH kinds AS (
  SELECT d.*, row_number() OVER (ORDER BY d.id) - 1 AS place, count(*) OVER () AS many
    FROM policy_decisions d WHERE d.id = ANY ($3))
INSERT INTO policy_decisions (id, project_id, run_id, step_id, subject, subject_kind, subject_id, name, request_hash,
                              policy_version, outcome, policy_id, rule_version, rule, severity, reason, facts,
                              facts_digest, monitored, duration_us, at)
SELECT (lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0') || '7000' || 'a000'
        || lpad(to_hex(n), 12, '0'))::uuid,
       k.project_id, k.run_id, k.step_id, k.subject, k.subject_kind, k.subject_id, k.name, k.request_hash,
       k.policy_version, k.outcome, k.policy_id, k.rule_version, k.rule, k.severity, k.reason,
       CASE WHEN $4::text IS NULL THEN k.facts ELSE k.facts - $4::text END,
       k.facts_digest, k.monitored, k.duration_us, t.at
  FROM generate_series($1::int, $2::int) n
  JOIN kinds k ON k.place = n % k.many,
       LATERAL (SELECT now() - make_interval(secs => n / 12.0) AS at) t
"""
_DRAFT: Final = "draft"


async def backtest_million() -> None:
    """Print how fast a million recorded decisions are judged: once with all their facts, once where one is lacking."""
    for lacking in (None, LACKING):
        async with running(workers=2) as stack:
            await _measure(stack.bench, lacking)


async def _measure(bench: Bench, lacking: str | None) -> None:
    await bench.client.post("/agents", {"project": bench.project, "name": "careful", "definition": AGENT})
    await bench.create(WORKFLOW)
    run = await bench.client.post("/runs", {"project": bench.project, "workflow": "governed"})
    await bench.finished(UUID(run["id"]))
    real = [row["id"] for row in await bench.database.fetch(_CALLS, UUID(run["id"]))]
    for first in range(1, DECISIONS + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, DECISIONS)
        await bench.database.execute(_COPY, first, last, real, lacking, timeout=SECONDS)
    await bench.database.execute("VACUUM ANALYZE policy_decisions", timeout=SECONDS)
    before, all_before = cpu(bench), cpu_seconds(descendants(bench.root))
    found = await _judged(bench)
    spent = {role: used - before[role] for role, used in cpu(bench).items()}
    # The process that judges is forked for it, and has ended: it is what is left of the whole.
    spent["judge"] = cpu_seconds(descendants(bench.root)) - all_before - sum(spent.values())
    took = datetime.fromisoformat(found["finished_at"]) - datetime.fromisoformat(found["started_at"])
    about: dict[str, Any] = {"rules": RULES, "asked": ASKED, "lacking": lacking or "", "counts": found["counts"]}
    bench.report.line("W7", "backtest_judged", found["judged"], "decisions", **about)
    bench.report.line("W7", "backtest_end_to_end", found["judged"] / took.total_seconds(), "1/s", **about)
    bench.report.line("W7", "backtest_per_core", found["judged"] / spent["judge"], "1/s", **about)
    for role, used in spent.items():
        bench.report.line("W7", "backtest_cpu", used / found["judged"] * 1e6, "us", role=role, **about)


async def _judged(bench: Bench) -> dict[str, Any]:
    """Ask for the backtest and wait for its end.

    Raises:
        RuntimeError: it failed, or left decisions out; it may judge those that were copied besides.
        TimeoutError: it took longer than `SECONDS`.
    """
    draft = {"version": 1, "name": _DRAFT, "rules": rules(RULES, ASKED, "noop")}
    since = datetime.now(UTC) - timedelta(days=2)
    asked = {"project": bench.project, "source": dumps(draft).decode(), "since": since.isoformat()}
    found: dict[str, Any] = await bench.client.post("/backtests", asked)
    async with asyncio.timeout(SECONDS):
        while found["status"] in {"queued", "running"}:
            await asyncio.sleep(0.5)
            found = await bench.client.get(f"/backtests/{found['id']}")
    if found["status"] != "done" or found["judged"] < DECISIONS:
        raise RuntimeError(f"{found['status']}, {found['judged']} judged: {found['error']}")
    return found
