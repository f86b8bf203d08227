"""Second chances: a new run made from another one keeps what holds, does the rest again, and says so before."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from sparkops.core.errors import Invalid, NotFound
from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.runs.state import SourceKind
from sparkops.domains.workflows.definition import parse_definition
from sparkops.domains.workflows.models import Workflow, WorkflowVersion
from sparkops.engine.accept import Accepted, AlreadyRetried, IdempotencyMismatch
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.draft import NothingToRetry, Rerun, RunNotEnded
from sparkops.engine.give_back import release_session
from sparkops.engine.kept import Why
from sparkops.engine.rerun import RepeatsDoubt, start_rerun
from sparkops.engine.rerun_plan import Plan, plan_rerun
from sparkops.engine.resolve import Answer, Resolution, resolve_step
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from tests.engine.acts import ONE_STEP, fail, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World
from tests.engine.sink import Sink, listening, sending

CHAIN = """
version: 1
name: chain
input: {properties: {place: {type: string, default: Oslo}, year: {type: integer, default: 2014}}}
steps:
  - {id: fetch, type: tool, tool: send, with: {place: "${{ input.place }}"}}
  - {id: no, type: transform, if: "${{ input.year > 3000 }}", with: {value: 1}}
  - {id: late, type: transform, needs: [no], with: {value: 1}}
  - {id: mail, type: tool, tool: shaky, needs: [fetch], with: {year: "${{ input.year }}"}, retry: {attempts: 1}}
  - {id: done, type: transform, needs: [mail], with: {value: "${{ steps.fetch.output.answer }}"}}
output: ${{ steps.done.output }}
"""
RETRY = Rerun(SourceKind.RETRY)
AGAIN = Rerun(SourceKind.RERUN)


def fork(start: str, **more: Any) -> Rerun:
    return Rerun(SourceKind.FORK, start, **more)


def shaky(*, broken: bool) -> Tool:
    """A tool with an effect that either fails or works."""

    async def run(arguments: object, context: ToolContext) -> ToolResult:
        if broken:
            raise CallFailed("broken", "it is broken", retryable=False)
        return ToolResult({"ok": True})

    return Tool("shaky", "Fails or works.", {"type": "object"}, EffectClass.UNSAFE, run)


class Targets:
    """The two targets of the chain: one that counts, one that is broken or not."""

    def __init__(self, world: World, sink: Sink) -> None:
        self.world, self.sink = world, sink
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        self.mail(broken=True)

    def mail(self, *, broken: bool) -> None:
        self.world.tools["shaky"] = shaky(broken=broken)


async def failed_chain(world: World, sink: Sink, **request: Any) -> tuple[UUID, Targets]:
    """A run whose second tool has failed."""
    targets = Targets(world, sink)
    run_id = await world.run(await world.workflow(CHAIN), **request)
    await world.work_until(run_id)
    assert await statuses(world, run_id) == {
        "fetch": "succeeded",
        "no": "skipped",
        "late": "skipped",
        "mail": "failed",
        "done": "skipped",
    }
    return run_id, targets


async def statuses(world: World, run_id: UUID) -> dict[str, str]:
    return {key: step["status"] for key, step in (await world.steps(run_id)).items()}


async def start(world: World, run_id: UUID, request: Rerun) -> UUID:
    return (await start_rerun(world.engine, world.ada, run_id, request)).run_id


async def planned(world: World, run_id: UUID, request: Rerun) -> Plan:
    return await plan_rerun(world.engine, world.ada, run_id, request)


def whys(plan: Plan) -> dict[str, Why | None]:
    return {step.fate.key: step.fate.why for step in plan.steps}


async def copies(world: World, run_id: UUID) -> set[str]:
    return {key for key, step in (await world.steps(run_id)).items() if step["copied_from"] is not None}


async def version(world: World, source: str) -> int:
    """Add a version of a workflow that is there, and return its number."""
    definition = parse_definition(source, agents=None, tools=None)
    async with world.database.sessions.begin() as session:
        (found,) = (
            await session.execute(
                update(Workflow)
                .where(Workflow.name == definition.name)
                .values(latest_version=Workflow.latest_version + 1)
                .returning(Workflow.id, Workflow.latest_version)
            )
        ).tuples()
        await session.execute(
            insert(WorkflowVersion).values(
                id=new_id(),
                project_id=world.project_id,
                workflow_id=found[0],
                version=found[1],
                source=source,
                definition=dict(definition.document),
                digest=digest(source),
            )
        )
    return found[1]


# Retries


async def test_a_retry_keeps_what_succeeded_and_goes_on_where_the_run_failed(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink)
        targets.mail(broken=False)
        plan = await planned(world, first, RETRY)
        second = await start(world, first, RETRY)
        assert await copies(world, second) == {"fetch", "no", "late"}
        assert {step.fate.key for step in plan.steps if step.fate.kept} == {"fetch", "no", "late"}
        await world.work_until(second)
        assert sum(sink.got.values()) == 1, "what succeeded is not done again"
    run, before = await world.row(second), await world.row(first)
    assert (run["status"], run["output"], before["status"]) == ("succeeded", "done", "failed")
    assert (run["source_run_id"], run["source_kind"], run["input"]) == (first, "retry", before["input"])
    step, then = (await world.steps(second))["fetch"], (await world.steps(first))["fetch"]
    assert (step["output"], step["copied_from"], step["attempt"]) == (then["output"], then["id"], 0)
    assert step["finished_at"] > then["finished_at"]


async def test_the_log_and_the_audit_trail_say_what_was_kept(world: World) -> None:
    async with listening() as sink:
        first, _ = await failed_chain(world, sink)
    second = await start(world, first, RETRY)
    line = await world.database.pool.fetchrow("SELECT * FROM audit WHERE action = 'run.retry'")
    assert (line["actor"], line["object"]) == (f"user:{world.ada.user_id}", f"run:{second}")
    assert line["detail"] == {
        "source_run_id": str(first),
        "start": None,
        "kept": ["fetch", "no", "late"],
        "answered": {},
    }
    log = await world.database.pool.fetch("SELECT kind, data FROM events WHERE run_id = $1 ORDER BY seq", second)
    assert [row["kind"] for row in log] == [
        *("run.created", "run.started", "step.succeeded", "step.skipped", "step.skipped", "step.ready")
    ]
    assert log[0]["data"]["source_run_id"] == str(first)
    assert all(row["data"]["copied_from"] for row in log[2:5])
    assert [row["data"].get("reason") for row in log[3:5]] == ["condition", "upstream"]


async def test_calls_of_kept_steps_are_on_record_and_cost_nothing(world: World) -> None:
    async with listening() as sink:
        first, _ = await failed_chain(world, sink)
    second = await start(world, first, RETRY)
    (then,) = [row for row in await world.calls(first) if row["status"] == "done"]
    (row,) = await world.calls(second)
    assert (row["request"], row["response"], row["decision_id"]) == (
        *(then["request"], then["response"], then["decision_id"]),
    )
    assert (row["status"], row["attempt"], row["sends"], row["cost_micros"], row["usage"]) == ("done", 0, 0, 0, None)
    assert (row["id"] == then["id"], then["cost_micros"]) == (False, 3)
    budget = await world.database.pool.fetchrow("SELECT * FROM budgets WHERE scope_id = $1", second)
    assert (budget["spent_micros"], budget["reserved_micros"]) == (0, 0)


SENDS = """
version: 1
name: sends
steps:
  - {id: only, type: tool, tool: send, retry: {attempts: 1}}
"""


async def answered_and_failed(world: World, source: str, request: Mapping[str, Any], *more: str) -> UUID:
    """A run whose step has failed although an answer is on record; `more` calls after it ended like this."""
    run_id = await world.run(await world.workflow(source))
    worker, held = await world.claimed(run_id)
    proposals = [proposal(seq, name="send", request=request, effect_class="unsafe") for seq in range(1, len(more) + 2)]
    verdicts = await prepared(world, held, *proposals)
    outcomes = [
        result(verdict["call_id"], status, response={"answer": "kept"} if status == "done" else None)
        for verdict, status in zip(verdicts, ("done", *more), strict=True)
    ]
    await recorded(world, held, *outcomes)
    await fail(world, worker, held)
    return run_id


@pytest.mark.parametrize(("keep", "sent", "answer"), [(True, 0, "kept"), (False, 1, "done")])
async def test_an_answer_on_record_is_not_bought_again_unless_asked_for(
    world: World, keep: bool, sent: int, answer: str
) -> None:
    first = await answered_and_failed(world, SENDS, {"tool": "send", "arguments": {}})
    request = Rerun(SourceKind.RETRY, keep_calls=keep)
    plan = await planned(world, first, request)
    assert [(step.kept_calls, step.repeats) for step in plan.steps] == [(1, 0) if keep else (0, 1)]
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        second = await start(world, first, request)
        await world.work_until(second)
        assert len(sink.got) == sent
    assert (await world.row(second))["output"] == {"only": {"answer": answer}}
    detail = await world.database.pool.fetchval("SELECT detail FROM audit WHERE action = 'run.retry'")
    assert detail["answered"] == ({"only": 1} if keep else {})


async def test_calls_after_one_that_failed_are_not_reused_and_their_effects_are_listed(world: World) -> None:
    request = {"tool": "send", "arguments": {"to": "all"}}
    first = await answered_and_failed(world, SENDS, request, "failed", "done")
    plan = await planned(world, first, RETRY)
    (effect,) = plan.effects
    assert (plan.steps[0].kept_calls, plan.effects_total) == (1, 1)
    last = (await world.calls(first))[-1]
    assert (effect.call_id, effect.name, effect.key, effect.status) == (last["id"], "send", "only", "done")
    assert (effect.arguments, effect.request_hash, effect.at) == (
        *('{"to": "all"}', last["request_hash"], last["prepared_at"]),
    )


@pytest.mark.parametrize("answer", [None, Answer.FAIL])
async def test_what_may_have_happened_is_not_done_again_unless_asked_for(world: World, answer: Answer | None) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(first)
    (verdict,) = await prepared(world, held, proposal(effect_class="unsafe"))
    await release_session(world.engine, worker.session_id, crashed=True)
    if answer is not None:
        said = Resolution(answer, "nobody can tell", UUID(verdict["call_id"]))
        await resolve_step(world.engine, world.ada, first, held.lease.step_id, said)
    await cancel_run(world.engine, world.ada, first)
    kinds = (SourceKind.RETRY, SourceKind.RERUN)
    for kind in kinds:
        assert (await planned(world, first, Rerun(kind))).effects_total == 1
        with pytest.raises(RepeatsDoubt) as refused:
            await start(world, first, Rerun(kind))
        assert [call["id"] for call in refused.value.members["calls"]] == [verdict["call_id"]]
    for kind in kinds:
        await start(world, first, Rerun(kind, repeat_doubtful=True))


async def test_a_fork_of_a_run_that_goes_on_does_not_rest_on_what_may_be_taken_back(world: World) -> None:
    source = """
version: 1
name: trip
steps:
  - {id: hotel, type: tool, tool: noop, undo: {type: tool, tool: noop}}
  - {id: look, type: tool, tool: noop}
  - {id: fly, type: tool, tool: noop, needs: [hotel, look]}
"""
    first = await world.run(await world.workflow(source))
    worker = await world.worker()
    for held in await world.claims(worker, 2):
        await succeed(world, worker, held)
    assert whys(await planned(world, first, fork("fly"))) == {
        "hotel": Why.MAY_BE_UNDONE,
        "look": None,
        "fly": Why.CHOSEN,
    }
    (held,) = await world.claims(worker)
    await succeed(world, worker, held)
    assert whys(await planned(world, first, fork("fly"))) == {"hotel": None, "look": None, "fly": Why.CHOSEN}


async def test_a_step_that_knows_the_id_of_its_run_is_not_answered_from_the_record(world: World) -> None:
    source = SENDS.replace("tool: send,", 'tool: send, with: {for: "${{ run.id }}"},')
    first = await answered_and_failed(world, source, {"tool": "send", "arguments": {"for": "it"}})
    plan = await planned(world, first, RETRY)
    assert (plan.steps[0].kept_calls, plan.steps[0].repeats) == (0, 1)
    assert await world.calls(await start(world, first, RETRY)) == []


async def test_a_cancelled_run_is_retried_from_what_was_cancelled(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, first)
    assert whys(await planned(world, first, RETRY)) == {"only": Why.CANCELLED}
    second = await start(world, first, RETRY)
    await world.work_until(second)
    assert await world.status(second) == "succeeded"


async def test_a_retry_of_a_retry_keeps_the_copies_too(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink)
        second = await start(world, first, RETRY)
        await world.work_until(second)
        targets.mail(broken=False)
        third = await start(world, second, RETRY)
        await world.work_until(third)
        assert sum(sink.got.values()) == 1
    assert (await world.row(third))["output"] == "done"
    assert (await world.steps(third))["fetch"]["copied_from"] == (await world.steps(second))["fetch"]["id"]


async def test_a_retry_keeps_the_pins_and_the_budget_of_its_source(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP), budget_micros=77)
    await world.sql('UPDATE runs SET pins = \'{"agents": {"x": "1"}}\'')
    await cancel_run(world.engine, world.ada, first)
    limits = []
    for asked in (None, 5):
        run_id = await start(world, first, Rerun(SourceKind.RETRY, budget_micros=asked))
        limit = "SELECT limit_micros FROM budgets WHERE scope_id = $1"
        limits.append(await world.database.pool.fetchval(limit, run_id))
        await cancel_run(world.engine, world.ada, run_id)
    pins = await world.database.pool.fetch("SELECT pins FROM runs")
    assert (limits, {row["pins"]["agents"]["x"] for row in pins}) == ([77, 5], {"1"})


async def test_a_retry_whose_steps_are_all_inline_ends_when_it_is_accepted(world: World) -> None:
    source = """
version: 1
name: inline
steps:
  - {id: work, type: tool, tool: noop}
  - {id: sum, type: transform, needs: [work], with: {value: "${{ 1 / int(steps.work.output.echo.n) }}"}}
"""
    first = await world.run(await world.workflow(source))
    worker, held = await world.claimed(first)
    await succeed(world, worker, held, {"echo": {"n": 0}})
    assert await world.status(first) == "failed"
    second = await start(world, first, RETRY)
    assert await statuses(world, second) == {"work": "succeeded", "sum": "failed"}
    assert await world.status(second) == "failed"


# Forks


async def test_a_fork_does_one_step_and_all_behind_it_again(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink)
        targets.mail(broken=False)
        assert whys(await planned(world, first, fork("fetch"))) == {
            "fetch": Why.CHOSEN,
            "no": None,
            "late": None,
            "mail": Why.FAILED,
            "done": Why.BEHIND,
        }
        second = await start(world, first, fork("fetch"))
        await world.work_until(second)
        assert sum(sink.got.values()) == 2
    assert (await world.row(second))["output"] == "done"


async def test_a_fork_with_another_input_keeps_what_does_not_read_the_change(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink)
        targets.mail(broken=False)
        asked = fork("mail", same_input=False, input={"year": 2020})
        plan = await planned(world, first, asked)
        second = await start(world, first, asked)
        other = fork("mail", same_input=False, input={"place": "Rome"})
        elsewhere = await planned(world, first, other)
        assert (await world.row(second))["input"] == {"place": "Oslo", "year": 2020}
        await world.work_until(second)
    assert [step.fate.because for step in plan.steps if step.fate.key == "no"] == [("year",)]
    assert await copies(world, second) == {"fetch"}
    assert {key for key, why in whys(elsewhere).items() if why is Why.INPUT} == {"fetch"}


async def test_a_fork_onto_another_version_keeps_only_what_is_the_same_there(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink)
        targets.mail(broken=False)
        changed = CHAIN.replace("tool: send", "tool: noop").replace("id: late", "id: later")
        number = await version(world, changed)
        plan = await planned(world, first, fork("mail", version=number))
        assert whys(plan) == {
            "fetch": Why.CHANGED,
            "no": None,
            "later": Why.NEW,
            "mail": Why.CHOSEN,
            "done": Why.BEHIND,
        }
        assert (plan.version, plan.gone) == (2, ["late"])
        second = await start(world, first, fork("mail", version=number))
        assert await copies(world, second) == {"no"}
        await world.work_until(second)
    ids = await world.database.pool.fetch("SELECT id FROM workflow_versions ORDER BY version")
    assert (await world.row(second))["workflow_version_id"] == ids[1]["id"]


async def test_a_run_that_is_going_on_may_be_forked_and_what_has_not_ended_runs_again(world: World) -> None:
    async with listening() as sink:
        Targets(world, sink)
        first = await world.run(await world.workflow(CHAIN))
        assert whys(await planned(world, first, fork("done"))) == {
            "fetch": Why.NOT_ENDED,
            "no": None,
            "late": None,
            "mail": Why.NOT_ENDED,
            "done": Why.CHOSEN,
        }
        worker, held = await world.claimed(first)
        await succeed(world, worker, held, {"answer": "early"})
        second = await start(world, first, fork("done"))
        assert await copies(world, second) == {"fetch", "no", "late"}


async def test_an_effect_that_was_taken_back_is_had_anew(world: World) -> None:
    async with listening() as sink:
        first, _ = await failed_chain(world, sink)
    taken_back = """
INSERT INTO steps SELECT (jsonb_populate_record(s, $1)).* FROM steps s WHERE run_id = $2 AND node_key = 'fetch'
"""
    undone = (await world.steps(first))["fetch"]["id"]
    row = {"id": str(new_id()), "node_key": "fetch:undo", "path": "fetch:undo", "undo_of": str(undone)}
    async with world.transaction(commit=False) as engine:
        await engine.database.pool.execute(taken_back, row, first)
        plan = await plan_rerun(engine, world.ada, first, RETRY)
        assert whys(plan)["fetch"] is Why.UNDONE
    async with world.transaction(commit=False) as engine:
        await engine.database.pool.execute(taken_back, {**row, "status": "skipped"}, first)
        assert whys(await plan_rerun(engine, world.ada, first, RETRY))["fetch"] is None


# Re-runs


async def test_a_rerun_does_everything_again_with_the_same_input(world: World) -> None:
    async with listening() as sink:
        first, targets = await failed_chain(world, sink, input={"place": "Bonn"})
        targets.mail(broken=False)
        await version(world, CHAIN.replace("Oslo", "Kiel"))
        plan = await planned(world, first, AGAIN)
        second = await start(world, first, AGAIN)
        assert (set(whys(plan).values()), await copies(world, second)) == ({Why.EVERYTHING}, set())
        await world.work_until(second)
        assert sum(sink.got.values()) == 2
    run, then = await world.row(second), await world.row(first)
    assert (run["input"], run["workflow_version_id"]) == (then["input"], then["workflow_version_id"])
    other = await start(world, first, Rerun(SourceKind.RERUN, version=2, same_input=False, input={}))
    assert (await world.row(other))["input"] == {"place": "Kiel", "year": 2014}


async def test_a_plan_tells_what_each_step_cost_and_which_effects_would_repeat(world: World) -> None:
    async with listening() as sink:
        first, _ = await failed_chain(world, sink)
    (made, _) = sorted(await world.calls(first), key=lambda row: row["proposed_at"])
    plan = await planned(world, first, AGAIN)
    steps = {step.fate.key: step for step in plan.steps}
    assert (steps["fetch"].cost.calls, steps["fetch"].cost.cost_micros, steps["fetch"].repeats) == (1, 3, 1)
    assert (steps["mail"].cost.calls, steps["mail"].repeats) == (1, 0), "what failed was not done"
    assert (steps["fetch"].cost.input_tokens, steps["late"].cost.calls) == (None, 0)
    assert [(one.call_id, one.effect_class) for one in plan.effects] == [(made["id"], "idempotent")]
    assert (await planned(world, first, RETRY)).effects == []


async def test_calls_of_bodies_and_sub_workflows_count_for_the_step_around_them(world: World) -> None:
    first = await answered_and_failed(world, SENDS, {"tool": "send", "arguments": {}})
    inner, child = new_id(), new_id()
    step_copy = "INSERT INTO steps SELECT (jsonb_populate_record(s, $1)).* FROM steps s WHERE run_id = $2"
    call_copy = "INSERT INTO calls SELECT (jsonb_populate_record(c, $1)).* FROM calls c WHERE run_id = $2 LIMIT 1"
    run_copy = "INSERT INTO runs SELECT (jsonb_populate_record(r, $1)).* FROM runs r WHERE id = $2"
    step_id = str((await world.steps(first))["only"]["id"])
    body = {"id": str(inner), "path": "only[3].mail", "node_key": "mail", "parent_id": step_id, "frame_no": 3}
    below = {"id": str(child), "parent_run_id": str(first), "parent_step_id": step_id, "idem_key": None}
    of_child = {"id": str(new_id()), "run_id": str(child), "path": "deep", "node_key": "deep"}
    async with world.transaction(commit=False) as engine:
        pool = engine.database.pool
        await pool.execute(run_copy, below, first)
        await pool.execute(step_copy, body, first)
        await pool.execute(call_copy, {"id": str(new_id()), "step_id": str(inner)}, first)
        await pool.execute(step_copy.replace("$2", "$2 AND path = 'only'"), of_child, first)
        deep = {"id": str(new_id()), "run_id": str(child), "step_id": of_child["id"]}
        await pool.execute(call_copy, deep, first)
        plan = await plan_rerun(engine, world.ada, first, AGAIN)
    assert [step.fate.key for step in plan.steps] == ["only"]
    assert (plan.steps[0].cost.calls, plan.steps[0].repeats, plan.effects_total) == (3, 3, 3)
    assert {one.run_id for one in plan.effects} == {first, child}


# Keys, races, refusals


async def test_the_same_key_and_request_give_the_first_run_again(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP), idem_key="made")
    await cancel_run(world.engine, world.ada, first)
    asked = Rerun(SourceKind.RETRY, idem_key="k")
    made = await start_rerun(world.engine, world.ada, first, asked)
    assert await start_rerun(world.engine, world.ada, first, asked) == Accepted(made.run_id, created=False)
    for other in (Rerun(SourceKind.RERUN, idem_key="k"), Rerun(SourceKind.RETRY, keep_calls=False, idem_key="k")):
        with pytest.raises(IdempotencyMismatch):
            await start_rerun(world.engine, world.ada, first, other)
    with pytest.raises(IdempotencyMismatch):
        await start_rerun(world.engine, world.ada, first, Rerun(SourceKind.RETRY, idem_key="made"))


async def test_of_two_retries_at_once_with_one_key_one_run_comes(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, first)
    asked = Rerun(SourceKind.RETRY, idem_key="k")
    async with world.transaction() as one:
        made = await start_rerun(one, world.ada, first, asked)
        two = await world.blocked(start_rerun(world.engine, world.ada, first, asked))
    assert (made.created, await two) == (True, Accepted(made.run_id, created=False))
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs WHERE source_run_id = $1", first) == 1


async def test_a_run_has_one_retry_at_a_time_and_one_that_succeeded(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, first)
    async with world.transaction() as one:
        made = (await start_rerun(one, world.ada, first, RETRY)).run_id
        two = await world.blocked(start_rerun(world.engine, world.ben, first, RETRY))
    with pytest.raises(AlreadyRetried) as refused:
        await two
    assert refused.value.members == {"run_id": str(made), "status_now": "running"}
    await cancel_run(world.engine, world.ada, made)
    again = await start(world, first, RETRY)
    await world.work_until(again)
    with pytest.raises(AlreadyRetried, match="succeeded"):
        await start(world, first, Rerun(SourceKind.RETRY, idem_key="other"))
    await start(world, first, AGAIN)


ASKED = """
version: 1
name: asked
input: {properties: {amount: {type: integer, default: 1}}}
steps:
  - {id: look, type: tool, tool: noop}
  - {id: ask, type: approval, needs: [look], with: {title: May I}}
  - {id: pay, type: tool, tool: shaky, needs: [ask], with: {n: "${{ input.amount }}"}, retry: {attempts: 1}}
  - {id: tell, type: tool, tool: noop, needs: [look]}
"""


async def test_an_answer_serves_a_retry_and_not_a_fork_behind_it(world: World) -> None:
    world.tools["shaky"] = shaky(broken=True)
    first = await world.run(await world.workflow(ASKED))

    async def waits() -> bool:
        return (await statuses(world, first))["ask"] == "waiting"

    await world.work(waits)
    question = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, question, approve=True, comment=None)
    await world.work_until(first)
    kept = {"look": None, "ask": None, "pay": Why.FAILED, "tell": None}
    assert whys(await planned(world, first, RETRY)) == kept
    forked = {**kept, "ask": Why.APPROVAL, "pay": Why.CHOSEN}
    assert whys(await planned(world, first, fork("pay", same_input=False, input={"amount": 9}))) == forked
    assert whys(await planned(world, first, fork("tell")))["ask"] is Why.APPROVAL, "pay runs again, too"
    world.tools["shaky"] = shaky(broken=False)
    second = await start(world, first, RETRY)
    await world.work_until(second)
    assert (await world.status(second), whys(await planned(world, second, fork("tell")))["ask"]) == ("succeeded", None)


async def test_a_fork_that_was_accepted_is_found_again_although_its_source_went_on(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    asked = fork("only", idem_key="k")
    made = await start(world, first, asked)
    await cancel_run(world.engine, world.ada, first)
    assert await start(world, first, asked) == made


async def test_a_retry_whose_transaction_dies_leaves_nothing(world: World) -> None:
    async with listening() as sink:
        first, _ = await failed_chain(world, sink)
    tables = ("runs", "steps", "calls", "budgets", "events", "audit", "run_counters")

    async def counts() -> list[int]:
        return [await world.database.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]

    before = await counts()
    async with world.transaction(commit=False) as dying:
        await start_rerun(dying, world.ada, first, RETRY)
    assert await counts() == before


async def test_what_cannot_be_made_of_a_run_that_is_going_on(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    for request in (RETRY, AGAIN):
        with pytest.raises(RunNotEnded) as refused:
            await planned(world, first, request)
        assert refused.value.members["status_now"] == "running"


async def test_what_cannot_be_made_of_a_run_that_succeeded(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(first)
    with pytest.raises(NothingToRetry, match="succeeded"):
        await start(world, first, RETRY)


async def test_a_run_that_failed_over_its_output_is_not_retried(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP + 'output: "${{ 1 / 0 }}"\n'))
    await world.work_until(first)
    assert await world.status(first) == "failed"
    with pytest.raises(NothingToRetry, match="output"):
        await start(world, first, RETRY)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Rerun(SourceKind.FORK), Invalid),
        (fork("nowhere"), Invalid),
        (Rerun(SourceKind.RETRY, "only"), Invalid),
        (Rerun(SourceKind.RERUN, "only"), Invalid),
        (Rerun(SourceKind.RETRY, version=1), Invalid),
        (Rerun(SourceKind.RETRY, same_input=False), Invalid),
        (Rerun(SourceKind.RETRY, labels=frozenset()), Invalid),
        (fork("only", version=7), NotFound),
        (fork("only", same_input=False, input={"more": 1}), Invalid),
    ],
)
async def test_a_request_that_does_not_fit_is_refused(world: World, request_: Rerun, error: type[Exception]) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, first)
    for act in (planned, start):
        with pytest.raises(error):
            await act(world, first, request_)
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 1


async def test_only_members_make_a_run_from_another(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, first)
    with pytest.raises(NotFound):
        await start_rerun(world.engine, world.eve, first, RETRY)
    with pytest.raises(NotFound):
        await plan_rerun(world.engine, world.eve, first, RETRY)
