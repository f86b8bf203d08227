"""Budgets of all scopes and periods: counted on together, asked, waited for, raised, and turned with the calendar."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkops.core.errors import Conflict, Forbidden, Invalid
from sparkops.core.principal import Principal
from sparkops.domains.budgets.definition import NewBudget, Terms
from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.answer import answer_approval
from sparkops.engine.budgets import archive_budget, change_budget, define_budget
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.effects import prepare, record
from sparkops.engine.errors import Fenced, OverBudget
from sparkops.engine.give_back import reap
from sparkops.engine.invariants import audit
from sparkops.engine.room import forecast_of
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import wait_for_approvals, wait_for_budget
from sparkops.runtime.attempt import execute
from sparkops.runtime.gate import RecordedGate
from sparkops.runtime.trust import Trust
from tests.engine.acts import ONE_STEP, hands, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World
from tests.tiers import WHOLE

RESERVATIONS, BOUND = (100_000 if WHOLE else 640), 12
WORKERS = 4
"""Processes that race; what gathers in one of them goes together."""
PAID = """
version: 1
name: paid
steps:
  - id: ask
    type: llm
    with:
      model: scripted
      prompt: how much
      max_output_tokens: 10
      script:
        price: {input_usd_per_million: 0, output_usd_per_million: 0}
        turns: [{text: "42", usage: {input_tokens: 30, output_tokens: 10}}]
"""
MANY = "version: 1\nname: many\nsteps:\n" + "".join(f"  - {{id: s{n}, type: tool, tool: noop}}\n" for n in range(64))


async def budget(world: World, *, project: bool = True, by: Principal | None = None, **stated: Any) -> UUID:
    """Define a budget of the project: for all of it and for ever, where nothing else is stated."""
    new = NewBudget.model_validate({"name": "all", "scope": "project", "period": "total", **stated})
    return await define_budget(world.engine, by or world.ada, world.project_id if project else None, new)


def at(percent: int, action: str) -> dict[str, Any]:
    return {"percent": percent, "action": action}


async def windows(world: World, budget_id: UUID) -> list[Mapping[str, Any]]:
    rows = await world.database.pool.fetch(
        "SELECT * FROM budgets WHERE definition_id = $1 ORDER BY created_at, id", budget_id
    )
    return [dict(row) for row in rows]


async def used(world: World, budget_id: UUID) -> tuple[int, int]:
    (window,) = await windows(world, budget_id)
    return window["reserved_micros"], window["spent_micros"]


async def alone(world: World) -> Claim:
    """The one step of a run that may spend much, claimed."""
    name = await world.database.pool.fetchval("SELECT name FROM workflows WHERE name = 'one'")
    run_id = await world.run(name or await world.workflow(ONE_STEP), budget_micros=1_000_000)
    return (await world.claimed(run_id))[1]


async def test_who_changes_a_budget_waits_for_who_settles_over_it_and_is_not_waited_for(world: World) -> None:
    shared = await budget(world, limit_micros=1_000)
    held = await alone(world)
    calls = await prepared(world, held, *(proposal(seq, bound_micros=10) for seq in (1, 2)))
    async with world.transaction() as settling:
        await record(settling, held.lease, [result(calls[0]["call_id"], cost=3)])
        change = change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=2_000))
        changing = await world.blocked(change)
        await record(settling, held.lease, [result(calls[1]["call_id"], cost=4)])
    await changing
    assert await used(world, shared) == (0, 7)


async def stamp(world: World) -> int:
    found: int = await world.database.pool.fetchval("SELECT engine.policy_stamp($1)", world.project_id)
    return found


async def asks(world: World, claim: Claim, seq: int = 1, **terms: Any) -> Any:
    (verdict,) = await prepared(world, claim, proposal(seq, **terms), policy=await stamp(world))
    return verdict


async def notices(world: World) -> list[tuple[str, int, str]]:
    rows = await world.database.pool.fetch("SELECT kind, percent, action FROM budget_notices ORDER BY at, percent")
    return [tuple(row) for row in rows]


# Held over all scopes


async def test_a_call_is_held_against_every_budget_that_it_counts_against(world: World) -> None:
    admin = replace(world.ada, is_admin=True)
    ids = [
        await budget(world, name="everything", project=False, by=admin, scope="installation", limit_micros=900),
        await budget(world, name="project", limit_micros=900),
        await budget(world, name="workflow", scope="workflow", limit_micros=900),
        await budget(world, name="agent", scope="agent", limit_micros=900),
        await budget(world, name="user", scope="user", limit_micros=900),
        await budget(world, name="run", scope="run", limit_micros=900),
    ]
    await world.agent("clerk", {})
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=100, agent="clerk")
    assert [await used(world, one) for one in ids] == [(100, 0)] * 6
    await recorded(world, held, result(verdict["call_id"], cost=30))
    assert [await used(world, one) for one in ids] == [(0, 30)] * 6
    lines = await world.database.pool.fetch("SELECT amount_micros FROM ledger_entries")
    assert [row["amount_micros"] for row in lines] == [30] * 7, "and the run's own"


async def test_what_does_not_fit_one_budget_is_held_against_none(world: World) -> None:
    wide, narrow = await budget(world, limit_micros=900), await budget(world, name="narrow", limit_micros=50)
    verdict = await asks(world, await alone(world), bound_micros=60)
    assert (verdict["status"], verdict["error"]["code"]) == ("denied", "budget-exceeded")
    assert verdict["error"]["message"] == (
        "the budget narrow allows $0.00005, $0.00 of it is spent or held, and this may cost $0.00006"
    )
    assert [await used(world, one) for one in (wide, narrow)] == [(0, 0), (0, 0)]


async def test_a_refusal_for_money_is_a_decision_and_a_violation(world: World) -> None:
    await budget(world, limit_micros=0)
    await asks(world, await alone(world), bound_micros=1)
    decision = await world.database.pool.fetchrow("SELECT outcome, rule FROM policy_decisions")
    assert tuple(decision) == ("deny", "budget")
    assert await world.database.pool.fetchval("SELECT rule FROM violations") == "budget"


async def test_a_budget_for_each_user_counts_each_alone(world: World) -> None:
    each = await budget(world, scope="user", limit_micros=100)
    await asks(world, await alone(world), bound_micros=100)
    await world.sql("UPDATE runs SET created_by = $1", world.ben.user_id)
    other = await alone(world)
    await world.sql("UPDATE runs SET created_by = $1 WHERE id = $2", world.ben.user_id, other.run_id)
    assert (await asks(world, other, bound_micros=100))["verdict"] == "send"
    assert [one["reserved_micros"] for one in await windows(world, each)] == [100, 100]


async def test_a_budget_for_one_user_leaves_the_others_alone(world: World) -> None:
    one = await budget(world, scope="user", target=str(world.ben.user_id), limit_micros=0)
    assert (await asks(world, await alone(world), bound_micros=100))["verdict"] == "send"
    assert await windows(world, one) == []


CHILD = "version: 1\nname: child\nsteps:\n  - {id: only, type: tool, tool: noop}\n"
PARENT = "version: 1\nname: parent\nsteps:\n  - {id: below, type: workflow, workflow: child}\n"


async def test_what_is_done_below_counts_against_the_workflow_and_the_run_at_the_top(world: World) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT))
    workflow = await world.database.pool.fetchval("SELECT id FROM workflows WHERE name = 'parent'")
    above = await budget(world, name="parent", scope="workflow", target=str(workflow), limit_micros=100)
    tree = await budget(world, name="tree", scope="run", period="run", limit_micros=90)
    at_it = await hands(world, run_id)
    await at_it.take()
    await at_it.attempt("below")
    (held,) = await world.claims(await world.worker())
    assert held.run_id != run_id
    assert (await asks(world, held, bound_micros=80))["verdict"] == "send"
    assert (await used(world, above), await used(world, tree)) == ((80, 0), (80, 0))
    (window,) = await windows(world, tree)
    assert window["scope_id"] == run_id
    denied = await asks(world, held, 2, bound_micros=20)
    assert "the budget tree" in denied["error"]["message"], "children inherit what is left"


async def test_of_64_callers_at_once_exactly_as_many_as_fit_are_let_in(world: World) -> None:
    shared = await budget(world, limit_micros=20 * 100 + 99)
    await budget(world, name="wider", scope="workflow", limit_micros=30 * 100)
    await world.run(await world.workflow(MANY), budget_micros=1_000_000)
    claims = await world.claims(await world.worker(64), 64)
    assert len(claims) == 64
    policy = await stamp(world)
    workers = [replace(world.engine) for _ in range(WORKERS)]
    answers = await asyncio.gather(
        *(
            prepared(workers[n % WORKERS], each, proposal(bound_micros=100), policy=policy)
            for n, each in enumerate(claims)
        )
    )
    assert [answer["verdict"] for (answer,) in answers].count("send") == 20
    assert await used(world, shared) == (2_000, 0)


@pytest.mark.timeout(7200)
async def test_whatever_64_callers_hold_and_settle_at_once_no_budget_is_ever_overdrawn(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    limit = RESERVATIONS * BOUND // 4  # half of what they will have spent if nothing stops them
    shared = await budget(world, limit_micros=limit)
    await world.run(await world.workflow(MANY), budget_micros=10**9)
    claims = await world.claims(await world.worker(64), 64)
    policy, random, over, paid = await stamp(world), Random(RESERVATIONS), 0, 0

    workers = [replace(world.engine) for _ in range(WORKERS)]

    async def spend(held: Claim, engine: Engine) -> None:
        nonlocal paid
        for seq in range(1, RESERVATIONS // 64 + 1):
            (verdict,) = await prepared(engine, held, proposal(seq, bound_micros=BOUND), policy=policy)
            if verdict["verdict"] == "send":
                cost = random.choice((None, *range(BOUND + 1)))
                status = "failed" if cost is None else "done"
                await recorded(world, held, result(verdict["call_id"], status, cost=cost))
                paid += BOUND if cost is None else cost

    async def look() -> None:
        nonlocal over
        while True:
            held, spent = await used(world, shared)
            over = max(over, held + spent - limit)
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    await asyncio.gather(*(spend(each, workers[n % WORKERS]) for n, each in enumerate(claims)))
    looking.cancel()
    record_property("played", RESERVATIONS // 64 * 64)
    lines = await world.database.pool.fetchval(
        "SELECT sum(amount_micros) FROM ledger_entries l JOIN budgets b ON b.id = l.budget_id"
        " WHERE b.definition_id = $1",
        shared,
    )
    assert (over, await used(world, shared), lines) == (0, (0, paid), paid)
    assert limit - BOUND < paid <= limit, "all that fits was let in"


async def test_a_reservation_waits_for_another_run_that_counts_against_the_same_budget(world: World) -> None:
    await budget(world, limit_micros=100)
    first, second = await alone(world), await alone(world)
    policy = await stamp(world)
    async with world.transaction() as engine:
        await prepared(engine, first, proposal(bound_micros=60), policy=policy)
        late = await world.blocked(prepared(world, second, proposal(bound_micros=60), policy=policy))
    (answer,) = await late
    assert answer["error"]["code"] == "budget-exceeded"


# Thresholds


async def test_a_threshold_that_notifies_does_so_once_in_a_window(world: World) -> None:
    await budget(world, limit_micros=100, thresholds=[at(50, "notify"), at(80, "notify")])
    held = await alone(world)
    for seq, bound in enumerate((49, 1, 1, 40), start=1):
        assert (await asks(world, held, seq, bound_micros=bound))["verdict"] == "send"
    assert await notices(world) == [("money", 50, "notify"), ("money", 80, "notify")]
    assert (await world.kinds(held.run_id)).count("budget.reached") == 2


async def test_a_threshold_that_asks_lets_one_call_pass_with_consent(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(50, "require_approval")])
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=60)
    assert verdict["verdict"] == "waiting"
    approval = await world.database.pool.fetchrow("SELECT id, rule, reason FROM approvals")
    assert (approval["rule"], approval["reason"]) == (
        "budget",
        "the budget all allows 50 % of $0.0001, $0.00 of it is spent or held, and this may cost $0.00006",
    )
    await answer_approval(world.engine, world.ben, approval["id"], approve=True, comment=None)
    assert (await asks(world, held, bound_micros=60))["verdict"] == "send"
    assert await used(world, shared) == (60, 0)
    assert (await asks(world, held, 2, bound_micros=1))["verdict"] == "waiting", "consent was for one call"
    assert (await asks(world, held, 3, bound_micros=41))["status"] == "denied", "nobody asked to go beyond the limit"


async def test_consent_at_the_limit_goes_beyond_it(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "require_approval"), at(120, "deny")])
    held = await alone(world)
    await asks(world, held, bound_micros=110)
    approval = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, approval, approve=True, comment=None)
    assert (await asks(world, held, bound_micros=110))["verdict"] == "send"
    assert await used(world, shared) == (110, 0)
    assert (await asks(world, held, 2, bound_micros=11))["status"] == "denied"


async def parked(world: World, **stated: Any) -> tuple[UUID, Claim]:
    """A budget of 100 that pauses, and a step that waits for it with a call of 60, because 50 are held."""
    shared = await budget(world, **{"limit_micros": 100, "thresholds": [at(100, "pause")], **stated})
    first, second = await alone(world), await alone(world)
    await asks(world, first, bound_micros=50)
    verdict = await asks(world, second, bound_micros=60)
    assert verdict["verdict"] == "budget"
    assert (await wait_for_budget(world.engine, second, verdict["waits_for"])).status == "waiting"
    return shared, second


async def step_status(world: World, claim: Claim) -> str:
    return str((await world.steps(claim.run_id))["only"]["status"])


async def test_a_pause_writes_nothing_and_a_raised_limit_lets_the_step_go_on(world: World) -> None:
    shared, waiting = await parked(world)
    assert (await world.calls(waiting.run_id), await step_status(world, waiting)) == ([], "waiting")
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=105))
    assert await step_status(world, waiting) == "ready", "it finds out itself that this is not enough"
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=200))
    (again,) = await world.claims(await world.worker())
    assert (await asks(world, again, bound_micros=60))["verdict"] == "send"


async def test_a_step_waits_again_where_the_raise_was_not_enough(world: World) -> None:
    shared, _ = await parked(world)
    terms = Terms.model_validate({"name": "all", "limit_micros": 105, "thresholds": [at(100, "pause")]})
    await change_budget(world.engine, world.ada, shared, terms)
    (again,) = await world.claims(await world.worker())
    verdict = await asks(world, again, bound_micros=60)
    assert (await wait_for_budget(world.engine, again, verdict["waits_for"])).status == "waiting"


async def test_a_limit_that_is_raised_while_the_step_is_about_to_wait_is_seen(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "pause")])
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=101)
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=200))
    assert (await wait_for_budget(world.engine, held, verdict["waits_for"])).status == "ready"


async def test_a_budget_that_is_given_up_while_the_step_is_about_to_wait_is_not_waited_for(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "pause")])
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=101)
    await archive_budget(world.engine, world.ada, shared)
    assert (await wait_for_budget(world.engine, held, verdict["waits_for"])).status == "ready"


async def test_a_period_that_turns_while_the_step_is_about_to_wait_is_seen(world: World) -> None:
    shared = await budget(world, limit_micros=100, period="day", thresholds=[at(100, "pause")])
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=101)
    await turned(world, shared)
    assert (await wait_for_budget(world.engine, held, verdict["waits_for"])).status == "ready"


async def turned(world: World, budget_id: UUID) -> None:
    """Let the window be yesterday's."""
    await world.sql(
        "UPDATE budgets SET window_key = 'then', starts_at = starts_at - interval '1 day',"
        " ends_at = ends_at - interval '1 day' WHERE definition_id = $1",
        budget_id,
    )


async def test_the_sweep_wakes_what_nobody_woke(world: World) -> None:
    shared, waiting = await parked(world)
    await world.sql("UPDATE budgets SET limit_micros = 1000 WHERE definition_id = $1", shared)
    await sweep(world.engine, ("run",))
    assert await step_status(world, waiting) == "ready"


async def test_the_sweep_leaves_alone_what_has_no_room(world: World) -> None:
    _, waiting = await parked(world)
    await sweep(world.engine, ("run",))
    assert await step_status(world, waiting) == "waiting"


async def test_room_that_becomes_free_wakes_what_waits(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "pause")])
    first, second = await alone(world), await alone(world)
    paid = await asks(world, first, bound_micros=50)
    verdict = await asks(world, second, bound_micros=60)
    await wait_for_budget(world.engine, second, verdict["waits_for"])
    await recorded(world, first, result(paid["call_id"], cost=10))
    await sweep(world.engine, ("run",))
    assert (await step_status(world, second), await used(world, shared)) == ("ready", (0, 10))


async def test_the_next_period_lets_the_step_go_on(world: World) -> None:
    shared, waiting = await parked(world, period="day")
    (window,) = await windows(world, shared)
    step = (await world.steps(waiting.run_id))["only"]
    assert step["wake_at"] == window["ends_at"]
    await turned(world, shared)
    await world.sql("UPDATE steps SET wake_at = clock_timestamp() WHERE id = $1", waiting.lease.step_id)
    await sweep(world.engine, ("run",))
    (again,) = await world.claims(await world.worker())
    assert (await asks(world, again, bound_micros=60))["verdict"] == "send"
    assert [one["reserved_micros"] for one in await windows(world, shared)] == [50, 60]


async def test_a_budget_that_is_given_up_lets_the_step_go_on(world: World) -> None:
    shared, waiting = await parked(world)
    await archive_budget(world.engine, world.ada, shared)
    assert await step_status(world, waiting) == "ready"
    (again,) = await world.claims(await world.worker())
    assert (await asks(world, again, bound_micros=60))["verdict"] == "send"
    assert await used(world, shared) == (50, 0), "nothing more is counted on it"


async def test_a_worker_parks_the_step_for_its_budget_and_another_goes_on_when_it_is_raised(world: World) -> None:
    shared = await budget(world, limit_tokens=10, thresholds=[at(100, "pause")])
    run_id = await world.run(await world.workflow(PAID))

    async def waits() -> bool:
        return bool((await world.steps(run_id))["ask"]["status"] == "waiting")

    await world.work(waits)
    assert (await world.steps(run_id))["ask"]["waiting_for"]["name"] == "all"
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_tokens=100_000))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    (window,) = await windows(world, shared)
    assert (window["spent_tokens"], window["reserved_tokens"], window["calls"]) == (40, 0, 1)


async def test_an_approved_call_waits_for_its_budget_and_goes_on_under_the_same_consent(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "pause")])
    held = await alone(world)
    await asks(world, held, bound_micros=101, outcome="require_approval", rule="look")
    approval = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, approval, approve=True, comment=None)
    asked: dict[str, Any] = {"bound_micros": 101, "outcome": "require_approval", "rule": "look"}
    verdict = await asks(world, held, **asked)
    assert verdict["verdict"] == "budget"
    assert (await world.calls(held.run_id))[0]["status"] == "waiting_approval"
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=200))
    assert (await asks(world, held, **asked))["verdict"] == "send"


async def test_a_call_that_was_lost_waits_for_its_budget_before_it_is_sent_again(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "pause")])
    held = await alone(world)
    await asks(world, held, bound_micros=60)
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    (again,) = await world.claims(await world.worker())
    verdict = await asks(world, again, bound_micros=60)
    assert (verdict["verdict"], await used(world, shared)) == ("budget", (0, 60))
    assert (await asks(world, again, bound_micros=60))["verdict"] == "budget", "nor if it asks once more"
    asked = [proposal(bound_micros=60)]
    (verdict,) = await prepare(world.engine, again.lease, asked, policy_version=await stamp(world), again=True)
    assert verdict["verdict"] == "budget", "nor where the answer was lost"
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=200))
    sent = await asks(world, again, bound_micros=60)
    assert (sent["verdict"], sent["send_no"], await used(world, shared)) == ("send", 2, (60, 60))


async def next_holder(world: World, claim: Claim) -> Claim:
    """Let the holder be lost, and claim its step anew."""
    await world.lapse(claim.lease.step_id)
    await reap(world.engine)
    (found,) = await world.claims(await world.worker())
    return found


async def question(world: World) -> Mapping[str, Any]:
    """The newest question."""
    return dict(await world.database.pool.fetchrow("SELECT * FROM approvals ORDER BY id DESC LIMIT 1"))


async def decided(world: World) -> list[tuple[str, str | None]]:
    rows = await world.database.pool.fetch("SELECT outcome, rule FROM policy_decisions ORDER BY id")
    return [tuple(row) for row in rows]


async def lost(world: World) -> tuple[UUID, Claim]:
    """A budget of 100 that asks beyond it, and the next attempt at a step whose call of 60 was lost."""
    shared = await budget(world, limit_micros=100, thresholds=[at(100, "require_approval"), at(200, "deny")])
    held = await alone(world)
    await asks(world, held, bound_micros=60)
    return shared, await next_holder(world, held)


async def test_a_lost_call_goes_out_again_with_consent_where_its_budget_asks(world: World) -> None:
    shared, held = await lost(world)
    verdict = await asks(world, held, bound_micros=60)
    (call,) = await world.calls(held.run_id)
    assert (verdict["verdict"], call["status"], call["sends"]) == ("waiting", "prepared", 1)
    assert await used(world, shared) == (0, 60), "its answer is presumed to have cost that"
    asked = await question(world)
    assert (asked["rule"], asked["demands"]["quorum"], str(asked["id"])) == ("budget", 1, verdict["approval_id"])
    assert (await asks(world, held, bound_micros=60))["approval_id"] == verdict["approval_id"], "it asks once"
    await wait_for_approvals(world.engine, held, [asked["id"]])
    await answer_approval(world.engine, world.ben, asked["id"], approve=True, comment=None)
    (held,) = await world.claims(await world.worker())
    sent = await asks(world, held, bound_micros=60)
    assert (sent["verdict"], sent["send_no"], await used(world, shared)) == ("send", 2, (60, 60))
    assert (await question(world))["status"] == "consumed"
    assert await decided(world) == [("allow", None), ("require_approval", "budget"), ("allow", None)]
    await recorded(world, held, result(sent["call_id"], cost=5))
    assert await used(world, shared) == (0, 65)


async def test_a_worker_asks_people_before_it_sends_again_what_was_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = await budget(world, limit_tokens=100_000)
    run_id = await world.run(await world.workflow(PAID))

    async def is_lost(*_: Any, **__: Any) -> Any:
        raise Fenced("this worker is lost", where="test")

    _, held = await world.claimed(run_id)
    monkeypatch.setattr(RecordedGate, "_send_all", is_lost)
    with pytest.raises(Fenced):
        await execute(world.runtime(), held, Trust.since(monotonic(), 60))
    monkeypatch.undo()
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    (window,) = await windows(world, shared)
    terms = {"name": "all", "limit_tokens": window["reserved_tokens"], "thresholds": [at(100, "require_approval")]}
    await change_budget(world.engine, world.ada, shared, Terms.model_validate(terms))

    async def waits() -> bool:
        return bool((await world.steps(run_id))["ask"]["status"] == "waiting")

    await world.work(waits)
    await answer_approval(world.engine, world.ben, (await question(world))["id"], approve=True, comment=None)
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (await world.status(run_id), call["status"], call["sends"]) == ("succeeded", "done", 2)


async def test_a_lost_call_that_people_let_out_again_is_not_asked_about_once_more(world: World) -> None:
    shared, held = await lost(world)
    await asks(world, held, bound_micros=60)
    await answer_approval(world.engine, world.ben, (await question(world))["id"], approve=True, comment=None)
    await asks(world, held, bound_micros=60)
    sent = await asks(world, await next_holder(world, held), bound_micros=60)
    assert (sent["verdict"], sent["send_no"], await used(world, shared)) == ("send", 3, (60, 120))


@pytest.mark.parametrize("left", ["rejected", "approval-expired"])
async def test_a_lost_call_that_nobody_lets_out_again_fails(world: World, left: str) -> None:
    shared, held = await lost(world)
    await asks(world, held, bound_micros=60)
    if left == "rejected":
        await answer_approval(world.engine, world.ben, (await question(world))["id"], approve=False, comment="no")
    else:
        await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    verdict = await asks(world, held, bound_micros=60)
    assert (verdict["verdict"], verdict["status"], verdict["error"]["code"]) == ("recorded", "failed", left)
    assert await used(world, shared) == (0, 60)
    assert (await question(world))["status"] == left.removeprefix("approval-")


async def test_a_lost_call_that_waits_for_people_is_not_sent_where_the_answer_was_lost(world: World) -> None:
    await budget(world, limit_micros=100, thresholds=[at(100, "require_approval"), at(200, "deny")])
    held = await alone(world)
    asked = [proposal(bound_micros=60)]
    policy = await stamp(world)
    verdicts = [
        (await prepare(world.engine, held.lease, asked, policy_version=policy, again=unanswered))[0]["verdict"]
        for unanswered in (False, False, True)
    ]
    assert verdicts == ["send", "waiting", "waiting"]


async def test_what_is_denied_by_now_withdraws_the_question_about_a_lost_call(world: World) -> None:
    _, held = await lost(world)
    await asks(world, held, bound_micros=60)
    verdict = await asks(world, held, bound_micros=60, outcome="deny", rule="stop", reason="stop")
    assert (verdict["status"], verdict["error"]["code"]) == ("failed", "denied")
    assert (await question(world))["status"] == "withdrawn"


async def test_a_lost_call_that_waits_for_people_is_unknown_where_its_step_ends(world: World) -> None:
    _, held = await lost(world)
    await asks(world, held, bound_micros=60)
    await wait_for_approvals(world.engine, held, [(await question(world))["id"]])
    await cancel_run(world.engine, world.ada, held.run_id)
    (call,) = await world.calls(held.run_id)
    assert (call["status"], (await question(world))["status"]) == ("unknown", "withdrawn")


async def test_a_lost_call_that_people_let_out_again_waits_for_a_budget_that_pauses(world: World) -> None:
    _, held = await lost(world)
    await asks(world, held, bound_micros=60)
    await answer_approval(world.engine, world.ben, (await question(world))["id"], approve=True, comment=None)
    narrow = await budget(world, name="narrow", limit_micros=10, thresholds=[at(100, "pause")])
    assert (await asks(world, held, bound_micros=60))["verdict"] == "budget"
    assert (await question(world))["status"] == "approved"
    await archive_budget(world.engine, world.ada, narrow)
    sent = await asks(world, held, bound_micros=60)
    assert (sent["verdict"], sent["send_no"]) == ("send", 2)


# What budgets decide is on record, and is nobody's


@pytest.mark.parametrize("action", ["deny", "require_approval"])
async def test_what_a_budget_decides_is_laid_to_no_policy(world: World, action: str) -> None:
    await world.rules({"name": "fine", "on": ["llm.call"], "effect": "allow", "severity": "critical"})
    await budget(world, limit_tokens=1_000_000, thresholds=[at(1, action)])
    await world.run(await world.workflow(PAID.replace("max_output_tokens: 10", "max_output_tokens: 20000")))

    async def judged() -> bool:
        return bool(await world.database.pool.fetchval("SELECT count(*) FROM policy_decisions"))

    await world.work(judged)
    row = await world.database.pool.fetchrow("SELECT * FROM policy_decisions")
    assert (row["outcome"], row["rule"], row["reason"][:14]) == (action, "budget", "the budget all")
    assert (row["policy_id"], row["rule_version"], row["severity"]) == (None, None, None)
    violations = await world.database.pool.fetch("SELECT policy_id, rule, severity FROM violations")
    assert [tuple(each) for each in violations] == ([(None, "budget", "medium")] if action == "deny" else [])


async def test_a_budget_that_denies_what_people_let_go_is_on_record(world: World) -> None:
    await budget(world, limit_micros=100)
    held, other = await alone(world), await alone(world)
    asked: dict[str, Any] = {"bound_micros": 60, "outcome": "require_approval", "rule": "look", "severity": "high"}
    await asks(world, held, **asked)
    await answer_approval(world.engine, world.ben, (await question(world))["id"], approve=True, comment=None)
    await asks(world, other, bound_micros=60)
    assert (await asks(world, held, **asked))["error"]["code"] == "budget-exceeded"
    assert await decided(world) == [("require_approval", "look"), ("allow", None), ("deny", "budget")]
    row = await world.database.pool.fetchrow("SELECT rule, severity FROM violations")
    assert tuple(row) == ("budget", "medium")


@pytest.mark.parametrize("by", ["budget", "stop"])
async def test_a_lost_call_that_is_not_sent_again_is_on_record(world: World, by: str) -> None:
    await budget(world, limit_micros=100 if by == "budget" else 900)
    held = await alone(world)
    await asks(world, held, bound_micros=60)
    held = await next_holder(world, held)
    denied: dict[str, Any] = {} if by == "budget" else {"outcome": "deny", "rule": "stop", "reason": "stop"}
    assert (await asks(world, held, bound_micros=60, **denied))["status"] == "failed"
    assert await decided(world) == [("allow", None), ("deny", by)]
    assert await world.database.pool.fetchval("SELECT rule FROM violations") == by


# Tokens, calls, runs


async def test_tokens_are_held_and_settled_to_what_was_used(world: World) -> None:
    shared = await budget(world, limit_tokens=100)
    held = await alone(world)
    verdict = await asks(world, held, bound_tokens=80)
    denied = await asks(world, held, 2, bound_tokens=21)
    assert denied["error"]["message"] == "the budget all allows 100 tokens, 80 are used, and this needs 21"
    await recorded(world, held, result(verdict["call_id"], usage={"input_tokens": 5, "output_tokens": 6}))
    (window,) = await windows(world, shared)
    assert (window["spent_tokens"], window["reserved_tokens"]) == (11, 0)


async def test_the_tokens_of_a_lost_answer_are_presumed_used(world: World) -> None:
    shared = await budget(world, limit_tokens=100)
    held = await alone(world)
    verdict = await asks(world, held, bound_tokens=80)
    await recorded(world, held, result(verdict["call_id"], "failed", cost=None))
    (window,) = await windows(world, shared)
    assert (window["spent_tokens"], window["reserved_tokens"]) == (80, 0)


async def test_where_calls_are_limited_free_and_local_ones_count_too(world: World) -> None:
    shared = await budget(world, limit_calls=1)
    two = ONE_STEP + "  - {id: after, type: tool, tool: noop, needs: [only]}\n"
    run_id = await world.run(await world.workflow(two))
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert (steps["only"]["status"], steps["after"]["status"]) == ("succeeded", "failed")
    assert steps["after"]["error"]["code"] == "budget-exceeded"
    assert (await windows(world, shared))[0]["calls"] == 1


async def test_a_budget_of_money_costs_free_calls_nothing(world: World) -> None:
    shared = await budget(world, limit_micros=0)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    assert (await world.status(run_id), await windows(world, shared)) == ("succeeded", [])
    assert await world.database.pool.fetchval("SELECT count(*) FROM reservations") == 0


async def test_a_free_call_passes_where_more_money_is_spent_than_there_was(world: World) -> None:
    shared = await budget(world, limit_micros=100, limit_calls=10)
    held = await alone(world)
    paid = await asks(world, held, bound_micros=90)
    await recorded(world, held, result(paid["call_id"], cost=150))
    free = await asks(world, held, 2)
    assert (await used(world, shared), free["verdict"]) == ((0, 150), "send")


async def test_a_call_limit_that_comes_while_a_step_runs_is_met_at_its_end(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    runtime = world.runtime()
    await runtime.policies.get(world.project_id)  # this process knows of no limit
    await budget(world, limit_calls=0)
    run_id = await world.run(name)
    await world.work_until(run_id, runtime=runtime)
    assert (await world.steps(run_id))["only"]["error"]["code"] == "budget-exceeded"


async def test_runs_are_counted_and_refused_where_there_is_no_room(world: World) -> None:
    shared = await budget(world, limit_runs=2, period="day", thresholds=[at(50, "notify")])
    name = await world.workflow(ONE_STEP)
    first = await world.accept(name, idem_key="one")
    await world.run(name)
    with pytest.raises(OverBudget, match="The budget all allows 2 runs, 2 are used") as refused:
        await world.run(name)
    assert refused.value.members["action"] == "deny"
    assert refused.value.members["resets_at"]
    assert (await world.accept(name, idem_key="one")).run_id == first.run_id, "which was accepted before"
    (window,) = await windows(world, shared)
    assert (window["runs"], await world.database.pool.fetchval("SELECT count(*) FROM runs")) == (2, 2)
    assert await notices(world) == [("runs", 50, "notify")]


async def test_of_many_runs_at_once_exactly_as_many_as_fit_are_accepted(world: World) -> None:
    shared = await budget(world, limit_runs=3)
    name = await world.workflow(ONE_STEP)
    answers = await asyncio.gather(*(world.run(name) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(answer, OverBudget) for answer in answers) == 9
    assert (await windows(world, shared))[0]["runs"] == 3


async def test_a_run_that_is_being_counted_is_waited_for_and_takes_the_last_place(world: World) -> None:
    await budget(world, limit_runs=2)
    name = await world.workflow(ONE_STEP)
    await world.run(name)
    async with world.transaction() as other:
        await accept_run(other, world.ada, RunRequest(world.project_id, name))
        late = await world.blocked(world.run(name))
    with pytest.raises(OverBudget):
        await late


# Forecasts


async def spent_before(world: World, name: str, *micros: int) -> UUID:
    """Past runs of a workflow that cost so much; returns its version."""
    for amount in micros:
        run_id = await world.run(name, budget_micros=1_000_000)
        worker, held = await world.claimed(run_id)
        if amount:
            verdict = await asks(world, held, bound_micros=amount)
            await recorded(world, held, result(verdict["call_id"], cost=amount))
        await succeed(world, worker, held)
    version: UUID = await world.database.pool.fetchval("SELECT id FROM workflow_versions")
    return version


async def test_a_forecast_is_the_median_and_the_p95_of_the_last_runs(world: World) -> None:
    version = await spent_before(world, await world.workflow(ONE_STEP), 10, 30, 20, 90, 40)
    told = await forecast_of(world.database.pool, version)
    assert (told.runs, told.median_micros, told.p95_micros) == (5, 30, 90)


@pytest.mark.parametrize(("by", "limit"), [("median", 220), ("p95", 280)])
async def test_a_run_whose_forecast_does_not_fit_is_refused(world: World, by: str, limit: int) -> None:
    name = await world.workflow(ONE_STEP)
    shared = await budget(world, limit_micros=1_000, admission="refuse", admission_by=by)
    await spent_before(world, name, 10, 30, 20, 90, 40)  # 190 in all
    await change_budget(
        world.engine,
        world.ada,
        shared,
        Terms.model_validate({"name": "all", "limit_micros": limit, "admission": "refuse", "admission_by": by}),
    )
    await world.run(name)
    await change_budget(
        world.engine,
        world.ada,
        shared,
        Terms.model_validate({"name": "all", "limit_micros": limit - 1, "admission": "refuse", "admission_by": by}),
    )
    with pytest.raises(OverBudget, match="such a run costs") as refused:
        await world.run(name)
    assert (refused.value.members["action"], refused.value.members["median_micros"]) == ("deny", 30)


async def test_of_a_version_with_few_runs_nobody_says_what_it_costs(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await spent_before(world, name, 10, 10, 10, 10)
    await budget(world, limit_micros=5, admission="refuse")
    assert await world.run(name)


# Periods


@pytest.mark.parametrize(
    ("period", "zone", "now", "starts", "ends"),
    [
        ("hour", "Asia/Kolkata", "2031-05-01T10:40Z", "2031-05-01T10:30Z", "2031-05-01T11:30Z"),
        ("hour", "America/New_York", "2031-11-02T05:30Z", "2031-11-02T05:00Z", "2031-11-02T06:00Z"),
        ("hour", "America/New_York", "2031-11-02T06:30Z", "2031-11-02T06:00Z", "2031-11-02T07:00Z"),
        ("day", "Europe/Berlin", "2031-03-30T12:00Z", "2031-03-29T23:00Z", "2031-03-30T22:00Z"),
        ("day", "Pacific/Auckland", "2031-06-01T13:00Z", "2031-06-01T12:00Z", "2031-06-02T12:00Z"),
        ("week", "UTC", "2031-05-04T23:59Z", "2031-04-28T00:00Z", "2031-05-05T00:00Z"),
        ("month", "America/New_York", "2031-03-15T12:00Z", "2031-03-01T05:00Z", "2031-04-01T04:00Z"),
    ],
)
async def test_a_period_follows_the_clocks_of_its_zone(
    world: World, period: str, zone: str, now: str, starts: str, ends: str
) -> None:
    source: str = await world.database.pool.fetchval(
        "SELECT prosrc FROM pg_proc WHERE oid = 'engine.budget_window'::regproc"
    )
    query = (
        source.replace("now()", "$1::text::timestamptz").replace("p_period", "$2::text").replace("p_zone", "$3::text")
    )
    row = await world.database.pool.fetchrow(
        f"SELECT w.*, w.starts = $5::text::timestamptz AS begun, w.ends = $6::text::timestamptz AS ended"
        f" FROM ({query.replace('p_root', '$4::uuid').rstrip().rstrip(';')}) AS w (key, starts, ends)",
        now,
        period,
        zone,
        world.project_id,
        starts,
        ends,
    )
    assert (row["begun"], row["ended"]) == (True, True), dict(row)


async def test_the_two_hours_of_a_clock_that_is_set_back_are_two_periods(world: World) -> None:
    source: str = await world.database.pool.fetchval(
        "SELECT prosrc FROM pg_proc WHERE oid = 'engine.budget_window'::regproc"
    )
    query = source.replace("now()", "$1::text::timestamptz").replace("p_period", "'hour'")
    query = query.replace("p_zone", "'America/New_York'").replace("p_root", "NULL::uuid").rstrip().rstrip(";")
    keys = {await world.database.pool.fetchval(query, moment) for moment in ("2031-11-02T05:30Z", "2031-11-02T06:30Z")}
    assert len(keys) == 2


# Defining


async def test_only_administrators_define_budgets_of_the_installation(world: World) -> None:
    with pytest.raises(Forbidden):
        await budget(world, project=False, scope="installation", limit_micros=1)


async def test_two_budgets_of_one_name_cannot_be_told_apart(world: World) -> None:
    first = await budget(world, limit_micros=1)
    with pytest.raises(Conflict):
        await budget(world, limit_micros=2)
    await archive_budget(world.engine, world.ada, first)
    assert await budget(world, limit_micros=2)


async def test_a_budget_of_somebody_elses_workflow_is_refused(world: World) -> None:
    with pytest.raises(Invalid):
        await budget(world, scope="workflow", target=str(world.project_id), limit_micros=1)


async def test_a_limit_may_be_lowered_below_what_is_spent(world: World) -> None:
    shared = await budget(world, limit_micros=100)
    held = await alone(world)
    verdict = await asks(world, held, bound_micros=90)
    await recorded(world, held, result(verdict["call_id"], cost=90))
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=10))
    assert (await asks(world, held, 2, bound_micros=1))["status"] == "denied"


async def test_a_change_of_a_budget_is_in_the_audit_trail(world: World) -> None:
    shared = await budget(world, limit_micros=100)
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_micros=10))
    rows = await world.database.pool.fetch(
        "SELECT action, before, after FROM audit WHERE object = $1 ORDER BY id", f"budget:{shared}"
    )
    assert [row["action"] for row in rows] == ["budget.define", "budget.change"]
    assert rows[0]["before"] is None
    assert (rows[1]["before"]["limit_micros"], rows[1]["after"]["limit_micros"]) == (100, 10)


async def test_a_window_that_is_made_while_the_budget_changes_has_the_new_terms(world: World) -> None:
    shared = await budget(world, limit_micros=100)
    held = await alone(world)
    async with world.transaction() as engine:
        await change_budget(engine, world.ada, shared, Terms(name="all", limit_micros=10))
        late = await world.blocked(prepared(world, held, proposal(bound_micros=50)))
    (answer,) = await late
    assert answer["status"] == "denied"


# Whatever happens

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 60), st.integers(0, 60)),
        st.tuples(st.just("settle"), st.none() | st.integers(0, 70), st.integers(0, 40)),
        st.tuples(st.just("lose"), st.just(0), st.just(0)),
        st.tuples(st.just("limit"), st.none() | st.integers(0, 200), st.none() | st.integers(0, 200)),
        st.tuples(st.just("consent"), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)
THRESHOLDS = st.lists(
    st.sampled_from([at(50, "notify"), at(60, "require_approval"), at(100, "pause"), at(110, "require_approval")]),
    max_size=3,
    unique_by=lambda one: (one["percent"], one["action"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, thresholds=THRESHOLDS, limit=st.integers(0, 150))
async def test_whatever_is_held_settled_lost_changed_and_consented_to_the_sums_agree(
    world: World, acts: list[tuple[str, Any, Any]], thresholds: list[dict[str, Any]], limit: int
) -> None:
    for old in await world.database.pool.fetch("SELECT id FROM budget_definitions WHERE archived_at IS NULL"):
        await archive_budget(world.engine, world.ada, old["id"])
    shared = await budget(world, limit_micros=limit, limit_tokens=100, limit_calls=6, thresholds=thresholds)
    held = await alone(world)
    seq = 1
    asked: dict[str, Any] = {}
    for act, one, two in acts:
        if act == "call":
            asked = {"bound_micros": one, "bound_tokens": two}
            verdict = await asks(world, held, seq, **asked)
        elif act == "settle" and asked and verdict["verdict"] == "send":
            usage = {"input_tokens": two, "output_tokens": 0}
            await recorded(world, held, result(verdict["call_id"], cost=one, usage=usage))
            asked, seq = {}, seq + 1
        elif act == "lose":
            await world.lapse(held.lease.step_id)
            await reap(world.engine)
            await world.sql("UPDATE steps SET isolate = false, crashes = 0 WHERE run_id = $1", held.run_id)
            held = (await world.claimed(held.run_id))[1]
        elif act == "limit":
            limits = {"limit_micros": one, "limit_tokens": two, "limit_calls": 6}
            terms = Terms.model_validate({"name": "all", "thresholds": thresholds, **limits})
            await change_budget(world.engine, world.ada, shared, terms)
        elif act == "consent" and asked and verdict["verdict"] == "waiting":
            await answer_approval(world.engine, world.ben, UUID(verdict["approval_id"]), approve=True, comment=None)
            verdict = await asks(world, held, seq, **asked)
        if act == "call" and verdict["verdict"] in ("recorded", "budget"):
            asked, seq = {}, seq + (verdict["verdict"] == "recorded")
        assert await audit(world.database.pool) == []
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    await cancel_run(world.engine, world.ada, held.run_id)
