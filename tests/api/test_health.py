"""Readiness really asks every part."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.app import open_redis
from sparkops.api.deps import Door
from sparkops.core.db import Login

SEEN = """
    INSERT INTO worker_sessions (id, host, pid, queues, slots, code_version, seen_at)
    VALUES (gen_random_uuid(), 'here', 1, '["run"]', 10, '1', clock_timestamp() - $1::int * interval '1 second')
"""


async def parts(client: AsyncClient) -> tuple[int, str, dict[str, str]]:
    answer = await client.get("/health/ready")
    body = answer.json()
    return answer.status_code, body["status"], {name: part["status"] for name, part in body["parts"].items()}


async def test_ready_when_every_part_answers(anonymous: AsyncClient, door: Door) -> None:
    await door.database.pool.execute(SEEN, 1)
    assert await parts(anonymous) == (200, "ok", {"database": "ok", "redis": "ok", "workers": "ok"})


async def test_without_redis_it_is_slower_but_ready(app: FastAPI, anonymous: AsyncClient, door: Door) -> None:
    await door.database.pool.execute(SEEN, 1)
    app.state.door = replace(door, redis=open_redis("redis://127.0.0.1:1"))
    assert await parts(anonymous) == (200, "degraded", {"database": "ok", "redis": "degraded", "workers": "ok"})


@pytest.mark.parametrize("silent_seconds", [11, 3600])
async def test_without_a_worker_that_was_seen_lately_it_is_not_ready(
    anonymous: AsyncClient, door: Door, silent_seconds: int
) -> None:
    await door.database.pool.execute(SEEN, silent_seconds)
    assert await parts(anonymous) == (503, "unavailable", {"database": "ok", "redis": "ok", "workers": "missing"})


async def test_a_worker_that_has_left_does_not_count(anonymous: AsyncClient, door: Door) -> None:
    await door.database.pool.execute(SEEN, 1)
    await door.database.pool.execute("UPDATE worker_sessions SET ended_at = now()")
    assert (await parts(anonymous))[2]["workers"] == "missing"


async def test_without_the_database_it_is_alive_but_not_ready(app: FastAPI, anonymous: AsyncClient, door: Door) -> None:
    nowhere = Login("postgresql://nobody@127.0.0.1:1/none", {}, 1)
    app.state.door = replace(door, database=replace(door.database, login=nowhere))
    status, word, found = await parts(anonymous)
    assert (status, word, found["database"]) == (503, "unavailable", "missing")
    assert (await anonymous.get("/health/live")).json() == {"status": "ok"}
