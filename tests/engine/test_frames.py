"""Maps and loops: every item once, in order, no more at once than allowed, and an end whatever their steps do."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.ids import new_id
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.advance import advance_run
from sparkops.engine.cancel import cancel_run
from sparkops.engine.complete import Ended
from sparkops.engine.context import call
from sparkops.engine.errors import CancelRequested, Fenced
from sparkops.engine.expand import expand_map
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import wait_for_frames
from sparkops.runtime.attempt import Waiting, execute
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.trust import Trust
from tests.engine.acts import Hands, hands, rows, succeed
from tests.engine.conftest import World

EACH = """
version: 1
name: each
input: {type: object, properties: {items: {}}}
steps:
  - {id: first, type: transform, with: {value: "${{ input.items }}"}}
  - id: each
    type: map
    needs: [first]
    with: {over: "${{ steps.first.output }}", concurrency: CONCURRENCY, on_item_error: ON_ERROR}
    steps:
      - id: read
        type: tool
        tool: noop
        with: {n: "${{ item }}", at: "${{ index }}"}
        retry: {attempts: 2, backoff: 1ms, max_backoff: 1ms}
      - {id: seen, type: transform, needs: [read], with: {value: ["${{ item }}", "${{ index }}"]}}
  - {id: after, type: tool, tool: noop, needs: [each]}
"""
AGAIN = """
version: 1
name: again
steps:
  - id: again
    type: loop
    with: {max: 4, until: "${{ iteration == STOP }}", AT_MAX}
    steps:
      - {id: work, type: tool, tool: noop, with: {n: "${{ iteration }}"}}
      - id: sum
        type: transform
        needs: [work]
        with: {value: "${{ (previous == null ? 0 : previous) + iteration }}"}
output: "${{ steps.again.output }}"
"""


async def each(world: World, *, concurrency: int = 2, on_error: str = "stop") -> str:
    source = EACH.replace("CONCURRENCY", str(concurrency)).replace("ON_ERROR", on_error)
    return await world.workflow(source.replace("name: each", f"name: each-{new_id().hex[-8:]}"))


async def begun(world: World, items: Any, **options: Any) -> Hands:
    """A map that has been expanded and waits, its first frames' steps in a worker's hands."""
    hand = await hands(world, await world.run(await each(world, **options), input={"items": items}))
    assert await hand.take() == {"each"}
    assert isinstance(await hand.attempt("each"), Waiting)
    await hand.take()
    return hand


async def counters(world: World) -> tuple[int, ...]:
    row = await world.database.pool.fetchrow("SELECT expanded, started, ended, failed FROM expansions")
    return tuple(row)


async def test_a_map_runs_its_body_for_each_item_and_keeps_their_order(world: World) -> None:
    run_id = await world.run(await each(world), input={"items": ["a", "b", "c", "d", "e"]})
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert await world.status(run_id) == "succeeded"
    assert steps["each"]["output"] == [["a", 0], ["b", 1], ["c", 2], ["d", 3], ["e", 4]]
    assert steps["each"]["attempt"] == 2
    assert sorted(await rows(world, run_id))[2:4] == ["each[0].read", "each[0].seen"]
    assert (await world.row(run_id))["step_count"] == 3 + 5 * 2


@pytest.mark.parametrize("items", [[], 0])
async def test_a_map_over_nothing_gives_an_empty_list(world: World, items: Any) -> None:
    run_id = await world.run(await each(world), input={"items": items})
    await world.work_until(run_id)
    assert (await world.steps(run_id))["each"]["output"] == []


async def test_a_map_over_a_number_counts(world: World) -> None:
    run_id = await world.run(await each(world), input={"items": 3})
    await world.work_until(run_id)
    assert (await world.steps(run_id))["each"]["output"] == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("items", ["abc", -1, 10_001])
async def test_a_map_over_what_it_cannot_take_fails(world: World, items: Any) -> None:
    run_id = await world.run(await each(world), input={"items": items})
    await world.work_until(run_id)
    assert (await world.steps(run_id))["each"]["error"]["code"] == "expression-failed"
    assert await world.status(run_id) == "failed"


async def test_no_more_frames_go_on_at_once_than_allowed(world: World) -> None:
    hand = await begun(world, 4)
    assert set(hand.held) == {"each[0].read", "each[1].read"}
    await hand.end("each[1].read")
    assert await hand.take() == {"each[0].read", "each[2].read"}
    assert await counters(world) == (4, 3, 1, 0)
    for path in ("each[2].read", "each[0].read"):
        await hand.end(path)
        await hand.take()
    await hand.end("each[3].read")
    assert await hand.status("each") == "ready"
    await hand.take()
    await hand.attempt("each")
    assert await hand.status("after") == "ready"
    await cancel_run(world.engine, world.ada, hand.run_id)


async def test_a_failed_item_stops_the_map_once_what_had_started_has_ended(world: World) -> None:
    hand = await begun(world, 1_000)
    await hand.fail("each[0].read")
    assert await hand.take() == {"each[1].read"}, "nothing more starts"
    assert await hand.status("each") == "waiting"
    await hand.end("each[1].read")
    assert await hand.take() == {"each"}
    await hand.attempt("each")
    steps = await rows(world, hand.run_id)
    assert (steps["each"], steps["after"], steps["each[0].seen"]) == ("failed", "skipped", "skipped")
    assert steps["each[999].read"] == steps["each[2].seen"] == "cancelled"
    error = (await world.steps(hand.run_id))["each"]["error"]
    assert (error["code"], error["message"]) == ("item-failed", "Item 0 failed: Step read failed: it is broken")
    assert await world.status(hand.run_id) == "failed"
    assert await world.database.pool.fetchval("SELECT count(*) FROM frames WHERE status = 'cancelled'") == 998


async def test_a_map_that_goes_on_has_null_where_an_item_failed(world: World) -> None:
    hand = await begun(world, 3, on_error="continue")
    await hand.fail("each[0].read")
    await hand.take()
    await hand.end("each[2].read")
    await hand.end("each[1].read")
    await hand.take()
    await hand.attempt("each")
    assert (await world.steps(hand.run_id))["each"]["output"] == [None, [1, 1], [2, 2]]
    await hand.take()
    await hand.end("after")
    assert await world.status(hand.run_id) == "succeeded"


def tripping(at: int) -> Tool:
    """A tool that fails the first time that it is called for this item, and works otherwise."""
    tripped: list[int] = []

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if arguments.get("at") == at and not tripped:
            tripped.append(at)
            raise CallFailed("tripped", "not yet", retryable=True)
        return ToolResult({})

    return Tool("noop", "Trips once.", {"type": "object"}, EffectClass.PURE, run)


async def test_an_item_whose_step_is_tried_again_and_succeeds_has_not_failed(world: World) -> None:
    world.tools["noop"] = tripping(at=1)
    run_id = await world.run(await each(world, concurrency=1), input={"items": ["a", "b", "c"]})
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert (await world.steps(run_id))["each"]["output"] == [["a", 0], ["b", 1], ["c", 2]]
    assert await counters(world) == (3, 3, 3, 0)
    attempts = await world.database.pool.fetch("SELECT path, attempt, failures FROM steps WHERE node_key = 'read'")
    assert {row["path"]: (row["attempt"], row["failures"]) for row in attempts} == {
        "each[0].read": (1, 0),
        "each[1].read": (2, 1),
        "each[2].read": (1, 0),
    }


async def test_a_cancelled_run_takes_its_frames_along(world: World) -> None:
    hand = await begun(world, 3_000)
    await cancel_run(world.engine, world.ada, hand.run_id)
    assert await world.status(hand.run_id) == "cancelling"
    assert set((await rows(world, hand.run_id)).values()) == {"succeeded", "running", "cancelled"}
    for path in tuple(hand.held):
        await hand.end(path)
    assert await world.status(hand.run_id) == "cancelled"
    assert set(await world.database.pool.fetchval("SELECT array_agg(DISTINCT status) FROM frames")) == {"cancelled"}


async def test_a_map_that_is_cancelled_while_it_expands_leaves_no_frame_open(world: World) -> None:
    hand = await expanding(world)
    await cancel_run(world.engine, world.ada, hand.run_id)
    await hand.end("each[0].read")
    await hand.fail("each")
    assert await world.status(hand.run_id) == "cancelled"
    assert await world.database.pool.fetchval("SELECT array_agg(DISTINCT status) FROM frames") == ["cancelled"]


async def test_frames_whose_map_has_ended_without_them_are_ended(world: World) -> None:
    hand = await begun(world, 2_500)
    await world.sql(
        "UPDATE steps SET status = 'failed', finished_at = clock_timestamp(), waiting_for = NULL WHERE path = 'each'"
    )
    await advance_run(world.engine, hand.run_id)
    steps = await rows(world, hand.run_id)
    assert (steps["each[0].read"], steps["each[2499].read"], steps["after"]) == ("running", "cancelled", "skipped")
    assert await world.status(hand.run_id) == "running", "what runs is asked to stop, and ends first"
    await hand.end("each[0].read")
    await hand.fail("each[1].read")
    assert await hand.status("each[0].read") == "succeeded", "what it did stays"
    assert await world.status(hand.run_id) == "failed"


async def test_the_sweep_repairs_a_frame_that_nobody_advanced(world: World) -> None:
    hand = await begun(world, 2)
    await hand.end("each[1].read")
    await world.sql(
        "UPDATE steps SET status = 'failed', claim_token = NULL, lease_expires_at = NULL,"
        " finished_at = clock_timestamp() WHERE path = 'each[0].read'"
    )
    await world.sql("UPDATE step_attempts SET ended_at = clock_timestamp(), outcome = 'lost' WHERE ended_at IS NULL")
    await sweep(world.engine, ("run",))
    assert await hand.status("each[0].seen") == "skipped"
    assert await hand.take() == {"each[0].read", "each"}


async def test_the_sweep_starts_frames_that_nobody_started(world: World) -> None:
    hand = await begun(world, 2, concurrency=1)
    await world.sql("UPDATE expansions SET concurrency = 2")
    await hand.fail("each[0].read")
    await sweep(world.engine, ("run",))
    await hand.take()
    assert await world.database.pool.fetchval("SELECT failed FROM expansions") == 1


async def test_two_frames_that_end_at_once_are_both_counted(world: World) -> None:
    hand = await begun(world, 2)
    async with world.transaction() as first:
        await succeed(first, hand.worker, hand.held["each[0].read"])
        second = await world.blocked(succeed(world, hand.worker, hand.held["each[1].read"]))
    await second
    assert await counters(world) == (2, 2, 2, 0)
    assert await hand.status("each") == "ready"


async def test_a_frame_that_has_ended_is_not_counted_again(world: World) -> None:
    hand = await begun(world, 2)
    await hand.end("each[0].read")
    again = [{"no": 0, "status": "succeeded", "output": "other"}]
    step_id = (await world.steps(hand.run_id))["each"]["id"]
    assert await call(world.database.pool, "close_frames", step_id, again) == []
    assert await counters(world) == (2, 2, 1, 0)
    assert await world.database.pool.fetchval("SELECT output FROM frames WHERE frame_no = 0") == [0, 0]


async def claimed(world: World) -> Hands:
    """A map of one item that is in a worker's hands."""
    hand = await hands(world, await world.run(await each(world), input={"items": [7]}))
    await hand.take()
    return hand


async def expand(world: World, hand: Hands, items: Sequence[Any] = (7,), expanded: int = 0) -> int:
    """Add frames to the map, as its attempt does."""
    held = hand.held["each"]
    graph = await world.engine.graphs.get(world.database.pool, held.workflow_version_id)
    return await expand_map(world.engine, held, graph.find("each"), items, expanded)


async def expanding(world: World) -> Hands:
    """A map of one item whose expansion is committed, and whose attempt has not parked."""
    hand = await claimed(world)
    assert await expand(world, hand) == 1
    await hand.take()
    return hand


async def test_a_map_that_was_asked_to_stop_adds_no_frames(world: World) -> None:
    hand = await claimed(world)
    async with world.transaction() as cancelling:
        await call(cancelling.database.pool, "cancel", hand.run_id, world.ada.user_id, None)
        adding = await world.blocked(expand(world, hand))
    with pytest.raises(CancelRequested):
        await adding
    assert await world.database.pool.fetchval("SELECT count(*) FROM frames") == 0
    await hand.fail("each")
    assert await world.status(hand.run_id) == "cancelled"


async def test_what_a_map_adds_while_its_run_is_paused_is_held(world: World) -> None:
    hand = await claimed(world)
    await pause_run(world.engine, world.ada, hand.run_id)
    assert await expand(world, hand) == 1
    assert await hand.take() == {"each"}
    await resume_run(world.engine, world.ada, hand.run_id)
    assert await hand.take() == {"each", "each[0].read"}


async def test_a_batch_of_frames_is_added_once(world: World) -> None:
    hand = await expanding(world)
    assert await expand(world, hand) == 1
    assert await counters(world) == (1, 1, 0, 0)
    await world.lapse(hand.held["each"].lease.step_id)
    await sweep(world.engine, ("run",))
    with pytest.raises(Fenced):
        await expand(world, hand, [7, 8], 1)


async def test_a_map_that_expands_for_long_keeps_its_lease_although_its_row_is_never_free(world: World) -> None:
    hand = await claimed(world)
    held, trust = hand.held["each"], Trust(until=0)
    await world.lapse(held.lease.step_id)
    await expand(world, hand)
    lease = "SELECT lease_expires_at > clock_timestamp() FROM steps WHERE id = $1"
    assert await world.database.pool.fetchval(lease, held.lease.step_id)

    other = await claimed(world)
    await execute(world.runtime(), other.held["each"], trust)
    assert trust.holds(), "its worker knows"


async def test_frames_that_ended_before_the_map_parks_are_not_waited_for(world: World) -> None:
    hand = await expanding(world)
    await hand.end("each[0].read")
    assert isinstance(await hand.attempt("each"), Ended)
    assert (await world.steps(hand.run_id))["each"]["output"] == [[7, 0]]


async def test_the_last_frame_that_is_ending_while_the_map_parks_is_seen(world: World) -> None:
    hand = await expanding(world)
    async with world.transaction() as ending:
        await succeed(ending, hand.worker, hand.held.pop("each[0].read"))
        parking = await world.blocked(wait_for_frames(world.engine, hand.held["each"]))
    assert (await parking).status == "there"


async def test_the_last_frame_that_waits_for_the_parking_wakes_the_map(world: World) -> None:
    hand = await expanding(world)
    async with world.transaction() as parking:
        await wait_for_frames(parking, hand.held.pop("each"))
        ending = await world.blocked(hand.end("each[0].read"))
    await ending
    assert await hand.status("each") == "ready"


async def test_a_run_has_no_more_steps_than_a_run_may(world: World) -> None:
    run_id = await world.run(await each(world), input={"items": 3})
    await world.sql("UPDATE runs SET step_count = 99995")
    await world.work_until(run_id)
    assert (await world.steps(run_id))["each"]["error"]["code"] == "too-many-steps"
    assert await world.status(run_id) == "failed"


INLINE = """
version: 1
name: inline
steps:
  - id: each
    type: map
    with: {over: 350, concurrency: 3}
    steps:
      - {id: double, type: transform, with: {value: "${{ item * 2 }}"}}
"""


async def test_frames_that_end_as_they_start_do_not_need_a_worker(world: World) -> None:
    run_id = await world.run(await world.workflow(INLINE))
    await world.work_until(run_id)
    assert (await world.steps(run_id))["each"]["output"] == [2 * n for n in range(350)]
    assert (await world.steps(run_id))["each"]["attempt"] == 1


NESTED = """
version: 1
name: nested
input: {type: object, properties: {rows: {}}}
steps:
  - {id: base, type: transform, with: {value: 100}}
  - {id: open, type: tool, tool: noop, needs: [base]}
  - id: outer
    type: map
    needs: [base]
    with: {over: "${{ input.rows }}"}
    steps:
      - {id: here, type: transform, with: {value: "${{ index * 10 }}"}}
      - id: inner
        type: loop
        needs: [here]
        with: {max: 3, until: "${{ iteration >= size(item) }}", at_max: fail}
        steps:
          - {id: touch, type: tool, tool: noop, if: "${{ iteration != 2 }}"}
          - id: deep
            type: map
            needs: [touch]
            with: {over: "${{ item }}"}
            join: ended
            steps:
              - id: sum
                type: transform
                with:
                  value: "${{ steps.base.output + steps.here.output + item + iteration * 1000 }}"
output: "${{ steps.outer.output }}"
"""


async def test_bodies_in_bodies_see_what_is_around_them(world: World) -> None:
    run_id = await world.run(await world.workflow(NESTED), input={"rows": [[1], [2, 3]]})
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert row["error"] is None
    assert row["output"] == [[1101], [2112, 2113]]
    assert "outer[1].inner#2.deep[0].sum" in await rows(world, run_id)


async def again(world: World, stop: int, at_max: str = "at_max: fail") -> UUID:
    source = AGAIN.replace("STOP", str(stop)).replace(", AT_MAX", f", {at_max}")
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id)
    return run_id


async def test_a_loop_goes_on_until_its_condition_holds(world: World) -> None:
    run_id = await again(world, 3)
    assert (await world.row(run_id))["output"] == 1 + 2 + 3
    assert (await world.steps(run_id))["again"]["attempt"] == 4
    assert {path for path in await rows(world, run_id) if "work" in path} == {f"again#{no}.work" for no in (1, 2, 3)}


async def test_a_loop_that_does_not_fulfil_its_condition_fails(world: World) -> None:
    run_id = await again(world, 9)
    assert (await world.steps(run_id))["again"]["error"]["code"] == "max-passes"


async def test_a_loop_may_end_well_without_its_condition(world: World) -> None:
    run_id = await again(world, 9, "at_max: succeed")
    assert (await world.row(run_id))["output"] == 1 + 2 + 3 + 4


async def test_a_failed_pass_fails_the_loop(world: World) -> None:
    hand = await hands(world, await world.run(await world.workflow(AGAIN.replace("STOP", "3").replace(", AT_MAX", ""))))
    await hand.take()
    await hand.attempt("again")
    await hand.take()
    await hand.fail("again#1.work")
    await hand.take()
    await hand.attempt("again")
    assert (await world.steps(hand.run_id))["again"]["error"]["code"] == "pass-failed"
    assert await world.status(hand.run_id) == "failed"
