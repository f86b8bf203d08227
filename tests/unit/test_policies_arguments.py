"""A rule that names its tools asks only for arguments that one of them takes."""

from typing import Any

import pytest

from sparkops.domains.policies.arguments import arguments_of
from sparkops.domains.policies.document import PolicyInvalid, parse_policy, policy_of_rules, read_policy

TOOLS = {
    "files.read": frozenset({"path"}),
    "files.write": frozenset({"path", "content"}),
    "sql.execute": frozenset({"sql", "max_rows"}),
    "noop": None,
}


def rule(when: str, *tools: str, **more: Any) -> dict[str, Any]:
    named = {"tools": list(tools)} if tools else {}
    return {"name": "r", "on": ["tool.call"], **named, "when": when, "effect": "deny", **more}


def mistakes(when: str, *tools: str) -> list[tuple[str, str | None]]:
    try:
        policy_of_rules([rule(when, *tools)], TOOLS)
    except PolicyInvalid as error:
        return [(each["message"], each["hint"]) for each in error.members["errors"]]
    return []


def test_an_argument_that_the_tool_does_not_take_is_a_mistake_at_its_place() -> None:
    source = """\
version: 1
name: p
rules:
  - name: no-open-ends
    on: [tool.call]
    tools: [sql.execute]
    when: size(args.sql) > 5 && !has(args.max_row)
    effect: deny
"""
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(source, TOOLS)
    [mistake] = caught.value.members["errors"]
    assert (mistake["path"], mistake["line"], mistake["column"]) == ("rules[0].when", 7, 38)
    assert mistake["message"] == "sql.execute takes no argument max_row"
    assert mistake["hint"] == "did you mean max_rows?"


def test_each_argument_that_is_not_known_is_told_also_beside_the_history() -> None:
    told = mistakes('history.tool("noop").count > 1 && args.to == "x" && args.cc.startsWith("y")', "files.read")
    assert told == [
        ("files.read takes no argument to", "known here: path"),
        ("files.read takes no argument cc", "known here: path"),
    ]


@pytest.mark.parametrize(
    ("when", "tools"),
    [
        ('args.path == "x"', ["files.read"]),
        ("args.size() > 1 && size(args) > 2", ["files.read"]),
        ('args.content == "x"', ["files.read", "files.write"]),
        ('args.content == "x"', ["files.*"]),
        ('args.path.startsWith("x") && has(args.content)', ["files.*"]),
        ('args.any == "x"', ["noop"]),
        ('args.any == "x"', ["files.read", "noop"]),
        ('args.any == "x"', ["files.read", "mail.send"]),
        ('args.any == "x"', ["files.read", "mail.*"]),
        ("args.any == 1", ["n*"]),
        ('args.any == "x"', []),
    ],
)
def test_what_one_of_the_tools_takes_or_may_take_is_none(when: str, tools: list[str]) -> None:
    assert mistakes(when, *tools) == []


def test_what_none_of_several_tools_takes_is_a_mistake() -> None:
    assert mistakes("args.max_rows > 1", "files.read", "files.*") == [
        ("files.read, files.* take no argument max_rows", "known here: content, path")
    ]


def test_what_was_accepted_before_is_read_and_without_known_tools_nothing_is_said() -> None:
    rules = [rule("has(args.max_row)", "sql.execute")]
    assert read_policy({"version": 1, "name": "p", "rules": rules}).rules[0].condition is not None
    assert policy_of_rules(rules).rules[0].condition is not None


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ({"properties": {"a": {}, "b": {}}, "additionalProperties": False}, {"a", "b"}),
        ({"additionalProperties": False}, set()),
        ({"properties": {"a": {}}}, None),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, None),
        ({"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False}, None),
    ],
)
def test_only_a_schema_that_lets_nothing_else_in_says_which_arguments_there_are(
    schema: dict[str, Any], names: set[str] | None
) -> None:
    assert arguments_of({"type": "object", **schema}) == names
