"""The workloads, through the public API; the end of a run is when the platform's own record first says so."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from benchmarks.plain import PlainClient
from benchmarks.report import Report
from sparkops.core.client import ApiClient

PROBE_SECONDS = 0.005
SEQUENCE_STEPS = 40
FAN_OUT = 100
ROUNDS = 5
IDLE_RUNS = 50
RUN_SECONDS = 120.0

_TIMES = """
SELECT r.status, r.finished_at, (SELECT min(s.started_at) FROM steps s WHERE s.run_id = r.id) AS first_start
  FROM runs r WHERE r.id = $1
"""


def sequence(name: str, steps: int, kind: str = "tool: noop", *, claimed: bool = False) -> str:
    """Return a workflow of steps that each need the one before. `claimed`: the first as well, so that none is run ahead
    of its claim (ADR 13)."""
    lines = [f"version: 1\nname: {name}\nsteps:"]
    for number in range(steps):
        needs = f", needs: [s{number - 1}{', s0' if claimed and number > 1 else ''}]" if number else ""
        lines.append(f"  - {{id: s{number}, type: {_kind(kind)}{needs}}}")
    return "\n".join(lines)


def _kind(kind: str) -> str:
    return "tool, tool: noop" if kind == "tool: noop" else "transform, with: {value: 1}"


def fan_out(name: str, width: int) -> str:
    """Return a workflow of one step, many side by side, and one that needs them all."""
    middle = [f"  - {{id: m{number}, type: tool, tool: noop, needs: [first]}}" for number in range(width)]
    names = ", ".join(f"m{number}" for number in range(width))
    return "\n".join(
        [
            f"version: 1\nname: {name}\nsteps:",
            "  - {id: first, type: tool, tool: noop}",
            *middle,
            f"  - {{id: last, type: tool, tool: noop, needs: [{names}]}}",
        ]
    )


@dataclass(frozen=True)
class Bench:
    """A project on a running stack, and a look into its database."""

    client: ApiClient
    database: "asyncpg.Connection"
    project: str
    report: Report
    root: int
    """The process whose descendants are the stack."""
    plain: PlainClient
    """For what is timed."""
    processes: Callable[[], Mapping[str, Sequence[int]]]
    """The processes that the stack keeps alive, by what they are: api, worker, postgres, valkey."""
    admin_url: str
    """The database server under its superuser, who sees what all connections do."""
    redis_url: str

    async def create(self, source: str) -> None:
        await self.client.post("/workflows", {"project": self.project, "source": source})

    async def run(self, workflow: str) -> tuple[float, float, float]:
        """Run once; return seconds from just before the request to: its answer, the first step's start, the end."""
        begun = time.time()
        run = self.plain.post("/runs", {"project": self.project, "workflow": workflow})
        answered = time.time()
        times = await self.finished(UUID(run["id"]))
        return answered - begun, _since(times["first_start"], begun), _since(times["finished_at"], begun)

    async def finished(self, run_id: UUID) -> Mapping[str, Any]:
        async with asyncio.timeout(RUN_SECONDS):
            while True:
                row = await self.database.fetchrow(_TIMES, run_id)
                if row["finished_at"] is not None:
                    if row["status"] != "succeeded":
                        raise RuntimeError(f"run {run_id} ended as {row['status']}")
                    return dict(row)
                await asyncio.sleep(PROBE_SECONDS)


def _since(moment: datetime, begun: float) -> float:
    return moment.timestamp() - begun


async def w1(bench: Bench) -> None:
    """One run of 40 sequential steps: those of which the worker runs the rest ahead, those that it claims one by one,
    and inline ones."""
    for name, kind, claimed in (
        ("sequence-noop", "tool: noop", False),
        ("sequence-claimed", "tool: noop", True),
        ("sequence-transform", "transform", False),
    ):
        await bench.create(sequence(name, SEQUENCE_STEPS, kind, claimed=claimed))
        await bench.run(name)
        took = [(await bench.run(name))[2] for _ in range(ROUNDS)]
        bench.report.spread("W1", "submit_to_done", took, "s", steps=SEQUENCE_STEPS, step=kind, one_by_one=claimed)


async def w2(bench: Bench) -> None:
    """One step, a hundred side by side, one that joins them."""
    await bench.create(fan_out("fan-out", FAN_OUT))
    await bench.run("fan-out")
    took = [(await bench.run("fan-out"))[2] for _ in range(ROUNDS)]
    bench.report.spread("W2", "submit_to_done", took, "s", width=FAN_OUT)


async def w4(bench: Bench) -> None:
    """One run of one step at a time on an idle system, at moments that do not beat with any poll."""
    await bench.create(sequence("single", 1))
    await bench.run("single")
    times = []
    for _ in range(IDLE_RUNS):
        await asyncio.sleep(random.uniform(0.05, 0.25))
        times.append(await bench.run("single"))
    for place, metric in enumerate(("submit_to_answer", "submit_to_start", "submit_to_done")):
        bench.report.spread("W4", metric, [one[place] * 1000 for one in times], "ms")
