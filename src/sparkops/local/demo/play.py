"""What happens in the demo: a run is started, a worker is killed, a second person approves, the report appears."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.client import ApiClient
from sparkops.core.ids import new_id
from sparkops.local.errors import StartError
from sparkops.local.example import PROJECT
from sparkops.local.example.project import WORKFLOW

RUN_SECONDS = 120.0
POLL_SECONDS = 0.05
FINAL = ("succeeded", "failed", "cancelled", "denied")

_HOLDER = """
SELECT w.pid, w.id AS session_id, s.id AS step_id, s.attempt,
       (SELECT count(*) FROM calls c WHERE c.run_id = s.run_id AND c.step_id = s.id AND c.kind = 'llm'
           AND c.status = 'done') AS answers
  FROM steps s JOIN worker_sessions w ON w.id = s.worker_session
 WHERE s.run_id = $1 AND s.type = 'agent' AND s.status = 'running'
"""


@dataclass
class Killing:
    """The worker that was killed while it held the agent's step, and how many answers were on record by then."""

    pid: int
    step_id: UUID
    attempt: int
    answers: int


@dataclass
class Played:
    """What the account is written from: the API's own answers, and what the demo did itself."""

    run: Mapping[str, Any]
    steps: list[Mapping[str, Any]]
    calls: list[Mapping[str, Any]]
    approvals: list[Mapping[str, Any]]
    artifacts: list[Mapping[str, Any]]
    attempts: Mapping[str, list[Mapping[str, Any]]]
    duration_ms: int
    killing: Killing | None
    contents: dict[str, bytes] = field(default_factory=dict)


async def play(starter: ApiClient, approver: ApiClient, database_url: str, *, year: int) -> Played:
    """Play the demo to its end.

    Raises:
        StartError: the run did not end in time, or something that must happen did not.
    """
    begun = time.monotonic()
    run = await starter.post(
        "/runs",
        {"project": PROJECT, "workflow": WORKFLOW, "input": {"year": year}},
        headers={"Idempotency-Key": str(new_id())},
    )
    killing = await _kill_holder(starter, run["id"], database_url)
    await _approve_all(starter, approver, run["id"])
    run = await starter.get(f"/runs/{run['id']}")
    return await _gather(starter, run, int((time.monotonic() - begun) * 1000), killing)


async def _kill_holder(starter: ApiClient, run_id: str, database_url: str) -> Killing | None:
    """Kill with SIGKILL the worker that runs the agent, once an answer of the model is on record."""
    connection = await asyncpg.connect(database_url)
    try:

        async def answered() -> Any:
            row = await connection.fetchrow(_HOLDER, UUID(run_id))
            if row is not None and row["answers"] > 0:
                return row
            return await _is_over(starter, run_id) or None

        row = await _until(answered, "the model's first answer")
        if row is True:
            return None
        os.kill(row["pid"], signal.SIGKILL)
        return Killing(row["pid"], row["step_id"], row["attempt"], row["answers"])
    finally:
        await connection.close()


async def _approve_all(starter: ApiClient, approver: ApiClient, run_id: str) -> None:
    """Answer every question of the run as the second person, until the run is over."""

    async def over() -> Any:
        page = await approver.get("/approvals", project=PROJECT, state="open")
        for question in page["items"]:
            if question["run_id"] == run_id:
                await approver.post(f"/approvals/{question['id']}/approve", {"comment": "The figures add up."})
        return await _is_over(starter, run_id) or None

    await _until(over, "the end of the run")


async def _is_over(starter: ApiClient, run_id: str) -> bool:
    return (await starter.get(f"/runs/{run_id}"))["status"] in FINAL


async def _until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    try:
        async with asyncio.timeout(RUN_SECONDS):
            while (found := await condition()) is None:
                await asyncio.sleep(POLL_SECONDS)
            return found
    except TimeoutError:
        raise StartError(f"The demo waited {RUN_SECONDS:g} s for {what} in vain.") from None


async def _gather(client: ApiClient, run: Mapping[str, Any], duration_ms: int, killing: Killing | None) -> Played:
    path = f"/runs/{run['id']}"
    steps = (await client.get(f"{path}/steps", limit="200"))["items"]
    approvals = (await client.get("/approvals", project=PROJECT, state="done", limit="200"))["items"]
    played = Played(
        run=run,
        steps=steps,
        calls=(await client.get(f"{path}/calls", limit="200"))["items"],
        approvals=[approval for approval in approvals if approval["run_id"] == run["id"]],
        artifacts=(await client.get(f"{path}/artifacts", limit="200"))["items"],
        attempts={step["key"]: (await client.get(f"{path}/steps/{step['id']}"))["attempts"] for step in steps},
        duration_ms=duration_ms,
        killing=killing,
    )
    for artifact in played.artifacts:
        played.contents[artifact["name"]] = await client.content(f"/artifacts/{artifact['id']}/content")
    return played
