"""Steps of type `llm`."""

from typing import Any

import pytest

from sparkops.runtime.effects import StepFailed
from sparkops.runtime.llm.base import ModelAnswer, ModelRequest
from sparkops.runtime.llm.effect import Speaker
from sparkops.runtime.llm_step import LlmResult, parse_parameters, run_llm
from tests.runtime.fakes import FakeGate, Journal, PlayedModel

SCHEMA = {"type": "object", "properties": {"month": {"type": "integer"}}, "required": ["month"]}


async def ask(said: str, finish: Any = "stop", **parameters: Any) -> LlmResult:
    model = PlayedModel(lambda _: ModelAnswer(said, "played", finish))
    parsed = parse_parameters({"model": "default", "prompt": "Which?", **parameters})
    return await run_llm(parsed, gate=FakeGate(Journal()), speaker=Speaker("default", model))


async def test_the_output_is_the_text() -> None:
    assert (await ask("November")).output == "November"


async def test_the_request_carries_what_the_step_says() -> None:
    seen: list[ModelRequest] = []

    def look(request: ModelRequest) -> ModelAnswer:
        seen.append(request)
        return ModelAnswer("x", "played", "stop")

    parsed = parse_parameters(
        {"model": "default", "prompt": "Which?", "system": "Brief.", "max_output_tokens": 7, "temperature": 0}
    )
    await run_llm(parsed, gate=FakeGate(Journal()), speaker=Speaker("default", PlayedModel(look)))
    assert (seen[0].system, seen[0].max_output_tokens, seen[0].temperature) == ("Brief.", 7, 0.0)


async def test_a_schema_makes_the_output_checked_json() -> None:
    assert (await ask('{"month": 11}', output_schema=SCHEMA)).output == {"month": 11}


@pytest.mark.parametrize(
    ("said", "finish", "words"),
    [
        ("November", "stop", "did not answer with JSON."),
        ('{"month": 1', "length", "cut at max_output_tokens; raise it"),
        ('{"month": "eleven"}', "stop", 'month: "eleven" is not of type "integer"'),
    ],
)
async def test_an_answer_that_does_not_fit_fails_the_step_for_good(said: str, finish: str, words: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await ask(said, finish, output_schema=SCHEMA)
    assert words in failed.value.message
    assert (failed.value.code, failed.value.retryable) == ("invalid-output", False)


async def test_a_schema_that_points_elsewhere_is_refused() -> None:
    with pytest.raises(StepFailed, match="not followed") as failed:
        await ask("{}", output_schema={"$ref": "file:///etc/passwd"})
    assert failed.value.code == "invalid-parameters"


def test_parameters_that_an_expression_spoiled_are_named() -> None:
    with pytest.raises(StepFailed, match="prompt"):
        parse_parameters({"model": "default", "prompt": None})
