"""Money is held before it is spent, never twice, and every micro of it is in the ledger."""

import asyncio
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkops.engine.claim import Claim
from sparkops.engine.give_back import reap
from sparkops.engine.invariants import audit
from tests.engine.acts import ONE_STEP, fail, prepared, proposal, recorded, result
from tests.engine.conftest import World

TWENTY = "version: 1\nname: twenty\nsteps:\n" + "".join(
    f"  - {{id: s{n}, type: tool, tool: noop}}\n" for n in range(20)
)


async def budget(world: World) -> tuple[int, int]:
    row = await world.database.pool.fetchrow("SELECT reserved_micros, spent_micros FROM budgets")
    return row["reserved_micros"], row["spent_micros"]


async def ledger(world: World) -> list[tuple[int, int, str]]:
    rows = await world.database.pool.fetch("SELECT send_no, amount_micros, kind FROM ledger_entries ORDER BY id")
    return [tuple(row) for row in rows]


async def alone(world: World, limit: int = 1000) -> Claim:
    """The one step of a run with this budget, claimed."""
    run_id = await world.run(await world.workflow(ONE_STEP), budget_micros=limit)
    return (await world.claimed(run_id))[1]


async def test_a_reservation_waits_for_one_that_is_being_made_and_then_finds_no_room(world: World) -> None:
    await world.run(await world.workflow(TWENTY), budget_micros=100)
    first, second = await world.claims(await world.worker(), 2)
    async with world.transaction() as engine:
        await prepared(engine, first, proposal(bound_micros=60))
        late = await world.blocked(prepared(world, second, proposal(bound_micros=60)))
    (answer,) = await late
    assert (answer["verdict"], answer["error"]["code"]) == ("recorded", "budget-exceeded")
    assert await budget(world) == (60, 0)


async def test_of_twenty_at_once_exactly_as_many_as_fit_are_allowed(world: World) -> None:
    await world.run(await world.workflow(TWENTY), budget_micros=5 * 100 + 99)
    claims = await world.claims(await world.worker(), 20)
    workers = [replace(world.engine) for _ in range(4)]  # within one they would go together
    answers = await asyncio.gather(
        *(prepared(workers[n % 4], each, proposal(bound_micros=100)) for n, each in enumerate(claims))
    )
    assert [answer["verdict"] for (answer,) in answers].count("send") == 5
    assert await budget(world) == (500, 0)


async def test_what_a_call_cost_is_spent_and_the_rest_of_its_hold_is_free_again(world: World) -> None:
    held = await alone(world)
    paid, free, lost = await prepared(world, held, *(proposal(n, bound_micros=100) for n in (1, 2, 3)))
    await recorded(
        world,
        held,
        result(paid["call_id"], cost=30),
        result(free["call_id"], "failed", cost=0),
        result(lost["call_id"], "failed", cost=None),
    )
    assert await budget(world) == (0, 130)
    assert [call["cost_micros"] for call in await world.calls(held.run_id)] == [30, 0, 100]
    assert sorted(await ledger(world)) == [(1, 30, "actual"), (1, 100, "presumed")]
    statuses = await world.database.pool.fetch("SELECT status FROM reservations ORDER BY call_id")
    assert sorted(row["status"] for row in statuses) == ["released", "settled", "settled"]


async def test_a_charge_above_the_bound_is_booked_and_nothing_more_fits(world: World) -> None:
    held = await alone(world, limit=100)
    (first,) = await prepared(world, held, proposal(bound_micros=90))
    await recorded(world, held, result(first["call_id"], cost=150))
    (second,) = await prepared(world, held, proposal(2, bound_micros=1))
    assert (await budget(world), second["status"]) == ((0, 150), "denied")


async def test_a_cost_that_nobody_expected_is_booked_too(world: World) -> None:
    held = await alone(world)
    (first,) = await prepared(world, held, proposal(bound_micros=0))
    await recorded(world, held, result(first["call_id"], cost=8))
    assert (await budget(world), await ledger(world)) == ((0, 8), [(1, 8, "actual")])


async def test_a_call_that_costs_nothing_fits_into_a_budget_of_nothing(world: World) -> None:
    held = await alone(world, limit=0)
    (answer,) = await prepared(world, held)
    assert answer["verdict"] == "send"


async def test_a_second_send_that_does_not_fit_ends_the_call(world: World) -> None:
    held = await alone(world, limit=100)
    await prepared(world, held, proposal(bound_micros=60))
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    (again,) = await world.claims(await world.worker())
    (answer,) = await prepared(world, again, proposal(bound_micros=60))
    assert (answer["status"], answer["error"]["code"]) == ("failed", "budget-exceeded")
    assert await budget(world) == (0, 60)


BOUNDS = st.integers(0, 60)
COSTS = st.one_of(st.none(), st.integers(0, 70))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(BOUNDS, COSTS, st.booleans()), min_size=1, max_size=5), limit=st.integers(0, 200))
async def test_whatever_is_held_settled_and_lost_the_sums_agree_at_every_commit(
    world: World, turns: list[tuple[int, int | None, bool]], limit: int
) -> None:
    name = await named(world)
    run_id = await world.run(name, budget_micros=limit)
    worker, held = await world.claimed(run_id)
    for seq, (bound, cost, lost) in enumerate(turns, start=1):
        (answer,) = await prepared(world, held, proposal(seq, bound_micros=bound))
        if lost:
            await world.lapse(held.lease.step_id)
            await reap(world.engine)
            await world.sql("UPDATE steps SET isolate = false, crashes = 0 WHERE run_id = $1", run_id)
            worker, held = await world.claimed(run_id)
            (answer,) = await prepared(world, held, proposal(seq, bound_micros=bound))
        if answer["verdict"] == "send":
            await recorded(world, held, result(answer["call_id"], "failed" if cost is None else "done", cost=cost))
        assert await audit(world.database.pool) == []
    await fail(world, worker, held)


async def named(world: World) -> str:
    """The one-step workflow, stored once however many examples use it."""
    found: str | None = await world.database.pool.fetchval("SELECT name FROM workflows")
    return found or await world.workflow(ONE_STEP)
