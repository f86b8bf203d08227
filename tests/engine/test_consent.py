"""What consent takes: who may answer, how many have to, what an approver may change, and what binds it all together."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from sparkops.core.errors import Conflict, NotFound
from sparkops.core.ids import new_id
from sparkops.core.json import Json, as_part, digest, dumps
from sparkops.core.principal import Principal
from sparkops.domains.identity.models import Membership, User
from sparkops.engine.answer import (
    AlreadyAnswered,
    ApprovalChanged,
    ApprovalClosed,
    Edit,
    EditRefused,
    NotAnApprover,
    OwnRequest,
    answer_approval,
    discuss,
)
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.effects import Edited
from sparkops.engine.give_back import reap
from sparkops.engine.wait import wait_for_approvals
from tests.engine.acts import DENY_NOOP, HOLD_NOOP, ONE_STEP, govern, prepared, proposal
from tests.engine.conftest import World, person_of
from tests.tiers import WHOLE

WITH_ARGUMENTS = """
version: 1
name: one
steps:
  - {id: only, type: tool, tool: noop, with: {amount: 100}}
"""
AGENT_ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: go}}
  - {id: then, type: tool, tool: noop, needs: [only]}
"""
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["noop"],
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "noop", "arguments": {"amount": 100}}]},
            {"text": "${{ string(results[0].output.arguments.amount) }}: ${{ results[0].output.note }}"},
        ]
    },
}


async def person(world: World, name: str, role: str = "operator") -> Principal:
    """Somebody new in the project."""
    made = person_of(name, world.project_id)
    async with world.database.sessions.begin() as session:
        await session.execute(insert(User).values(id=made.user_id, email=made.email, name=name, password_hash="-"))
        await session.execute(insert(Membership).values(project_id=world.project_id, user_id=made.user_id, role=role))
    return made


def demands(**changed: Any) -> dict[str, Any]:
    """What `engine.demands` makes of nothing, but for what is changed."""
    return {
        "approvers": [],
        "quorum": 1,
        "escalate_after_seconds": None,
        "escalate_to": [],
        "may_edit": False,
        "rules": [],
        **changed,
    }


async def held_call(world: World, **changed: Any) -> tuple[Claim, UUID]:
    """A call that waits for people; what they have to be is in `changed`. Returns its step's claim and the question."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (verdict,) = await prepared(world, held, proposal(outcome="require_approval", demands=demands(**changed)))
    return held, UUID(verdict["approval_id"])


async def yes(world: World | Engine, who: Principal, question: UUID, **more: Any) -> None:
    engine = world.engine if isinstance(world, World) else world
    await answer_approval(engine, who, question, **{"approve": True, "comment": None, **more})


async def no(world: World, who: Principal, question: UUID) -> None:
    await answer_approval(world.engine, who, question, approve=False, comment="no")


async def row(world: World, question: UUID) -> Mapping[str, Any]:
    return dict(await world.database.pool.fetchrow("SELECT * FROM approvals WHERE id = $1", question))


async def status(world: World, question: UUID) -> str:
    return str((await row(world, question))["status"])


async def pending(world: World) -> UUID:
    """The one question that is open."""
    (found,) = await world.database.pool.fetch("SELECT id FROM approvals WHERE status = 'pending'")
    return UUID(str(found["id"]))


async def waits(world: World, run_id: UUID) -> None:
    """Work until the step of the run waits for people."""

    async def waiting() -> bool:
        found = await world.database.pool.fetchval(
            "SELECT count(*) FROM steps s JOIN approvals a ON a.step_id = s.id AND a.status = 'pending'"
            " WHERE s.run_id = $1 AND s.status = 'waiting'",
            run_id,
        )
        return bool(found)

    await world.work(waiting)


def edit(arguments: Mapping[str, Json], *, tool: str = "noop", tool_hash: str = "v1") -> Edit:
    request = {"tool": tool, "arguments": dict(arguments)}
    return Edit(as_part(dumps(request)), digest(request), tool_hash)


def of_noop(world: World, arguments: Mapping[str, Json]) -> Edit:
    return edit(arguments, tool_hash=world.tools["noop"].hash)


# Quorum and groups


async def test_as_many_have_to_agree_as_the_rules_say_and_nobody_counts_twice(world: World) -> None:
    cyd = await person(world, "cyd")
    await world.rules({**HOLD_NOOP, "approval": {"quorum": 2}})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    question = await pending(world)
    await yes(world, world.ben, question)
    assert (await row(world, question))["status"] == "pending"
    assert (await world.steps(run_id))["only"]["status"] == "waiting"
    with pytest.raises(AlreadyAnswered):
        await yes(world, world.ben, question)
    await yes(world, cyd, question)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    kinds = [kind for kind in await world.kinds(run_id) if kind.startswith("approval")]
    assert kinds == ["approval.requested", "approval.agreed", "approval.approved"]
    audited = await world.database.pool.fetch("SELECT action FROM audit WHERE object LIKE 'approval:%' ORDER BY id")
    assert [line["action"] for line in audited] == ["approval.agreed", "approval.approved"]


async def test_somebody_of_each_group_has_to_agree(world: World) -> None:
    owner = await person(world, "cyd", "owner")
    await world.rules(
        {**HOLD_NOOP, "approval": {"approvers": ["owner"]}},
        {**HOLD_NOOP, "name": "money", "approval": {"approvers": ["Ben@example.com", "dan@example.com"]}},
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    question = await pending(world)
    await yes(world, world.ben, question)
    assert await status(world, question) == "pending"
    await yes(world, owner, question)
    assert await status(world, question) == "approved"


async def test_the_start_of_a_step_takes_as_many_and_is_asked_anew_too(world: World) -> None:
    cyd = await person(world, "cyd")
    start = {**HOLD_NOOP, "on": ["step.start"], "approval": {"quorum": 2}}
    await world.rules({**start, "approval": {"approvers": ["ben@example.com"]}})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    first = await pending(world)
    with pytest.raises(NotAnApprover):
        await yes(world, cyd, first)
    await yes(world, world.ben, first)
    await world.rules(start)
    await waits(world, run_id)
    second = await pending(world)
    assert (await status(world, first), second != first) == ("withdrawn", True)
    await yes(world, world.ben, second)
    assert await status(world, second) == "pending"
    await yes(world, cyd, second)
    await world.work_until(run_id)
    assert (await world.status(run_id), await status(world, second)) == ("succeeded", "consumed")


WORKFLOW_ASKS = """
version: 1
name: two-of-us
steps:
  - {id: look, type: approval, with: {title: "Really?", approvers: [owner, BEN@example.com], quorum: 2}}
"""


async def test_a_workflow_may_ask_several_people_too(world: World) -> None:
    owner = await person(world, "cyd", "owner")
    run_id = await world.run(await world.workflow(WORKFLOW_ASKS))
    await waits(world, run_id)
    question = await pending(world)
    with pytest.raises(NotAnApprover):
        await yes(world, await person(world, "dan"), question)
    await yes(world, world.ben, question)
    assert await status(world, question) == "pending"
    await yes(world, owner, question)
    await world.work_until(run_id)
    assert (await world.steps(run_id))["look"]["output"]["by"] == str(owner.user_id)


async def test_one_person_may_speak_for_several_groups(world: World) -> None:
    _, question = await held_call(world, approvers=[["operator"], ["ben@example.com"]])
    await yes(world, world.ben, question)
    assert await status(world, question) == "approved"


async def test_who_is_not_named_may_not_answer_and_who_asked_never_may(world: World) -> None:
    _, question = await held_call(world, approvers=[["owner", "ada@example.com"]])
    with pytest.raises(NotAnApprover):
        await yes(world, world.ben, question)
    with pytest.raises(NotAnApprover):
        await no(world, world.ben, question)
    with pytest.raises(OwnRequest):
        await yes(world, world.ada, question)
    with pytest.raises(NotFound):
        await yes(world, world.eve, question)
    assert await status(world, question) == "pending"


async def test_one_no_is_enough(world: World) -> None:
    cyd = await person(world, "cyd")
    held, question = await held_call(world, quorum=3)
    await yes(world, world.ben, question)
    await no(world, cyd, question)
    decided = await row(world, question)
    assert (decided["status"], decided["decided_by"]) == ("rejected", cyd.user_id)
    (verdict,) = await prepared(world, held, proposal())
    assert verdict["error"]["code"] == "rejected"


async def test_who_agreed_may_still_say_no(world: World) -> None:
    _, question = await held_call(world, quorum=2)
    await yes(world, world.ben, question)
    await no(world, world.ben, question)
    assert await status(world, question) == "rejected"


@pytest.mark.parametrize(
    "fate",
    [
        "DELETE FROM memberships WHERE user_id = $1",
        "UPDATE users SET disabled_at = clock_timestamp() WHERE id = $1",
        "UPDATE memberships SET role = 'operator' WHERE user_id = $1",
    ],
    ids=["left", "disabled", "another role"],
)
async def test_whoever_may_not_answer_any_more_does_not_count(world: World, owner_url: str, fate: str) -> None:
    cyd, dan, fay = [await person(world, name, "owner") for name in ("cyd", "dan", "fay")]
    _, question = await held_call(world, quorum=2, approvers=[["owner"]])
    await yes(world, cyd, question)
    await _as_owner(owner_url, fate, cyd.user_id)
    await yes(world, dan, question)
    assert await status(world, question) == "pending"
    await yes(world, fay, question)
    assert await status(world, question) == "approved"


async def _as_owner(url: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


async def test_two_who_agree_at_once_both_count(world: World) -> None:
    cyd = await person(world, "cyd")
    held, question = await held_call(world, quorum=2)
    await wait_for_approvals(world.engine, held, [question])
    async with world.transaction() as first:
        await yes(first, world.ben, question)
        second = await world.blocked(yes(world, cyd, question))
    await second
    assert await status(world, question) == "approved"
    assert (await world.steps(held.run_id))["only"]["status"] == "ready"


async def test_an_answer_that_comes_while_the_question_expires_is_too_late(world: World) -> None:
    held, question = await held_call(world)
    await wait_for_approvals(world.engine, held, [question])
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp() + interval '2 seconds'")
    async with world.transaction() as sweeping:
        await sweeping.database.pool.execute("SELECT pg_sleep_until(expires_at) FROM approvals")
        await sweeping.database.pool.fetchval("SELECT engine.expire_approvals(10)")
        late = await world.blocked(yes(world, world.ben, question))
    with pytest.raises(ApprovalClosed, match="expired"):
        await late
    assert (await world.steps(held.run_id))["only"]["status"] == "ready"


async def test_a_question_that_somebody_answers_does_not_expire_meanwhile(world: World) -> None:
    held, question = await held_call(world)
    await wait_for_approvals(world.engine, held, [question])
    async with world.transaction() as answering:
        await yes(answering, world.ben, question)
        await govern(world)
    assert await status(world, question) == "approved"


# Escalation


async def test_after_a_while_others_may_answer_for_every_group(world: World) -> None:
    cyd = await person(world, "cyd")
    await world.rules(
        {
            **HOLD_NOOP,
            "approval": {"approvers": ["owner"], "escalate_after": "1h", "escalate_to": ["CYD@example.com"]},
        }
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    question = await pending(world)
    await govern(world)
    with pytest.raises(NotAnApprover):
        await yes(world, cyd, question)
    await world.sql("UPDATE approvals SET escalate_at = clock_timestamp()")
    await govern(world)
    await govern(world)
    assert (await world.kinds(run_id)).count("approval.escalated") == 1
    with pytest.raises(NotAnApprover):
        await yes(world, world.ben, question)
    await yes(world, cyd, question)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_an_answer_and_an_escalation_at_once_are_one_after_the_other(world: World) -> None:
    held, question = await held_call(world, escalate_after_seconds=0, escalate_to=["owner"])
    await wait_for_approvals(world.engine, held, [question])
    async with world.transaction() as answering:
        await yes(answering, world.ben, question)
        await govern(world)
    assert (await row(world, question))["escalated_at"] is None
    assert await status(world, question) == "approved"


# What consent is bound to


async def test_when_the_rules_demand_something_else_people_are_asked_anew(world: World) -> None:
    cyd = await person(world, "cyd")
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    first = await pending(world)
    await yes(world, world.ben, first)
    await world.rules({**HOLD_NOOP, "reason": "look twice", "approval": {"quorum": 2}})
    await waits(world, run_id)
    second = await pending(world)
    assert (await status(world, first), (await row(world, second))["reason"]) == ("withdrawn", "look twice")
    await yes(world, world.ben, second)
    await yes(world, cyd, second)
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["sends"], call["approval_id"]) == ("done", 1, second)
    decided = await world.database.pool.fetch("SELECT outcome, policy_version FROM policy_decisions ORDER BY at")
    assert [each["outcome"] for each in decided] == ["require_approval"] * 3, "asked twice, and let go"
    assert decided[0]["policy_version"] < decided[1]["policy_version"]


async def test_rules_that_allow_by_now_let_consent_count_and_rules_that_deny_do_not(world: World) -> None:
    for rules, ends in (((), "succeeded"), ((DENY_NOOP,), "failed")):
        await world.rules(HOLD_NOOP)
        run_id = await world.run(await world.workflow(ONE_STEP) if not rules else "one")
        await waits(world, run_id)
        await yes(world, world.ben, await pending(world))
        await world.rules(*rules)
        await world.work_until(run_id)
        assert await world.status(run_id) == ends
    assert await world.database.pool.fetchval("SELECT rule FROM violations") == "no-tools"


async def test_consent_is_for_one_version_of_the_agent(world: World) -> None:
    held, question = await held_call(world)
    await yes(world, world.ben, question)
    (verdict,) = await prepared(world, held, proposal(agent_version_id=str(new_id())))
    assert (verdict["verdict"], verdict["status"]) == ("recorded", "expired")


async def test_a_question_names_the_version_of_the_agent_that_asks(world: World) -> None:
    await world.agent("scout", SCOUT)
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(AGENT_ASKS))
    await waits(world, run_id)
    version = await world.database.pool.fetchval("SELECT id FROM agent_versions")
    assert (await row(world, await pending(world)))["agent_version_id"] == version


# Changed by an approver

EDITABLE = {**HOLD_NOOP, "when": "args.amount >= 10", "approval": {"may_edit": True}}


async def test_what_an_approver_changed_is_sent_and_what_was_asked_stays_on_record(world: World) -> None:
    await world.rules(EDITABLE)
    run_id = await world.run(await world.workflow(WITH_ARGUMENTS))
    await waits(world, run_id)
    question = await pending(world)
    await yes(world, world.ben, question, edit=of_noop(world, {"amount": 50}))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    asked = await row(world, question)
    assert (call["request"]["arguments"], call["response"]) == ({"amount": 100}, {"amount": 50})
    assert call["request_hash"] == asked["request_hash"]
    assert (asked["status"], asked["edited_by"], asked["edited_request"]["arguments"]) == (
        "consumed",
        world.ben.user_id,
        {"amount": 50},
    )
    decisions = await world.database.pool.fetch("SELECT request_hash FROM policy_decisions ORDER BY at")
    assert [each["request_hash"] for each in decisions] == [asked["request_hash"], asked["edited_hash"]]


async def test_an_agent_is_told_what_was_sent_in_its_place_also_when_it_is_told_from_the_record(world: World) -> None:
    await world.agent("scout", SCOUT)
    await world.rules({**EDITABLE, "when": "has(args.amount)"})
    run_id = await world.run(await world.workflow(AGENT_ASKS))
    await waits(world, run_id)
    await yes(world, world.ben, await pending(world), edit=of_noop(world, {"amount": 7}))
    await world.work_until(run_id)
    output = (await world.row(run_id))["output"]
    said = "7: A person changed the arguments before the call."
    assert (await world.steps(run_id))["only"]["output"]["text"] == said, output


async def test_rules_judge_what_the_approver_made_of_it(world: World) -> None:
    await world.rules(EDITABLE, {**DENY_NOOP, "when": "args.amount > 1000"})
    run_id = await world.run(await world.workflow(WITH_ARGUMENTS))
    await waits(world, run_id)
    await yes(world, world.ben, await pending(world), edit=of_noop(world, {"amount": 5000}))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["sends"], call["error"]["rule"]) == ("denied", 0, "no-tools")
    assert await world.database.pool.fetchval("SELECT rule FROM violations") == "no-tools"
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"


async def test_where_the_change_demands_more_people_are_asked_about_the_change(world: World) -> None:
    owner = await person(world, "cyd", "owner")
    much = {**EDITABLE, "name": "much", "when": "args.amount > 1000"}
    much["approval"] = {"approvers": ["owner"], "may_edit": True}
    await world.rules(EDITABLE, much)
    run_id = await world.run(await world.workflow(WITH_ARGUMENTS))
    await waits(world, run_id)
    first = await pending(world)
    await yes(world, world.ben, first, edit=of_noop(world, {"amount": 5000}))
    await waits(world, run_id)
    second = await row(world, await pending(world))
    assert (second["edited_request"]["arguments"], second["edited_by"]) == ({"amount": 5000}, world.ben.user_id)
    with pytest.raises(ApprovalChanged):
        await yes(world, owner, second["id"])
    await yes(world, owner, second["id"], shown=second["edited_hash"])
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert call["response"] == {"amount": 5000}


async def test_an_approver_may_go_back_to_what_was_proposed(world: World) -> None:
    cyd = await person(world, "cyd")
    _, question = await held_call(world, quorum=2, may_edit=True)
    proposed = proposal()["request"]
    await yes(world, world.ben, question, edit=edit({"seq": 2}))
    shown = (await row(world, question))["edited_hash"]
    await yes(world, cyd, question, shown=shown, edit=edit(proposed["arguments"]))
    back = await row(world, question)
    assert (back["status"], back["edited_hash"], back["edited_by"]) == ("pending", None, None)
    await yes(world, world.ben, question)
    assert await status(world, question) == "approved"


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({}, EditRefused),
        ({"may_edit": True, "tool_hash": None}, EditRefused),
        ({"may_edit": True, "tool_hash": "v2"}, ApprovalChanged),
    ],
    ids=["the rules say no", "no tool", "another tool meanwhile"],
)
async def test_what_may_not_be_changed_is_not(world: World, changed: dict[str, Any], refusal: type[Exception]) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    may_edit = changed.pop("may_edit", False)
    (verdict,) = await prepared(
        world, held, proposal(outcome="require_approval", demands=demands(may_edit=may_edit), **changed)
    )
    question = UUID(verdict["approval_id"])
    with pytest.raises(refusal):
        await yes(world, world.ben, question, edit=edit({"seq": 9}))
    assert (await row(world, question))["edited_hash"] is None
    assert await world.database.pool.fetchval("SELECT count(*) FROM approval_votes") == 0


async def test_who_agreed_before_a_change_has_not_agreed_to_it(world: World) -> None:
    cyd, dan = await person(world, "cyd"), await person(world, "dan")
    _, question = await held_call(world, quorum=2, may_edit=True)
    await yes(world, world.ben, question)
    await yes(world, cyd, question, edit=edit({"seq": 2}))
    assert await status(world, question) == "pending"
    shown = (await row(world, question))["edited_hash"]
    with pytest.raises(ApprovalChanged):
        await yes(world, dan, question)
    await yes(world, world.ben, question, shown=shown)
    assert await status(world, question) == "approved"


async def test_a_change_and_a_yes_at_once_do_not_add_up(world: World) -> None:
    cyd = await person(world, "cyd")
    _, question = await held_call(world, quorum=2, may_edit=True)
    async with world.transaction() as first:
        await yes(first, cyd, question, edit=edit({"seq": 2}))
        second = await world.blocked(yes(world, world.ben, question))
    with pytest.raises(ApprovalChanged):
        await second
    assert await status(world, question) == "pending"


async def test_two_changes_at_once_leave_the_first(world: World) -> None:
    cyd = await person(world, "cyd")
    _, question = await held_call(world, quorum=2, may_edit=True)
    async with world.transaction() as first:
        await yes(first, cyd, question, edit=edit({"seq": 2}))
        second = await world.blocked(yes(world, world.ben, question, edit=edit({"seq": 3})))
    with pytest.raises(ApprovalChanged):
        await second
    assert (await row(world, question))["edited_request"]["arguments"] == {"seq": 2}


async def test_a_change_between_claim_and_prepare_is_judged_before_anything_is_written(world: World) -> None:
    held, question = await held_call(world, may_edit=True)
    await wait_for_approvals(world.engine, held, [question])
    wanted = edit({"seq": 2})
    await yes(world, world.ben, question, edit=wanted)
    _, again = await world.claimed(held.run_id)
    with pytest.raises(Edited) as found:
        await prepared(world, again, proposal())
    assert [(each["seq"], each["request_hash"]) for each in found.value.edits] == [(1, wanted.request_hash)]
    assert await status(world, question) == "approved"
    (verdict,) = await prepared(world, again, proposal(edited_hash=wanted.request_hash))
    assert verdict["verdict"] == "send"


async def test_an_edited_call_that_was_lost_goes_out_again_as_it_was_edited(world: World) -> None:
    held, question = await held_call(world, may_edit=True)
    await wait_for_approvals(world.engine, held, [question])
    wanted = edit({"seq": 2})
    await yes(world, world.ben, question, edit=wanted)
    _, again = await world.claimed(held.run_id)
    await prepared(world, again, proposal(edited_hash=wanted.request_hash))
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    await reap(world.engine)
    _, third = await world.claimed(held.run_id)
    with pytest.raises(Edited):
        await prepared(world, third, proposal())
    (verdict,) = await prepared(world, third, proposal(edited_hash=wanted.request_hash))
    assert (verdict["verdict"], verdict["send_no"]) == ("send", 2)


# Asked back


async def test_people_talk_about_an_open_question_and_about_no_other(world: World) -> None:
    held, question = await held_call(world)
    await discuss(world.engine, world.ben, question, "Which account?")
    await discuss(world.engine, world.ada, question, "The new one.")
    with pytest.raises(NotFound):
        await discuss(world.engine, world.eve, question, "Me too")
    said = await world.database.pool.fetch("SELECT text FROM approval_messages ORDER BY id")
    assert [each["text"] for each in said] == ["Which account?", "The new one."]
    assert (await world.kinds(held.run_id)).count("approval.discussed") == 2
    await no(world, world.ben, question)
    with pytest.raises(ApprovalClosed):
        await discuss(world.engine, world.ben, question, "Too late")


async def test_a_question_takes_so_many_messages(world: World) -> None:
    _, question = await held_call(world)
    await world.sql(
        "INSERT INTO approval_messages (id, approval_id, project_id, author_id, text)"
        " SELECT gen_random_uuid(), $1, $2, $3, 'again' FROM generate_series(1, 200)",
        question,
        world.project_id,
        world.ben.user_id,
    )
    with pytest.raises(Conflict):
        await discuss(world.engine, world.ben, question, "One more")


# Any number of people

PEOPLE = range(6)
ROLES = st.lists(st.sampled_from(["owner", "operator"]), min_size=6, max_size=6)
NAMED = st.one_of(st.just("owner"), st.just("operator"), st.sampled_from([f"p{n}@example.com" for n in PEOPLE]))
GROUPS = st.lists(st.lists(NAMED, min_size=1, max_size=3), max_size=3)
VOTES = st.permutations(list(PEOPLE))


def entitled(roles: Sequence[str], groups: Sequence[Sequence[str]], number: int) -> bool:
    """Whether this person may answer: the first one has asked."""
    return number != 0 and (not groups or any(named(roles, number, group) for group in groups))


def named(roles: Sequence[str], number: int, group: Sequence[str]) -> bool:
    return roles[number] in group or f"p{number}@example.com" in group


def agreed(roles: Sequence[str], groups: Sequence[Sequence[str]], quorum: int, voters: Sequence[int]) -> bool:
    """Whether these voters are enough: the rule in plain words."""
    count = [each for each in voters if entitled(roles, groups, each)]
    return len(count) >= quorum and all(any(named(roles, each, group) for each in count) for group in groups)


async def test_any_votes_under_any_demands_approve_exactly_when_they_are_enough(world: World) -> None:
    people = [await person(world, f"p{number}") for number in PEOPLE]
    _, question = await held_call(world)
    loop = asyncio.get_running_loop()

    async def play(roles: list[str], groups: list[list[str]], quorum: int, voters: Sequence[int]) -> None:
        async with world.transaction(commit=False) as engine:
            pool = engine.database.pool
            for number, role in enumerate(roles):
                await pool.execute("UPDATE memberships SET role = $2 WHERE user_id = $1", people[number].user_id, role)
            await pool.execute(
                "UPDATE approvals SET demands = $2, requested_by = $3 WHERE id = $1",
                question,
                demands(approvers=groups, quorum=quorum),
                people[0].user_id,
            )
            for place, number in enumerate(voters):
                refusal = _refusal(roles, groups, number, closed=agreed(roles, groups, quorum, voters[:place]))
                with contextlib.nullcontext() if refusal is None else pytest.raises(refusal):
                    await yes(engine, people[number], question)
                now = await pool.fetchval("SELECT status FROM approvals WHERE id = $1", question)
                assert (now == "approved") == agreed(roles, groups, quorum, voters[: place + 1])

    @settings(
        max_examples=1_000 if WHOLE else 40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(ROLES, GROUPS, st.integers(1, 5), VOTES)
    def any_votes(roles: list[str], groups: list[list[str]], quorum: int, voters: Sequence[int]) -> None:
        asyncio.run_coroutine_threadsafe(play(roles, groups, quorum, voters), loop).result()

    await asyncio.to_thread(any_votes)


def _refusal(
    roles: Sequence[str], groups: Sequence[Sequence[str]], number: int, *, closed: bool
) -> type[Exception] | None:
    if closed:
        return ApprovalClosed
    if number == 0:
        return OwnRequest
    return None if entitled(roles, groups, number) else NotAnApprover
