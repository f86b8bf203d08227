"""Redis stands still for the whole life of a run: nobody signs in again, and it is accepted, worked off and read."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sparkops.core.client import ApiClient, ApiRefused
from tests.e2e.conftest import Platform
from tests.e2e.test_kills import approve_and_finish, child, start_run, until

pytestmark = pytest.mark.xdist_group("platform")

ANSWER_SECONDS = 6.0
"""Beyond what any request waits for Redis: a connection and an answer, a second each, and both once again."""


@asynccontextmanager
async def redis_stopped(platform: Platform) -> AsyncIterator[None]:
    pid = child(platform, "Valkey").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
        assert child(platform, "Valkey").pid == pid, "it was started anew meanwhile"
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_run_lives_and_ends_while_redis_stands_still(platform: Platform) -> None:
    async with ApiClient(platform.url) as before:
        await before.sign_in(platform.owner_login.email, platform.owner_login.password)
        async with redis_stopped(platform):
            async with asyncio.timeout(ANSWER_SECONDS):
                assert (await before.get("/me"))["user"]["email"] == platform.owner_login.email
            async with asyncio.timeout(ANSWER_SECONDS):
                run_id = await start_run(platform)
            async with asyncio.timeout(ANSWER_SECONDS):
                with pytest.raises(ApiRefused, match="Live updates need Redis") as refused:
                    await before.post("/live/tickets")
            assert refused.value.status == 503
            run = await approve_and_finish(platform, run_id)
            assert (run["status"], run["error"]) == ("succeeded", None)

    async def tickets_are_given() -> bool:
        return bool((await platform.owner.post("/live/tickets"))["ticket"])

    await until(tickets_are_given)
    run = await approve_and_finish(platform, await start_run(platform))
    assert run["status"] == "succeeded"
