"""T_RESOLVE: what became of an effect that nobody knows about is said by a person, once, and the run goes on."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.errors import Invalid, NotFound, TooLarge
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.cancel import cancel_run
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.give_back import release_session
from sparkops.engine.resolve import (
    MAX_RESPONSE_BYTES,
    Answer,
    NotUncertain,
    Resolution,
    resolve_step,
)
from tests.engine.acts import ONE_STEP, prepared, proposal
from tests.engine.conftest import World
from tests.engine.sink import listening, sending

SENDS = """
version: 1
name: sends
steps:
  - {id: only, type: tool, tool: send}
  - {id: after, type: transform, needs: [only], with: {value: "${{ steps.only.output }}"}}
output: ${{ steps.after.output }}
"""
ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: go}}
"""
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["send"],
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "send", "arguments": {}}]},
            {"text": "${{ string(results[0].is_error) }}"},
        ]
    },
}
Said = Callable[[UUID], Resolution]
"""What a person says about the call that they are shown."""


def said(answer: Answer, evidence: str, output: Json = None) -> Said:
    return lambda call_id: Resolution(answer, evidence, call_id, output)


HAPPENED = said(Answer.HAPPENED, "the ledger of the bank has it", {"answer": "seen"})
DID_NOT = said(Answer.DID_NOT_HAPPEN, "the bank has nothing")
FAIL = said(Answer.FAIL, "the bank is gone")


async def only(world: World, run_id: UUID) -> Mapping[str, Any]:
    return (await world.steps(run_id))["only"]


async def in_doubt(world: World, *calls: Mapping[str, Any]) -> tuple[UUID, UUID]:
    """A run whose one step is uncertain, because its worker was lost after these calls were prepared."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await prepared(world, held, *(calls or [proposal(effect_class="unsafe", bound_micros=7)]))
    await release_session(world.engine, worker.session_id, crashed=True)
    assert (await only(world, run_id))["status"] == "uncertain"
    return run_id, held.lease.step_id


async def shown(world: World, run_id: UUID) -> UUID:
    """The first call of the step that is in doubt, or that was."""
    calls = await world.calls(run_id)
    in_doubt = [row for row in calls if row["status"] in ("unknown", "prepared")]
    call_id: UUID = (in_doubt or calls)[0]["id"]
    return call_id


async def resolve(world: World, run_id: UUID, say: Said, call_id: UUID | None = None) -> None:
    answer = say(call_id or await shown(world, run_id))
    await resolve_step(world.engine, world.ada, run_id, (await only(world, run_id))["id"], answer)


async def lost(world: World, run_id: UUID) -> Any:
    """Run a worker whose target hangs up, until the run needs attention. Returns the sink, kind again."""
    async with listening() as sink:
        sink.rude = True
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        await world.work_until(run_id, "attention")
    return sink


# The three answers


async def test_what_happened_is_not_sent_again_and_the_run_goes_on_with_its_answer(world: World) -> None:
    run_id = await world.run(await world.workflow(SENDS))
    await lost(world, run_id)
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        await resolve(world, run_id, HAPPENED)
        assert (await world.status(run_id), (await only(world, run_id))["status"]) == ("running", "ready")
        await world.work_until(run_id)
    assert (await world.row(run_id))["output"] == {"answer": "seen"}
    (row,) = await world.calls(run_id)
    assert not sink.got
    assert (row["status"], row["response"], row["error"], row["sends"], row["cost_micros"]) == (
        *("done", {"answer": "seen"}, None, 1, 5),
    )


async def test_what_did_not_happen_is_done_by_a_new_call(world: World) -> None:
    run_id = await world.run(await world.workflow(SENDS))
    await lost(world, run_id)
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.UNSAFE)
        await resolve(world, run_id, DID_NOT)
        await world.work_until(run_id)
    first, second = await world.calls(run_id)
    assert (await world.row(run_id))["output"] == {"answer": "done"}
    assert (first["status"], first["error"]["code"], second["status"]) == ("failed", "not-sent", "done")
    assert sink.got == {str(second["id"]): 1}
    assert first["cost_micros"] == 5, "what was presumed spent stays charged"


async def test_an_agent_is_told_that_its_call_did_not_happen_and_decides_itself(world: World) -> None:
    await world.agent("scout", SCOUT)
    run_id = await world.run(await world.workflow(ASKS))
    await lost(world, run_id)
    await resolve(world, run_id, DID_NOT)
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"]["only"]["text"] == "true"
    assert [row["status"] for row in await world.calls(run_id)] == ["done", "failed", "done"]


async def test_giving_up_fails_the_step_and_the_run(world: World) -> None:
    run_id = await world.run(await world.workflow(SENDS))
    await lost(world, run_id)
    await resolve(world, run_id, FAIL)
    steps = await world.steps(run_id)
    (row,) = await world.calls(run_id)
    assert (await world.status(run_id), steps["only"]["error"]["code"]) == ("failed", "given-up")
    assert (steps["after"]["status"], row["status"], row["error"]["code"]) == ("skipped", "failed", "given-up")


async def test_the_answer_is_in_the_audit_trail_with_its_evidence_and_in_the_log(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    await resolve(world, run_id, HAPPENED)
    line = await world.database.pool.fetchrow("SELECT * FROM audit WHERE action = 'step.resolve'")
    (row,) = await world.calls(run_id)
    assert (line["actor"], line["object"]) == (f"user:{world.ada.user_id}", f"step:{step_id}")
    assert line["detail"] == {
        "run_id": str(run_id),
        "key": "only",
        "answer": "happened",
        "calls": [str(row["id"])],
        "status": "ready",
        "evidence": "the ledger of the bank has it",
    }
    assert (await world.kinds(run_id))[-3:] == ["call.done", "step.ready", "run.running"]


# Several calls in one step


def two() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return proposal(1, effect_class="unsafe"), proposal(2, effect_class="unsafe")


async def test_of_several_calls_the_answer_names_one_and_the_step_goes_on_after_the_last(world: World) -> None:
    run_id, _ = await in_doubt(world, *two())
    _, second = [row["id"] for row in await world.calls(run_id)]
    await resolve(world, run_id, DID_NOT, second)
    assert (await only(world, run_id))["status"] == "uncertain"
    assert await world.status(run_id) == "attention"
    with pytest.raises(NotUncertain, match="failed"):
        await resolve(world, run_id, HAPPENED, second)
    await resolve(world, run_id, HAPPENED)
    assert [row["status"] for row in await world.calls(run_id)] == ["done", "failed"]
    assert (await only(world, run_id))["status"] == "ready"


async def test_giving_up_concerns_all_calls_in_doubt(world: World) -> None:
    run_id, _ = await in_doubt(world, *two())
    await resolve(world, run_id, FAIL)
    assert [row["status"] for row in await world.calls(run_id)] == ["failed", "failed"]
    assert await world.status(run_id) == "failed"


@pytest.mark.parametrize(("answer", "spent"), [(Answer.DID_NOT_HAPPEN, 7), (Answer.HAPPENED, 14), (Answer.FAIL, 14)])
async def test_a_call_that_was_prepared_and_never_sent_gives_back_what_it_held_unless_it_happened(
    world: World, answer: Answer, spent: int
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    unsafe = [proposal(seq, effect_class="unsafe", bound_micros=7) for seq in (1, 2)]
    await prepared(world, held, unsafe[0])
    # The first was prepared before, so the turn stops here, although the second has been prepared by now.
    await prepared(world, held, *unsafe)
    assert [row["status"] for row in await world.calls(run_id)] == ["unknown", "prepared"]
    for row in await world.calls(run_id):
        if (await only(world, run_id))["status"] == "uncertain":
            await resolve(world, run_id, said(answer, "so it is"), row["id"])
    budget = await world.database.pool.fetchrow("SELECT spent_micros, reserved_micros FROM budgets")
    assert (budget["spent_micros"], budget["reserved_micros"]) == (spent, 0)


# Who, when, what not


async def test_only_members_resolve_and_only_steps_and_calls_that_are_there(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    for who, run, step in [(world.eve, run_id, step_id), (world.ada, run_id, new_id()), (world.ada, new_id(), step_id)]:
        with pytest.raises(NotFound):
            await resolve_step(world.engine, who, run, step, HAPPENED(await shown(world, run_id)))
    with pytest.raises(NotFound):
        await resolve(world, run_id, HAPPENED, new_id())
    assert (await only(world, run_id))["status"] == "uncertain"


@pytest.mark.parametrize(
    ("say", "error"),
    [
        (said(Answer.FAIL, "gone", {"x": 1}), Invalid),
        (said(Answer.HAPPENED, "yes", "x" * MAX_RESPONSE_BYTES), TooLarge),
    ],
)
async def test_an_output_is_bounded_and_belongs_to_what_happened(
    world: World, say: Said, error: type[Exception]
) -> None:
    run_id, _ = await in_doubt(world)
    with pytest.raises(error):
        await resolve(world, run_id, say)


async def test_a_second_answer_is_refused_and_says_how_the_step_stands(world: World) -> None:
    run_id, _ = await in_doubt(world)
    await resolve(world, run_id, HAPPENED)
    with pytest.raises(NotUncertain) as refused:
        await resolve(world, run_id, DID_NOT)
    assert refused.value.members["status_now"] == "ready"
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'step.resolve'") == 1


async def test_a_run_that_was_asked_to_stop_ends_cancelled_whatever_the_answer(world: World) -> None:
    for name, say, status in [("one-h", HAPPENED, "done"), ("one-d", DID_NOT, "failed"), ("one-f", FAIL, "failed")]:
        run_id = await world.run(await world.workflow(ONE_STEP.replace("one", name)))
        worker, held = await world.claimed(run_id)
        await prepared(world, held, proposal(effect_class="unsafe"))
        await cancel_run(world.engine, world.ada, run_id)
        await end_attempt(world.engine, worker, Ended(held, StepStatus.FAILED), claim=0)
        assert (await world.status(run_id), (await only(world, run_id))["status"]) == ("cancelling", "uncertain")
        await resolve(world, run_id, say)
        assert (await world.status(run_id), (await only(world, run_id))["status"]) == ("cancelled", "cancelled")
        assert (await world.calls(run_id))[0]["status"] == status


async def test_an_answer_that_comes_late_does_not_land_on_another_call(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    seen = await shown(world, run_id)
    await resolve(world, run_id, DID_NOT)
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal(1, effect_class="unsafe"), proposal(2, effect_class="unsafe"))
    await release_session(world.engine, worker.session_id, crashed=True)
    for say in (HAPPENED, DID_NOT, FAIL):
        with pytest.raises(NotUncertain, match="failed"):
            await resolve_step(world.engine, world.ben, run_id, step_id, say(seen))
    assert [row["status"] for row in await world.calls(run_id)] == ["failed", "unknown"]


# Races


async def test_of_two_answers_at_once_the_second_finds_that_it_was_answered(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    call_id = await shown(world, run_id)
    async with world.transaction() as first:
        await resolve_step(first, world.ada, run_id, step_id, HAPPENED(call_id))
        second = await world.blocked(resolve_step(world.engine, world.ben, run_id, step_id, DID_NOT(call_id)))
    with pytest.raises(NotUncertain):
        await second
    assert [row["status"] for row in await world.calls(run_id)] == ["done"]


async def test_an_answer_that_comes_before_a_cancel_is_kept_and_the_step_is_cancelled(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    call_id = await shown(world, run_id)
    async with world.transaction() as first:
        await resolve_step(first, world.ada, run_id, step_id, HAPPENED(call_id))
        cancelling = await world.blocked(cancel_run(world.engine, world.ben, run_id))
    await cancelling
    assert (await world.status(run_id), (await world.calls(run_id))[0]["status"]) == ("cancelled", "done")


async def test_an_answer_that_comes_after_a_cancel_is_refused(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    call_id = await shown(world, run_id)
    async with world.transaction() as first:
        await cancel_run(first, world.ben, run_id)
        resolving = await world.blocked(resolve_step(world.engine, world.ada, run_id, step_id, HAPPENED(call_id)))
    with pytest.raises(NotUncertain, match="cancelled"):
        await resolving
    assert (await world.calls(run_id))[0]["status"] == "unknown"


async def test_an_answer_whose_transaction_dies_leaves_everything_as_it_was(world: World) -> None:
    run_id, step_id = await in_doubt(world)
    call_id = await shown(world, run_id)
    kinds = await world.kinds(run_id)
    async with world.transaction(commit=False) as dying:
        await resolve_step(dying, world.ada, run_id, step_id, HAPPENED(call_id))
    assert (await only(world, run_id))["status"] == "uncertain"
    assert ((await world.calls(run_id))[0]["status"], await world.kinds(run_id)) == ("unknown", kinds)
