"""Any child of the platform may be killed while a run is in flight: the run completes."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import pytest

from sparkops.core.client import ApiRefused
from sparkops.local.child import Child
from tests.e2e.conftest import Platform

pytestmark = pytest.mark.xdist_group("platform")

LIMIT_SECONDS = 60.0


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for a condition; an API that is being restarted is asked again."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                if found := await condition():
                    return found
            except (httpx2.TransportError, ApiRefused):
                pass
            await asyncio.sleep(0.05)


def child(platform: Platform, name: str) -> Child:
    return next(one for one in platform.stack.children if one.plan.name == name)


async def start_run(platform: Platform) -> str:
    body = {"project": "weather", "workflow": "weather-report", "input": {"year": 2014}}
    run: Mapping[str, Any] = await platform.owner.post("/runs", body)
    return str(run["id"])


async def agent_is_running(platform: Platform, run_id: str) -> bool:
    page = await platform.owner.get(f"/runs/{run_id}/steps")
    return any(step["type"] == "agent" and step["status"] == "running" for step in page["items"])


async def approve_and_finish(platform: Platform, run_id: str) -> Mapping[str, Any]:
    async def finished() -> Mapping[str, Any] | None:
        page = await platform.approver.get("/approvals", project="weather", state="open")
        for question in page["items"]:
            await platform.approver.post(f"/approvals/{question['id']}/approve", {})
        run: Mapping[str, Any] = await platform.owner.get(f"/runs/{run_id}")
        return run if run["status"] in ("succeeded", "failed", "cancelled") else None

    run: Mapping[str, Any] = await until(finished)
    return run


@pytest.mark.parametrize("name", ["worker-1", "worker-2", "api", "PostgreSQL", "Valkey"])
async def test_a_run_in_flight_survives_the_death_of(platform: Platform, name: str) -> None:
    run_id = await start_run(platform)
    await until(lambda: agent_is_running(platform, run_id))
    pid = child(platform, name).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    run = await approve_and_finish(platform, run_id)
    assert (run["status"], run["error"]) == ("succeeded", None)
    calls = (await platform.owner.get(f"/runs/{run_id}/calls"))["items"]
    assert all(call["status"] == "done" for call in calls)
