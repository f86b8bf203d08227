"""Where the spending of a period leads beyond the limit, that is said once."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from sparkops.domains.budgets.forecast import AVERAGE
from sparkops.engine.budgets import archive_budget
from sparkops.engine.governing import FORECASTS, foresee
from tests.engine.acts import recorded, result, succeed
from tests.engine.conftest import World
from tests.engine.tenants import age, keep, tidied
from tests.engine.test_budgets import alone, asks, budget, notices


async def spent(world: World, micros: int, *, gone: float, **stated: Any) -> tuple[UUID, UUID]:
    """A budget of 100 for each day, of which so much is spent when this part of the day is over. Returns it, and the
    run that spent it."""
    shared = await budget(world, **{"limit_micros": 100, "period": "day", **stated})
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=micros)
    await recorded(world, held, result(verdict["call_id"], cost=micros))
    await succeed(world, await world.worker(), held)
    await world.sql(
        "UPDATE budgets SET starts_at = clock_timestamp() - interval '1 day' * $2::float8,"
        " ends_at = clock_timestamp() + interval '1 day' * (1 - $2::float8) WHERE definition_id = $1",
        shared,
        gone,
    )
    return shared, held.run_id


async def look(world: World) -> None:
    """Look as if a minute had passed."""
    await world.sql("UPDATE chores SET next_at = clock_timestamp() WHERE name = $1", FORECASTS)
    await foresee(world.engine)


async def told(world: World) -> list[Mapping[str, Any]]:
    rows = await world.database.pool.fetch("SELECT * FROM events WHERE kind = 'budget.forecast'")
    return [dict(row) for row in rows]


async def test_spending_that_leads_beyond_the_limit_is_told_once_in_a_period(world: World) -> None:
    shared, run_id = await spent(world, 60, gone=0.5)
    await asyncio.gather(*(foresee(world.engine) for _ in range(3)))
    await look(world)
    assert await notices(world) == [("money", 100, "forecast")]
    (event,) = await told(world)
    assert event["run_id"] == run_id
    assert event["data"]["budget_id"] == str(shared)
    assert (event["data"]["action"], event["data"]["method"]) == ("forecast", AVERAGE)
    assert 115 <= event["data"]["micros"] <= 120


@pytest.mark.parametrize(
    ("micros", "gone"),
    [(40, 0.5), (10, 0.04), (100, 0.5)],
    ids=["it stays within the limit", "the period has only begun", "the limit is reached"],
)
async def test_nothing_is_told_where(world: World, micros: int, gone: float) -> None:
    await spent(world, micros, gone=gone)
    await look(world)
    assert (await notices(world), await told(world)) == ([], [])


async def test_nothing_is_told_of_a_budget_that_was_given_up(world: World) -> None:
    shared, _ = await spent(world, 60, gone=0.5)
    await archive_budget(world.engine, world.ada, shared)
    await look(world)
    assert await told(world) == []


async def test_forecasts_are_looked_at_once_in_a_minute(world: World) -> None:
    await foresee(world.engine)
    await spent(world, 60, gone=0.5)
    await foresee(world.engine)
    assert await told(world) == []
    await look(world)
    assert len(await told(world)) == 1


async def test_a_run_that_somebody_holds_is_not_waited_for(world: World) -> None:
    _, run_id = await spent(world, 60, gone=0.5)
    async with world.transaction() as other:
        await other.database.pool.fetch("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", run_id)
        await look(world)
    assert await notices(world) == []
    await look(world)
    assert len(await told(world)) == 1


async def test_a_period_whose_last_run_is_gone_has_a_notice_and_no_event(world: World, owner_url: str) -> None:
    _, run_id = await spent(world, 60, gone=0.5)
    await keep(world, runs=1)
    await age(owner_url, run_id, days=2)
    assert (await tidied(world.engine))["runs"] == 1
    await look(world)
    assert (await notices(world), await told(world)) == ([("money", 100, "forecast")], [])
