"""Backtests: what a draft would have said, judged page by page by processes that may die."""

import asyncio
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.clock import utc_now
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.json import as_part, digest, dumps
from sparkops.domains.policies.backtest import MAX_FLIPS
from sparkops.domains.policies.document import policy_of_rules
from sparkops.domains.policies.models import BacktestJob
from sparkops.engine import backtests as jobs
from sparkops.engine.answer import Edit, answer_approval
from sparkops.runtime import backtests as judging
from sparkops.worker import backtests as looking
from sparkops.worker.backtester import judge_all
from sparkops.worker.backtests import Backtests
from tests.engine.acts import DENY_NOOP, HOLD_NOOP, ONE_STEP, prepared, proposal, recorded, result
from tests.engine.conftest import World

CALLS = """
version: 1
name: calls
steps:
  - {id: first, type: tool, tool: noop, with: {to: ada@example.com}}
  - {id: second, type: tool, tool: noop, with: {to: eve@example.org}}
"""
STRANGERS = {
    "name": "strangers",
    "on": ["tool.call"],
    "when": '!args.to.endsWith("@example.com")',
    "effect": "require_approval",
    "reason": "A person reads it first.",
}
MANY = """
INSERT INTO policy_decisions (id, project_id, run_id, subject, subject_kind, subject_id, name, request_hash,
                              policy_version, outcome, facts)
SELECT engine.new_id(), $1, gen_random_uuid(), 'tool.call', 'call', gen_random_uuid(), 'noop', 'h', 1, $3,
       jsonb_build_object('tool.name', 'noop', 'run.cost_micros', n, 'call.bound_micros', 2)
  FROM generate_series(1, $2) AS n
"""


async def start(world: World, *rules: dict[str, Any], beside: Any = (None,), **more: Any) -> UUID:
    policy = policy_of_rules(list(rules))
    job_id = new_id()
    now = utc_now()
    values: dict[str, Any] = {
        "document": policy.document,
        "since": now - timedelta(days=1),
        "until": now + timedelta(minutes=1),
        "project_id": world.project_id,
        **more,
    }
    async with world.database.sessions.begin() as session:
        session.add(
            BacktestJob(
                id=job_id,
                policy_name=policy.name,
                source="",
                beside=list(beside),
                default_effect="allow",
                time_zone="UTC",
                **values,
            )
        )
    return job_id


async def row(world: World, job_id: UUID) -> dict[str, Any]:
    return dict(await world.database.pool.fetchrow("SELECT * FROM backtests WHERE id = $1", job_id))


async def flips(world: World, job_id: UUID) -> list[dict[str, Any]]:
    rows = await world.database.pool.fetch("SELECT * FROM backtest_flips WHERE backtest_id = $1 ORDER BY id", job_id)
    return [dict(one) for one in rows]


async def judged(world: World) -> int:
    return await judge_all(world.database, asyncio.Event())


async def many(world: World, count: int, outcome: str = "allow") -> None:
    await world.sql(MANY, world.project_id, count, outcome)


async def test_a_draft_is_judged_on_what_was_recorded_with_the_arguments_of_the_calls(world: World) -> None:
    run_id = await world.run(await world.workflow(CALLS))
    await world.work_until(run_id)
    job_id = await start(world, STRANGERS)
    assert await judged(world) == 1
    found = await row(world, job_id)
    assert (found["status"], found["total"], found["judged"]) == ("done", 2, 2)
    assert found["counts"] == {"stays": 1, "newly_held": 1}
    [flip] = await flips(world, job_id)
    assert (flip["change"], flip["was"], flip["new_rule"], flip["run_id"]) == (
        "newly_held",
        "allow",
        "strangers",
        run_id,
    )
    [day] = found["days"].values()
    assert (day["decisions"], day["approvals"], day["approvals_then"]) == (2, 0, 1)


EDITABLE = {**HOLD_NOOP, "when": "args.amount >= 10", "approval": {"may_edit": True}}
ASKS_MUCH = ONE_STEP.replace("tool: noop}", "tool: noop, with: {amount: 100}}")


async def test_a_decision_on_what_an_approver_made_of_a_call_is_judged_by_that(world: World) -> None:
    await world.rules(EDITABLE)
    run_id = await world.run(await world.workflow(ASKS_MUCH))

    async def asked() -> bool:
        return bool((await world.steps(run_id))["only"]["status"] == "waiting")

    await world.work(asked)
    request = {"tool": "noop", "arguments": {"amount": 50}}
    wanted = Edit(as_part(dumps(request)), digest(request), world.tools["noop"].hash)
    question = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, question, approve=True, comment=None, edit=wanted)
    await world.work_until(run_id)
    job_id = await start(world, {**DENY_NOOP, "when": "args.amount > 60"})
    assert await judged(world) == 1
    assert (await row(world, job_id))["counts"] == {"newly_denied": 1, "newly_allowed": 1}


async def test_decisions_sort_by_their_ids_as_they_were_taken(world: World) -> None:
    for _ in range(3):
        await world.work_until(await world.run(await world.workflow(CALLS.replace("calls", f"c{new_id().hex}"))))
    rows = await world.database.pool.fetch("SELECT id, at FROM policy_decisions ORDER BY id")
    assert len(rows) == 6
    assert [one["id"].version for one in rows] == [7] * 6
    times: list[datetime] = [one["at"] for one in rows]
    assert all(later - earlier > -timedelta(milliseconds=2) for earlier, later in pairwise(times))


async def test_only_the_window_and_the_names_asked_for_are_judged(world: World) -> None:
    await many(world, 10)
    now = utc_now()
    before = await start(world, DENY_NOOP, since=now - timedelta(days=2), until=now - timedelta(days=1))
    other = await start(world, DENY_NOOP, names=["mail.send"])
    models = await start(world, DENY_NOOP, subjects=["llm.call"])
    tools = await start(world, DENY_NOOP, subjects=["tool.call"], names=["noop"])
    assert await judged(world) == 4
    totals = [(await row(world, one))["judged"] for one in (before, other, models, tools)]
    assert totals == [0, 0, 0, 10]


async def test_facts_that_were_not_recorded_make_decisions_undecidable_and_are_named(world: World) -> None:
    await many(world, 5)
    job_id = await start(world, {**DENY_NOOP, "when": "run.calls > 3"})
    await judged(world)
    found = await row(world, job_id)
    assert (found["counts"], found["lacking"]) == ({"undecidable": 5}, {"run.calls": 5})
    assert await flips(world, job_id) == []


async def test_the_policies_beside_the_draft_keep_their_force(world: World) -> None:
    await world.rules({"name": "dear", "on": ["tool.call"], "when": "run.cost_micros > 3", "effect": "deny"})
    policy = await world.database.pool.fetchrow(
        "SELECT id, active_version, name FROM policies WHERE project_id IS NOT NULL"
    )
    await many(world, 5)
    other = {"id": str(policy["id"]), "version": policy["active_version"], "name": policy["name"]}
    beside = await start(world, {**DENY_NOOP, "effect": "require_approval"}, beside=[other, None])
    alone = await start(world, {**DENY_NOOP, "effect": "require_approval"})
    await judged(world)
    assert (await row(world, beside))["counts"] == {"newly_denied": 2, "newly_held": 3}
    assert (await row(world, alone))["counts"] == {"newly_held": 5}
    assert {flip["new_policy"] for flip in await flips(world, beside)} == {"project"}


async def test_all_flips_are_counted_and_the_first_are_listed_in_bounded_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PAGE", 50)
    monkeypatch.setattr(judging, "MAX_LISTED", 70)
    await many(world, 225)
    job_id = await start(world, DENY_NOOP)
    await judged(world)
    found = await row(world, job_id)
    assert (found["status"], found["judged"], found["counts"]) == ("done", 225, {"newly_denied": 225})
    listed = await flips(world, job_id)
    assert (found["listed"], len(listed)) == (70, 70)
    newest = await world.database.pool.fetch("SELECT id FROM policy_decisions ORDER BY id DESC LIMIT 70")
    assert [flip["decision_id"] for flip in listed] == [one["id"] for one in newest]


async def test_another_process_goes_on_where_one_died_and_counts_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PAGE", 40)
    await many(world, 100)
    job_id = await start(world, DENY_NOOP)
    first = await jobs.claim_backtest(world.database)
    assert first is not None
    record = jobs.record_progress
    pages = 0

    async def dies(*args: Any) -> Any:
        nonlocal pages
        if pages == 1:
            raise ConnectionError("the process died")
        pages += 1
        return await record(*args)

    with monkeypatch.context() as dying:
        dying.setattr(jobs, "record_progress", dies)
        with pytest.raises(ConnectionError):
            await judging.run_backtest(world.database, first, stopping=lambda: False)
    assert await jobs.claim_backtest(world.database) is None
    await world.sql("UPDATE backtests SET lease_expires_at = clock_timestamp() - interval '1 second'")
    assert await jobs.backtests_wait(world.database)
    assert await judged(world) == 1
    found = await row(world, job_id)
    assert (found["status"], found["judged"], found["attempts"]) == ("done", 100, 2)
    listed = await flips(world, job_id)
    assert len({flip["decision_id"] for flip in listed}) == len(listed) == 100
    late = await jobs.record_progress(world.database, first, judging._State.of(found).progress(None), [])
    assert late is None


async def test_a_backtest_that_kills_its_process_each_time_is_given_up(world: World) -> None:
    job_id = await start(world, DENY_NOOP)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert await jobs.claim_backtest(world.database) is not None
        await world.sql("UPDATE backtests SET lease_expires_at = clock_timestamp() - interval '1 second'")
    assert await jobs.claim_backtest(world.database) is None
    found = await row(world, job_id)
    assert (found["status"], found["error"]["code"]) == ("failed", "gave-up")


async def test_a_backtest_is_cancelled_while_it_is_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "PAGE", 40)
    await many(world, 100)
    job_id = await start(world, DENY_NOOP)
    taken = await jobs.claim_backtest(world.database)
    assert taken is not None
    await world.sql("UPDATE backtests SET cancel_requested = true")
    await judging.run_backtest(world.database, taken, stopping=lambda: False)
    found = await row(world, job_id)
    assert (found["status"], found["judged"]) == ("cancelled", 40)


async def test_a_process_that_is_asked_to_stop_gives_its_backtest_back_without_blame(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PAGE", 40)
    await many(world, 100)
    job_id = await start(world, DENY_NOOP)
    taken = await jobs.claim_backtest(world.database)
    assert taken is not None
    await judging.run_backtest(world.database, taken, stopping=lambda: True)
    found = await row(world, job_id)
    assert (found["status"], found["judged"], found["attempts"]) == ("queued", 40, 0)
    await judged(world)
    assert (await row(world, job_id))["judged"] == 100


async def test_a_draft_that_this_release_cannot_read_fails(world: World) -> None:
    job_id = await start(world, DENY_NOOP, document={"version": 9})
    await judged(world)
    found = await row(world, job_id)
    assert (found["status"], found["error"]["code"]) == ("failed", "policy-invalid")


async def test_what_the_flips_would_have_meant_in_money_is_told_by_day(world: World) -> None:
    def paid(seq: int) -> dict[str, Any]:
        return proposal(seq, bound_micros=500)

    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, paid(1), paid(2))
    calls = await world.calls(run_id)
    await recorded(world, held, *[result(call["id"], cost=300) for call in calls])
    job_id = await start(world, DENY_NOOP)
    await judged(world)
    [day] = (await row(world, job_id))["days"].values()
    assert (day["denials"], day["denials_then"], day["denied_micros"]) == (0, 2, 600)


@pytest.mark.parametrize("outcome", ["deny", "require_approval"])
async def test_the_money_and_the_approvals_of_flips_that_are_not_listed_count_as_well(
    world: World, outcome: str
) -> None:
    many_more = MAX_FLIPS + 500
    assert many_more < judging.PAGE, "more in one page than are listed in all"
    await many(world, many_more, outcome)
    job_id = await start(world, {**DENY_NOOP, "effect": "allow"})
    await judged(world)
    found = await row(world, job_id)
    assert (found["listed"], found["counts"]) == (jobs.MAX_LISTED, {"newly_allowed": many_more})
    days = found["days"].values()
    assert sum(day["allowed_micros"] for day in days) == 2 * many_more
    then = "approvals" if outcome == "require_approval" else "denials"
    assert [sum(day[key] for day in days) for key in (then, f"{then}_then")] == [many_more, 0]


async def test_each_day_tells_how_many_decisions_there_were_on_each_subject(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PAGE", 2)
    await world.rules({"name": "out", "on": ["output"], "effect": "allow"})
    await world.work_until(await world.run(await world.workflow(CALLS)))
    await many(world, 2)
    job_id = await start(world, DENY_NOOP)
    await judged(world)
    [day] = (await row(world, job_id))["days"].values()
    assert day["subjects"] == {"tool.call": 4, "output": 1}


async def test_a_worker_starts_a_process_where_a_backtest_waits_and_only_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is a stand-in; what the real one judges is shown above, and that it is started by tests/e2e."""
    mark = tmp_path / "started"
    companion = Backtests(world.database, command=(sys.executable, "-c", f"open({str(mark)!r}, 'a').write('x')"))
    draining = asyncio.Event()
    looked: list[bool] = []

    async def look(database: Database) -> bool:
        looked.append(await jobs.backtests_wait(database))
        return looked[-1]

    async def looked_twice() -> bool:
        companion.wake()
        return len(looked) > 1

    monkeypatch.setattr(looking, "backtests_wait", look)
    running = asyncio.create_task(companion.run(draining))
    await world.reaches(looked_twice)  # what the first look had started would have ended before the second
    assert not mark.exists()
    await start(world, DENY_NOOP)
    companion.wake()

    async def started() -> bool:
        return mark.exists()

    await world.reaches(started)
    draining.set()
    await running
