"""Sixty-four callers on one budget whose connections are cut all the while: never a micro too much."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import asyncpg
import pytest

from sparkops.core.db import LOST_CONNECTION, Database, open_database
from sparkops.domains.budgets.definition import NewBudget
from sparkops.engine.budgets import define_budget
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.effects import prepare, record
from sparkops.engine.invariants import audit
from tests.engine.acts import proposal, result
from tests.engine.conftest import World
from tests.reused import Clone
from tests.tiers import WHOLE

CALLERS = 64
CONNECTIONS = 16
NAME = "caller"
MANY = "version: 1\nname: many\nsteps:\n" + "".join(
    f"  - {{id: s{n}, type: tool, tool: noop}}\n" for n in range(CALLERS)
)
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active' LIMIT 2"
"""Cuts two of those that are in the middle of something."""
OVER = """
SELECT max(spent_micros + reserved_micros - limit_micros) FROM budgets WHERE definition_id IS NOT NULL
"""


class Caller:
    """One step that calls and calls, whatever happens to its connection."""

    def __init__(self, engine: Engine, claim: Claim, policy: int, random: Random) -> None:
        self._engine = engine
        self._claim = claim
        self._policy = policy
        self._random = random
        self.let_in = self.cut = 0

    async def work(self, turns: int) -> None:
        for seq in range(1, turns + 1):
            bound = self._random.randint(1, 100)
            verdict = await self._insist(partial(self._prepare, proposal(seq, bound_micros=bound, bound_tokens=bound)))
            if verdict["verdict"] == "send":
                self.let_in += 1
                cost = self._random.choice([0, bound // 2, bound, None])
                usage = {"input_tokens": bound, "output_tokens": 0}
                await self._insist(partial(self._record, result(verdict["call_id"], cost=cost, usage=usage)))

    async def _prepare(self, asked: dict[str, Any], again: bool) -> Any:
        answer = await prepare(self._engine, self._claim.lease, [asked], policy_version=self._policy, again=again)
        return answer[0]

    async def _record(self, told: dict[str, Any], again: bool) -> None:
        await record(self._engine, self._claim.lease, [told])

    async def _insist(self, act: Callable[[bool], Awaitable[Any]]) -> Any:
        again = False
        while True:
            try:
                return await act(again)
            except (*LOST_CONNECTION, asyncpg.PostgresError):
                again = True
                self.cut += 1


async def trouble(database: Database, done: asyncio.Event) -> int:
    """Cut connections until all is done, and say by how much the budget was ever overdrawn."""
    most = 0
    while not done.is_set():
        await database.pool.fetch(CUT, NAME)
        most = max(most, await database.pool.fetchval(OVER) or 0)
        await asyncio.sleep(0.02)
    return most


@pytest.mark.timeout(7200)
async def test_64_callers_on_one_budget_whose_connections_are_cut_never_overdraw_it(
    world: World, clone: Clone, record_property: Callable[[str, object], None]
) -> None:
    turns = 1_600 if WHOLE else 8  # a hundred thousand reservations in the whole tier
    record_property("played", CALLERS * turns)
    limits = {"limit_micros": CALLERS * turns * 15, "limit_tokens": CALLERS * turns * 30}
    stated = NewBudget.model_validate({"name": "all", "scope": "project", "period": "total", **limits})
    await define_budget(world.engine, world.ada, world.project_id, stated)
    await world.run(await world.workflow(MANY), budget_micros=CALLERS * turns * 1_000)
    held = await world.claims(await world.worker(CALLERS), CALLERS)
    await world.sql("UPDATE steps SET lease_expires_at = clock_timestamp() + interval '1 hour'")
    policy = await world.database.pool.fetchval("SELECT engine.policy_stamp($1)", world.project_id)
    done = asyncio.Event()
    async with open_database(clone.app_url, name=NAME, pool_size=CONNECTIONS) as database:
        engine = Engine(database, world.engine.bell, payloads=world.engine.payloads)
        callers = [Caller(engine, one, policy, Random(number)) for number, one in enumerate(held)]
        overdrawn = asyncio.create_task(trouble(world.database, done))
        try:
            await asyncio.gather(*(caller.work(turns) for caller in callers))
        finally:
            done.set()
    assert await overdrawn <= 0
    assert sum(caller.cut for caller in callers) > 0, "no connection was cut"
    assert 0 < sum(caller.let_in for caller in callers) < CALLERS * turns
    assert await audit(world.database.pool) == []
