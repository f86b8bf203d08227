"""A policy document: what it says is what is read, and every mistake is told with its place."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.json import loads
from sparkops.domains.policies.document import (
    Approval,
    Policy,
    PolicyInvalid,
    Scope,
    parse_policy,
    policy_of_rules,
    read_policy,
)
from sparkops.domains.policies.facts import FACTS, HISTORY, TYPES, Subject, empty_facts, facts_of, time_facts
from sparkops.domains.policies.format import Mode, RuleEffect, Severity, policy_schema

FULL = """\
version: 1
name: mail
description: What may be mailed.
mode: monitor
rules:
  - name: strangers
    description: Mail that leaves the house.
    on: [tool.call]
    agents: [writer, "help*"]
    workflows: [letters]
    tools: [mail.*]
    when: >-
      !args.to.endsWith("@example.com") &&
      history.saw("private")
    effect: require_approval
    reason: A person reads what goes out.
    severity: high
    mode: enforce
    approval:
      approvers: [owner, ada@example.com]
      quorum: 2
      expires: 4h
      escalate_after: 30m
      escalate_to: [ben@example.com]
      may_edit: true
  - {name: dear, on: [llm.call, tool.call], when: run.cost_micros > 1000000, effect: deny}
tests:
  - name: a stranger
    on: tool.call
    facts: {agent.name: helper, workflow.name: letters, tool.name: mail.send, args: {to: x@y.z}}
    expect: allow
    rule: dear
"""


def mistakes(source: str) -> list[dict[str, Any]]:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(source)
    found: list[dict[str, Any]] = caught.value.members["errors"]
    return found


def test_a_document_is_read_with_all_it_says() -> None:
    policy = parse_policy(FULL)
    assert (policy.name, policy.description, policy.mode) == ("mail", "What may be mailed.", Mode.MONITOR)
    first, second = policy.rules
    assert (first.on, first.effect, first.severity, first.mode) == (
        frozenset({Subject.TOOL_CALL}),
        RuleEffect.REQUIRE_APPROVAL,
        Severity.HIGH,
        Mode.ENFORCE,
    )
    assert first.scope == Scope(("writer", "help*"), ("letters",), ("mail.*",), None)
    assert first.condition is not None
    assert first.condition.facts == {"args", "history.labels"}
    assert first.approval == Approval(
        ("owner", "ada@example.com"),
        2,
        timedelta(hours=4),
        timedelta(minutes=30),
        ("ben@example.com",),
        may_edit=True,
    )
    assert (second.severity, second.mode, second.approval, second.reason) == (
        Severity.MEDIUM,
        Mode.MONITOR,
        None,
        None,
    )
    assert (policy.cases[0].on, policy.cases[0].expect, policy.cases[0].rule) == ("tool.call", "allow", "dear")


def test_a_document_that_was_stored_is_the_same_policy() -> None:
    policy = parse_policy(FULL)
    stored = loads(json.dumps(policy.document))
    assert _told(read_policy(stored)) == _told(policy)
    assert _told(parse_policy(json.dumps(stored))) == _told(policy)


def _told(policy: Policy) -> Any:
    """What a policy says, and the document; compiled programs are compared by their sources."""
    return policy, policy.document


texts = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": texts.filter(lambda text: text != "budget"),
                "on": st.lists(st.sampled_from([str(each) for each in Subject]), min_size=1, max_size=5),
                "effect": st.sampled_from([str(each) for each in RuleEffect]),
            },
            optional={
                "reason": texts,
                "description": texts,
                "severity": st.sampled_from([str(each) for each in Severity]),
                "mode": st.sampled_from([str(each) for each in Mode]),
                "workflows": st.just(["a", "b*"]),
                "when": st.sampled_from(["labels == []", "${{ project == 'x' }}", "time.hour > 3"]),
            },
        ),
        max_size=5,
        unique_by=lambda rule: rule["name"],
    )
)
def test_reading_storing_and_reading_again_changes_nothing(rules: list[dict[str, Any]]) -> None:
    document = {"version": 1, "name": "p", "rules": rules}
    policy = parse_policy(json.dumps(document, ensure_ascii=False))
    assert policy.document == document
    assert _told(read_policy(loads(json.dumps(policy.document)))) == _told(policy)


HEAD = "version: 1\nname: p\n"


def rule(text: str) -> str:
    return f"{HEAD}rules:\n  - name: r\n    on: [tool.call]\n    effect: deny\n    {text}\n"


@pytest.mark.parametrize(
    ("source", "place", "message", "hint"),
    [
        (rule('when: tol.name == "x"'), ("rules[0].when", 7, 11), "unknown name tol.name", None),
        (rule('when: tool == "x"'), ("rules[0].when", 7, 11), "unknown name tool", "tool.name, tool.capability"),
        (rule("when: run.cost_micros"), ("rules[0].when", 7, 11), "gives int, and must give bool", None),
        (rule('when: "true && run.calls + labels"'), ("rules[0].when", 7, 30), "cannot be applied", None),
        (rule("when: size([1].map(x, x)) > 0"), ("rules[0].when", 7, 20), "map is not available here", "exists"),
        (rule("when: ${{ model == 'x' }}"), ("rules[0].when", 7, 15), "model is not known on tool.call", "llm.call"),
        (rule("when: input.x == 1"), ("rules[0].when", 7, 11), "input.x is not known on tool.call", "run.create"),
        (rule('when: >-\n      true &&\n      history.tol("x")'), ("rules[0].when", 9, 7), "tool and saw", "tool?"),
        (rule('when: history.tool("x").cuont > 1'), ("rules[0].when", 7, 29), "has no cuont", "count"),
        (rule('when: history.tool("x") > 1'), ("rules[0].when", 7, 27), "what of the tool?", ".count"),
        (rule("when: history.tool(tool.name).count > 1"), ("rules[0].when", 7, 24), "must be named here", None),
        (rule('when: history.tool("x").count > "a"'), ("rules[0].when", 7, 35), "> cannot be applied", None),
        (rule('when: history.saw("x") && labls == []'), ("rules[0].when", 7, 31), "unknown name labls", "labels"),
        (rule("severity: bad"), ("rules[0].severity", 7, 15), "severity is not valid", "critical"),
        (rule("mode: on"), ("rules[0].mode", 7, 11), "mode is not valid", "monitor"),
        (rule("unless: x"), ("rules[0].unless", 7, 5), "unknown key unless", None),
        (rule("models: [m]"), ("rules[0].models", 7, 5), "tool.call has no models to choose by", None),
        (rule("tools: ['*']"), ("rules[0].tools[0]", 7, 13), "tools is not valid", "mail.*"),
        (rule("tools: []"), ("rules[0].tools", 7, 12), "must have at least 1 item", None),
        (rule("approval: {quorum: 2}"), ("rules[0].approval", 7, 5), "a rule that says deny asks nobody", None),
        (rule("approval: {approvers: [chief]}"), ("rules[0].approval.approvers[0]", 7, 28), "neither a role", None),
        (f"{HEAD}rules: [{{name: r, on: [tool], effect: deny}}]", ("rules[0].on[0]", 3, 24), "on is not", "tool.call"),
        (f"{HEAD}rules: [{{name: r, on: [code.run], effect: deny}}]", ("rules[0].on[0]", 3, 24), "on is not", None),
        (f"{HEAD}rules: [{{name: r, effect: deny}}]", ("rules[0].on", 3, 9), "on is missing", None),
        (f"{HEAD}rules: [{{name: r, on: [output], effect: forbid}}]", ("rules[0].effect", 3, 41), "effect", "deny"),
        (f"{HEAD}rules: [deny]", ("rules[0]", 3, 9), "each of the rules is a map", None),
        (f"{HEAD}rules: deny", ("rules", 3, 8), "rules must be a list", None),
        (HEAD, ("", 1, 1), "rules is missing", None),
        ("- a", ("", 1, 1), "a policy is a map", None),
        ("version: 2\nname: p\nrules: []", ("version", 1, 10), "version is not valid", "1"),
        ("version: 1\nname: My Policy\nrules: []", ("name", 2, 7), "name is not valid", "small letters"),
        (f"{HEAD}rules: []\nruls: []", ("ruls", 4, 1), "unknown key ruls", "rules"),
        ("version: 1\nname: [", ("", 2, 8), "not valid YAML", None),
        (rule("mode: off").replace("name: r", "name: budget"), ("rules[0].name", 4, 11), "may be named budget", None),
        (rule("mode: off") + "  - {name: r, on: [output], effect: deny}", ("rules[1].name", 8, 12), "used twice", None),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    source: str, place: tuple[str, int, int], message: str, hint: str | None
) -> None:
    found = mistakes(source)
    first = found[0]
    assert (first["path"], first["line"], first["column"]) == place, found
    assert message in first["message"], found
    assert hint is None or hint in (first["hint"] or ""), found


@pytest.mark.parametrize(
    ("approval", "message"),
    [
        ("{approvers: [a@b.c, d@e.f], quorum: 3}", "only 2 may approve, and 3 must"),
        ("{escalate_after: 1h}", "escalate_after and escalate_to belong together"),
        ("{escalate_to: [owner]}", "escalate_after and escalate_to belong together"),
        ("{expires: 1h, escalate_after: 60m, escalate_to: [owner]}", "the question expires before it is escalated"),
        ("{escalate_after: 24h, escalate_to: [owner]}", "the question expires before it is escalated"),
        ("{escalate_after: 2d, escalate_to: [owner]}", "the question expires before it is escalated"),
        ("{expires: soon}", "expires is not valid"),
        ("{quorum: 0}", "greater than or equal to 1"),
    ],
)
def test_demands_that_nobody_can_meet_are_refused(approval: str, message: str) -> None:
    source = rule(f"approval: {approval}").replace("effect: deny", "effect: require_approval")
    assert message in mistakes(source)[0]["message"]


def test_what_was_accepted_before_later_releases_refused_it_keeps_its_force() -> None:
    asks = {"escalate_after": "2d", "escalate_to": ["owner"]}
    rules = [{"name": "r", "on": ["tool.call"], "effect": "require_approval", "approval": asks}]
    assert read_policy({"version": 1, "name": "p", "rules": rules}).rules[0].name == "r"
    with pytest.raises(PolicyInvalid, match="expires before it is escalated"):
        policy_of_rules(rules)


@pytest.mark.parametrize(
    ("case", "path", "message"),
    [
        ("on: tool.call, facts: {tol.name: x}", "tests[0].facts.tol.name", "unknown fact tol.name"),
        ("on: tool.call, facts: {tool: {name: x}}", "tests[0].facts.tool", "unknown fact tool"),
        ("on: tool.call, facts: {model: x}", "tests[0].facts.model", "model is not known on tool.call"),
        ("on: tool.call, facts: {tool.name: 5}", "tests[0].facts.tool.name", "tool.name must be a text"),
        ("on: tool.call, facts: {run.calls: true}", "tests[0].facts.run.calls", "run.calls must be a whole number"),
        ("on: tool.call, facts: {on: output}", "tests[0].facts.on", "stands beside its facts"),
        ("on: tool.call, rule: q", "tests[0].rule", "there is no rule q"),
        ("on: call", "tests[0].on", "on is not valid"),
    ],
)
def test_what_is_wrong_with_a_case_is_told(case: str, path: str, message: str) -> None:
    source = f"{HEAD}rules: [{{name: r, on: [tool.call], effect: deny}}]\ntests: [{{name: c, expect: deny, {case}}}]"
    found = mistakes(source)[0]
    assert (found["path"], found["line"]) == (path, 4), found
    assert message in found["message"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    source = (
        rule("when: x").replace("effect: deny", "effect: no") + "  - {name: s, on: [output], when: y, effect: deny}"
    )
    assert [(found["path"], found["line"]) for found in mistakes(source)] == [
        ("rules[0].effect", 6),
        ("rules[1].when", 8),
    ]


def test_rules_that_were_sent_as_json_are_refused_with_the_place_in_the_condition() -> None:
    bad = {"name": "r", "on": ["tool.call"], "when": "true &&\n tol", "effect": "deny"}
    with pytest.raises(PolicyInvalid) as caught:
        read_policy({"version": 1, "name": "p", "rules": [bad]})
    found = caught.value.members["errors"][0]
    assert (found["path"], found["line"], found["column"]) == ("rules[0].when", 2, 2)


@pytest.mark.parametrize("key", ["rules", "tests"])
def test_more_than_a_thousand_are_too_many(key: str) -> None:
    document: dict[str, Any] = {"version": 1, "name": "p", "rules": []}
    document[key] = [{"name": f"r{n}", "on": ["output"], "effect": "deny", "mode": "off"} for n in range(1_001)]
    with pytest.raises(PolicyInvalid) as caught:
        read_policy(document)
    assert f"{key} may have 1,000 items at most" in caught.value.detail


def test_every_fact_is_described_and_has_an_empty_value_of_its_type() -> None:
    for subject in Subject:
        for name, fact in facts_of(subject).items():
            assert fact.about
            assert subject in fact.subjects
            assert FACTS[name] is fact
            assert name in empty_facts(subject)
    assert not {"history.tools", "history.labels"} & TYPES.keys()
    assert len(HISTORY) == 3


def test_the_clock_is_that_of_the_zone_of_the_project() -> None:
    moment = datetime(2031, 1, 31, 23, 45, tzinfo=UTC)
    assert time_facts(moment, ZoneInfo("Europe/Berlin")) == {
        "time.hour": 0,
        "time.minute": 45,
        "time.weekday": 6,
        "time.date": "2031-02-01",
    }


def test_the_schema_for_editors_names_what_the_format_has() -> None:
    schema: Any = policy_schema()
    assert set(schema["properties"]) == {"version", "name", "description", "mode", "rules", "tests"}
