"""A backtest: what other policies would have said to decisions of the past, and when nobody can tell."""

from collections.abc import Iterator
from typing import Any

import pytest

from sparkops.core.json import Json
from sparkops.domains.policies import backtest as module
from sparkops.domains.policies.backtest import (
    MAX_DECISIONS,
    Backtest,
    Change,
    Day,
    Flip,
    Recorded,
    backtest,
    on_record,
    unknown,
)
from sparkops.domains.policies.document import policy_of_rules
from sparkops.domains.policies.evaluate import PolicySet, RuleRef, Source
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import RuleEffect

ALLOW, HOLD, DENY = RuleEffect.ALLOW, RuleEffect.REQUIRE_APPROVAL, RuleEffect.DENY


def draft(*rules: dict[str, Any], default: RuleEffect = ALLOW) -> PolicySet:
    named = [{"name": f"r{place}", "on": ["tool.call"], **each} for place, each in enumerate(rules)]
    return PolicySet([Source("draft", 2, policy_of_rules(named))], default)


def past(outcome: RuleEffect = ALLOW, rule: str | None = None, **facts: Json) -> Recorded:
    given = {name.replace("__", "."): value for name, value in facts.items()}
    return Recorded("d", Subject.TOOL_CALL, {"tool.name": "noop", **given}, outcome, rule)


@pytest.mark.parametrize(
    ("was", "effect", "change"),
    [
        (ALLOW, "allow", Change.STAYS),
        (ALLOW, "deny", Change.DENIED),
        (ALLOW, "require_approval", Change.HELD),
        (HOLD, "require_approval", Change.STAYS),
        (HOLD, "deny", Change.DENIED),
        (HOLD, "allow", Change.ALLOWED),
        (DENY, "allow", Change.ALLOWED),
        (DENY, "require_approval", Change.HELD),
        (DENY, "deny", Change.STAYS),
    ],
)
def test_a_decision_stays_or_becomes_another(was: RuleEffect, effect: str, change: Change) -> None:
    assert Backtest().add(past(was, "old"), draft({"effect": effect})) is change


def test_a_flip_names_both_rules() -> None:
    found = backtest([past(ALLOW, "old"), past(DENY, "old")], draft({"effect": "deny", "reason": "no more"}))
    flip = Flip("d", Subject.TOOL_CALL, Change.DENIED, ALLOW, "old", RuleRef("draft", 2, "r0"), "no more")
    assert (found.judged, found.counts[Change.STAYS], found.flips) == (2, 1, [flip])


def test_what_depends_on_a_fact_that_was_not_recorded_is_undecidable() -> None:
    policies = draft({"effect": "deny", "when": "tool.name == 'mail' && principal.role == 'operator'"})
    rows = [past(tool__name="mail"), past(), past(tool__name="mail", principal__role="owner")]
    found = backtest(rows, policies)
    assert found.counts == {Change.UNDECIDABLE: 1, Change.STAYS: 2}
    assert found.lacking == {"principal.role": 1}
    assert found.flips == []


def test_history_that_was_not_recorded_is_undecidable() -> None:
    policies = draft({"effect": "deny", "when": 'history.tool("mail").count > 0'})
    counts = {"noop": {"count": 1, "last_seconds": 1}}
    found = backtest([past(), past(history__tools=counts)], policies)
    assert found.counts == {Change.UNDECIDABLE: 1, Change.STAYS: 1}
    assert found.lacking == {"history.tools": 1}


@pytest.mark.parametrize("other", [{"effect": "deny"}, {"effect": "allow", "when": "args.x"}])
def test_a_rule_that_denies_anyway_makes_lacking_facts_unimportant(other: dict[str, Any]) -> None:
    policies = draft({"effect": "deny", "when": "run.calls > 3"}, other)
    assert Backtest().add(past(args={}), policies) is Change.DENIED


def test_a_rule_that_monitors_makes_nothing_undecidable() -> None:
    policies = draft({"effect": "deny", "when": "run.calls > 3", "mode": "monitor"})
    assert Backtest().add(past(), policies) is Change.STAYS


@pytest.mark.parametrize(
    ("effect", "change"),
    [("allow", Change.STAYS), ("deny", Change.STAYS), ("require_approval", Change.HELD)],
)
def test_a_call_that_the_budget_refused_is_not_newly_allowed(effect: str, change: Change) -> None:
    assert Backtest().add(past(DENY, "budget"), draft({"effect": effect})) is change


def test_flips_are_counted_beyond_those_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FLIPS", 2)

    def stream() -> Iterator[Recorded]:
        for _ in range(5):
            yield past()

    found = backtest(stream(), draft(default=DENY))
    assert (found.counts[Change.DENIED], len(found.flips)) == (5, 2)


def test_a_day_counts_what_was_and_what_would_have_been_with_the_money_of_the_flips() -> None:
    day = Day()
    for on, was, change, cost, bound in (
        ("tool.call", ALLOW, Change.DENIED, 30, 50),
        ("tool.call", ALLOW, Change.HELD, 7, 50),
        ("tool.call", DENY, Change.ALLOWED, 0, 50),
        ("output", HOLD, Change.STAYS, 0, 0),
        ("output", HOLD, Change.UNDECIDABLE, 0, 0),
    ):
        day.add(Subject(on), was, change)
        day.charge(change, cost, bound)
    assert day == Day(
        decisions=5,
        approvals=2,
        approvals_then=3,
        denials=1,
        denials_then=1,
        denied_micros=30,
        held_micros=7,
        allowed_micros=50,
        subjects={"tool.call": 3, "output": 2},
    )


def drafted(*on: list[str], **more: Any) -> dict[str, Any]:
    rules = [{"name": f"r{place}", "on": each, "effect": "deny"} for place, each in enumerate(on)]
    return {"version": 1, "name": "draft", "rules": rules, **more}


RUNS, TOOLS, OUTPUT = Subject.RUN_CREATE, Subject.TOOL_CALL, Subject.OUTPUT


def test_of_each_subject_that_a_draft_has_rules_on_it_is_told_how_many_decisions_there_were() -> None:
    days = [Day(decisions=5, subjects={"tool.call": 3, "llm.call": 2}), Day(decisions=1, subjects={"tool.call": 1})]
    assert on_record(drafted(["output", "tool.call"], ["tool.call"]), days, 6) == {TOOLS: 4, OUTPUT: 0}
    assert on_record(drafted(["run.create"]), [], 0) == {RUNS: 0}


@pytest.mark.parametrize("mode", ["monitor", "off"])
def test_rules_that_decide_nothing_are_not_asked_what_is_on_record(mode: str) -> None:
    assert on_record(drafted(["output"], mode=mode), [], 0) == {}
    enforced = {"name": "r", "on": ["run.create"], "effect": "deny", "mode": "enforce"}
    assert on_record(drafted(mode=mode, rules=[enforced]), [], 0) == {RUNS: 0}


def test_what_a_release_counted_that_did_not_tell_subjects_apart_is_not_known() -> None:
    assert on_record(drafted(["output"]), [Day(decisions=3), Day(decisions=1, subjects={"output": 1})], 4) is None


def test_where_there_was_nothing_to_judge_that_is_said_in_words() -> None:
    found = {RUNS: 0, TOOLS: 4, OUTPUT: 0}
    assert [unknown(subject, 4, None, None) for subject in found if not found[subject]] == [
        "Nothing on record about run.create in this time: what these rules would have done is not known.",
        "Nothing on record about output in this time: what these rules would have done is not known.",
    ]
    assert unknown(OUTPUT, 4, ["tool.call"], None) == (
        "Decisions about output were not looked at: what these rules would have done is not known."
    )
    assert unknown(OUTPUT, 4, None, ["noop"]) == (
        "Nothing on record about output of these names in this time: what these rules would have done is not known."
    )
    assert unknown(OUTPUT, MAX_DECISIONS, None, None) == (
        "Nothing about output is among the newest 1,000,000 decisions of this time: what these rules would have done"
        " is not known."
    )
