"""The worker's loop: a bug in one part of it costs that part a turn, and nobody waits for it for ever."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from sparkops.engine.claim import Claim, Kept, Lease, heartbeat
from sparkops.engine.complete import Completion, Ended, complete
from sparkops.engine.context import Engine, Worker
from sparkops.runtime.attempt import Runtime, Waiting, execute
from sparkops.runtime.trust import Trust
from sparkops.worker import completer
from sparkops.worker import loop as worker_loop
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World


async def test_a_heartbeat_that_broke_once_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []

    async def broken_once(engine: Engine, worker: Worker, leases: Sequence[Lease]) -> Kept:
        beats.append(len(leases))
        if len(beats) == 1:
            raise RuntimeError("a bug")
        return await heartbeat(engine, worker, leases)

    monkeypatch.setattr(worker_loop, "heartbeat", broken_once)

    async def beats_again() -> bool:
        return len(beats) > 1

    await world.with_lease(seconds=0.2).work(beats_again)


async def test_a_step_is_not_blamed_for_a_database_that_went_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def away_at_first(runtime: Runtime, claim: Claim, trust: Trust) -> Ended | Waiting:
        tries.append(claim.key)
        if len(tries) < 5:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await execute(runtime, claim, trust)

    monkeypatch.setattr(worker_loop, "execute", away_at_first)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["crashes"], step["isolate"]) == ("succeeded", 0, False)


async def test_a_step_whose_end_could_not_be_written_is_not_held_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    async def broken_once(engine: Engine, worker: Worker, ended: Sequence[Ended], **more: Any) -> Completion:
        tries.append(len(ended))
        if len(tries) == 1:
            raise RuntimeError("a bug")
        return await complete(engine, worker, ended, **more)

    monkeypatch.setattr(completer, "complete", broken_once)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.with_lease(seconds=0.3).work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert (await world.steps(run_id))["only"]["attempt"] == 2
