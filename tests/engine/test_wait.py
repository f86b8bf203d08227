"""Waiting for a person: an answer is never lost, counts once, and comes from somebody who may give it."""

from uuid import UUID

import pytest

from sparkops.core.errors import NotFound
from sparkops.core.principal import Principal
from sparkops.engine.answer import ApprovalClosed, OwnRequest, answer_approval
from sparkops.engine.claim import Claim
from sparkops.engine.wait import ask, wait_for_approvals
from tests.engine.acts import ONE_STEP, fail, govern, prepared, proposal
from tests.engine.conftest import World

QUESTION = """
version: 1
name: question
steps:
  - {id: look, type: approval, with: {title: "Publish?", show: {n: 1}, expires: 1h}}
  - {id: publish, type: tool, tool: noop, needs: [look], with: {by: "${{ steps.look.output.by }}"}}
"""


async def asked(world: World) -> tuple[Claim, UUID]:
    """A step that has asked, and does not wait yet."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (verdict,) = await prepared(world, held, proposal(outcome="require_approval"))
    return held, UUID(verdict["approval_id"])


async def answer(world: World, approval: UUID, *, by: Principal | None = None, approve: bool = True) -> None:
    await answer_approval(world.engine, by or world.ben, approval, approve=approve, comment="so be it")


async def status(world: World, claim: Claim) -> str:
    return str((await world.steps(claim.run_id))[claim.key]["status"])


async def test_an_answer_between_asking_and_waiting_is_not_lost(world: World) -> None:
    held, approval = await asked(world)
    await answer(world, approval)
    await wait_for_approvals(world.engine, held, [approval])
    assert await status(world, held) == "ready"


async def test_an_answer_that_is_being_given_while_the_step_parks_is_seen(world: World) -> None:
    held, approval = await asked(world)
    async with world.transaction() as answering:
        await answer_approval(answering, world.ben, approval, approve=True, comment=None)
        parking = await world.blocked(wait_for_approvals(world.engine, held, [approval]))
    await parking
    assert await status(world, held) == "ready"


async def test_an_answer_that_waits_for_the_parking_wakes_the_step(world: World) -> None:
    held, approval = await asked(world)
    async with world.transaction() as parking:
        await wait_for_approvals(parking, held, [approval])
        answering = await world.blocked(answer(world, approval))
    await answering
    assert await status(world, held) == "ready"
    assert (await world.kinds(held.run_id))[-3:] == ["step.waiting", "approval.approved", "step.ready"]


async def test_who_asked_may_not_answer_and_a_stranger_finds_nothing(world: World) -> None:
    held, approval = await asked(world)
    await wait_for_approvals(world.engine, held, [approval])
    with pytest.raises(OwnRequest):
        await answer(world, approval, by=world.ada)
    with pytest.raises(NotFound):
        await answer(world, approval, by=world.eve)
    assert await status(world, held) == "waiting"


async def test_the_first_answer_counts_and_is_audited(world: World) -> None:
    held, approval = await asked(world)
    await answer(world, approval, approve=False)
    with pytest.raises(ApprovalClosed):
        await answer(world, approval)
    line = await world.database.pool.fetchrow("SELECT actor, action FROM audit WHERE object LIKE 'approval:%'")
    assert (line["actor"], line["action"]) == (f"user:{world.ben.user_id}", "approval.rejected")
    await wait_for_approvals(world.engine, held, [approval])


async def test_a_step_that_ends_takes_its_question_with_it(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal(outcome="require_approval"))
    await fail(world, worker, held)
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"
    assert [call["status"] for call in await world.calls(run_id)] == ["denied"]


async def test_two_answers_at_once_leave_one(world: World) -> None:
    _, approval = await asked(world)
    async with world.transaction() as first:
        await answer_approval(first, world.ben, approval, approve=False, comment=None)
        second = await world.blocked(answer(world, approval))
    with pytest.raises(ApprovalClosed):
        await second


async def test_a_question_that_nobody_answers_expires_and_the_step_goes_on(world: World) -> None:
    held, approval = await asked(world)
    await wait_for_approvals(world.engine, held, [approval])
    await govern(world)
    assert await status(world, held) == "waiting", "its time is not over"
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    with pytest.raises(ApprovalClosed, match="expired"):
        await answer(world, approval)
    await govern(world)
    assert await status(world, held) == "ready"
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "expired"


async def test_a_question_of_a_run_that_somebody_holds_expires_later(world: World) -> None:
    held, approval = await asked(world)
    await wait_for_approvals(world.engine, held, [approval])
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    async with world.transaction() as other:
        await other.database.pool.fetchrow("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", held.run_id)
        await govern(world)
    assert await status(world, held) == "waiting"


async def parked(world: World) -> UUID:
    """A run whose approval step waits."""
    run_id = await world.run(await world.workflow(QUESTION))

    async def waits() -> bool:
        return str((await world.steps(run_id))["look"]["status"]) == "waiting"

    await world.work(waits)
    return run_id


async def pending(world: World) -> UUID:
    found: UUID = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    return found


async def test_an_approval_step_goes_on_with_the_answer(world: World) -> None:
    run_id = await parked(world)
    await answer(world, await pending(world))
    await world.work_until(run_id)
    look = (await world.steps(run_id))["look"]
    assert look["output"] == {"approved": True, "by": str(world.ben.user_id), "comment": "so be it"}
    assert (await world.row(run_id))["output"] == {"publish": {"by": str(world.ben.user_id)}}
    assert (look["attempt"], look["failures"], look["crashes"]) == (2, 0, 0)
    assert (await world.kinds(run_id)).count("approval.requested") == 1


@pytest.mark.parametrize("how", ["rejected", "approval-expired"])
async def test_an_approval_step_fails_without_a_yes_and_what_follows_is_skipped(world: World, how: str) -> None:
    run_id = await parked(world)
    if how == "rejected":
        await answer(world, await pending(world), approve=False)
    else:
        await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
        await govern(world)
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert (steps["look"]["error"]["code"], steps["publish"]["status"]) == (how, "skipped")
    assert await world.status(run_id) == "failed"


async def test_a_yes_counts_after_a_crash_and_only_until_it_expires(world: World) -> None:
    run_id = await world.run(await world.workflow(QUESTION))
    _, held = await world.claimed(run_id)
    question = {"approval_id": str(held.lease.token), "title": "?", "request": {}, "request_hash": "h", "seconds": 60}
    assert (await ask(world.engine, held, question))["status"] == "pending"
    await answer(world, held.lease.token)
    assert (await ask(world.engine, held, question))["status"] == "approved"
    assert (await ask(world.engine, held, question))["status"] == "approved", "used, and still an answer"


async def test_a_yes_that_has_expired_is_none(world: World) -> None:
    run_id = await world.run(await world.workflow(QUESTION))
    _, held = await world.claimed(run_id)
    question = {"approval_id": str(held.lease.token), "title": "?", "request": {}, "request_hash": "h", "seconds": 60}
    await ask(world.engine, held, question)
    await answer(world, held.lease.token)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    assert (await ask(world.engine, held, question))["status"] == "expired"
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "approved", "it was not used"
