"""The gate on a real database: what may leave, under which decision, and what becomes of an answer that is lost."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.domains.effects.state import EffectClass
from sparkops.domains.runs.state import StepStatus
from sparkops.engine import effects
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim, Lease
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.context import Engine
from sparkops.engine.effects import PolicyChanged
from sparkops.engine.errors import CancelRequested, Fenced, NonDeterministic
from sparkops.engine.give_back import reap, release_session
from sparkops.runtime import attempt, gate
from sparkops.runtime.attempt import execute
from sparkops.runtime.trust import Trust
from tests.engine.acts import DENY_NOOP, HOLD_NOOP, ONE_STEP, prepared, proposal, recorded, result
from tests.engine.conftest import World
from tests.engine.sink import listening, sending

SENDS = """
version: 1
name: sends
steps:
  - {id: only, type: tool, tool: send}
"""
TWO_CALLS = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: go}}
"""
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["noop"],
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "noop", "arguments": {"n": 1}}, {"tool": "noop", "arguments": {"n": 2}}]},
            {"text": "${{ string(results[0].is_error) }} ${{ string(results[1].is_error) }}"},
        ]
    },
}

SENDER = SCOUT | {
    "tools": ["send"],
    "script": {"turns": [{"tool_calls": [{"tool": "send", "arguments": {}}]}, {"text": "done"}]},
}


async def approval(world: World) -> UUID:
    found: UUID = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    return found


async def next_holder(world: World, run_id: UUID) -> Claim:
    """Let the holder be lost, and claim the step anew."""
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    await reap(world.engine)
    return (await world.claimed(run_id))[1]


# Decisions


async def test_without_a_rule_a_call_is_allowed_and_the_decision_is_on_record(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    decision = await world.database.pool.fetchrow("SELECT * FROM policy_decisions")
    assert (call["status"], call["decision_id"], call["approval_id"]) == ("done", decision["id"], None)
    assert (decision["outcome"], decision["policy_version"]) == ("allow", 1)
    assert "approval.requested" not in await world.kinds(run_id)


async def test_a_denied_call_never_leaves_and_fails_the_step_with_the_rule(world: World) -> None:
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        await world.rules(DENY_NOOP)
        run_id = await world.run(await world.workflow(SENDS))
        await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert not sink.got
    assert (call["status"], call["error"]["rule"], call["sends"]) == ("denied", "no-tools", 0)
    assert (await world.steps(run_id))["only"]["error"]["code"] == "denied"


async def test_an_agent_is_told_of_a_denial_and_goes_on(world: World) -> None:
    await world.agent("scout", SCOUT)
    await world.rules({**DENY_NOOP, "when": "args.n == 2"})
    run_id = await world.run(await world.workflow(TWO_CALLS))
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"]["only"]["text"] == "false true"


async def test_an_approved_call_is_sent_once_and_its_approval_is_used_up(world: World) -> None:
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: waiting(world, run_id))
    await answer_approval(world.engine, world.ben, await approval(world), approve=True, comment=None)
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (await world.status(run_id), call["status"], call["sends"]) == ("succeeded", "done", 1)
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "consumed"


async def waiting(world: World, run_id: UUID) -> bool:
    return [step["status"] for step in (await world.steps(run_id)).values()] == ["waiting"]


async def test_one_turn_sends_what_is_allowed_and_waits_for_the_rest(world: World) -> None:
    await world.agent("scout", SCOUT)
    await world.rules({**HOLD_NOOP, "when": "args.n == 2"})
    run_id = await world.run(await world.workflow(TWO_CALLS))
    await world.work(lambda: waiting(world, run_id))
    assert [call["status"] for call in await world.calls(run_id)] == ["done", "done", "waiting_approval"]
    await answer_approval(world.engine, world.ben, await approval(world), approve=False, comment="no")
    await world.work_until(run_id)
    calls = await world.calls(run_id)
    assert [call["status"] for call in calls] == ["done", "done", "denied", "done"]
    assert [call["sends"] for call in calls] == [1, 1, 0, 1]
    assert (await world.row(run_id))["output"]["only"]["text"] == "false true"


async def test_a_question_stands_open_as_long_as_the_rule_says(world: World) -> None:
    await world.rules({**HOLD_NOOP, "approval": {"expires": "90s"}})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: waiting(world, run_id))
    open_for = await world.database.pool.fetchval("SELECT expires_at - requested_at FROM approvals")
    assert abs(open_for.total_seconds() - 90) < 1


async def test_a_rule_that_cannot_be_evaluated_denies_and_says_so(world: World) -> None:
    await world.rules({**HOLD_NOOP, "when": "args.amount > 100"})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert call["status"] == "denied"
    assert "look-first could not be evaluated, so it denies: " in call["error"]["message"]


async def test_what_the_run_has_spent_is_read_only_where_a_rule_about_the_call_asks(world: World) -> None:
    elsewhere = {**HOLD_NOOP, "name": "dear", "tools": ["files.*"], "when": "run.cost_micros > 5"}
    await world.rules(elsewhere, {**DENY_NOOP, "when": "run.cost_micros == 0 && tool.name == 'noop'"})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["error"]["rule"]) == ("denied", "no-tools")


async def test_a_question_says_which_agent_asks_for_what(world: World) -> None:
    await world.agent("scout", SCOUT)
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(TWO_CALLS))
    await world.work(lambda: waiting(world, run_id))
    titles = await world.database.pool.fetch("SELECT title FROM approvals WHERE run_id = $1", run_id)
    assert {row["title"] for row in titles} == {"scout asks to use noop"}


@pytest.mark.parametrize(
    ("change", "verdict", "status"),
    [
        ({}, "send", "prepared"),
        ({"tool_hash": "v2"}, "recorded", "expired"),
        ({"outcome": "deny", "reason": "stop"}, "recorded", "denied"),
    ],
    ids=["same", "another tool", "denied meanwhile"],
)
async def test_an_approval_is_for_exactly_one_request_and_tool(
    world: World, change: dict[str, Any], verdict: str, status: str
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(outcome="require_approval", bound_micros=7))
    await answer_approval(world.engine, world.ben, await approval(world), approve=True, comment=None)
    (answer,) = await prepared(world, held, proposal(bound_micros=7, **change))
    assert (answer["verdict"], answer["status"]) == (verdict, status)
    with pytest.raises(NonDeterministic):
        await prepared(world, held, proposal(request={"other": 1}))
    open_ones = await world.database.pool.fetchval("SELECT count(*) FROM approvals WHERE status = 'approved'")
    assert open_ones == 0


@pytest.mark.parametrize(
    ("left", "code"), [("rejected", "rejected"), ("expired", "approval-expired"), ("too late", "approval-expired")]
)
async def test_a_refused_and_an_expired_question_become_tool_errors(world: World, left: str, code: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(outcome="require_approval"))
    if left == "rejected":
        await answer_approval(world.engine, world.ben, await approval(world), approve=False, comment="no")
    elif left == "too late":
        await answer_approval(world.engine, world.ben, await approval(world), approve=True, comment=None)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp() WHERE status <> 'rejected'")
    (answer,) = await prepared(world, held, proposal())
    assert (answer["verdict"], answer["error"]["code"]) == ("recorded", code)
    assert "changed" not in answer["error"]["message"]


async def test_rules_that_change_between_decision_and_prepare_are_asked_again(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, policy=1)  # as long as they hold
    await world.rules(DENY_NOOP)
    with pytest.raises(PolicyChanged):
        await prepared(world, held, proposal(2), policy=1)
    assert [call["seq"] for call in await world.calls(run_id)] == [1]


@pytest.mark.parametrize("behind", ["", "  - {id: then, type: tool, tool: noop, needs: [only], if: 'true'}\n"])
async def test_a_worker_that_knows_old_rules_obeys_the_new_ones(world: World, behind: str) -> None:
    """Both ways in which a step ends: by the database alone, and where a condition has to be evaluated."""
    first = await world.run(await world.workflow(ONE_STEP + behind))
    runtime = world.runtime()
    await runtime.policies.get(world.project_id)
    await world.rules(DENY_NOOP)
    await world.work_until(first, runtime=runtime)
    assert [call["status"] for call in await world.calls(first)] == ["denied"]


async def test_a_call_that_stays_in_its_process_is_on_record_whole_with_the_end_of_its_step(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["prepared_at"], call["request"]) == ("done", None, {"tool": "noop", "arguments": {}})
    decision = await world.database.pool.fetchrow("SELECT * FROM policy_decisions WHERE id = $1", call["decision_id"])
    assert (decision["outcome"], decision["subject_id"], decision["request_hash"]) == (
        "allow",
        call["id"],
        call["request_hash"],
    )
    kinds = await world.kinds(run_id)
    assert kinds.index("call.done") < kinds.index("step.succeeded")


# Lost answers


async def test_an_unsafe_call_that_was_lost_is_never_sent_again(world: World) -> None:
    async with listening() as sink:
        sink.rude = True
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        run_id = await world.run(await world.workflow(SENDS))
        await world.work_until(run_id, "attention")
    (call,) = await world.calls(run_id)
    assert (call["status"], sink.got) == ("unknown", {str(call["id"]): 1})
    step = (await world.steps(run_id))["only"]
    assert (call["cost_micros"], step["status"], step["crashes"]) == (5, "uncertain", 0)


async def test_an_unsafe_call_whose_worker_died_waits_for_a_person(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal(effect_class="unsafe", bound_micros=7), proposal(2))
    await release_session(world.engine, worker.session_id, crashed=True)
    assert [call["status"] for call in await world.calls(run_id)] == ["unknown", "prepared"]
    assert (await world.steps(run_id))["only"]["status"] == "uncertain"
    assert (await world.status(run_id)) == "attention"
    assert await world.claims(await world.worker()) == []


async def test_an_unsafe_call_that_is_prepared_twice_is_not_sent_twice(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(effect_class="unsafe", bound_micros=7))
    (answer,) = await prepared(world, held, proposal(effect_class="unsafe", bound_micros=7))
    assert (answer["verdict"], answer["status"]) == ("uncertain", "unknown")
    assert (await world.steps(run_id))["only"]["status"] == "uncertain"


async def test_of_a_turn_that_was_lost_what_is_on_record_answers_and_only_the_rest_is_sent(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    done, _ = await prepared(world, held, proposal(1), proposal(2))
    await recorded(world, held, result(done["call_id"], cost=3))
    again = await next_holder(world, run_id)
    first, second = await prepared(world, again, proposal(1), proposal(2))
    assert (first["verdict"], first["response"], second["verdict"]) == ("recorded", {"ok": True}, "send")
    assert [call["sends"] for call in await world.calls(run_id)] == [1, 2]


async def test_a_question_that_is_open_when_the_step_is_attempted_anew_is_asked_no_second_time(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (asked,) = await prepared(world, held, proposal(outcome="require_approval"))
    again = await next_holder(world, run_id)  # the one that asked was lost before it could wait
    (verdict,) = await prepared(world, again, proposal(outcome="require_approval"))
    assert (verdict["verdict"], verdict["approval_id"]) == ("waiting", asked["approval_id"])
    assert UUID(asked["approval_id"]) == await approval(world)
    assert (await world.kinds(run_id)).count("approval.requested") == 1


async def test_a_worker_whose_lease_is_too_old_sends_nothing(world: World) -> None:
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        run_id = await world.run(await world.workflow(SENDS))
        _, held = await world.claimed(run_id)
        with pytest.raises(Fenced):
            await execute(world.runtime(), held, Trust(until=0))
        assert not sink.got


@pytest.mark.parametrize("effect_class", ["pure", "idempotent"])
async def test_a_lost_call_that_may_be_repeated_goes_out_under_the_same_id_and_pays_again(
    world: World, effect_class: str
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    asked = proposal(effect_class=effect_class, bound_micros=7)
    (first,) = await prepared(world, held, asked)
    again = await next_holder(world, run_id)
    (second,) = await prepared(world, again, proposal(effect_class=effect_class, bound_micros=7))
    assert (second["call_id"], second["send_no"], second["verdict"]) == (first["call_id"], 2, "send")
    await recorded(world, again, result(first["call_id"], cost=4))
    lines = await world.database.pool.fetch("SELECT send_no, amount_micros, kind FROM ledger_entries ORDER BY send_no")
    assert [tuple(line) for line in lines] == [(1, 7, "presumed"), (2, 4, "actual")]


async def test_what_the_rules_now_deny_is_not_sent_again(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(bound_micros=7))
    again = await next_holder(world, run_id)
    (answer,) = await prepared(world, again, proposal(bound_micros=7, outcome="deny", rule="stop", reason="stop"))
    assert (answer["verdict"], answer["status"], answer["error"]["code"]) == ("recorded", "failed", "denied")


@pytest.mark.parametrize("answered", [False, True], ids=["lost", "answered"])
async def test_a_step_that_asks_for_something_else_than_before_fails(world: World, answered: bool) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (call,) = await prepared(world, held, proposal(request={"tool": "noop", "arguments": {"other": 1}}))
    if answered:
        await recorded(world, held, result(call["call_id"]))
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity'")
    await reap(world.engine)
    await world.work_until(run_id)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["error"]["code"]) == ("failed", "non-deterministic")


@pytest.mark.parametrize("other", [{"name": "other"}, {"kind": "llm"}], ids=["another tool", "another kind"])
async def test_the_same_request_of_another_tool_or_kind_is_another_call(world: World, other: dict[str, Any]) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held)
    with pytest.raises(NonDeterministic):
        await prepared(world, held, proposal(**other))


# Outcomes that are written with what comes next


def noting_records(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the calls whose outcomes are recorded in a transaction of their own from now on."""
    alone: list[str] = []

    async def noted(engine: Engine, lease: Lease, results: Sequence[Mapping[str, Any]]) -> None:
        alone.extend(each["call_id"] for each in results)
        await effects.record(engine, lease, results)

    monkeypatch.setattr(gate, "record", noted)
    return alone


async def test_what_a_turn_has_brought_is_recorded_with_what_the_agent_does_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = noting_records(monkeypatch)
    await world.agent("scout", SCOUT)
    run_id = await world.run(await world.workflow(TWO_CALLS))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert [call["status"] for call in await world.calls(run_id)] == ["done"] * 4
    assert alone == []


@pytest.mark.parametrize("effect_class", [EffectClass.IDEMPOTENT, EffectClass.UNSAFE])
async def test_what_may_not_freely_be_repeated_is_recorded_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, effect_class: EffectClass
) -> None:
    alone = noting_records(monkeypatch)
    await world.agent("scout", SENDER)
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, effect_class)
        run_id = await world.run(await world.workflow(TWO_CALLS))
        await world.work_until(run_id)
    assert alone == [str(call["id"]) for call in await world.calls(run_id) if call["kind"] == "tool"]


async def test_what_came_back_is_settled_before_what_comes_next_is_held(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP), budget_micros=100)
    _, held = await world.claimed(run_id)
    (first,) = await prepared(world, held, proposal(bound_micros=90))
    (second,) = await prepared(world, held, proposal(2, bound_micros=80), results=[result(first["call_id"], cost=20)])
    assert second["verdict"] == "send"
    assert [call["status"] for call in await world.calls(run_id)] == ["done", "prepared"]
    budget = await world.database.pool.fetchrow("SELECT spent_micros, reserved_micros FROM budgets")
    assert (budget["spent_micros"], budget["reserved_micros"]) == (20, 80)


async def test_an_answer_that_was_lost_settles_what_came_before_once(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (first,) = await prepared(world, held, proposal(bound_micros=90))
    results = [result(first["call_id"], cost=20)]
    asked = proposal(2, bound_micros=80)
    answers = [await prepared(world, held, asked, results=results, again=again) for again in (False, True)]
    assert [answer["verdict"] for (answer,) in answers] == ["send", "send"]
    budget = await world.database.pool.fetchrow("SELECT spent_micros, reserved_micros FROM budgets")
    assert (budget["spent_micros"], budget["reserved_micros"]) == (20, 80)


async def test_where_nothing_may_be_prepared_what_came_before_comes_with_the_end(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    (first,) = await prepared(world, held, proposal(bound_micros=90))
    results = [result(first["call_id"], cost=20)]
    await cancel_run(world.engine, world.ada, run_id)
    with pytest.raises(CancelRequested):
        await prepared(world, held, proposal(2), results=results)
    assert [call["status"] for call in await world.calls(run_id)] == ["prepared"]
    error = {"code": "cancelled", "message": "it was asked to stop"}
    await end_attempt(world.engine, worker, Ended(held, StepStatus.FAILED, error=error, results=results), claim=0)
    assert [(call["status"], call["cost_micros"]) for call in await world.calls(run_id)] == [("done", 20)]


async def test_what_a_prepare_whose_answer_was_lost_has_recorded_is_passed_over_by_the_end(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    (first,) = await prepared(world, held, proposal(bound_micros=90))
    results = [result(first["call_id"], cost=20)]
    await prepared(world, held, proposal(2), results=results)
    error = {"code": "cancelled", "message": "it was asked to stop"}
    await end_attempt(world.engine, worker, Ended(held, StepStatus.FAILED, error=error, results=results), claim=0)
    first_call, second = await world.calls(run_id)
    assert (first_call["status"], first_call["cost_micros"], second["status"]) == ("done", 20, "unknown")
    assert (await world.database.pool.fetchval("SELECT spent_micros FROM budgets")) == 20
    assert (await world.kinds(run_id)).count("call.done") == 1


# Transactions


async def test_no_transaction_is_open_while_a_call_is_out(world: World) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await world.run(await world.workflow(SENDS))
        working = asyncio.create_task(world.work_until(run_id))
        await sink.reached.wait()
        open_ones = await world.database.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND state LIKE 'idle in transaction%'"
        )
        assert (await world.calls(run_id))[0]["status"] == "prepared"
        sink.open.set()
        await working
    assert open_ones == 0
    assert await world.status(run_id) == "succeeded"


@pytest.mark.parametrize("place", ["after_prepare", "before_record", "after_record"])
async def test_a_database_that_goes_away_for_a_moment_costs_neither_the_lease_nor_a_second_call(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    lost: list[str] = []

    def lose_once(name: str) -> None:
        if name == place and not lost:
            lost.append(name)
            raise ConnectionResetError("the answer did not come")

    monkeypatch.setattr(effects, "failpoint", lose_once)
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        await world.agent("scout", SENDER)
        run_id = await world.run(await world.workflow(TWO_CALLS))
        await world.work_until(run_id)
        assert (lost, sink.got.total()) == ([place], 1)
    step = (await world.steps(run_id))["only"]
    assert (await world.status(run_id), step["attempt"], step["crashes"]) == ("succeeded", 1, 0)
    budget = await world.database.pool.fetchrow("SELECT spent_micros, reserved_micros FROM budgets")
    assert (budget["spent_micros"], budget["reserved_micros"]) == (3, 0), "paid once"


async def test_a_step_that_the_database_left_goes_back_to_the_queue_without_blame(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)

    async def gone(_: object) -> object:
        raise asyncpg.ConnectionDoesNotExistError("the connection was closed in the middle of operation")

    monkeypatch.setitem(attempt._KINDS, "tool", gone)
    await execute(world.runtime(), held, Trust.since(0, 1e12))
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["failures"], step["crashes"], step["isolate"]) == ("ready", 0, 0, False)
