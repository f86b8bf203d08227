"""Windows of budgets are made anew when their period is over, before anything is counted on them."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from sparkops.domains.budgets.definition import Terms
from sparkops.engine.budgets import archive_budget, change_budget
from sparkops.engine.governing import turn
from tests.engine.conftest import World
from tests.engine.test_budgets import alone, asks, budget, windows


async def counted(world: World, **stated: Any) -> UUID:
    """A budget for each day on which a call is held."""
    found = await budget(world, **{"limit_micros": 100, "period": "day", **stated})
    assert (await asks(world, await alone(world), bound_micros=10))["verdict"] == "send"
    return found


async def end_period(world: World, budget_id: UUID) -> None:
    """Let what goes on be yesterday's."""
    await world.sql(
        "UPDATE budgets SET window_key = $2, starts_at = starts_at - interval '1 day',"
        " ends_at = ends_at - interval '1 day' WHERE definition_id = $1 AND ends_at > clock_timestamp()",
        budget_id,
        str(uuid4()),
    )


async def held(world: World, budget_id: UUID) -> list[int]:
    return [one["reserved_micros"] for one in await windows(world, budget_id)]


async def test_a_window_whose_period_is_over_is_followed_by_one_with_the_terms_that_hold(world: World) -> None:
    shared = await counted(world)
    await turn(world.engine)
    assert await held(world, shared) == [10], "its period is not over"
    await end_period(world, shared)
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=70))
    await asyncio.gather(*(turn(world.engine) for _ in range(4)))
    before, after = await windows(world, shared)
    assert (before["limit_micros"], before["reserved_micros"], before["turned_at"] is None) == (100, 10, False)
    assert (after["limit_micros"], after["reserved_micros"], after["turned_at"]) == (70, 0, None)
    assert (after["scope_id"], after["starts_at"]) == (before["scope_id"], before["ends_at"])
    assert (await asks(world, await alone(world), bound_micros=20))["verdict"] == "send"
    assert await held(world, shared) == [10, 20], "a call counts on the one that was made"


@pytest.mark.parametrize(
    ("stated", "goes_on"),
    [({"scope": "project"}, True), ({"scope": "installation"}, True), ({"scope": "user"}, False)],
)
async def test_a_window_on_which_nothing_was_counted_is_followed_only_where_it_is_the_only_one(
    world: World, stated: dict[str, Any], goes_on: bool
) -> None:
    of = {} if stated["scope"] != "installation" else {"project": False, "by": replace(world.ada, is_admin=True)}
    shared = await counted(world, **stated, **of)
    for _ in range(2):
        await end_period(world, shared)
        await turn(world.engine)
    assert await held(world, shared) == [10, 0, 0][: 3 if goes_on else 2]


async def test_a_window_of_one_person_who_is_named_is_followed_whatever_was_counted(world: World) -> None:
    shared = await counted(world, scope="user", target=world.ada.user_id)
    for _ in range(2):
        await end_period(world, shared)
        await turn(world.engine)
    assert await held(world, shared) == [10, 0, 0]


async def test_the_windows_of_a_budget_that_was_given_up_are_not_followed(world: World) -> None:
    shared = await counted(world)
    await end_period(world, shared)
    await archive_budget(world.engine, world.ada, shared)
    await turn(world.engine)
    (window,) = await windows(world, shared)
    assert window["turned_at"] is not None, "and nobody looks at it again"


async def test_nobody_who_holds_a_window_that_is_over_is_waited_for(world: World) -> None:
    shared = await counted(world)
    await end_period(world, shared)
    async with world.transaction() as settling:
        await settling.database.pool.fetch("SELECT 1 FROM budgets WHERE definition_id = $1 FOR UPDATE", shared)
        await turn(world.engine)
        assert await held(world, shared) == [10, 0]
    assert (await windows(world, shared))[0]["turned_at"] is None
    await turn(world.engine)
    assert (await windows(world, shared))[0]["turned_at"] is not None
    assert await held(world, shared) == [10, 0]
