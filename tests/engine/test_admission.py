"""T_ADMIT: what queues goes on in order, as soon as there is room and never before."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from sparkops.core.errors import Invalid
from sparkops.engine.accept import Accepted, ConcurrencyFull, RunRequest, accept_run
from sparkops.engine.admission import admit_project
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim
from sparkops.engine.context import Worker, call
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, fail, succeed
from tests.engine.conftest import World
from tests.engine.test_pause import CHECKED, PAIR, held

KEYED = """
version: 1
name: keyed
input: {{type: object, properties: {{customer: {{type: string}}}}}}
concurrency: {{key: "${{{{ input.customer }}}}", limit: {limit}, when_full: {when_full}}}
steps:
  - {{id: only, type: tool, tool: noop}}
"""
SINGLE = """
version: 1
name: single
concurrency: {limit: 1}
steps:
  - {id: only, type: tool, tool: noop}
"""
INLINE = """
version: 1
name: inline
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: only, type: transform, with: {value: "${{ input.n }}"}}
"""


Limiting = Callable[[World, int | None], Awaitable[None]]


def keyed(limit: int = 1, when_full: str = "queue") -> str:
    return KEYED.format(limit=limit, when_full=when_full)


async def limit_project(world: World, limit: int | None) -> None:
    await world.sql("UPDATE projects SET max_running_runs = $1", limit)


async def limit_workflows(world: World, limit: int | None) -> None:
    await world.sql("UPDATE workflows SET max_running_runs = $1", limit)


async def several(world: World, name: str, count: int) -> list[UUID]:
    return [await world.run(name) for _ in range(count)]


async def found(world: World, *runs: UUID) -> list[str]:
    return [await world.status(run) for run in runs]


async def finish(world: World, worker: Worker, *runs: UUID) -> None:
    """Claim what is ready and end the steps of these runs."""
    for claim in await world.claims(worker, 16):
        if claim.run_id in runs:
            await succeed(world, worker, claim)


async def only_of(world: World, worker: Worker, run_id: UUID) -> Claim:
    (claim,) = [claim for claim in await world.claims(worker, 16) if claim.run_id == run_id]
    return claim


@pytest.mark.parametrize("limited", [limit_project, limit_workflows])
async def test_runs_beyond_a_limit_queue_and_go_on_in_order_as_others_end(world: World, limited: Limiting) -> None:
    name = await world.workflow(ONE_STEP)
    await limited(world, 2)
    runs = await several(world, name, 4)
    assert await found(world, *runs) == ["running", "running", "queued", "queued"]
    assert (await held(world, runs[2]), (await world.row(runs[2]))["started_at"]) == ({"only"}, None)
    worker = await world.worker()
    claims = await world.claims(worker, 9)
    assert {claim.run_id for claim in claims} == set(runs[:2])
    await succeed(world, worker, claims[0])
    assert await found(world, *runs[2:]) == ["running", "queued"]
    assert await world.kinds(runs[2]) == ["run.created", "run.queued", "step.ready", "run.started"]
    assert await held(world, runs[2]) == set()


async def test_runs_without_limits_do_not_queue_behind_those_that_have_one(world: World) -> None:
    single, plain = await world.workflow(SINGLE), await world.workflow(ONE_STEP)
    await several(world, single, 3)
    assert await found(world, await world.run(plain)) == ["running"]


async def test_a_workflow_without_a_key_counts_all_its_runs_together(world: World) -> None:
    first, second = await several(world, await world.workflow(SINGLE), 2)
    assert await found(world, first, second) == ["running", "queued"]


async def test_runs_with_different_keys_do_not_wait_for_each_other(world: World) -> None:
    name = await world.workflow(keyed())
    one = await world.run(name, input={"customer": "one"})
    again = await world.run(name, input={"customer": "one"})
    two = await world.run(name, input={"customer": "two"})
    assert await found(world, one, again, two) == ["running", "queued", "running"]
    worker = await world.worker()
    await finish(world, worker, two)
    assert await found(world, again) == ["queued"]
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    await sweep(world.engine, ("run",))
    await finish(world, worker, one)
    assert await found(world, again) == ["running"]


@pytest.mark.parametrize("customer", ["", "x" * 1001])
async def test_an_empty_key_counts_and_one_that_is_too_long_is_refused(world: World, customer: str) -> None:
    name = await world.workflow(keyed())
    if customer:
        with pytest.raises(Invalid, match="concurrency key"):
            await world.run(name, input={"customer": customer})
    else:
        runs = [await world.run(name, input={"customer": customer}) for _ in range(2)]
        assert await found(world, *runs) == ["running", "queued"]


async def test_priority_goes_before_arrival(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await limit_project(world, 1)
    first = await world.run(name)
    low, normal, high = [await world.run(name, priority=priority) for priority in (1, None, -1)]
    worker = await world.worker()
    for run, following in ((first, high), (high, normal), (normal, low)):
        await finish(world, worker, run)
        assert await found(world, run, following) == ["succeeded", "running"]


async def test_of_ready_steps_those_of_runs_with_priority_are_claimed_first(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    runs = [await world.run(name, priority=priority) for priority in (1, None, -1)]
    worker = await world.worker()
    claimed = [(await world.claims(worker))[0].run_id for _ in runs]
    assert claimed == list(reversed(runs))


async def test_nobody_overtakes_a_run_that_queues(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await limit_project(world, 1)
    first, second = await several(world, name, 2)
    worker, claim = await world.claimed(first)
    await world.sql("UPDATE projects SET max_running_runs = 3")
    third = await world.run(name)  # two places are free, one of them is the second's
    assert await found(world, second, third) == ["running", "running"]
    created = {run: (await world.row(run))["started_at"] for run in (second, third)}
    assert created[second] < created[third]
    await succeed(world, worker, claim)


async def test_a_key_without_room_does_not_hold_up_other_keys(world: World) -> None:
    name = await world.workflow(keyed())
    await limit_project(world, 2)
    one, again, third = [await world.run(name, input={"customer": customer}) for customer in ("a", "a", "a")]
    other = await world.run(name, input={"customer": "b"})
    assert await found(world, one, again, third, other) == ["running", "queued", "queued", "running"]
    late = await world.run(name, input={"customer": "c"})
    assert await found(world, late) == ["queued"]
    worker = await world.worker()
    await finish(world, worker, other)
    assert await found(world, again, late) == ["queued", "running"]


async def test_reject_refuses_with_a_name_for_it_and_writes_nothing(world: World) -> None:
    name = await world.workflow(keyed(when_full="reject"))
    first = await world.run(name, input={"customer": "a"}, idem_key="k1")
    with pytest.raises(ConcurrencyFull):
        await world.run(name, input={"customer": "a"}, idem_key="k2")
    assert await world.accept(name, input={"customer": "a"}, idem_key="k1") == Accepted(first, created=False)
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 1
    await finish(world, await world.worker(), first)
    assert (await world.accept(name, input={"customer": "a"}, idem_key="k2")).created


async def test_the_newest_run_displaces_those_before_it(world: World) -> None:
    name = await world.workflow(keyed(when_full="cancel_running"))
    first = await world.run(name, input={"customer": "a"})
    worker, claim = await world.claimed(first)
    second = await world.run(name, input={"customer": "a"})
    assert await found(world, first, second) == ["cancelling", "queued"]
    third = await world.run(name, input={"customer": "a"})
    assert await found(world, first, second, third) == ["cancelling", "cancelled", "queued"]
    error = (await world.row(first))["error"]
    assert (error["code"], str(second) in error["message"]) == ("displaced", True)
    await succeed(world, worker, claim)
    assert await found(world, first, third) == ["cancelled", "running"]


async def test_with_a_limit_of_two_the_newest_two_go_on(world: World) -> None:
    name = await world.workflow(keyed(2, "cancel_running"))
    runs = [await world.run(name, input={"customer": "a"}) for _ in range(4)]
    assert await found(world, *runs) == ["cancelled", "cancelled", "running", "running"]


async def test_a_run_displaces_none_that_came_after_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arranged: whoever accepted the second and the third died before they made room."""

    async def crash(*_: object) -> None:
        raise ConnectionResetError("the process died")

    name = await world.workflow(keyed(when_full="cancel_running"))
    first = await world.run(name, input={"customer": "a"})
    with monkeypatch.context() as patched:
        patched.setattr("sparkops.engine.accept.displace", crash)
        second, third = [await world.run(name, input={"customer": "a"}) for _ in range(2)]
    displaced = "SELECT engine.displaced($1)"
    assert await world.database.pool.fetchval(displaced, second) == [first]
    assert await world.database.pool.fetchval(displaced, third) == [second, first]


async def test_what_a_crash_left_undisplaced_the_sweep_cancels(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise ConnectionResetError("the process died")

    name = await world.workflow(keyed(when_full="cancel_running"))
    first = await world.run(name, input={"customer": "a"})
    with monkeypatch.context() as patched:
        patched.setattr("sparkops.engine.accept.displace", crash)
        second = await world.run(name, input={"customer": "a"})
    assert await found(world, first, second) == ["running", "queued"]
    await sweep(world.engine, ("run",))
    assert await found(world, first, second) == ["cancelled", "running"]


async def test_a_queued_run_can_be_paused_resumed_and_cancelled(world: World) -> None:
    first, second, third = await several(world, await world.workflow(SINGLE), 3)
    await pause_run(world.engine, world.ada, second)
    await cancel_run(world.engine, world.ada, third)
    assert await found(world, first, second, third) == ["running", "paused", "cancelled"]
    await resume_run(world.engine, world.ada, second)
    assert await found(world, second) == ["queued"]
    await pause_run(world.engine, world.ada, second)
    await finish(world, await world.worker(), first)
    assert await found(world, second) == ["paused"]
    await resume_run(world.engine, world.ada, second)
    assert (await found(world, second), await held(world, second)) == (["running"], set())


async def test_a_run_that_was_paused_before_it_began_takes_nobodys_place(world: World) -> None:
    first, second, third = await several(world, await world.workflow(SINGLE), 3)
    await pause_run(world.engine, world.ada, second)
    await finish(world, await world.worker(), first)
    assert await found(world, second, third) == ["paused", "running"]


async def test_a_run_that_was_paused_after_it_began_keeps_its_place(world: World) -> None:
    first, second = await several(world, await world.workflow(SINGLE), 2)
    await pause_run(world.engine, world.ada, first)
    await sweep(world.engine, ("run",))
    assert await found(world, first, second) == ["paused", "queued"]
    await resume_run(world.engine, world.ada, first)
    assert await found(world, first, second) == ["running", "queued"]


async def test_a_run_resumed_into_a_lowered_limit_queues_and_ends_only_after_it_went_on(world: World) -> None:
    name = await world.workflow(PAIR)
    first, second = await several(world, name, 2)
    worker = await world.worker()
    one = await only_of(world, worker, first)
    await pause_run(world.engine, world.ada, first)
    await limit_project(world, 1)
    await resume_run(world.engine, world.ada, first)
    assert (await found(world, first, second), await held(world, first)) == (["queued", "running"], {"a", "b"})
    await fail(world, worker, one)
    await sweep(world.engine, ("run",))
    assert await found(world, first) == ["queued"]
    await cancel_run(world.engine, world.ada, second)
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    await sweep(world.engine, ("run",))
    assert await found(world, first, second) == ["failed", "cancelled"]


async def test_a_queued_run_that_has_nothing_to_do_ends_when_it_is_admitted(world: World) -> None:
    name = await world.workflow(INLINE)
    first = await world.run(name, input={"n": 1})
    assert await found(world, first) == ["succeeded"]
    blocker = await world.run(await world.workflow(ONE_STEP))
    await limit_project(world, 1)
    queued = await world.run(name, input={"n": 2})
    assert await found(world, queued) == ["queued"]
    await finish(world, await world.worker(), blocker)
    run = await world.row(queued)
    assert (run["status"], run["output"]) == ("succeeded", {"only": 2})


async def test_the_time_in_the_queue_does_not_count_against_the_run(world: World) -> None:
    await limit_project(world, 1)
    first = await world.run(await world.workflow(ONE_STEP))
    queued = await world.run(await world.workflow(CHECKED))
    await world.sql("UPDATE runs SET created_at = created_at - interval '2 hours', deadline_at = created_at")
    await world.sql("UPDATE runs SET deadline_at = created_at + interval '1 hour'")
    await finish(world, await world.worker(), first)
    left = await world.database.pool.fetchval("SELECT deadline_at - clock_timestamp() FROM runs WHERE id = $1", queued)
    assert 3500 < left.total_seconds() <= 3600


@pytest.mark.parametrize("ending", ["fail", "cancel", "reap"])
async def test_however_a_run_ends_the_next_goes_on(world: World, ending: str) -> None:
    first, second = await several(world, await world.workflow(SINGLE), 2)
    worker, claim = await world.claimed(first)
    if ending == "fail":
        await fail(world, worker, claim)
    elif ending == "cancel":
        await cancel_run(world.engine, world.ada, first)
        assert await found(world, second) == ["queued"]
        await succeed(world, worker, claim)
    else:
        await world.sql(
            "UPDATE steps SET cancel_requested = true, lease_expires_at = '-infinity' WHERE id = $1",
            claim.lease.step_id,
        )
        await cancel_run(world.engine, world.ada, first)
        await sweep(world.engine, ("run",))
    assert await found(world, second) == ["running"]


async def test_admission_is_done_by_the_sweep_where_nobody_did_it(world: World) -> None:
    first, second = await several(world, await world.workflow(SINGLE), 2)
    await world.sql("UPDATE runs SET status = 'cancelling' WHERE id = $1", first)
    await world.sql("UPDATE steps SET status = 'cancelled', finished_at = clock_timestamp() WHERE run_id = $1", first)
    await sweep(world.engine, ("run",))
    assert await found(world, first, second) == ["cancelled", "queued"]
    assert (await sweep(world.engine, ("run",))).admitted == 1
    assert await found(world, second) == ["running"]


async def test_of_twenty_runs_at_once_no_more_than_the_limit_go_on(world: World) -> None:
    name = await world.workflow(keyed(3))
    runs = await asyncio.gather(*(world.run(name, input={"customer": "a"}) for _ in range(20)))
    assert sorted(await found(world, *runs)) == ["queued"] * 17 + ["running"] * 3


async def no_limit(world: World, limit: int | None) -> None: ...


@pytest.mark.parametrize(
    ("source", "limited"),
    [(ONE_STEP, limit_project), (ONE_STEP, limit_workflows), (SINGLE, no_limit)],
    ids=["project", "workflow", "key"],
)
async def test_an_acceptance_waits_for_one_that_is_being_counted(world: World, source: str, limited: Limiting) -> None:
    name = await world.workflow(source)
    await limited(world, 1)
    async with world.transaction() as other:
        first = (await accept_run(other, world.ada, RunRequest(world.project_id, name))).run_id
        accepting = await world.blocked(world.run(name))
    assert await found(world, first, await accepting) == ["running", "queued"]


async def test_of_two_admissions_at_once_one_gives_the_place_away(world: World) -> None:
    first, second, third = await several(world, await world.workflow(SINGLE), 3)
    await finish_quietly(world, first)
    async with world.transaction() as other:
        assert (await call(other.database.pool, "admit_run", second))["admitted"]
        admitting = await world.blocked(call(world.database.pool, "admit_run", third))
    assert await admitting == {"admitted": False, "blocked_by": "concurrency", "rings": []}
    assert await found(world, second, third) == ["running", "queued"]


async def test_of_two_admissions_of_one_run_the_second_finds_it_gone(world: World) -> None:
    first, second = await several(world, await world.workflow(SINGLE), 2)
    await finish_quietly(world, first)
    async with world.transaction() as other:
        assert (await call(other.database.pool, "admit_run", second))["admitted"]
        admitting = await world.blocked(admit_project(world.engine, world.project_id))
    assert (await admitting, (await world.kinds(second)).count("run.started")) == (0, 1)


async def test_an_acceptance_and_an_admission_do_not_take_the_same_place(world: World) -> None:
    name = await world.workflow(SINGLE)
    first, second = await several(world, name, 2)
    await finish_quietly(world, first)
    async with world.transaction() as other:
        assert (await call(other.database.pool, "admit_run", second))["admitted"]
        accepting = await world.blocked(world.run(name))
    assert await found(world, second, await accepting) == ["running", "queued"]


async def finish_quietly(world: World, run_id: UUID) -> None:
    """End a run without anybody admitting the next."""
    await world.sql("UPDATE runs SET status = 'cancelling' WHERE id = $1", run_id)
    await world.sql("UPDATE steps SET status = 'cancelled', finished_at = clock_timestamp() WHERE run_id = $1", run_id)
    await world.sql("UPDATE runs SET status = 'cancelled', finished_at = clock_timestamp() WHERE id = $1", run_id)


async def adopt(world: World, child: UUID, parent: UUID) -> None:
    """Make a run that of a sub-workflow, as if the one step of the other had started it."""
    await world.sql("UPDATE steps SET child_run_id = $1 WHERE run_id = $2", child, parent)
    await world.sql(
        "UPDATE runs SET parent_run_id = $2, lineage = ARRAY[$2::uuid],"
        " parent_step_id = (SELECT id FROM steps WHERE run_id = $2) WHERE id = $1",
        child,
        parent,
    )


async def test_a_sub_workflows_run_is_not_held_back_by_the_limits_of_the_run_that_waits_for_it(world: World) -> None:
    name = await world.workflow(SINGLE)
    await limit_project(world, 1)
    parent = await world.run(await world.workflow(ONE_STEP))
    root, child = await several(world, name, 2)
    assert await found(world, parent, root, child) == ["running", "queued", "queued"]
    await adopt(world, child, parent)
    await sweep(world.engine, ("run",))
    assert await found(world, root, child) == ["queued", "running"]


async def test_a_run_does_not_wait_for_the_runs_above_it(world: World) -> None:
    name = await world.workflow(SINGLE)
    parent, child = await several(world, name, 2)
    await adopt(world, child, parent)
    await sweep(world.engine, ("run",))
    assert await found(world, parent, child) == ["running", "running"]


async def test_a_run_without_limits_is_accepted_without_a_lock_or_a_count(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    async with world.transaction() as other:
        for scope in ("project/" + str(world.project_id), "workflow/x", "key/x"):
            await other.database.pool.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('admission/' || $1, 0))", scope
            )
        assert await found(world, await world.run(name)) == ["running"]
