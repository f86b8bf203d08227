"""Steps that wait for a time or an event: nothing wakes them early, nothing that came is missed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sparkops.core.errors import NotFound
from sparkops.core.ids import new_id
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call
from sparkops.engine.errors import Fenced
from sparkops.engine.events import EventMismatch, NewEvent, Receipt, receive_event, unseen_events
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import Wait, wait_for_event, wait_seconds, wait_until
from sparkops.engine.wake import wake_due, wake_steps
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World

HOUR = timedelta(hours=1)


PAID = """
version: 1
name: paid
steps:
  - {id: paid, type: wait, with: {event: paid}}
"""


async def held_step(world: World, source: str = ONE_STEP) -> Claim:
    run_id = await world.run(await world.workflow(source))
    _, held = await world.claimed(run_id)
    return held


async def status(world: World, claim: Claim) -> str:
    return str((await world.steps(claim.run_id))[claim.key]["status"])


async def send(world: World | Engine, to: World, event_id: str = "e1", data: object = None) -> Receipt:
    engine = world.engine if isinstance(world, World) else world
    return await receive_event(engine, to.ada, to.project_id, NewEvent(event_id, "paid", {"order": data}))


async def wait_paid(world: World | Engine, claim: Claim, after: datetime | None = None) -> Wait:
    engine = world.engine if isinstance(world, World) else world
    return await wait_for_event(engine, claim, "paid", after=after, within=HOUR)


async def due(world: World, claim: Claim) -> None:
    """Let the time of a waiting step have come."""
    await world.sql(
        "UPDATE steps SET wake_at = clock_timestamp() - interval '1 second' WHERE id = $1", claim.lease.step_id
    )


async def test_a_step_waits_until_its_moment_and_is_woken_by_the_sweep(world: World) -> None:
    held = await held_step(world)
    moment = datetime.now(UTC) + HOUR
    parked = await wait_until(world.engine, held, moment)
    assert (parked.status, parked.until) == ("waiting", moment)
    assert parked.due_in is not None
    assert timedelta(minutes=59) < parked.due_in <= HOUR
    await sweep(world.engine, ("run",))
    assert await status(world, held) == "waiting"
    await due(world, held)
    await sweep(world.engine, ("run",))
    assert await status(world, held) == "ready"
    assert (await world.kinds(held.run_id))[-2:] == ["step.waiting", "step.ready"]


async def test_a_moment_that_has_passed_is_not_waited_for(world: World) -> None:
    held = await held_step(world)
    passed = await wait_until(world.engine, held, datetime.now(UTC) - HOUR)
    assert passed.status == "there"
    assert await status(world, held) == "running"


async def test_a_duration_counts_from_the_first_attempt(world: World) -> None:
    held = await held_step(world)
    started = (await world.steps(held.run_id))["only"]["started_at"]
    await world.lapse(held.lease.step_id)
    await sweep(world.engine, ("run",))
    _, again = await world.claimed(held.run_id)
    assert (await wait_seconds(world.engine, again, HOUR)).until == started + HOUR


async def test_who_lost_the_step_cannot_park_it(world: World) -> None:
    held = await held_step(world)
    await world.lapse(held.lease.step_id)
    await sweep(world.engine, ("run",))
    with pytest.raises(Fenced):
        await wait_seconds(world.engine, held, HOUR)
    assert await status(world, held) == "ready"


async def test_a_cancelled_run_takes_its_waiting_step_along(world: World) -> None:
    held = await held_step(world)
    await wait_seconds(world.engine, held, HOUR)
    await cancel_run(world.engine, world.ada, held.run_id)
    assert (await status(world, held), await world.status(held.run_id)) == ("cancelled", "cancelled")
    assert await wake_due(world.engine) == 0


async def test_a_step_that_was_asked_to_stop_does_not_wait(world: World) -> None:
    held = await held_step(world)
    await cancel_run(world.engine, world.ada, held.run_id)
    assert (await wait_seconds(world.engine, held, HOUR)).status == "cancelled"
    assert await world.status(held.run_id) == "cancelled"


async def test_two_wakers_wake_once(world: World) -> None:
    held = await held_step(world)
    await wait_seconds(world.engine, held, HOUR)
    await due(world, held)
    async with world.transaction() as first:
        assert await wake_due(first) == 1
        assert await wake_due(world.engine) == 0, "the run is held, and passed over"
    assert await wake_due(world.engine) == 0
    assert (await world.kinds(held.run_id)).count("step.ready") == 2, "once at the start, once woken"


async def test_an_event_is_received_once_and_its_id_means_nothing_else(world: World) -> None:
    first = await send(world, world, data=1)
    again = await send(world, world, data=1)
    assert (first.created, again.created) == (True, False)
    assert (again.id, again.received_at) == (first.id, first.received_at)
    with pytest.raises(EventMismatch):
        await send(world, world, data=2)
    with pytest.raises(NotFound):
        await receive_event(world.engine, world.eve, world.project_id, NewEvent("e2", "paid", None))


async def test_the_same_event_sent_twice_at_once_is_received_once(world: World) -> None:
    async with world.transaction() as first:
        created = await send(first, world)
        second = await world.blocked(send(world, world))
    assert created.created
    assert not (await second).created


async def test_an_event_before_the_run_does_not_count_and_one_before_the_wait_does(world: World) -> None:
    await send(world, world, "early")
    held = await held_step(world)
    await send(world, world, "counts")
    found = await unseen_events(world.engine, held, "paid", after=None, within=HOUR)
    assert [event.event_id for event in found] == ["counts"]
    assert (await wait_paid(world, held)).status == "there"
    assert (await wait_paid(world, held, after=found[0].received_at)).status == "waiting"


async def test_an_event_that_is_being_received_while_the_step_parks_is_seen(world: World) -> None:
    held = await held_step(world)
    async with world.transaction() as sending:
        await send(sending, world)
        parking = await world.blocked(wait_paid(world, held))
    assert (await parking).status == "there"


async def test_an_event_that_waits_for_the_parking_wakes_the_step(world: World) -> None:
    held = await held_step(world, PAID)
    async with world.transaction() as parking:
        await wait_paid(parking, held)
        sending = await world.blocked(send(world, world))
    await sending
    assert await status(world, held) == "ready"


async def test_events_of_one_name_are_received_one_after_the_other(world: World) -> None:
    async with world.transaction() as other:
        first = await send(other, world, "e1")
        sending = await world.blocked(send(world, world, "e2"))
    assert (await sending).received_at > first.received_at, "who has seen the second has not missed the first"


async def test_events_of_one_name_are_ordered_also_when_the_clock_stands_still(world: World) -> None:
    await send(world, world, "e1")
    await world.sql("UPDATE received_events SET received_at = clock_timestamp() + interval '1 hour'")
    later = await send(world, world, "e2")
    first: datetime = await world.database.pool.fetchval(
        "SELECT received_at FROM received_events WHERE event_id = 'e1'"
    )
    assert later.received_at == first + timedelta(microseconds=1)


async def test_a_wait_for_an_event_ends_at_its_time(world: World) -> None:
    held = await held_step(world)
    parked = await wait_paid(world, held)
    await due(world, held)
    assert await wake_due(world.engine) == 1
    await world.sql("UPDATE steps SET started_at = started_at - interval '2 hours' WHERE id = $1", held.lease.step_id)
    _, again = await world.claimed(held.run_id)
    late = await send(world, world)
    over = await wait_paid(world, again)
    assert parked.due_in is not None
    assert (over.status, over.due_in) == ("there", timedelta())
    assert await unseen_events(world.engine, again, "paid", after=None, within=HOUR) == [], late


async def test_only_what_waits_for_this_kind_is_woken(world: World) -> None:
    held = await held_step(world)
    await wait_seconds(world.engine, held, HOUR)
    assert await wake_steps(world.engine, [held.lease.step_id, new_id()], "event") == 0
    assert await status(world, held) == "waiting"


async def test_an_event_is_for_who_waits_for_its_name_since_their_run_began_and_until_their_time_is_over(
    world: World,
) -> None:
    early = await send(world, world, "early")
    held = await held_step(world, PAID)
    fits = await send(world, world, "fits")
    other = await receive_event(world.engine, world.ada, world.project_id, NewEvent("e2", "other", None))
    await wait_paid(world, held, after=fits.received_at)

    async def waiting_for(event: Receipt) -> int:
        return len(await call(world.database.pool, "waiting_for_event", event.id, UUID(int=0), 10))

    assert [await waiting_for(event) for event in (early, fits, other)] == [0, 1, 0]
    await due(world, held)
    assert await waiting_for(await send(world, world, "late")) == 0
    assert await status(world, held) == "waiting", "nor was it woken"


async def test_waking_waits_for_who_holds_the_run(world: World) -> None:
    held = await held_step(world)
    await wait_paid(world, held)
    steps: list[UUID] = [held.lease.step_id]
    async with world.transaction() as other:
        await other.database.pool.fetchrow("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", held.run_id)
        waking = await world.blocked(wake_steps(world.engine, steps, "event"))
    assert await waking == 1
    assert await status(world, held) == "ready"
