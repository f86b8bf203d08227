"""Steps that wait, start runs, branch and are undone, driven by a real worker loop."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.ids import new_id
from sparkops.engine.cancel import cancel_run
from sparkops.engine.context import call
from sparkops.engine.events import NewEvent, match_event, receive_event
from sparkops.engine.sweep import sweep
from tests.engine.acts import hands, rows
from tests.engine.conftest import World

NAP = """
version: 1
name: nap
input: {type: object, properties: {when: {}}}
steps:
  - {id: nap, type: wait, with: {for: 300ms}}
  - {id: past, type: wait, with: {until: "${{ input.when }}"}}
"""
PAID = """
version: 1
name: paid
input: {type: object, properties: {order: {}}}
steps:
  - {id: paid, type: wait, with: {event: payment.received, filter: "${{ event.data.order == input.order }}", OPTIONS}}
"""
PARENT = """
version: 1
name: parent
input: {type: object, properties: {n: {}}}
steps:
  - {id: sub, type: workflow, workflow: child, with: {n: "${{ input.n }}"}}
output: "${{ steps.sub.output }}"
"""
CHILD = """
version: 1
name: child
input: {type: object, properties: {n: {type: integer}}, required: [n]}
steps:
  - {id: work, type: tool, tool: noop}
output: "${{ input.n + 1 }}"
"""
CHOICE = """
version: 1
name: choice
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: pick, type: branch, with: {cases: [{when: "${{ input.n > 10 }}", then: [big]}], else: [small]}}
  - {id: big, type: tool, tool: noop, needs: [pick]}
  - {id: small, type: tool, tool: noop, needs: [pick], on_error: {goto: repair}}
  - {id: repair, type: tool, tool: noop, needs: [small]}
  - {id: end, type: transform, needs: [big, small, repair], join: any, with: {value: "${{ steps.pick.output.chosen }}"}}
output: "${{ steps.end.output }}"
"""
TRIP = """
version: 1
name: trip
steps:
  - {id: hotel, type: tool, tool: noop, undo: {type: tool, tool: noop, with: {of: "${{ steps.hotel.output.id }}"}}}
  - id: car
    type: tool
    tool: noop
    needs: [hotel]
    undo: {type: tool, tool: noop, with: {of: "${{ steps.car.output.id }}"}}
  - {id: flight, type: tool, tool: noop, needs: [car]}
"""


async def waiting(world: World, *steps: tuple[UUID, str]) -> None:
    """Work until all of these steps wait."""

    async def wait() -> bool:
        found = await world.database.pool.fetch("SELECT run_id, path FROM steps WHERE status = 'waiting'")
        return {(row["run_id"], row["path"]) for row in found} >= set(steps)

    await world.work(wait)


async def send(world: World, data: Any, event_id: str | None = None) -> UUID:
    event = NewEvent(event_id or new_id().hex, "payment.received", data)
    return (await receive_event(world.engine, world.ada, world.project_id, event)).id


async def paid(world: World, options: str = "timeout: 1h", **inputs: Any) -> UUID:
    source = PAID.replace("OPTIONS", options).replace("name: paid", f"name: paid-{new_id().hex[-8:]}")
    return await world.run(await world.workflow(source), input=inputs)


async def test_a_step_waits_for_a_while_and_is_woken_on_time(world: World) -> None:
    run_id = await world.run(await world.workflow(NAP), input={"when": "2020-01-01T00:00:00Z"})
    began = datetime.now(UTC)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert datetime.now(UTC) - began < timedelta(seconds=1.5), "not only when the sweep comes by"
    steps = await world.steps(run_id)
    until = datetime.fromisoformat(steps["nap"]["output"]["waited_until"])
    assert until == steps["nap"]["started_at"] + timedelta(milliseconds=300)
    assert steps["past"]["attempt"] == 1


async def test_a_moment_that_is_none_fails_the_step(world: World) -> None:
    run_id = await world.run(await world.workflow(NAP), input={"when": "tomorrow"})
    await world.work_until(run_id)
    assert (await world.steps(run_id))["past"]["error"]["code"] == "expression-failed"


async def test_an_event_wakes_the_steps_it_fits_and_no_others(world: World) -> None:
    one, two = await paid(world, order=1), await paid(world, order=2)
    await waiting(world, (one, "paid"), (two, "paid"))
    await send(world, {"order": 2}, "e-2")
    assert [(await rows(world, run))["paid"] for run in (one, two)] == ["waiting", "ready"]
    await world.work_until(two)
    output = (await world.steps(two))["paid"]["output"]
    assert (output["id"], output["name"], output["data"]) == ("e-2", "payment.received", {"order": 2})
    assert await world.database.pool.fetchval("SELECT matched_at IS NOT NULL FROM received_events")
    await cancel_run(world.engine, world.ada, one)


async def test_events_that_do_not_fit_or_cannot_be_read_are_passed_over(world: World) -> None:
    run_id = await paid(world, order=3)
    await send(world, {"order": 1})
    await send(world, "no order at all")
    await waiting(world, (run_id, "paid"))
    await send(world, None)
    assert (await rows(world, run_id))["paid"] == "waiting"
    await send(world, {"order": 3}, "fits")
    await world.work_until(run_id)
    assert (await world.steps(run_id))["paid"]["output"]["id"] == "fits"


async def test_an_event_that_came_before_the_step_began_is_found_among_many(world: World) -> None:
    run_id = await paid(world, order=7)
    for number in range(120):
        await send(world, {"order": number + 100})
    await send(world, {"order": 7}, "fits")
    await world.work_until(run_id)
    assert (await world.steps(run_id))["paid"]["output"]["id"] == "fits"


@pytest.mark.parametrize("on_timeout", ["fail", "continue"])
async def test_a_wait_for_an_event_that_does_not_come_ends(world: World, on_timeout: str) -> None:
    run_id = await paid(world, f"timeout: 200ms, on_timeout: {on_timeout}", order=1)
    await world.work_until(run_id)
    step = (await world.steps(run_id))["paid"]
    if on_timeout == "fail":
        assert step["error"]["code"] == "wait-timeout"
    else:
        assert (step["status"], step["output"]) == ("succeeded", None)


async def test_the_sweep_matches_an_event_that_nobody_matched(world: World) -> None:
    run_id = await paid(world, order=1)
    await waiting(world, (run_id, "paid"))
    row_id = await send(world, {"order": 2})
    await world.sql(
        "UPDATE received_events SET matched_at = NULL, data = '{\"order\": 1}',"
        " received_at = received_at - interval '3 seconds'"
    )
    await world.sql("UPDATE runs SET created_at = created_at - interval '1 minute'")
    await sweep(world.engine, ("run",))
    assert (await rows(world, run_id))["paid"] == "ready"
    assert await match_event(world.engine, row_id) == 0, "twice is harmless"
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_a_step_runs_another_workflow(world: World) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT), input={"n": 1})
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"] == 2
    step = (await world.steps(run_id))["sub"]
    assert (await world.row(step["child_run_id"]))["status"] == "succeeded"
    assert step["attempt"] == 2


async def test_a_run_keeps_to_the_version_that_was_the_latest_when_it_was_accepted(world: World) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT), input={"n": 1})
    await world.sql(
        "INSERT INTO workflow_versions (id, project_id, workflow_id, version, source, definition, digest)"
        " SELECT gen_random_uuid(), project_id, workflow_id, 2, '', '{}', '' FROM workflow_versions v"
        " JOIN workflows w USING (project_id) WHERE w.name = 'child' AND v.workflow_id = w.id"
    )
    await world.sql("UPDATE workflows SET latest_version = 2 WHERE name = 'child'")
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"] == 2


@pytest.mark.parametrize("how", ["invalid", "fails", "cancelled"])
async def test_a_sub_workflow_that_does_not_end_well_fails_the_step(world: World, how: str) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT), input={"n": "x" if how == "invalid" else 1})
    if how != "invalid":
        hand = await hands(world, run_id)
        await hand.take()
        await hand.attempt("sub")
        child = (await world.steps(run_id))["sub"]["child_run_id"]
        await hand.take()
        if how == "cancelled":
            await cancel_run(world.engine, world.ada, child)
        await hand.fail("work")
    await world.work_until(run_id)
    code = {"invalid": "input-invalid", "fails": "child-failed", "cancelled": "child-cancelled"}[how]
    assert (await world.steps(run_id))["sub"]["error"]["code"] == code
    assert await world.status(run_id) == "failed"


async def test_a_sub_workflow_that_failed_is_run_again_where_the_retry_policy_names_it(world: World) -> None:
    await world.workflow(CHILD)
    source = PARENT.replace("type: workflow,", "type: workflow, retry: {backoff: 1ms, on: [child-failed]},")
    run_id = await world.run(await world.workflow(source), input={"n": 1})
    hand = await hands(world, run_id)
    children = []
    for ends in (hand.fail, hand.end):
        await hand.take()
        await hand.attempt("sub")
        children.append((await world.steps(run_id))["sub"]["child_run_id"])
        await hand.take()
        await ends("work")
        await hand.take()
        await hand.attempt("sub")
    assert [await world.status(child) for child in children] == ["failed", "succeeded"]
    assert await world.status(run_id) == "succeeded"
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 3


PING = """
version: 1
name: ping
steps:
  - {id: again, type: workflow, workflow: pong}
"""


async def test_workflows_that_start_each_other_stop_ten_runs_deep(world: World) -> None:
    await world.workflow(PING.replace("pong", "pang").replace("ping", "pong").replace("pang", "ping"))
    run_id = await world.run(await world.workflow(PING))
    await world.work_until(run_id)
    assert await world.status(run_id) == "failed"
    depths = await world.database.pool.fetch("SELECT cardinality(lineage) AS n FROM runs ORDER BY 1")
    assert [row["n"] for row in depths] == list(range(11))


@pytest.mark.parametrize(("n", "chosen", "skipped"), [(11, "big", "small"), (1, "small", "big")])
async def test_a_branch_chooses_what_goes_on(world: World, n: int, chosen: str, skipped: str) -> None:
    run_id = await world.run(await world.workflow(CHOICE), input={"n": n})
    await world.work_until(run_id)
    found = await rows(world, run_id)
    assert (found[chosen], found[skipped], found["repair"]) == ("succeeded", "skipped", "skipped")
    assert (await world.row(run_id))["output"] == [chosen]


async def test_a_failure_goes_to_its_handler_and_the_run_succeeds(world: World) -> None:
    run_id = await world.run(await world.workflow(CHOICE), input={"n": 1})
    hand = await hands(world, run_id)
    await hand.take()
    await hand.fail("small")
    assert await hand.take() == {"repair"}
    await hand.end("repair")
    assert await world.status(run_id) == "succeeded"


async def trip(world: World) -> Any:
    hand = await hands(world, await world.run(await world.workflow(TRIP)))
    for path in ("hotel", "car"):
        await hand.take()
        await hand.end(path, {"id": path})
    await hand.take()
    return hand


async def test_a_run_that_fails_undoes_what_had_succeeded_last_first(world: World) -> None:
    hand = await trip(world)
    await hand.fail("flight")
    assert await world.status(hand.run_id) == "compensating"
    assert await hand.take() == {"car:undo"}
    assert hand.held["car:undo"].steps == {"car": {"status": "succeeded", "output": {"id": "car"}}}
    await hand.end("car:undo")
    assert await hand.take() == {"hotel:undo"}
    await hand.fail("hotel:undo")
    row = await world.row(hand.run_id)
    assert (row["status"], row["error"]["undo_failed"]) == ("failed", ["hotel"])
    assert row["error"]["message"].startswith("Step flight failed")
    steps = await world.steps(hand.run_id)
    assert steps["car:undo"]["undo_of"] == steps["car"]["id"]


async def test_what_a_run_takes_back_and_how_it_ends_is_settled_once(world: World) -> None:
    hand = await trip(world)
    await hand.fail("flight")
    before = await world.row(hand.run_id)
    again = {"ends_as": "cancelled", "error": {"code": "late", "message": "too late"}, "steps": []}
    assert await call(world.database.pool, "compensate", hand.run_id, again) == []
    assert (await world.row(hand.run_id), before["ends_as"]) == (before, "failed")


async def test_a_run_that_is_cancelled_undoes_too_and_a_second_cancel_changes_nothing(world: World) -> None:
    hand = await trip(world)
    await cancel_run(world.engine, world.ada, hand.run_id)
    await hand.end("flight")
    assert await world.status(hand.run_id) == "compensating"
    await cancel_run(world.engine, world.ada, hand.run_id)
    assert await world.status(hand.run_id) == "compensating"
    await world.work_until(hand.run_id)
    row = await world.row(hand.run_id)
    assert (row["status"], row["output"]) == ("cancelled", None)
    assert (await rows(world, hand.run_id))["hotel:undo"] == "succeeded"


async def test_a_cancelled_run_without_running_steps_undoes_at_once(world: World) -> None:
    hand = await hands(world, await world.run(await world.workflow(TRIP)))
    await hand.take()
    await hand.end("hotel", {"id": "h"})
    await cancel_run(world.engine, world.ada, hand.run_id)
    assert await hand.take() == {"hotel:undo"}
    await hand.end("hotel:undo")
    assert await world.status(hand.run_id) == "cancelled"


async def test_cancelling_a_run_that_undoes_after_a_failure_leaves_out_no_undo(world: World) -> None:
    hand = await trip(world)
    await hand.fail("flight")
    await hand.take()
    await cancel_run(world.engine, world.ada, hand.run_id)
    await hand.end("car:undo")
    assert await hand.take() == {"hotel:undo"}
    await hand.end("hotel:undo")
    assert await world.status(hand.run_id) == "failed"


async def test_what_succeeds_after_it_was_asked_to_stop_is_undone(world: World) -> None:
    hand = await hands(world, await world.run(await world.workflow(TRIP)))
    await hand.take()
    await cancel_run(world.engine, world.ada, hand.run_id)
    await hand.end("hotel", {"id": "h"})
    assert (await rows(world, hand.run_id))["hotel"] == "succeeded"
    assert await hand.take() == {"hotel:undo"}
    assert hand.held["hotel:undo"].steps["hotel"]["output"] == {"id": "h"}
    await hand.end("hotel:undo")
    assert await world.status(hand.run_id) == "cancelled"


async def test_a_clock_that_is_set_back_does_not_change_the_order_of_undoing(world: World, owner_url: str) -> None:
    hand = await trip(world)
    owner = await asyncpg.connect(owner_url)
    await owner.execute("ALTER TABLE steps DISABLE TRIGGER USER")
    await owner.execute("UPDATE steps SET finished_at = finished_at - interval '1 day' WHERE path = 'car'")
    await owner.execute("ALTER TABLE steps ENABLE TRIGGER USER")
    await owner.close()
    await hand.fail("flight")
    assert await hand.take() == {"car:undo"}
    await hand.end("car:undo")
    assert await hand.take() == {"hotel:undo"}
    await hand.end("hotel:undo")


async def test_a_run_that_succeeds_undoes_nothing(world: World) -> None:
    hand = await trip(world)
    await hand.end("flight")
    assert await world.status(hand.run_id) == "succeeded"
    assert "car:undo" not in await rows(world, hand.run_id)


async def test_the_sweep_goes_on_undoing_where_a_worker_died(world: World) -> None:
    hand = await trip(world)
    await hand.fail("flight")
    await world.sql(
        "UPDATE steps SET status = 'running', lease_expires_at = clock_timestamp(), claim_token = gen_random_uuid()"
        " WHERE path = 'car:undo'"
    )
    await world.sql(
        "UPDATE steps SET status = 'failed', lease_expires_at = NULL, claim_token = NULL,"
        " finished_at = clock_timestamp() WHERE path = 'car:undo'"
    )
    await sweep(world.engine, ("run",))
    assert await hand.take() == {"hotel:undo"}
    await hand.end("hotel:undo")
    assert (await world.row(hand.run_id))["error"]["undo_failed"] == ["car"]
