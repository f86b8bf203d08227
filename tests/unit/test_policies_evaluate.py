"""Policies: strictest verdict wins, and what cannot be judged is denied."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.errors import Invalid
from sparkops.core.json import Json
from sparkops.domains.policies.evaluate import RuleEffect, Subject, Verdict, compile_policy

TOOL, LLM = Subject.TOOL_CALL, Subject.LLM_CALL


def rule(name: str = "r", effect: str = "deny", **more: Any) -> dict[str, Any]:
    return {"name": name, "on": ["tool.call"], "effect": effect, "reason": f"because {name}", **more}


def test_where_no_rule_matches_the_effect_is_allowed() -> None:
    assert compile_policy([]).decide(TOOL, {"tool": "noop"}) == Verdict(RuleEffect.ALLOW)
    assert compile_policy([rule(when='tool == "other"')]).decide(TOOL, {"tool": "noop"}) == Verdict(RuleEffect.ALLOW)


def test_a_rule_speaks_only_of_what_it_is_on() -> None:
    policy = compile_policy([rule()])
    assert policy.decide(LLM, {}).outcome is RuleEffect.ALLOW
    assert policy.decide(TOOL, {}) == Verdict(RuleEffect.DENY, "r", "because r")


@pytest.mark.parametrize(
    ("when", "facts", "matches"),
    [
        ('tool == "files.write" && args.name.endsWith(".md")', {"tool": "files.write", "args": {"name": "r.md"}}, True),
        ("has(args.amount) && args.amount > 5", {"args": {}}, False),
        ("${{ run.cost_micros + call.bound_micros > 1000000 }}", {"run.cost_micros": 999_999}, False),
        (
            "run.cost_micros + call.bound_micros > 1000000",
            {"run.cost_micros": 999_999, "call.bound_micros": 2},
            True,
        ),
        ('agent == "" && run.turns == 0 && kind == "tool.call"', {}, True),
        ('workflow.startsWith("pay") || step == "send" || model == "big"', {"step": "send"}, True),
    ],
)
def test_conditions_see_the_facts(when: str, facts: dict[str, Json], matches: bool) -> None:
    verdict = compile_policy([rule(when=when)]).decide(TOOL, facts)
    assert verdict.outcome is (RuleEffect.DENY if matches else RuleEffect.ALLOW)


@pytest.mark.parametrize("facts", [{"args": {}}, {"args": {"amount": "much"}}, {"args": None}, {"args": 5}])
def test_a_rule_that_cannot_be_evaluated_denies_and_says_so(facts: dict[str, Json]) -> None:
    lenient = rule("limit", "allow", when="args.amount > 5")
    verdict = compile_policy([lenient]).decide(TOOL, facts)
    assert (verdict.outcome, verdict.rule) == (RuleEffect.DENY, "limit")
    assert "could not be evaluated, so it denies" in (verdict.reason or "")


effects = st.lists(st.sampled_from(["allow", "require_approval", "deny"]), max_size=6)


@given(effects)
def test_the_strictest_verdict_wins_and_among_equals_the_first(listed: list[str]) -> None:
    policy = compile_policy([rule(f"r{place}", effect) for place, effect in enumerate(listed)])
    verdict = policy.decide(TOOL, {})
    for strict in ("deny", "require_approval", "allow"):
        if strict in listed:
            assert (verdict.outcome, verdict.rule) == (strict, f"r{listed.index(strict)}")
            break
    else:
        assert verdict == Verdict(RuleEffect.ALLOW)


@given(effects, effects)
def test_adding_rules_never_makes_a_policy_more_lenient(before: list[str], added: list[str]) -> None:
    order = ["allow", "require_approval", "deny"]
    rules = [rule(f"r{place}", effect) for place, effect in enumerate([*before, *added])]
    fewer = compile_policy(rules[: len(before)]).decide(TOOL, {}).outcome
    assert order.index(compile_policy(rules).decide(TOOL, {}).outcome) >= order.index(fewer)


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        (
            [rule(when="tol == 'x'")],
            {
                "path": "rules.0.when",
                "line": 1,
                "column": 1,
                "message": "unknown name tol",
                "hint": "did you mean tool?",
            },
        ),
        (
            [rule(when="run.cost_micros")],
            {"path": "rules.0.when", "message": "the expression gives int, and must give bool"},
        ),
        ([rule(when="size([1].map(x, x)) > 0")], {"path": "rules.0.when", "message": "map is not available here"}),
        ([rule(), rule()], {"path": "rules.1.name", "message": "the name r is used twice"}),
        ([rule(effect="forbid")], {"path": "rules.0.effect"}),
        ([rule(on=[])], {"path": "rules.0.on"}),
        ([rule(on=["run.create"])], {"path": "rules.0.on.0"}),
        ([rule(unless="x")], {"path": "rules.0.unless", "message": "unknown key unless"}),
        ([{"name": "r"}], {"path": "rules.0.on", "message": "on is missing"}),
        (["deny"], {"path": "rules.0"}),
        ([rule(f"r{n}") for n in range(101)], {"path": "rules"}),
    ],
)
def test_what_is_wrong_with_rules_is_said_with_its_place(rules: list[Any], error: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as failed:
        compile_policy(rules)
    found = failed.value.members["errors"]
    assert any(error.items() <= item.items() for item in found), found
