"""What a campaign came to: what was broken, what was exercised, and how soon the work of the dead went on."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.json import digest
from sparkops.engine.diagnosis import examine
from tests.chaos.faults import KINDS, Faults, Kill
from tests.chaos.government import ASKED_ABOUT, Overshoot
from tests.chaos.shapes import shaped
from tests.chaos.target import Target

AUDIT_SECONDS = 300.0
"""What each rule may take: there are many thousands of runs."""

MUST_HAPPEN = (
    *("fenced_complete", "fenced_prepare", "reaped", "released", "uncertain", "accept_retries", "hints_lost"),
    *(
        "votes",
        "edits",
        "publications",
        "raises",
        "budget_waits",
        "budget_looks",
        "cancels",
        "asked_anew",
        "rejections",
    ),
    *("used_by_two", "used_changed", "begun_with_consent", "handed_out_with_consent"),
    *("frames", "sub_runs", "undone", "events_met", "retries", "pauses", "stops"),
)
"""A campaign in which one of these did not happen has shown nothing about it, and fails."""


def not_exercised(counts: Counter[str], faults: int, only: Sequence[str] = ()) -> list[str]:
    """Return what had to happen in a campaign of so many faults and did not: each kind of them, if enough.

    In a campaign of some kinds alone (`only`) that is each of these and nothing else.
    """
    if only:
        return [name for name in only if counts[name] <= 0]
    kinds = KINDS if faults >= len(KINDS) else ()
    return [name for name in (*MUST_HAPPEN, *kinds) if counts[name] <= 0]


PREPARING = ("prepare", "record", "ask", "wait")
"""Where a worker is refused that has lost its step before it could end it."""

_OUTCOMES = "SELECT outcome, count(*) AS n FROM step_attempts GROUP BY outcome"
_AGAIN = """
SELECT extract(epoch FROM b.started_at)::float8 AS at, a.outcome,
       EXISTS (SELECT 1 FROM worker_sessions w WHERE w.id = b.worker_session AND w.parent_id IS NOT NULL) AS alone
  FROM step_attempts a
  JOIN step_attempts b ON b.run_id = a.run_id AND b.step_id = a.step_id AND b.attempt = a.attempt + 1
 WHERE a.worker_session = $1 AND a.outcome IN ('released', 'lost')
"""
_STOPS = """
SELECT extract(epoch FROM created_at)::float8, extract(epoch FROM coalesce(released_at, clock_timestamp()))::float8
  FROM halts WHERE scope IN ('project', 'installation')
"""
_CALLS = """
SELECT c.id, c.name, c.sends, c.prepared_at, d.outcome, coalesce(a.consumed, false) AS consumed,
       coalesce(a.requests, jsonb_build_array(c.request)) AS requests
  FROM calls c
  LEFT JOIN policy_decisions d ON d.id = c.decision_id AND d.subject_id = c.id
  CROSS JOIN LATERAL (
    SELECT bool_or(status = 'consumed') AS consumed,
           jsonb_agg(coalesce(edited_request, c.request)) FILTER (WHERE status = 'consumed') AS requests
      FROM approvals WHERE subject_id = c.id) a
"""
"""What people let go counts, and not what they were asked afterwards about a call that had left and was lost."""
_CONSENT = """
SELECT count(*) FILTER (WHERE used AND subject_kind = 'call' AND (demands ->> 'quorum')::int > 1) AS used_by_two,
       count(*) FILTER (WHERE used AND edited_hash IS NOT NULL) AS used_changed,
       count(*) FILTER (WHERE used AND subject_kind = 'run') AS begun_with_consent,
       count(*) FILTER (WHERE used AND subject_kind = 'output') AS handed_out_with_consent,
       count(*) FILTER (WHERE number > 1) AS asked_anew
  FROM (SELECT *, status = 'consumed' AS used, row_number() OVER (PARTITION BY subject_kind, subject_id) AS number
          FROM approvals) a
"""


async def broken(database: Database, accepted: Sequence[UUID], target: Target) -> list[str]:
    """Return every promise that was not kept."""
    pool = database.pool
    findings = await examine(database, seconds=AUDIT_SECONDS)
    found = [f"{each.name}: {each.unknown or list(each.rows[:3])}" for each in findings if not each.ok]
    runs = {row["id"]: row["status"] for row in await pool.fetch("SELECT id, status FROM runs")}
    if lost := [run_id for run_id in accepted if run_id not in runs]:
        found.append(f"{len(lost)} accepted runs do not exist, such as {lost[0]}")
    final = ("succeeded", "failed", "cancelled", "denied")
    if open_ones := {str(run_id): status for run_id, status in runs.items() if status not in final}:
        found.append(f"{len(open_ones)} runs have not ended: {dict(list(open_ones.items())[:3])}")
    asked_for = await pool.fetchval("SELECT count(*) FROM runs WHERE parent_run_id IS NULL")
    if asked_for != len(set(accepted)):
        found.append(f"there are {asked_for} runs, and {len(set(accepted))} were accepted")
    calls = {str(row["id"]): row for row in await pool.fetch(_CALLS)}
    for call_id, times in target.got.items():
        call = calls.get(call_id)
        if call is None or call["prepared_at"] is None:
            found.append(f"call {call_id} left without being prepared")
            continue
        if times > (1 if target.classes[call_id] == "unsafe" else call["sends"]):
            found.append(f"{target.classes[call_id]} call {call_id} left {times} times, {call['sends']} on record")
        if not _agreed(call):
            found.append(f"{call['name']} {call_id} left by {call['outcome']}, nobody let it go")
        if not target.bodies[call_id] <= {digest(one["arguments"]) for one in call["requests"]}:
            found.append(f"call {call_id} left with something else than what was decided on")
    return found


def _agreed(call: Mapping[str, Any]) -> bool:
    """Whether there was a yes to a call that left: of the rules, or of people, and of them where rules want it."""
    if call["outcome"] == "allow" and call["name"] != ASKED_ABOUT:
        return True
    return bool(call["outcome"] is not None and call["consumed"])


def beyond(overshoot: Overshoot) -> list[str]:
    """Return what is wrong with budgets that were seen to be spent and held beyond their limits."""
    if (overshoot.micros, overshoot.calls) == (0, 0):
        return []
    return [f"budgets were overdrawn by {overshoot.micros} micros, {overshoot.calls} calls"]


async def exercised(database: Database, logs: Sequence[Path], faults: Faults, clients: Counter[str]) -> Counter[str]:
    """Return how often each thing happened."""
    outcomes = {row["outcome"]: row["n"] for row in await database.pool.fetch(_OUTCOMES)}
    counts = faults.hit() + Counter(clients) + said(logs)
    counts["reaped"] = outcomes.get("lost", 0)
    counts["released"] = outcomes.get("released", 0)
    counts["uncertain"] = outcomes.get("uncertain", 0)
    counts["attempts"] = sum(outcomes.values())
    counts.update(dict(await database.pool.fetchrow(_CONSENT)))
    counts.update(await shaped(database))
    return counts


def said(logs: Sequence[Path]) -> Counter[str]:
    """Count what workers and the API wrote to their logs."""
    counts: Counter[str] = Counter()
    for entry in entries(logs):
        counts.update(_meaning(entry))
    return counts


def isolation_starts(logs: Sequence[Path]) -> list[float]:
    """Return how many seconds the processes for isolated steps took from their start to their first look for work."""
    began: dict[str, datetime] = {}
    found = []
    for entry in entries(logs):
        session, at = str(entry.get("session_id")), datetime.fromisoformat(entry.get("timestamp", "1970-01-01"))
        if entry.get("event") == "isolation.started":
            began[session] = at
        elif entry.get("event") == "worker.started" and session in began:
            found.append((at - began[session]).total_seconds())
    return sorted(found)


def entries(logs: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """Return the lines of the logs that are whole, one log after the other."""
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                with suppress(ValueError):  # cut off by a kill
                    yield json.loads(line)


def _meaning(entry: Mapping[str, Any]) -> list[str]:
    match entry.get("event"):
        case "step.fenced":
            where = entry.get("where")
            return ["fenced_prepare" if where in PREPARING else f"fenced_{where}"]
        case "hint.lost":
            return ["hints_lost"]
        case "step.interrupted" | "step.broke" | "worker.broke" | "claims.orphaned" as event:
            return [str(event)]
        case _:
            return []


@dataclass(frozen=True)
class Restart:
    """A step that ran again `seconds` after its worker had died, without the seconds `away` in which nobody could, or
    was allowed to."""

    seconds: float
    kill: Kill
    outcome: str
    away: float

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.kill.at, UTC)
        where = f"{self.outcome}, session {self.kill.session}, nobody there for {self.away:.1f} s"
        return f"{self.seconds:.1f} s after {at:%H:%M:%S} ({where})"


async def restarts(database: Database, faults: Faults, *, alone: bool) -> list[Restart]:
    """Return when each step of a killed worker ran again, the soonest first.

    `alone`: of the steps that ran again in a process for isolated ones; else of the others. What had been taken from a
    worker before it died is not counted.
    """
    found = []
    outages = [*faults.outages, *(tuple(row) for row in await database.pool.fetch(_STOPS))]
    for kill in faults.kills:
        for row in await database.pool.fetch(_AGAIN, kill.session):
            if row["alone"] == alone and row["at"] > kill.at:
                away = _away(outages, kill.at, row["at"])
                found.append(Restart(row["at"] - kill.at - away, kill, row["outcome"], away))
    return sorted(found, key=lambda each: each.seconds)


def _away(outages: Sequence[tuple[float, float]], since: float, until: float) -> float:
    """Return how many of these seconds belong to an outage; outages may overlap."""
    away, covered = 0.0, since
    for begin, end in sorted(outages):
        away += max(0.0, min(end, until) - max(begin, covered))
        covered = max(covered, min(end, until))
    return away


def quantile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value below which this share lies; nothing gives 0."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(int(share * len(sorted_values)), len(sorted_values) - 1)]
