"""The worker's loop: a bug in one part of it costs that part a turn, and nobody waits for it for ever."""

from collections.abc import Sequence
from typing import Any

import pytest

from sparkops.engine.claim import Kept, Lease, heartbeat
from sparkops.engine.complete import Completion, Ended, complete
from sparkops.engine.context import Engine, Worker
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
