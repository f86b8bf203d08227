"""The turns of several steps that gather in a worker are prepared in one transaction, and each as if it were alone."""

import asyncio
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.engine.claim import Claim
from sparkops.engine.effects import prepare
from sparkops.engine.errors import Fenced, NonDeterministic
from sparkops.engine.invariants import audit
from tests.engine.acts import prepared, proposal, recorded, result
from tests.engine.conftest import World

FOUR = "version: 1\nname: four\nsteps:\n" + "".join(f"  - {{id: s{n}, type: tool, tool: noop}}\n" for n in range(4))


async def four(world: World, limit: int = 1_000) -> list[Claim]:
    await world.run(await world.workflow(FOUR), budget_micros=limit)
    return list(await world.claims(await world.worker(), 4))


async def transactions(world: World) -> int:
    """By how many transactions the calls there are were written."""
    found: int = await world.database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM calls")
    return found


async def test_what_gathers_shares_a_transaction_and_each_has_its_answer(world: World) -> None:
    held = await four(world)
    asked = [proposal(cost + 1, bound_micros=cost) for cost in range(4)]
    answers = await asyncio.gather(*(prepared(world, each, call) for each, call in zip(held, asked, strict=True)))
    assert [verdict["call_id"] for (verdict,) in answers] == [call["id"] for call in asked]
    assert await transactions(world) == 1
    await asyncio.gather(*(recorded(world, each, result(call["id"])) for each, call in zip(held, asked, strict=True)))
    assert await audit(world.database.pool) == []


async def test_together_no_more_is_held_than_fits(world: World) -> None:
    held = await four(world, limit=100)
    answers = await asyncio.gather(*(prepared(world, each, proposal(bound_micros=40)) for each in held))
    assert sorted(verdict["verdict"] for (verdict,) in answers) == ["recorded", "recorded", "send", "send"]
    assert await transactions(world) == 1
    assert await world.database.pool.fetchval("SELECT reserved_micros FROM budgets") == 80


async def test_one_that_is_refused_refuses_none_of_the_others(world: World) -> None:
    lost, other, *held = await four(world)
    await prepared(world, other)
    await world.sql("UPDATE steps SET claim_token = gen_random_uuid() WHERE id = $1", lost.lease.step_id)
    answers = await asyncio.gather(
        prepared(world, lost),
        prepared(world, other, proposal(name="another")),
        *(prepared(world, each) for each in held),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Fenced, NonDeterministic, list, list]
    sent = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [verdict["verdict"] for (verdict,) in sent] == ["send", "send"]


async def test_turns_that_are_judged_by_what_the_run_has_sent_count_each_other(world: World) -> None:
    first, second, *_ = await four(world)
    answers = await asyncio.gather(
        *(prepare(world.engine, held.lease, [proposal()], policy_version=1, sent_before=0) for held in (first, second)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["PolicyChanged", "list"]


async def test_what_waits_in_one_project_keeps_none_of_another_waiting(world: World) -> None:
    waits, goes, *_ = await four(world)
    async with world.transaction() as engine:
        await engine.database.pool.fetchval("SELECT 1 FROM steps WHERE id = $1 FOR UPDATE", waits.lease.step_id)
        first = await world.blocked(_of(world, waits, new_id()))
        (verdict,) = await _of(world, goes, new_id())
        assert verdict["verdict"] == "send"
        assert not first.done()
    (verdict,) = await first
    assert verdict["verdict"] == "send"


async def _of(world: World, held: Claim, project_id: UUID) -> Any:
    return await prepare(world.engine, held.lease, [proposal()], policy_version=1, project_id=project_id)
