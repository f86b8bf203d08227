"""Halts and the kill switch: what is stopped prepares nothing, and forgets nothing."""

import time
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import insert

from sparkops.core.errors import Forbidden, Invalid, NotFound, Unavailable
from sparkops.core.ids import new_id
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.projects.models import Project
from sparkops.domains.runs.state import StepStatus
from sparkops.engine import halts
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import claim
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.context import call
from sparkops.engine.errors import Fenced, Halted
from sparkops.engine.halts import HaltOrder, Kind, Scope, order_halt, release_halt
from sparkops.engine.pause import NotResumable, hold_workflows, pause_run, release_workflows, resume_run
from sparkops.engine.put_back import put_back
from sparkops.engine.sweep import sweep
from sparkops.runtime.attempt import Waiting, execute
from sparkops.runtime.trust import Trust
from tests.engine.acts import ONE_STEP, prepared, proposal, result, succeed
from tests.engine.conftest import World
from tests.engine.sink import listening, sending
from tests.engine.tenants import another
from tests.engine.test_cancel import SLOW, THREE, statuses
from tests.engine.test_pause import PAIR, held


async def halt(world: World, kind: Kind, scope: Scope = Scope.PROJECT, scope_id: UUID | None = None) -> UUID:
    """Order a halt, of the project unless something else is named."""
    who = world.ada if scope is not Scope.INSTALLATION else replace(world.ada, is_admin=True)
    target = scope_id or (world.project_id if scope is Scope.PROJECT else None)
    return (await order_halt(world.engine, who, HaltOrder(kind, scope, target, "because"))).halt_id


async def release(world: World, halt_id: UUID) -> None:
    await release_halt(world.engine, replace(world.ada, is_admin=True), halt_id)


async def workflow_of(world: World, run_id: UUID) -> UUID:
    found: UUID = (await world.row(run_id))["workflow_id"]
    return found


EVERYWHERE = [(Kind.PAUSE, Scope.PROJECT), (Kind.STOP, Scope.PROJECT), (Kind.STOP, Scope.INSTALLATION)]


@pytest.mark.parametrize(("kind", "scope"), [*EVERYWHERE, (Kind.PAUSE, Scope.INSTALLATION)])
async def test_claims_give_nothing_of_what_is_halted_until_it_is_released(
    world: World, kind: Kind, scope: Scope
) -> None:
    await world.run(await world.workflow(THREE))
    worker = await world.worker()
    ordered = await halt(world, kind, scope)
    assert await world.claims(worker, 9) == []
    await release(world, ordered)
    assert len(await world.claims(worker, 9)) == 2


@pytest.mark.parametrize(("kind", "scope"), EVERYWHERE)
async def test_a_worker_that_ends_a_step_of_a_halted_project_gets_no_other(
    world: World, kind: Kind, scope: Scope
) -> None:
    run_id = await world.run(await world.workflow(PAIR))
    worker, first = await world.claimed(run_id)
    await halt(world, kind, scope)
    assert (await succeed(world, worker, first, take=3)).claims == []
    assert await statuses(world, run_id) == {"a": "succeeded", "b": "ready"}


async def test_a_halt_of_one_project_leaves_the_others_alone(world: World) -> None:
    await world.run(await world.workflow(ONE_STEP))
    other = new_id()
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=other, slug="other", name="Other"))
    await world.sql(
        "INSERT INTO halts (id, scope, scope_id, project_id, kind) VALUES ($1, 'project', $2, $2, 'stop')",
        new_id(),
        other,
    )
    (taken,) = await world.claims(await world.worker(), 9)
    await prepared(world, taken)


async def test_halted_projects_do_not_hide_the_work_of_others(world: World) -> None:
    """More of them than a claim for one step looks at, all with older work."""
    for number in range(5):
        other = await another(world, f"halted-{number}")
        await other.run("one")
        await halt(other, Kind.PAUSE)
    await world.sql("UPDATE steps SET not_before = not_before - interval '1 hour'")
    run_id = await world.run(await world.workflow(ONE_STEP))
    assert [claim.run_id for claim in await world.claims(await world.worker())] == [run_id]


async def test_a_pause_lets_what_runs_go_on_with_its_calls(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, only = await world.claimed(run_id)
    await halt(world, Kind.PAUSE)
    await prepared(world, only)
    await succeed(world, worker, only)
    assert await world.status(run_id) == "succeeded"


@pytest.mark.parametrize("scope", [Scope.PROJECT, Scope.INSTALLATION])
async def test_a_stop_refuses_every_call_until_it_is_released(world: World, scope: Scope) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    ordered = await halt(world, Kind.STOP, scope)
    with pytest.raises(Halted):
        await prepared(world, only)
    assert await world.calls(run_id) == []
    await release(world, ordered)
    await prepared(world, only)


async def test_a_call_that_was_lost_is_not_sent_again_while_a_stop_is_in_force(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, only = await world.claimed(run_id)
    call = proposal(effect_class="idempotent")
    await prepared(world, only, call)
    await end_attempt(world.engine, worker, Ended(only, StepStatus.READY), claim=0)
    (again,) = await world.claims(worker)
    await halt(world, Kind.STOP)
    with pytest.raises(Halted):
        await prepared(world, again, {**call, "id": str(new_id())})
    assert (await world.calls(run_id))[0]["sends"] == 1


@pytest.mark.parametrize("scope", [Scope.PROJECT, Scope.INSTALLATION])
async def test_a_stop_waits_for_a_call_that_is_being_prepared(world: World, scope: Scope) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    async with world.transaction() as other:
        await prepared(other, only)
        stopping = await world.blocked(halt(world, Kind.STOP, scope))
    ordered = await stopping
    (call,) = await world.calls(run_id)
    created = await world.database.pool.fetchval("SELECT created_at FROM halts WHERE id = $1", ordered)
    assert call["prepared_at"] < created


@pytest.mark.parametrize("scope", [Scope.PROJECT, Scope.INSTALLATION])
async def test_a_call_that_waits_for_a_stop_is_refused_by_it(world: World, scope: Scope) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    admin = replace(world.ada, is_admin=True)
    target = world.project_id if scope is Scope.PROJECT else None
    async with world.transaction() as other:
        await order_halt(other, admin, HaltOrder(Kind.STOP, scope, target, None))
        preparing = await world.blocked(prepared(world, only))
    with pytest.raises(Halted):
        await preparing
    assert await world.calls(run_id) == []


async def test_a_stop_that_cannot_get_through_says_so_and_is_not_in_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    monkeypatch.setattr(halts, "TRIES", 1)
    async with world.transaction() as other:
        await prepared(other, only)
        with pytest.raises(Unavailable, match="NOT in force"):
            await halt(world, Kind.STOP)
    assert await world.database.pool.fetchval("SELECT count(*) FROM halts") == 0


async def test_a_worker_gives_a_stopped_step_back_and_it_runs_after_the_release(world: World) -> None:
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        run_id = await world.run(await world.workflow(SLOW))
        worker, only = await world.claimed(run_id)
        ordered = await halt(world, Kind.STOP)
        assert await execute(world.runtime(), only, Trust.since(time.monotonic(), 15)) == Waiting()
        step = (await world.steps(run_id))["only"]
        assert (step["status"], step["failures"], step["crashes"], step["isolate"]) == ("ready", 0, 0, False)
        assert await world.database.pool.fetchval("SELECT outcome FROM step_attempts") == "released"
        await sweep(world.engine, ("run",))
        assert (await world.claims(worker, 9), await world.calls(run_id)) == ([], [])
        await release(world, ordered)
        await world.work_until(run_id)
        assert (await world.status(run_id), sink.got.total()) == ("succeeded", 1)


async def test_a_step_put_back_keeps_the_record_of_what_it_sent(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    (call,) = await prepared(world, only, proposal(effect_class="unsafe", bound_micros=5))
    await put_back(world.engine, only, [result(call["call_id"], cost=3)], "halted")
    (recorded,) = await world.calls(run_id)
    assert (recorded["status"], recorded["cost_micros"]) == ("done", 3)
    assert await statuses(world, run_id) == {"only": "ready"}
    with pytest.raises(Fenced):
        await put_back(world.engine, only, [], "halted")


async def test_a_step_put_back_after_a_cancel_ends_the_run(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    await cancel_run(world.engine, world.ada, run_id)
    await put_back(world.engine, only, [], "halted")
    assert (await world.status(run_id), await statuses(world, run_id)) == ("cancelled", {"only": "cancelled"})


async def test_an_unsafe_call_without_an_answer_stays_uncertain_when_its_step_is_put_back(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, only = await world.claimed(run_id)
    await prepared(world, only, proposal(effect_class="unsafe"))
    await put_back(world.engine, only, [], "halted")
    assert (await world.status(run_id), await statuses(world, run_id)) == ("attention", {"only": "uncertain"})


async def test_a_release_while_a_claim_looks_lets_the_next_claim_have_it(world: World) -> None:
    await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    ordered = await halt(world, Kind.STOP)
    async with world.transaction() as other:
        await release_halt(other, world.ada, ordered)
        assert await world.claims(worker, 9) == []
    (_,) = await world.claims(worker, 9)


async def test_a_claim_that_is_under_way_does_not_hinder_a_stop(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    async with world.transaction() as other:
        (taken,) = await claim(other, worker, limit=1)
        await halt(world, Kind.STOP)
    with pytest.raises(Halted):
        await prepared(world, taken)
    assert await statuses(world, run_id) == {"only": "running"}


async def test_ordering_a_halt_again_gives_the_one_in_force(world: World) -> None:
    first, second = await halt(world, Kind.STOP), await halt(world, Kind.STOP)
    other = await halt(world, Kind.PAUSE)
    assert (first, len({first, other})) == (second, 2)
    await release(world, first)
    await release(world, first)
    assert await halt(world, Kind.STOP) not in (first, other)
    lines = await world.database.pool.fetch("SELECT action FROM audit WHERE object = $1", f"halt:{first}")
    assert [line["action"] for line in lines] == ["halt.order", "halt.release"]


async def test_only_administrators_halt_the_installation_and_only_members_a_project(world: World) -> None:
    everything = HaltOrder(Kind.STOP, Scope.INSTALLATION, None, None)
    with pytest.raises(Forbidden):
        await order_halt(world.engine, world.ada, everything)
    ordered = await halt(world, Kind.STOP, Scope.INSTALLATION)
    with pytest.raises(Forbidden):
        await release_halt(world.engine, world.ada, ordered)
    with pytest.raises(NotFound):
        await order_halt(world.engine, world.eve, HaltOrder(Kind.STOP, Scope.PROJECT, world.project_id, None))
    project = await halt(world, Kind.PAUSE)
    with pytest.raises(NotFound):
        await release_halt(world.engine, world.eve, project)
    with pytest.raises(Invalid):
        await halt(world, Kind.STOP, Scope.WORKFLOW, new_id())
    with pytest.raises(NotFound):
        await halt(world, Kind.PAUSE, Scope.WORKFLOW, new_id())


async def test_a_paused_workflow_holds_its_runs_and_the_release_resumes_exactly_those(world: World) -> None:
    name = await world.workflow(THREE)
    by_hand, with_workflow, both, bystander = [
        *[await world.run(name) for _ in range(3)],
        await world.run(await world.workflow(ONE_STEP)),
    ]
    await pause_run(world.engine, world.ada, by_hand)
    ordered = await halt(world, Kind.PAUSE, Scope.WORKFLOW, await workflow_of(world, by_hand))
    assert [await world.status(run) for run in (by_hand, with_workflow, both)] == ["paused"] * 3
    assert await held(world, with_workflow) == {"a", "b", "c"}
    assert (await world.status(bystander), await held(world, bystander)) == ("running", set())
    await pause_run(world.engine, world.ada, both)  # outlasts the workflow's
    with pytest.raises(NotResumable, match="workflow"):
        await resume_run(world.engine, world.ada, by_hand)
    late = await world.run(name)
    assert (await world.status(late), await held(world, late)) == ("queued", {"a", "b", "c"})
    await sweep(world.engine, ("run",))
    assert await world.status(late) == "queued"
    await release(world, ordered)
    found = [await world.status(run) for run in (by_hand, with_workflow, both, late)]
    assert found == ["paused", "running", "paused", "running"]
    assert await held(world, late) == set()


async def test_a_pause_that_a_crash_left_half_done_is_finished_by_the_sweep(world: World) -> None:
    name = await world.workflow(THREE)
    first = await world.run(name)
    ordered = await halt(world, Kind.PAUSE, Scope.WORKFLOW, await workflow_of(world, first))
    await world.sql("UPDATE halts SET released_at = clock_timestamp() WHERE id = $1", ordered)
    second = await world.run(name)
    assert [await world.status(first), await world.status(second)] == ["paused", "running"]
    await sweep(world.engine, ("run",))
    assert [await world.status(first), await world.status(second)] == ["running", "running"]
    insert_halt = "INSERT INTO halts (id, scope, scope_id, project_id, kind) VALUES ($1, 'workflow', $2, $3, 'pause')"
    await world.sql(insert_halt, new_id(), await workflow_of(world, first), world.project_id)
    await sweep(world.engine, ("run",))
    assert [await world.status(first), await world.status(second)] == ["paused", "paused"]


async def test_a_run_that_somebody_holds_does_not_keep_the_others_from_their_pause(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    first, second = await world.run(name), await world.run(name)
    insert_halt = "INSERT INTO halts (id, scope, scope_id, project_id, kind) VALUES ($1, 'workflow', $2, $3, 'pause')"
    await world.sql(insert_halt, new_id(), await workflow_of(world, first), world.project_id)
    async with world.transaction() as other:
        await other.database.pool.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", first)
        await hold_workflows(world.engine)
        assert [await world.status(first), await world.status(second)] == ["running", "paused"]
    await hold_workflows(world.engine)
    assert await world.status(first) == "paused"
    await world.sql("UPDATE halts SET released_at = clock_timestamp()")
    assert await release_workflows(world.engine) == 2


async def test_a_pause_of_a_workflow_that_was_released_meanwhile_does_not_hold(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    ordered = await halt(world, Kind.PAUSE, Scope.WORKFLOW, await workflow_of(world, run_id))
    await release(world, ordered)
    await call(world.engine.database.pool, "pause_run", run_id, None)
    assert await world.status(run_id) == "running"


async def test_a_release_that_meets_a_run_which_a_person_paused_meanwhile_leaves_it(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await pause_run(world.engine, world.ada, run_id)
    await call(world.engine.database.pool, "resume_run", run_id, None)
    assert await world.status(run_id) == "paused"
    assert await release_workflows(world.engine) == 0, "nor does it look at such runs, however many there are"
