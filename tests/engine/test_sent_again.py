"""What was lost goes out again, and what people let go goes out, only as the rules of that moment let it."""

from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.clock import utc_now
from sparkops.domains.policies.decision_queries import stopped_by_policy
from sparkops.engine.answer import EditRefused, answer_approval
from sparkops.engine.claim import Claim
from sparkops.engine.errors import Fenced
from sparkops.engine.give_back import reap
from sparkops.engine.invariants import INVARIANTS
from sparkops.engine.wait import wait_for_approvals
from sparkops.runtime.attempt import execute
from sparkops.runtime.gate import RecordedGate
from sparkops.runtime.trust import Trust
from tests.engine.acts import HOLD_NOOP, ONE_STEP, prepared, proposal, recorded, result
from tests.engine.conftest import World
from tests.engine.test_backtests import judged, row, start
from tests.engine.test_consent import demands, edit, pending, waits, yes

ASKS: dict[str, Any] = {"outcome": "require_approval", "rule": "look", "reason": "look first"}
LLM_STEP = """
version: 1
name: one
steps:
  - {id: only, type: llm, with: {model: scripted, prompt: go, max_output_tokens: 10, script: {turns: [{text: done}]}}}
"""


async def next_holder(world: World, claim: Claim) -> Claim:
    """Let the holder be lost, and claim its step anew."""
    await world.lapse(claim.lease.step_id)
    await reap(world.engine)
    (found,) = await world.claims(await world.worker())
    return found


async def lost(world: World) -> Claim:
    """The next attempt at a step whose call the rules allowed, and whose answer was lost."""
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    await prepared(world, held)
    return await next_holder(world, held)


async def lost_with_consent(world: World, **changed: Any) -> Claim:
    """The same of a call that people let go."""
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (asked,) = await prepared(world, held, proposal(**ASKS, **changed))
    await yes(world, world.ben, UUID(asked["approval_id"]))
    (sent,) = await prepared(world, held, proposal(**ASKS, **changed))
    assert sent["verdict"] == "send"
    return await next_holder(world, held)


async def questions(world: World) -> list[tuple[str, str | None]]:
    rows = await world.database.pool.fetch("SELECT status, rule FROM approvals ORDER BY requested_at")
    return [tuple(row) for row in rows]


async def decided(world: World) -> list[tuple[str, str | None]]:
    rows = await world.database.pool.fetch("SELECT outcome, rule FROM policy_decisions ORDER BY id")
    return [tuple(row) for row in rows]


async def only_call(world: World, held: Claim) -> Mapping[str, Any]:
    (call,) = await world.calls(held.run_id)
    return call


# What was lost


async def test_a_lost_call_that_the_rules_ask_about_by_now_goes_out_again_with_consent(world: World) -> None:
    held = await lost(world)
    (asked,) = await prepared(world, held, proposal(**ASKS))
    call = await only_call(world, held)
    assert (asked["verdict"], call["status"], call["sends"]) == ("waiting", "prepared", 1)
    assert await questions(world) == [("pending", "look")]
    (again,) = await prepared(world, held, proposal(**ASKS))
    assert again["approval_id"] == asked["approval_id"], "it asks once"
    question = UUID(asked["approval_id"])
    await wait_for_approvals(world.engine, held, [question])
    await yes(world, world.ben, question)
    (held,) = await world.claims(await world.worker())
    (sent,) = await prepared(world, held, proposal(**ASKS))
    assert (sent["verdict"], sent["send_no"], sent["call_id"]) == ("send", 2, asked["call_id"])
    assert await questions(world) == [("consumed", "look")]
    await recorded(world, held, result(sent["call_id"]))


async def test_a_lost_call_that_the_rules_ask_about_by_now_is_not_sent_against_a_no(world: World) -> None:
    held = await lost(world)
    (asked,) = await prepared(world, held, proposal(**ASKS))
    await answer_approval(world.engine, world.ben, UUID(asked["approval_id"]), approve=False, comment="no")
    (answer,) = await prepared(world, held, proposal(**ASKS))
    assert (answer["verdict"], answer["status"], answer["error"]["code"]) == ("recorded", "failed", "rejected")


async def test_what_has_left_and_was_lost_is_not_changed_by_who_lets_it_out_again(world: World) -> None:
    """It goes out under the id that it had, which is for that request."""
    held = await lost(world)
    (asked,) = await prepared(world, held, proposal(**ASKS, demands=demands(may_edit=True)))
    question = UUID(asked["approval_id"])
    with pytest.raises(EditRefused):
        await yes(world, world.ben, question, edit=edit({"seq": 9}))
    await yes(world, world.ben, question)
    (sent,) = await prepared(world, held, proposal(**ASKS, demands=demands(may_edit=True)))
    assert (sent["verdict"], sent["send_no"]) == ("send", 2)


async def test_a_worker_asks_people_about_what_was_lost_when_a_rule_was_published_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await world.run(await world.workflow(LLM_STEP))

    async def is_lost(*_: Any, **__: Any) -> Any:
        raise Fenced("this worker is lost", where="test")

    _, held = await world.claimed(run_id)
    monkeypatch.setattr(RecordedGate, "_send_all", is_lost)
    with pytest.raises(Fenced):
        await execute(world.runtime(), held, Trust.since(monotonic(), 60))
    monkeypatch.undo()
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    await world.rules({**HOLD_NOOP, "on": ["llm.call"]})
    await waits(world, run_id)
    assert (await only_call(world, held))["sends"] == 1
    await yes(world, world.ben, await pending(world))
    await world.work_until(run_id)
    assert (await world.status(run_id), (await only_call(world, held))["sends"]) == ("succeeded", 2)


async def test_the_yes_that_a_lost_call_went_out_with_counts_where_the_rules_demand_the_same(world: World) -> None:
    held = await lost_with_consent(world)
    (sent,) = await prepared(world, held, proposal(**ASKS))
    assert (sent["verdict"], sent["send_no"]) == ("send", 2)
    assert await questions(world) == [("consumed", "look")]


@pytest.mark.parametrize(
    "changed", [{"demands": demands(quorum=2)}, {"tool_hash": "v2"}], ids=["more people", "another tool"]
)
async def test_the_yes_that_a_lost_call_went_out_with_is_for_that_alone(world: World, changed: dict[str, Any]) -> None:
    held = await lost_with_consent(world)
    (asked,) = await prepared(world, held, proposal(**{**ASKS, "rule": "twice"}, **changed))
    assert (asked["verdict"], asked["send_no"]) == ("waiting", 1)
    assert await questions(world) == [("consumed", "look"), ("pending", "twice")]


@pytest.mark.parametrize("answered", [False, True], ids=["open", "approved"])
async def test_other_demands_about_a_lost_call_are_asked_anew(world: World, answered: bool) -> None:
    held = await lost(world)
    (first,) = await prepared(world, held, proposal(**ASKS))
    if answered:
        await yes(world, world.ben, UUID(first["approval_id"]))
    (second,) = await prepared(world, held, proposal(**ASKS, demands=demands(quorum=2)))
    assert (second["verdict"], second["send_no"]) == ("waiting", 1)
    assert await questions(world) == [("withdrawn", "look"), ("pending", "look")]


async def test_an_answer_that_was_lost_lets_nothing_out_that_the_rules_ask_about_by_now(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    await prepared(world, held)
    (asked,) = await prepared(world, held, proposal(**ASKS), again=True)
    assert (asked["verdict"], asked["send_no"]) == ("waiting", 1)


async def test_an_answer_that_was_lost_lets_nothing_out_that_the_rules_deny_by_now(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    await prepared(world, held)
    denied: dict[str, Any] = {"outcome": "deny", "rule": "stop", "reason": "stop"}
    (answer,) = await prepared(world, held, proposal(**denied), again=True)
    assert (answer["verdict"], answer["status"], answer["error"]["code"]) == ("recorded", "failed", "denied")


_DECIDED = """
SELECT engine.decide(d.run_id, d.step_id, d.project_id, d.subject_kind, d.subject_id, d.request_hash, d.policy_version,
                     '{"outcome": "OUTCOME", "subject": "tool.call", "facts": {}}') FROM policy_decisions d LIMIT 1
"""


@pytest.mark.parametrize(
    ("asked", "then"),
    [
        (True, "UPDATE calls SET status = 'done', finished_at = clock_timestamp()"),
        (False, _DECIDED.replace("OUTCOME", "require_approval")),
        (False, _DECIDED.replace("OUTCOME", "deny")),
    ],
    ids=["asked and not answered", "nobody asked", "denied"],
)
async def test_what_went_out_again_against_the_last_decision_is_noticed(world: World, asked: bool, then: str) -> None:
    held = await lost(world)
    if asked:
        await prepared(world, held, proposal(**ASKS))
    (query,) = [each.query for each in INVARIANTS if each.name == "call-decided"]
    async with world.transaction(commit=False) as other:
        assert await other.database.pool.fetch(query) == []
        await other.database.pool.execute(then)
        (found,) = await other.database.pool.fetch(query)
    assert found["subject"] == (await only_call(world, held))["id"]


# What is on record


def watched(version: int = 1) -> dict[str, Any]:
    """What a judge says of a call that a rule in mode monitor would have denied."""
    found = {
        "policy_id": None,
        "version": version,
        "rule": "watch",
        "effect": "deny",
        "reason": "no",
        "severity": "low",
    }
    return {"monitored": [found]}


async def violations(world: World) -> list[int]:
    """The versions of the rule in mode monitor that was broken."""
    rows = await world.database.pool.fetch("SELECT rule_version FROM violations WHERE monitored ORDER BY id")
    return [row["rule_version"] for row in rows]


async def test_what_the_rules_say_when_a_lost_call_goes_out_again_is_on_record(world: World) -> None:
    held = await lost(world)
    (sent,) = await prepared(world, held, proposal(**watched()))
    assert (sent["verdict"], await decided(world)) == ("send", [("allow", None), ("allow", None)])
    assert await violations(world) == [1]


@pytest.mark.parametrize("outcome", ["require_approval", "allow"])
async def test_what_the_rules_say_when_a_call_goes_out_that_people_let_go_is_on_record(
    world: World, outcome: str
) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (asked,) = await prepared(world, held, proposal(**ASKS))
    await yes(world, world.ben, UUID(asked["approval_id"]))
    (sent,) = await prepared(world, held, proposal(**{**ASKS, "outcome": outcome}, **watched()))
    assert (sent["verdict"], await questions(world)) == ("send", [("consumed", "look")])
    assert await decided(world) == [("require_approval", "look"), (outcome, "look")]
    assert await violations(world) == [1]


async def test_a_call_breaks_the_same_version_of_a_rule_once_however_often_it_is_judged(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    for version in (1, 1, 2):
        (sent,) = await prepared(world, held, proposal(**watched(version)))
        held = await next_holder(world, held)
    assert (sent["send_no"], await violations(world)) == (3, [1, 2])


async def test_what_another_call_broke_is_another_violation(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    await prepared(world, held, proposal(**watched()), proposal(2, **watched()))
    assert await violations(world) == [1, 1]


async def test_what_says_that_consent_was_there_is_not_counted_as_held_once_more(world: World) -> None:
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    await yes(world, world.ben, await pending(world))
    await world.work_until(run_id)
    assert await decided(world) == [("require_approval", "look-first")] * 2
    async with world.database.sessions() as session:
        stopped = await stopped_by_policy(session, project_id=world.project_id, now=utc_now(), window=timedelta(days=1))
    assert list(stopped.values()) == [1]
    job_id = await start(world)
    assert await judged(world) == 1
    job = await row(world, job_id)
    assert (job["total"], job["counts"]) == (1, {"newly_allowed": 1})
