"""The agent loop over a gate of ours that journals in memory and can be killed."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkops.core.json import Json
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.agent import MAX_CALLS_PER_TURN, AgentResult, Toolbox, run_agent
from sparkops.runtime.effects import CallFailed, Dispatch, Effect, OutcomeUnknown, StepFailed, Usage
from sparkops.runtime.llm.base import ModelAnswer, ModelRequest, ToolCall, ToolMessage
from sparkops.runtime.llm.effect import Speaker
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from tests.runtime.fakes import FakeGate, Journal, Killed, PlayedModel

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


async def _double(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    if arguments["n"] < 0:
        raise CallFailed("negative", "n must not be negative.", retryable=False)
    return ToolResult({"z": arguments["n"] * 2, "a": [float(arguments["n"]), "\0"], "m": {"b": 1, "a": -0.0}})


DOUBLE = Tool("double", "Doubles n.", SCHEMA, EffectClass.PURE, _double)


def _no_context(dispatch: Dispatch) -> ToolContext:
    return cast(ToolContext, None)


TOOLBOX = Toolbox({"double": DOUBLE}, _no_context)


def definition(**changes: Any) -> AgentDefinition:
    return AgentDefinition.model_validate(
        {"model": "default", "instructions": "Be exact.", "tools": ["double"], **changes}
    )


def text(said: str) -> ModelAnswer:
    return ModelAnswer(said, "played", "stop", usage=Usage(10, 5))


def calls(*wanted: ToolCall) -> ModelAnswer:
    return ModelAnswer("", "played", "tool_calls", wanted, Usage(10, 5))


def call(name: str, arguments: dict[str, Json] | None, raw: str | None = None, number: int = 1) -> ToolCall:
    return ToolCall(f"c{number}", name, arguments, raw)


def turn_of(request: ModelRequest) -> int:
    return 1 + sum(type(message).__name__ == "AssistantMessage" for message in request.messages)


def played(*answers: ModelAnswer) -> PlayedModel:
    return PlayedModel(lambda request: answers[turn_of(request) - 1])


async def run(model: PlayedModel, gate: FakeGate, **changes: Any) -> AgentResult:
    speaker = Speaker("default", model)
    return await run_agent(
        definition(**changes), "Double 4.", name="doubler", gate=gate, speaker=speaker, toolbox=TOOLBOX
    )


def results(request: ModelRequest) -> list[ToolMessage]:
    return [message for message in request.messages if isinstance(message, ToolMessage)]


async def told(answer: ModelAnswer, gate: FakeGate | None = None) -> list[ToolMessage]:
    """Return what the model is told after this answer."""
    seen: list[ModelRequest] = []

    def play(request: ModelRequest) -> ModelAnswer:
        seen.append(request)
        return answer if turn_of(request) == 1 else text("done")

    await run(PlayedModel(play), gate or FakeGate(Journal()))
    return results(seen[-1])


async def test_an_answer_without_tool_calls_ends_the_loop() -> None:
    result = await run(played(text("8")), FakeGate(Journal()))
    assert result == AgentResult("8", 1, Usage(10, 5), "stop", "played")


async def test_the_calls_of_one_turn_go_through_the_gate_together_and_come_back_in_order() -> None:
    gate = FakeGate(Journal())
    wanted = calls(call("double", {"n": 1}, number=1), call("double", {"n": 2}, number=2))
    found = await told(wanted, gate)
    assert gate.turns == [1, 2, 1]
    assert [(message.call.id, cast(dict[str, Json], message.output)["z"]) for message in found] == [
        ("c1", 2),
        ("c2", 4),
    ]


async def test_what_must_not_be_sent_goes_back_as_a_tool_error_beside_what_was_sent() -> None:
    gate = FakeGate(Journal())
    wanted = calls(
        call("double", {"n": "four"}, number=1),
        call("triple", {"n": 4}, number=2),
        call("double", {"n": 4}, number=3),
        call("double", None, "{n: 4", number=4),
    )
    found = await told(wanted, gate)
    assert gate.turns == [1, 1, 1], "only the one valid call is sent"
    assert [message.is_error for message in found] == [True, True, False, True]
    assert 'n: "four" is not of type "integer"' in str(found[0].output)
    assert "no tool 'triple'" in str(found[1].output)
    assert "double" in str(found[1].output)
    assert "not a JSON object: '{n: 4'" in str(found[3].output)


async def test_more_calls_than_fit_in_a_turn_are_refused() -> None:
    wanted = calls(*(call("double", {"n": n}, number=n) for n in range(MAX_CALLS_PER_TURN + 3)))
    found = await told(wanted)
    assert [message.is_error for message in found] == [False] * MAX_CALLS_PER_TURN + [True] * 3


async def test_a_failed_and_a_denied_call_are_told_to_the_model() -> None:
    def deny(effect: Effect) -> str | None:
        return "Not eight." if effect.request == {"tool": "double", "arguments": {"n": 8}} else None

    wanted = calls(call("double", {"n": -1}, number=1), call("double", {"n": 8}, number=2))
    found = await told(wanted, FakeGate(Journal(), deny=deny))
    assert [message.output for message in found] == [
        {"error": "n must not be negative."},
        {"error": "Refused by policy: Not eight."},
    ]


async def test_the_turns_are_limited_and_the_last_turns_tools_are_not_run() -> None:
    gate = FakeGate(Journal())
    with pytest.raises(StepFailed, match="after 2 turns") as failed:
        await run(PlayedModel(lambda _: calls(call("double", {"n": 1}))), gate, max_turns=2)
    assert failed.value.code == "max-turns"
    assert not failed.value.retryable
    assert gate.turns == [1, 1, 1], "model, tool, model"


async def test_a_denied_model_call_fails_the_step_for_good() -> None:
    with pytest.raises(StepFailed, match="No models here") as failed:
        await run(played(text("8")), FakeGate(Journal(), deny=lambda _: "No models here."))
    assert (failed.value.code, failed.value.retryable) == ("denied", False)


async def test_a_failed_model_call_fails_the_step_and_says_whether_a_retry_may_help() -> None:
    def unavailable(_: ModelRequest) -> ModelAnswer:
        raise CallFailed("model-unavailable", "Try again later.", retryable=True)

    with pytest.raises(StepFailed) as failed:
        await run(PlayedModel(unavailable), FakeGate(Journal()))
    assert (failed.value.code, failed.value.retryable) == ("model-unavailable", True)


async def test_a_retry_of_the_step_passes_over_recorded_failures_and_buys_nothing_twice() -> None:
    journal = Journal()
    down = {"now": True}

    def shaky(request: ModelRequest) -> ModelAnswer:
        if turn_of(request) == 1:
            return calls(call("double", {"n": 4}))
        if down["now"]:
            raise OutcomeUnknown("The stream was cut.")
        return text("8")

    model = PlayedModel(shaky)
    for _ in range(2):
        with pytest.raises(StepFailed):
            await run(model, FakeGate(journal))
    down["now"] = False
    result = await run(model, FakeGate(journal))
    assert result.text == "8"
    assert [entry.status for entry in journal.entries] == ["done", "done", "failed", "failed", "done"]
    assert model.asked == 4, "the first turn was bought once, the second three times"


async def test_text_is_passed_on_with_the_call_it_belongs_to() -> None:
    journal, heard = Journal(), list[tuple[object, str]]()

    async def listen(call_id: object, piece: str) -> None:
        heard.append((call_id, piece))

    speaker = Speaker("default", played(text("eight")), listen)
    await run_agent(definition(), "Double 4.", name="d", gate=FakeGate(journal), speaker=speaker, toolbox=TOOLBOX)
    assert heard == [(journal.entries[0].call_id, "eight")]


async def test_policies_see_agent_tool_arguments_and_turn() -> None:
    seen: list[Mapping[str, Json]] = []

    def look(effect: Effect) -> str | None:
        seen.append(effect.facts)
        return None

    await told(calls(call("double", {"n": 4})), FakeGate(Journal(), deny=look))
    agent = {"agent.name": "doubler", "agent.version": 0}
    tool = {"tool.name": "double", "tool.capability": "outward", "tool.effect": "pure", "args": {"n": 4}}
    assert seen == [
        {"model": "default", **agent, "run.turns": 1},
        {**tool, **agent, "run.turns": 1},
        {"model": "default", **agent, "run.turns": 2},
    ]


CallShape = tuple[str, dict[str, Json] | None, str | None]
call_st: st.SearchStrategy[CallShape] = st.one_of(
    st.builds(lambda n: ("double", {"n": n}, None), st.integers(-5, 5)),
    st.just(("double", {"n": "no"}, None)),
    st.just(("nothing", {}, None)),
    st.just(("double", None, "{broken")),
)
script_st = st.lists(st.lists(call_st, min_size=1, max_size=3), max_size=4)


@settings(max_examples=150, deadline=None)
@given(script=script_st, deaths=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=5))
async def test_no_recorded_answer_is_bought_again_wherever_the_process_dies(
    script: list[list[CallShape]], deaths: list[tuple[int, bool]]
) -> None:
    """A run that is killed anywhere, any number of times, ends as one that was not, and asks the same.

    The gate itself refuses a replay whose digest differs. What was sent beyond the record is what died unrecorded.
    """
    answers = [
        calls(*(call(name, arguments, raw, number) for number, (name, arguments, raw) in enumerate(turn)))
        for turn in script
    ]
    calm, stormy = Journal(), Journal()
    expected = await run(played(*answers, text("done")), FakeGate(calm))
    lost = 0
    for after, loses in deaths:
        try:
            await run(played(*answers, text("done")), FakeGate(stormy, dies_after=after, loses_last=loses))
        except Killed:
            lost += loses
    result = await run(played(*answers, text("done")), FakeGate(stormy))
    assert result == expected
    assert stormy.hashes() == calm.hashes()
    assert len(stormy.sent) == len(stormy.entries) + lost
