"""The gate knows every fact that a rule may ask about, and reads only what one asks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from sparkops.core.ids import new_id
from sparkops.domains.policies.facts import FACTS, Subject
from sparkops.engine import facts
from sparkops.engine.answer import answer_approval
from sparkops.engine.effects import Agreed, PolicyChanged, prepare
from sparkops.engine.errors import Fenced
from sparkops.engine.give_back import reap
from sparkops.engine.judging import DeniedByPolicy
from sparkops.runtime import gate
from sparkops.runtime.attempt import execute
from sparkops.runtime.gate import RecordedGate
from sparkops.runtime.tools.base import Tool
from sparkops.runtime.trust import Trust
from tests.engine.acts import DENY_NOOP, HOLD_NOOP, ONE_STEP, prepared, proposal
from tests.engine.clearances import answer
from tests.engine.conftest import World
from tests.engine.test_subjects import INLINE
from tests.engine.tools import Post

SCOUT: dict[str, Any] = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["noop"],
    "script": {
        "price": {"input_usd_per_million": 1_000, "output_usd_per_million": 0},
        "turns": [
            {"tool_calls": [{"tool": "noop", "arguments": {}}], "usage": {"input_tokens": 3, "output_tokens": 4}},
            {"text": "done", "usage": {"input_tokens": 3, "output_tokens": 4}},
        ],
    },
}
ASKS = "version: 1\nname: asks\nsteps:\n  - {id: only, type: agent, agent: scout, with: {prompt: go}}\n"
TWICE = "version: 1\nname: twice\nsteps:\n" + "".join(
    f"  - {{id: {key}, type: tool, tool: noop{needs}}}\n" for key, needs in (("a", ""), ("b", ", needs: [a]"))
)


def mentioning(subject: Subject) -> str:
    """A condition that asks for every fact of a subject, and is false."""
    kinds = {"string": "{} == 'nothing'", "int": "{} == -7", "list": "size({}) == 77", "map": "size({}) == 77"}
    asked = [
        kinds[fact.type].format(fact.name)
        for fact in FACTS.values()
        if subject in fact.subjects and not fact.hidden and fact.type in kinds
    ]
    asked += ['history.tool("noop").count == 77', 'history.saw("untrusted:nobody")']
    return " || ".join(asked)


async def decided(world: World, run_id: UUID, subject: Subject) -> list[Mapping[str, Any]]:
    rows = await world.database.pool.fetch(
        "SELECT * FROM policy_decisions WHERE run_id = $1 AND subject = $2 ORDER BY at", run_id, subject
    )
    return [dict(row) for row in rows]


@pytest.mark.parametrize("subject", [Subject.TOOL_CALL, Subject.LLM_CALL, Subject.STEP_START, Subject.OUTPUT])
async def test_every_fact_is_there_where_a_rule_asks_for_it(world: World, subject: Subject) -> None:
    await world.agent("scout", SCOUT)
    await world.rules({"name": "all", "on": [subject], "when": mentioning(subject), "effect": "deny"})
    run_id = await world.run(await world.workflow(ASKS))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded", (await world.row(run_id))["error"]
    last = (await decided(world, run_id, subject))[-1]["facts"]
    found = {name: last[name] for name in FACTS if name in last}
    now = datetime.now(ZoneInfo("UTC"))
    expected = {
        "principal.id": str(world.ada.user_id),
        "principal.email": "ada@example.com",
        "principal.role": "operator",
        "principal.kind": "user",
        "project": "lab",
        "trigger": "api",
        "workflow.name": "asks",
        "workflow.version": 1,
        "labels": [],
        "forecast.runs": 0,
        "forecast.median_micros": 0,
        "forecast.p95_micros": 0,
        "run.limit_micros": world.engine.run_budget_micros,
        "run.held_micros": 0,
        "history.labels": [],
        "time.date": now.date().isoformat(),
        "time.weekday": now.isoweekday(),
    }
    if subject is not Subject.OUTPUT:
        expected |= {"step.key": "only", "agent.name": "scout", "agent.version": 1}
    assert {name: found[name] for name in expected} == expected
    of_call = {"run.calls": 1, "run.tokens": 7, "run.cost_micros": 3_000, "tree.cost_micros": 3_000, "tree.tokens": 7}
    if subject is Subject.TOOL_CALL:
        assert {name: found[name] for name in of_call} == of_call
        assert (found["tool.calls"], found["tool.capability"], found["history.tools"]) == (0, "compute", {})
    elif subject is Subject.LLM_CALL:
        assert (found["run.calls"], found["history.tools"]["noop"]["count"]) == (2, 1)
        assert found["call.tokens"] > 100


async def test_a_run_is_judged_by_what_it_may_spend_and_by_what_those_before_it_cost(world: World) -> None:
    await world.agent("scout", SCOUT)
    name = await world.workflow(ASKS)
    await world.rules({"name": "half", "on": ["llm.call"], "when": "run.calls >= 2", "effect": "deny"})
    for _ in range(2):
        await world.work_until(await world.run(name))
    await world.rules()
    await world.work_until(await world.run(name))
    when = "run.limit_micros == 5000 && forecast.median_micros == 3000 && forecast.p95_micros == 6000"
    await world.rules({"name": "dear", "on": ["run.create"], "when": f"{when} && forecast.runs == 3", "effect": "deny"})
    with pytest.raises(DeniedByPolicy):
        await world.run(name, budget_micros=5_000)
    await world.work_until(await world.run(name, budget_micros=6_000_000))


async def test_a_run_that_people_let_begin_is_judged_by_the_same(world: World) -> None:
    asking = {"name": "dear", "on": ["run.create"], "effect": "require_approval"}
    await world.rules({**asking, "when": "run.limit_micros == 5000 && forecast.runs == 0"})
    run_id = await world.run(await world.workflow(ONE_STEP), budget_micros=5_000)
    await answer(world)
    await world.work_until(run_id)
    asked = [each["facts"] for each in await decided(world, run_id, Subject.RUN_CREATE)]
    assert [(each["run.limit_micros"], each["forecast.runs"]) for each in asked] == [(5_000, 0)] * 2


async def test_the_output_of_a_run_that_ends_as_it_begins_is_judged_by_what_it_may_spend(world: World) -> None:
    rule = {"name": "dear", "on": ["output"], "when": "run.limit_micros == 5000 && run.held_micros == 0"}
    await world.rules({**rule, "effect": "deny"})
    run_id = await world.run(await world.workflow(INLINE), input={"n": 1}, budget_micros=5_000)
    assert await world.status(run_id) == "failed"


async def test_what_is_held_for_calls_that_have_not_come_back_is_a_fact(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(1, bound_micros=500), proposal(2, bound_micros=700))
    found = await facts.read_facts(world.database.pool, facts.OfRun(run_id), ["run.held_micros", "run.limit_micros"])
    assert found == {"run.held_micros": 1_200, "run.limit_micros": world.engine.run_budget_micros}


async def test_what_no_rule_asks_for_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> Any:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(gate, "read_facts", refuse)
    await world.rules(
        {**DENY_NOOP, "name": "other", "tools": ["mail.*"], "when": "time.hour >= 0"},
        {**DENY_NOOP, "when": 'args.n == 3 && labels.exists(l, l == "x")'},
    )
    run_id = await world.run(await world.workflow(TWICE))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_all_that_a_turn_needs_is_read_in_one_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []

    async def counted(*asked: Any) -> Any:
        reads.append(asked)
        return await facts.read_facts(*asked)

    monkeypatch.setattr(gate, "read_facts", counted)
    await world.rules({**DENY_NOOP, "when": mentioning(Subject.TOOL_CALL)})
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    assert len(reads) == 1


@pytest.mark.parametrize("when", ["tool.calls >= 1", 'history.tool("no*").count >= 1', "run.calls >= 1"])
async def test_what_a_run_has_called_counts(world: World, when: str) -> None:
    await world.rules({**DENY_NOOP, "when": when})
    run_id = await world.run(await world.workflow(TWICE))
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert (steps["a"]["status"], steps["b"]["error"]["code"]) == ("succeeded", "denied")


async def test_calls_of_one_turn_count_each_other(world: World) -> None:
    post = Post()
    world.tools.update(post.tools())
    sends = [{"tool": "mail.send", "arguments": {"n": n}} for n in range(5)]
    script = {"turns": [{"tool_calls": sends}, {"text": "done"}]}
    await world.agent("scout", SCOUT | {"tools": ["mail.send"], "script": script})
    await world.rules({**DENY_NOOP, "when": 'history.tool("mail.send").count >= 2'})
    run_id = await world.run(await world.workflow(ASKS))
    await world.work_until(run_id)
    assert [sent["n"] for sent in post.sent] == [0, 1]


async def test_steps_that_go_on_side_by_side_count_each_other(world: World) -> None:
    post = Post()
    world.tools.update(post.tools())
    await world.rules({**DENY_NOOP, "when": 'history.tool("mail.send").count >= 3'})
    source = """
version: 1
name: many
steps:
  - id: each
    type: map
    with: {over: 12, concurrency: 12, on_item_error: continue}
    steps:
      - {id: mail, type: tool, tool: mail.send, with: {n: "${{ item }}"}}
"""
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id)
    statuses = Counter(call["status"] for call in await world.calls(run_id))
    assert (len(post.sent), statuses) == (3, {"done": 3, "denied": 9})


async def test_a_call_is_judged_anew_where_the_run_has_sent_something_meanwhile(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepare(world.engine, held.lease, [proposal(1)], policy_version=1, sent_before=0)
    with pytest.raises(PolicyChanged):
        await prepare(world.engine, held.lease, [proposal(2)], policy_version=1, sent_before=0)
    await prepare(world.engine, held.lease, [proposal(2)], policy_version=1, sent_before=1)


async def test_who_is_judged_by_what_the_run_has_sent_waits_for_who_is_about_to_send(world: World) -> None:
    source = "version: 1\nname: two\nsteps:\n" + "".join(f"  - {{id: {key}, type: tool, tool: noop}}\n" for key in "ab")
    await world.run(await world.workflow(source))
    one, other = await world.claims(await world.worker(), 2)
    async with world.transaction() as engine:
        await prepare(engine, one.lease, [proposal()], policy_version=1, sent_before=0)
        waits = await world.blocked(prepare(world.engine, other.lease, [proposal()], policy_version=1, sent_before=0))
    with pytest.raises(PolicyChanged):
        await waits


async def test_a_call_that_waited_does_not_count_itself(world: World) -> None:
    await world.rules({**HOLD_NOOP, "when": "tool.calls < 1"}, {**DENY_NOOP, "when": "tool.calls >= 1"})
    run_id = await world.run(await world.workflow(ONE_STEP))

    async def asked() -> bool:
        return bool(await world.database.pool.fetchval("SELECT count(*) FROM approvals WHERE status = 'pending'"))

    await world.work(asked)
    approval = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, approval, approve=True, comment=None)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_time_is_that_of_the_projects_zone(world: World) -> None:
    await world.sql("UPDATE projects SET time_zone = 'Pacific/Kiritimati'")
    await world.rules({**DENY_NOOP, "when": 'time.date == "1970-01-01" || time.hour > 99'})
    run_id = await world.run(await world.workflow(ONE_STEP))
    before = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    await world.work_until(run_id)
    known = (await decided(world, run_id, Subject.TOOL_CALL))[0]["facts"]
    assert known["time.date"] == before.date().isoformat()
    assert known["time.hour"] in (before.hour, (before.hour + 1) % 24)


async def test_the_run_has_seen_what_any_of_its_steps_has(world: World) -> None:
    post = Post()
    tools: dict[str, Tool] = post.tools()
    world.tools.update(tools)
    await world.rules({**DENY_NOOP, "tools": ["mail.send"], "when": 'history.saw("untrusted")'})
    source = """
version: 1
name: saw
steps:
  - {id: web, type: tool, tool: web.read}
  - {id: mail, type: tool, tool: mail.send, needs: [web]}
"""
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id)
    assert ((await world.steps(run_id))["mail"]["error"]["code"], post.sent) == ("denied", [])


# Calls of one turn that waited for people

ASK_FIRST = {**HOLD_NOOP, "tools": ["mail.send"]}
LIMITS = [
    'history.tool("mail.send").count >= 1',
    'history.tool("mail.*").last_seconds < 3600',
    "tool.calls >= 1",
    "run.calls >= 2",  # the model was asked, too
]


async def mailing(world: World, *rules: Mapping[str, Any], mails: int = 2) -> tuple[Post, UUID]:
    """A run whose agent asks for so many mails in one turn, under these rules."""
    post = Post()
    world.tools.update(post.tools())
    sends = [{"tool": "mail.send", "arguments": {"n": n}} for n in range(mails)]
    script = {"turns": [{"tool_calls": sends}, {"text": "done"}]}
    await world.agent("scout", SCOUT | {"tools": ["mail.send"], "script": script})
    await world.rules(*rules)
    return post, await world.run(await world.workflow(ASKS))


async def questions(world: World, run_id: UUID, count: int) -> list[UUID]:
    """Work until so many questions of the run are open and its step waits for them; in the order of their calls."""
    found: list[UUID] = []

    async def asked() -> bool:
        rows = await world.database.pool.fetch(
            "SELECT a.id FROM approvals a JOIN calls c ON c.run_id = a.run_id AND c.id = a.subject_id"
            " JOIN steps s ON s.id = a.step_id AND s.status = 'waiting'"
            " WHERE a.run_id = $1 AND a.status = 'pending' ORDER BY c.seq",
            run_id,
        )
        found[:] = [row["id"] for row in rows]
        return len(found) == count

    await world.work(asked)
    return found


async def agree(world: World, *approvals: UUID) -> None:
    for each in approvals:
        await answer_approval(world.engine, world.ben, each, approve=True, comment=None)


async def mails(world: World, run_id: UUID) -> list[str]:
    return [call["status"] for call in await world.calls(run_id) if call["kind"] == "tool"]


@pytest.mark.parametrize("when", LIMITS)
async def test_calls_that_people_let_go_together_count_each_other(world: World, when: str) -> None:
    post, run_id = await mailing(world, ASK_FIRST, {**DENY_NOOP, "tools": ["mail.send"], "when": when})
    await agree(world, *await questions(world, run_id, 2))
    await world.work_until(run_id)
    assert ([sent["n"] for sent in post.sent], await mails(world, run_id)) == ([0], ["done", "denied"])
    statuses = await world.database.pool.fetch("SELECT status FROM approvals ORDER BY consumed_at")
    assert [row["status"] for row in statuses] == ["consumed", "withdrawn"]


@pytest.mark.parametrize("when", LIMITS)
async def test_calls_that_people_let_go_one_after_the_other_count_each_other(world: World, when: str) -> None:
    post, run_id = await mailing(world, ASK_FIRST, {**DENY_NOOP, "tools": ["mail.send"], "when": when})
    first, second = await questions(world, run_id, 2)
    await agree(world, second)
    assert await questions(world, run_id, 1) == [first]
    await agree(world, first)
    await world.work_until(run_id)
    assert ([sent["n"] for sent in post.sent], await mails(world, run_id)) == ([1], ["denied", "done"])


async def test_of_many_calls_that_people_let_go_as_many_go_out_as_may(world: World) -> None:
    limit = {**DENY_NOOP, "tools": ["mail.send"], "when": 'history.tool("mail.send").count >= 3'}
    post, run_id = await mailing(world, ASK_FIRST, limit, mails=5)
    await agree(world, *(await questions(world, run_id, 5))[1:])
    await questions(world, run_id, 1)
    assert [sent["n"] for sent in post.sent] == [1, 2, 3]
    assert await mails(world, run_id) == ["waiting_approval", "done", "done", "done", "denied"]
    last = (await decided(world, run_id, Subject.TOOL_CALL))[-1]
    assert (last["outcome"], last["facts"]["history.tools"]["mail.send"]["count"]) == ("deny", 3)


async def test_a_call_that_waited_counts_what_its_turn_has_sent_since(world: World) -> None:
    limit = {**DENY_NOOP, "tools": ["mail.send"], "when": 'history.tool("mail.send").count >= 1'}
    post, run_id = await mailing(world, {**ASK_FIRST, "when": "args.n == 0"}, limit)
    await agree(world, *await questions(world, run_id, 1))
    await world.work_until(run_id)
    assert ([sent["n"] for sent in post.sent], await mails(world, run_id)) == ([1], ["denied", "done"])


async def test_an_answer_that_comes_after_a_turn_was_judged_counts_for_the_calls_after_it(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    asked = [proposal(seq, outcome="require_approval") for seq in (1, 2)]
    await prepare(world.engine, held.lease, asked, policy_version=1, sent_before=0)
    first = await world.database.pool.fetchval(
        "SELECT a.id FROM approvals a JOIN calls c ON c.run_id = a.run_id AND c.id = a.subject_id WHERE c.seq = 1"
    )
    await agree(world, first)
    with pytest.raises(Agreed) as found:
        await prepare(world.engine, held.lease, asked, policy_version=1, sent_before=0)
    assert found.value.seqs == {1}
    assert [call["status"] for call in await world.calls(run_id)] == ["waiting_approval"] * 2
    await prepare(world.engine, held.lease, [asked[0] | {"agreed": True}, asked[1]], policy_version=1, sent_before=0)
    assert [call["status"] for call in await world.calls(run_id)] == ["prepared", "waiting_approval"]


async def test_consent_that_is_none_any_more_does_not_count(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    asked = proposal(outcome="require_approval")
    await prepare(world.engine, held.lease, [asked], policy_version=1, sent_before=0)
    await agree(world, await world.database.pool.fetchval("SELECT id FROM approvals"))
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    with pytest.raises(Agreed) as found:
        await prepare(world.engine, held.lease, [asked | {"agreed": True}], policy_version=1, sent_before=0)
    assert found.value.seqs == frozenset()


async def test_a_call_that_was_lost_is_judged_by_what_was_sent_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its turn sent after it is no reason not to send it again."""
    calls = [{"tool": "noop", "arguments": {"n": n}} for n in range(2)]
    await world.agent("scout", SCOUT | {"script": {"turns": [{"tool_calls": calls}, {"text": "done"}]}})
    await world.rules({**DENY_NOOP, "when": "args.n == 0 && tool.calls >= 1"})
    run_id = await world.run(await world.workflow(ASKS))
    send = RecordedGate._send_all

    async def lost(self: RecordedGate, allowed: Any, *, goes_on: bool) -> Any:
        if len(allowed) == 2:
            raise Fenced("this worker is lost", where="test")
        return await send(self, allowed, goes_on=goes_on)

    _, held = await world.claimed(run_id)
    monkeypatch.setattr(RecordedGate, "_send_all", lost)
    with pytest.raises(Fenced):
        await execute(world.runtime(), held, Trust.since(monotonic(), 60))
    monkeypatch.undo()
    await world.lapse(held.lease.step_id)
    await reap(world.engine)
    await world.work_until(run_id)
    sends = [(call["status"], call["sends"]) for call in await world.calls(run_id) if call["kind"] == "tool"]
    assert sends == [("done", 2), ("done", 2)]


async def test_a_call_that_a_person_refused_does_not_count_where_the_rules_would_allow_it_by_now(world: World) -> None:
    limit = {**DENY_NOOP, "tools": ["mail.send"], "when": 'history.tool("mail.send").count >= 1'}
    post, run_id = await mailing(world, ASK_FIRST, limit)
    first, second = await questions(world, run_id, 2)
    await answer_approval(world.engine, world.ben, first, approve=False, comment=None)
    await questions(world, run_id, 1)
    await world.rules(limit)
    await agree(world, second)
    await world.work_until(run_id)
    assert ([sent["n"] for sent in post.sent], await mails(world, run_id)) == ([1], ["denied", "done"])


async def test_what_a_key_of_a_person_started_is_known_as_that_also_below_and_after_people_were_asked(
    world: World,
) -> None:
    """Of a run that is asked for, of one whose beginning people have let pass, of the run below, and of their steps."""
    by_key = replace(world, ada=replace(world.ada, key_id=new_id()))
    held = {"name": "held", "on": [Subject.RUN_CREATE], "workflows": ["outer"], "effect": "require_approval"}
    await world.rules(
        {**held, "when": 'principal.kind == "key"'},
        {
            "name": "seen",
            "on": [Subject.RUN_CREATE, Subject.STEP_START],
            "when": 'principal.kind == "?"',
            "effect": "deny",
        },
    )
    await world.workflow(ONE_STEP)
    outer = "version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n"
    run_id = await by_key.run(await world.workflow(outer))
    await answer(world)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    rows = await world.database.pool.fetch(
        "SELECT w.name, d.subject, array_agg(DISTINCT d.facts ->> 'principal.kind') AS kinds"
        "  FROM policy_decisions d JOIN runs r ON r.id = d.run_id JOIN workflows w ON w.id = r.workflow_id"
        " WHERE d.subject IN ('run.create', 'step.start') GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [(row["name"], row["subject"], row["kinds"]) for row in rows] == [
        (workflow, subject, ["key"]) for workflow in ("one", "outer") for subject in ("run.create", "step.start")
    ]
    assert len(await decided(world, run_id, Subject.RUN_CREATE)) == 2, "it was judged again when people had answered"
