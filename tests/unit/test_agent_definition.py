"""Agent definitions: what is accepted, and what is said of what is not."""

from typing import Any

import pytest

from sparkops.core.errors import Invalid
from sparkops.domains.agents.definition import AgentDefinition, parse_agent

TURNS: list[dict[str, Any]] = [
    {"text": "Looking.", "tool_calls": [{"tool": "sql.query", "arguments": {"sql": "SELECT ${{ turn }}"}}]},
    {"when": "size(results) == 1", "text": "It was ${{ results[0].output.rows[0].month }}.", "delay": "200ms"},
]


def parse(**changes: Any) -> AgentDefinition:
    definition = {"model": "default", "instructions": "Answer.", "tools": ["sql.query"], **changes}
    kept = {key: value for key, value in definition.items() if value is not ...}
    return parse_agent(kept, models={"default", "big"}, tools={"sql.query", "files.write"})


def errors(**changes: Any) -> list[dict[str, Any]]:
    with pytest.raises(Invalid) as failed:
        parse(**changes)
    found: list[dict[str, Any]] = failed.value.members["errors"]
    assert found[0]["message"] in failed.value.detail
    return found


def test_limits_have_defaults() -> None:
    agent = parse(tools=...)
    assert (agent.max_turns, agent.max_output_tokens, agent.temperature, agent.tools) == (10, 1024, None, ())


def test_a_scripted_agent_with_price_and_usage_is_accepted() -> None:
    script = {
        "turns": [{**TURNS[0], "usage": {"input_tokens": 10, "output_tokens": 5}}, TURNS[1]],
        "price": {"input_usd_per_million": "0.15", "output_usd_per_million": 0.6},
    }
    agent = parse(model="scripted", script=script)
    assert agent.script is not None
    assert agent == AgentDefinition.model_validate(agent.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": "biig"}, {"path": "model", "hint": "did you mean big?"}),
        ({"model": ...}, {"path": "model", "message": "model is missing"}),
        ({"instructions": ""}, {"path": "instructions"}),
        ({"tools": ["sql.qery"]}, {"path": "tools.0", "hint": "did you mean sql.query?"}),
        ({"tools": ["sql.query", "sql.query"]}, {"path": "tools.1", "message": "the tool sql.query is listed twice"}),
        ({"max_turns": 0}, {"path": "max_turns"}),
        ({"max_turns": 101}, {"path": "max_turns"}),
        ({"max_outputtokens": 5}, {"path": "max_outputtokens", "hint": "did you mean max_output_tokens?"}),
        ({"temperature": 3}, {"path": "temperature"}),
        ({"price": {"input_usd_per_million": 1}}, {"path": "price.output_usd_per_million"}),
        (
            {"price": {"input_usd_per_million": "NaN", "output_usd_per_million": 1}},
            {"path": "price.input_usd_per_million"},
        ),
        ({"model": "scripted"}, {"path": "", "message": "model: scripted needs a script"}),
        ({"script": {"turns": TURNS}}, {"path": "", "message": "a script is only for model: scripted"}),
    ],
)
def test_what_is_wrong_is_said_with_its_path(changes: dict[str, Any], error: dict[str, Any]) -> None:
    found = errors(**changes)
    assert any(error.items() <= item.items() for item in found), found


@pytest.mark.parametrize(
    ("turn", "error"),
    [
        ({"text": "${{ promt }}"}, {"path": "script.turns.0.text", "column": 5, "hint": "did you mean prompt?"}),
        ({"text": "x", "when": "turn"}, {"path": "script.turns.0.when"}),
        (
            {"tool_calls": [{"tool": "t", "arguments": {"a": ["${{ result }}"]}}]},
            {"path": "script.turns.0.tool_calls.0.arguments.a.0", "hint": "did you mean results?"},
        ),
        ({"text": "x", "delay": "soon"}, {"path": "script.turns.0.delay"}),
        ({}, {"path": "script.turns.0", "message": "a turn needs text or tool_calls"}),
        (
            {"text": "x", "usage": {"input_tokens": -1, "output_tokens": 0}},
            {"path": "script.turns.0.usage.input_tokens"},
        ),
    ],
)
def test_what_is_wrong_in_a_script_is_said_with_its_place(turn: dict[str, Any], error: dict[str, Any]) -> None:
    found = errors(model="scripted", script={"turns": [turn]})
    assert any(error.items() <= item.items() for item in found), found


def test_without_any_endpoint_the_hint_says_how_to_get_one() -> None:
    with pytest.raises(Invalid) as failed:
        parse_agent({"model": "default", "instructions": "x"}, models=[], tools=[])
    assert "SPARKOPS_MODEL_BASE_URL" in failed.value.members["errors"][0]["hint"]
