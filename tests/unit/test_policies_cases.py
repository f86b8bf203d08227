"""The tests of a policy: expected verdicts, the coverage of rules, and cases made from decisions."""

from typing import Any

import pytest

from sparkops.core.json import Json
from sparkops.domains.policies.cases import CaseReport, case_of, run_cases
from sparkops.domains.policies.document import read_policy
from sparkops.domains.policies.evaluate import PolicySet, Source
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import RuleEffect

RULES = [
    {"name": "strangers", "on": ["tool.call"], "tools": ["mail.*"], "when": "args.to != 'me'", "effect": "deny"},
    {"name": "often", "on": ["tool.call"], "when": "run.calls > 9", "effect": "require_approval", "mode": "monitor"},
    {"name": "later", "on": ["output"], "effect": "deny", "mode": "off"},
]


def report(*cases: dict[str, Any], default: RuleEffect = RuleEffect.ALLOW) -> CaseReport:
    listed = [{"name": f"case {place}", "on": "tool.call", **case} for place, case in enumerate(cases)]
    policy = read_policy({"version": 1, "name": "p", "rules": RULES, "tests": listed})
    return run_cases(policy, default)


STRANGER: dict[str, Any] = {"facts": {"tool.name": "mail.send", "args": {"to": "you"}}, "expect": "deny"}


def test_a_case_that_gets_what_it_expects_passes() -> None:
    assert report(STRANGER, {**STRANGER, "rule": "strangers"}).failed == ()


def test_facts_that_a_case_does_not_give_are_empty() -> None:
    assert report({"expect": "allow"}, {"facts": {"tool.name": "noop"}, "expect": "allow"}).failed == ()


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ({**STRANGER, "expect": "allow"}, "expected allow, got deny by the rule strangers"),
        ({"expect": "deny"}, "expected deny, got allow by default, as no rule matched"),
        (
            {**STRANGER, "rule": "often"},
            "expected the rule often to decide, got deny by the rule strangers",
        ),
        (
            {"facts": {"tool.name": "mail.send"}, "expect": "allow"},
            "expected allow, got deny by the rule strangers: args.to != 'me': Key not found in map : \"to\"",
        ),
    ],
)
def test_a_case_that_gets_something_else_says_what(case: dict[str, Any], problem: str) -> None:
    found = report(case)
    assert [result.problem for result in found.failed] == [problem]


def test_a_rule_that_monitors_is_tested_as_if_it_were_enforced() -> None:
    assert report({"facts": {"run.calls": 10}, "expect": "require_approval", "rule": "often"}).failed == ()


def test_the_default_of_the_project_holds_in_cases() -> None:
    assert report({"expect": "deny"}, default=RuleEffect.DENY).failed == ()


def test_cases_that_would_take_too_long_fail_as_not_judged() -> None:
    listed = [{"name": f"case {place}", "on": "tool.call", "expect": "allow"} for place in range(3)]
    policy = read_policy({"version": 1, "name": "p", "rules": RULES, "tests": listed})
    answers = iter([False, True, True])
    found = run_cases(policy, stop=lambda: next(answers))
    assert [result.problem for result in found.results] == [None, *["not judged: the tests took too long"] * 2]


def test_coverage_names_the_cases_that_reach_a_rule_and_the_rules_that_none_reaches() -> None:
    found = report(STRANGER, {"expect": "allow"}, {**STRANGER, "facts": {**STRANGER["facts"], "run.calls": 10}})
    assert found.coverage == {"strangers": ("case 0", "case 2"), "often": ("case 2",)}
    assert report(STRANGER).never_matched == ("often",)


def test_a_case_made_from_a_decision_gets_the_verdict_of_the_decision() -> None:
    facts: dict[str, Json] = {
        "tool.name": "mail.send",
        "args": {"to": "you"},
        "run.calls": 0,
        "on": "tool.call",
        "model": "not of a tool call",
        "history.tools": {"mail.send": {"count": 1, "last_seconds": 3}},
    }
    policy = read_policy({"version": 1, "name": "p", "rules": RULES})
    decision = PolicySet([Source("p", 1, policy)]).decide(Subject.TOOL_CALL, facts)
    assert decision.rule is not None
    case = case_of("as it happened", Subject.TOOL_CALL, facts, decision.outcome, decision.rule.rule)
    assert case == {
        "name": "as it happened",
        "on": "tool.call",
        "facts": {"tool.name": "mail.send", "args": {"to": "you"}, "history.tools": facts["history.tools"]},
        "expect": "deny",
        "rule": "strangers",
    }
    again = read_policy({"version": 1, "name": "p", "rules": RULES, "tests": [case]})
    assert run_cases(again).failed == ()
