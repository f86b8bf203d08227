"""Frames of bodies in which nothing is evaluated: the transaction that ends their last step ends and starts them."""

from typing import Any

import pytest

from sparkops.domains.runs.state import StepStatus
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended, complete
from sparkops.engine.pause import pause_run, resume_run
from sparkops.runtime.attempt import Waiting
from tests.engine.acts import Hands, hands, rows, succeed
from tests.engine.conftest import World

ONE = '      - {id: read, type: tool, tool: noop, deadline: 1h, with: {n: "${{ item }}"}}\n'
DIAMOND = (
    ONE
    + '      - {id: left, type: tool, tool: noop, needs: [read], with: {n: "${{ steps.read.output.n }}"}}\n'
    + "      - {id: right, type: tool, tool: noop, needs: [read]}\n"
    + '      - {id: join, type: tool, tool: noop, needs: [left, right], with: {n: "${{ steps.left.output.n }}"}}\n'
)


def source(body: str, *, items: int, concurrency: int = 2, on_error: str = "stop", more: str = "") -> str:
    return (
        "version: 1\nname: plain\nsteps:\n  - id: each\n    type: map\n"
        f"    with: {{over: {items}, concurrency: {concurrency}, on_item_error: {on_error}}}\n    steps:\n{body}{more}"
    )


async def begun(world: World, body: str = ONE, **options: Any) -> Hands:
    """A map that has been expanded and waits, its first frames' steps in a worker's hands."""
    hand = await hands(world, await world.run(await world.workflow(source(body, **options))))
    assert await hand.take() == {"each"}
    assert isinstance(await hand.attempt("each"), Waiting)
    await hand.take()
    assert all(claim.hands_over for claim in hand.held.values()), "the database ends these alone"
    return hand


async def counters(world: World) -> tuple[int, ...]:
    return tuple(await world.database.pool.fetchrow("SELECT expanded, started, ended, failed FROM expansions"))


async def together(world: World, hand: Hands, *paths: str) -> list[Claim]:
    """End these in one transaction, each with its path as output; the claims of what comes next."""
    ends = [Ended(hand.held.pop(path), StepStatus.SUCCEEDED, output=path) for path in paths]
    done = await complete(world.engine, hand.worker, ends, claim=10)
    hand.held |= {claim.path: claim for claim in done.claims}
    return list(done.claims)


@pytest.mark.parametrize("body", [ONE, DIAMOND])
async def test_a_map_keeps_the_order_of_its_items(world: World, body: str) -> None:
    run_id = await world.run(await world.workflow(source(body, items=7, concurrency=3)))
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert (row["status"], row["output"]) == ("succeeded", {"each": [{"n": n} for n in range(7)]})
    frames = await world.database.pool.fetch("SELECT DISTINCT status FROM frames")
    assert [frame["status"] for frame in frames] == ["succeeded"]


async def test_the_worker_that_ends_frames_has_the_next_ones_in_the_same_transaction(world: World) -> None:
    hand = await begun(world, items=5)
    claims = await together(world, hand, "each[0].read", "each[1].read")
    assert [claim.path for claim in claims] == ["each[2].read", "each[3].read"]
    assert [claim.frame and claim.frame["item"] for claim in claims] == [2, 3]
    assert all(0 < (claim.deadline_seconds or 0) <= 3600 for claim in claims)
    assert await counters(world) == (5, 4, 2, 0)
    assert (await rows(world, hand.run_id))["each[4].read"] == "pending", "no more than two at once"


async def test_the_last_frame_wakes_the_map_which_gathers_the_outputs(world: World) -> None:
    hand = await begun(world, items=2)
    assert [claim.path for claim in await together(world, hand, "each[1].read", "each[0].read")] == ["each"]
    await hand.attempt("each")
    assert (await world.row(hand.run_id))["output"] == {"each": ["each[0].read", "each[1].read"]}


async def test_nothing_starts_once_an_item_has_failed(world: World) -> None:
    hand = await begun(world, items=5)
    await hand.fail("each[0].read")
    assert [claim.path for claim in await together(world, hand, "each[1].read")] == ["each"]
    await hand.attempt("each")
    assert await world.status(hand.run_id) == "failed"
    assert (await rows(world, hand.run_id))["each[2].read"] == "cancelled"


async def test_a_map_that_goes_on_counts_failures_and_ends(world: World) -> None:
    hand = await begun(world, items=3, on_error="continue")
    await hand.fail("each[0].read")
    assert await hand.take() == {"each[1].read", "each[2].read"}
    await together(world, hand, "each[1].read", "each[2].read")
    await hand.attempt("each")
    assert (await world.row(hand.run_id))["output"] == {"each": [None, "each[1].read", "each[2].read"]}


async def test_a_frame_of_a_map_that_has_ended_starts_nothing_and_lets_the_run_end(world: World) -> None:
    hand = await begun(world, items=3)
    await world.sql(
        "UPDATE steps SET status = 'failed', finished_at = clock_timestamp(), waiting_for = NULL WHERE path = 'each'"
    )
    assert await together(world, hand, "each[0].read") == []
    assert await counters(world) == (3, 2, 0, 0)
    await hand.fail("each[1].read")
    assert await world.status(hand.run_id) == "failed"


async def test_frames_that_start_while_the_run_is_paused_are_held(world: World) -> None:
    hand = await begun(world, items=3)
    await pause_run(world.engine, world.ada, hand.run_id)
    assert await together(world, hand, "each[0].read") == []
    assert await hand.take() == {"each[1].read"}
    await resume_run(world.engine, world.ada, hand.run_id)
    assert await hand.take() == {"each[1].read", "each[2].read"}
    await together(world, hand, "each[1].read", "each[2].read")
    await world.work_until(hand.run_id)


async def test_more_frames_than_one_transaction_starts_are_started_after_it(world: World) -> None:
    hand = await begun(world, items=300, concurrency=1)
    await world.sql("UPDATE expansions SET concurrency = 250")
    await succeed(world, hand.worker, hand.held.pop("each[0].read"))
    assert await counters(world) == (300, 251, 1, 0)
    ready = await world.database.pool.fetchval("SELECT count(*) FROM steps WHERE status = 'ready'")
    assert ready == 250
    await world.work_until(hand.run_id)


async def test_two_frames_that_end_at_once_are_both_counted(world: World) -> None:
    hand = await begun(world, items=2)
    async with world.transaction() as first:
        await succeed(first, hand.worker, hand.held["each[0].read"])
        second = await world.blocked(succeed(world, hand.worker, hand.held["each[1].read"]))
    await second
    assert await counters(world) == (2, 2, 2, 0)
    await world.work_until(hand.run_id)


async def test_a_loop_of_plain_passes_goes_on_by_its_condition(world: World) -> None:
    text = (
        "version: 1\nname: again\nsteps:\n  - id: again\n    type: loop\n"
        '    with: {max: 5, until: "${{ steps.work.output.n == 3 }}"}\n    steps:\n'
        '      - {id: work, type: tool, tool: noop, with: {n: "${{ iteration }}"}}\n'
    )
    run_id = await world.run(await world.workflow(text))
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"] == {"again": {"n": 3}}


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ('      - {id: other, type: tool, tool: noop, if: "${{ index == 1 }}", needs: [read]}\n', [None, {}]),
        ("      - {id: other, type: tool, tool: noop}\n", [{"read": {"n": n}, "other": {}} for n in range(2)]),
        ("    output: ${{ steps.read.output.n + 10 }}\n", [10, 11]),
        ("      - {id: other, type: tool, tool: noop, needs: [read], join: ended}\n", [{}, {}]),
    ],
)
async def test_bodies_in_which_something_is_decided_end_as_it_is_decided(world: World, more: str, output: Any) -> None:
    run_id = await world.run(await world.workflow(source(ONE, items=2, more=more)))
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"] == {"each": output}
