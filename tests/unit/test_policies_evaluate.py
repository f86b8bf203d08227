"""Policies: strictest verdict wins, and what cannot be judged is denied."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.domains.policies.document import Policy, policy_of_rules, read_policy
from sparkops.domains.policies.evaluate import Asking, Decision, Demands, Finding, PolicySet, RuleRef, Source
from sparkops.domains.policies.facts import FACTS, Subject, empty_facts
from sparkops.domains.policies.format import RuleEffect, Severity
from sparkops.domains.policies.history import Unknown

TOOL, LLM = Subject.TOOL_CALL, Subject.LLM_CALL
ALLOW, HOLD, DENY = RuleEffect.ALLOW, RuleEffect.REQUIRE_APPROVAL, RuleEffect.DENY
STRICTNESS = [ALLOW, HOLD, DENY]


def rule(name: str = "r", effect: str = "deny", **more: Any) -> dict[str, Any]:
    return {"name": name, "on": ["tool.call"], "effect": effect, "reason": f"because {name}", **more}


def rules(*listed: dict[str, Any], default: RuleEffect = ALLOW) -> PolicySet:
    return PolicySet([Source("p", 3, policy_of_rules(listed))], default)


def ref(name: str) -> RuleRef:
    return RuleRef("p", 3, name)


def judged(policies: PolicySet, subject: Subject = TOOL, **facts: Json) -> Decision:
    """The decision on facts of which all are known; `__` stands for a dot."""
    given = {name.replace("__", "."): value for name, value in facts.items()}
    return policies.decide(subject, {**empty_facts(subject), **given})


@pytest.mark.parametrize("default", [ALLOW, DENY])
def test_where_no_rule_matches_the_default_holds(default: RuleEffect) -> None:
    assert judged(rules(default=default), tool__name="noop") == Decision(default)
    assert judged(rules(rule(when='tool.name == "x"'), default=default), tool__name="noop") == Decision(default)


def test_where_the_default_denies_a_rule_may_allow() -> None:
    policies = rules(rule("reads", "allow", tools=["files.read"]), default=DENY)
    assert judged(policies, tool__name="files.read").outcome is ALLOW
    assert judged(policies, tool__name="files.write").outcome is DENY


def test_a_rule_speaks_only_of_what_it_is_on() -> None:
    policies = rules(rule())
    assert judged(policies, LLM).outcome is ALLOW
    decision = judged(policies)
    assert (decision.outcome, decision.rule, decision.reason) == (DENY, ref("r"), "because r")
    assert (decision.severity, decision.matched) == (Severity.MEDIUM, (ref("r"),))


@pytest.mark.parametrize(
    ("when", "facts", "matches"),
    [
        ('tool.name == "w" && args.name.endsWith(".md")', {"tool.name": "w", "args": {"name": "r.md"}}, True),
        ("has(args.amount) && args.amount > 5", {"args": {}}, False),
        ("${{ run.cost_micros + call.bound_micros > 1000000 }}", {"run.cost_micros": 999_999}, False),
        ("run.cost_micros + call.bound_micros > 9", {"run.cost_micros": 8, "call.bound_micros": 2}, True),
        ('agent.name == "" && run.turns == 0 && on == "tool.call"', {}, True),
        ('workflow.name.startsWith("pay") || step.key == "send"', {"step.key": "send"}, True),
        ("labels.exists(l, l.startsWith('untrusted:'))", {"labels": ["untrusted:web"]}, True),
        ('principal.role != "owner" && time.hour < 6', {"principal.role": "operator", "time.hour": 5}, True),
    ],
)
def test_conditions_see_the_facts(when: str, facts: dict[str, Json], matches: bool) -> None:
    decision = rules(rule(when=when)).decide(TOOL, {**empty_facts(TOOL), **facts})
    assert decision.outcome is (DENY if matches else ALLOW)


MAILED: Json = {"mail.send": {"count": 3, "last_seconds": 40}, "mail.list": {"count": 1, "last_seconds": 9}}


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ('history.tool("mail.send").count == 3', True),
        ("history.tool('mail.*').count == 4 && history.tool('mail.*').last_seconds == 9", True),
        ('history.tool("mail.send").last_seconds < 40', False),
        ('history.tool("sql.query").count == 0', True),
        ('history.tool("sql.query").last_seconds < 86400', False),
        ('history.saw("untrusted") && history.saw("untrusted:web")', True),
        ('history.saw("untrusted:mail") || history.saw("private") || history.saw("un")', False),
    ],
)
def test_conditions_see_what_happened_earlier(when: str, matches: bool) -> None:
    facts: dict[str, Json] = {"history.tools": MAILED, "history.labels": ["untrusted:web", "privates"]}
    decision = rules(rule(when=when)).decide(TOOL, {**empty_facts(TOOL), **facts})
    assert decision.outcome is (DENY if matches else ALLOW)


@pytest.mark.parametrize("history", [5, None, [], {"mail.send": 3}, {"mail.send": {"count": "x"}}])
def test_a_history_of_another_shape_denies(history: Json) -> None:
    policies = rules(rule("often", "allow", when='history.tool("mail.send").count > 2'))
    assert judged(policies, history__tools=history).outcome is DENY


@pytest.mark.parametrize("arguments", [{}, {"amount": "much"}, None, 5])
def test_a_rule_that_cannot_be_evaluated_denies_and_says_so(arguments: Json) -> None:
    decision = judged(rules(rule("limit", "allow", when="args.amount > 5")), args=arguments)
    assert (decision.outcome, decision.rule) == (DENY, ref("limit"))
    assert "could not be evaluated, so it denies" in (decision.reason or "")
    assert [(failure.rule, failure.enforced, failure.missing) for failure in decision.failed] == [
        (ref("limit"), True, ())
    ]


def test_a_fact_that_is_not_known_denies_where_the_answer_depends_on_it() -> None:
    policies = rules(rule("dear", "allow", when="tool.name == 'x' && run.cost_micros > 5", tools=["x", "y"]))
    decision = policies.decide(TOOL, {"tool.name": "x"})
    assert (decision.outcome, decision.failed[0].missing) == (DENY, ("run.cost_micros",))
    assert decision.reason == "The rule dear could not be evaluated, so it denies: run.cost_micros is not known"
    assert policies.decide(TOOL, {"tool.name": "y"}) == Decision(ALLOW)


def test_a_name_that_is_not_known_denies_for_a_rule_that_chooses_by_it() -> None:
    policies = rules(rule("mail", "allow", tools=["mail.*"]))
    assert policies.decide(TOOL, {}).failed[0].missing == ("tool.name",)
    assert policies.decide(TOOL, {}).outcome is DENY
    assert policies.decide(TOOL, {"tool.name": "sql.query"}) == Decision(ALLOW)


def test_a_failed_rule_stands_back_where_another_denies() -> None:
    decision = judged(rules(rule("broken", when="args.x"), rule("clear")))
    assert (decision.rule, decision.reason) == (ref("clear"), "because clear")
    assert [failure.rule for failure in decision.failed] == [ref("broken")]


@pytest.mark.parametrize(
    ("more", "facts", "matches"),
    [
        ({"tools": ["mail.send", "sql.*"]}, {"tool.name": "sql.query"}, True),
        ({"tools": ["mail.send", "sql.*"]}, {"tool.name": "mail.sender"}, False),
        ({"tools": ["sql.*"]}, {"tool.name": "sql"}, False),
        ({"agents": ["intern"]}, {"tool.name": "x"}, False),
        ({"agents": ["intern"]}, {"agent.name": "intern"}, True),
        ({"workflows": ["pay-*"], "agents": ["a"]}, {"workflow.name": "pay-all", "agent.name": "a"}, True),
        ({"workflows": ["pay-*"], "agents": ["a"]}, {"workflow.name": "pay-all", "agent.name": "b"}, False),
    ],
)
def test_a_rule_is_about_the_names_it_lists(more: dict[str, Any], facts: Mapping[str, Json], matches: bool) -> None:
    decision = rules(rule(**more)).decide(TOOL, {**empty_facts(TOOL), **facts})
    assert decision.outcome is (DENY if matches else ALLOW)


def test_a_rule_on_models_chooses_by_model() -> None:
    policies = rules(rule(on=["llm.call"], models=["openai:*"]))
    assert judged(policies, LLM, model="openai:gpt").outcome is DENY
    assert judged(policies, LLM, model="local").outcome is ALLOW


def test_a_rule_that_monitors_decides_nothing_and_is_told() -> None:
    policies = rules(rule("soon", mode="monitor", severity="high"), rule("fine", "allow", mode="monitor"))
    decision = judged(policies)
    assert (decision.outcome, decision.rule) == (ALLOW, None)
    assert decision.monitored == (Finding(ref("soon"), DENY, "because soon", Severity.HIGH),)
    assert decision.matched == (ref("soon"), ref("fine"))


@pytest.mark.parametrize("effect", ["allow", "require_approval", "deny"])
def test_a_rule_that_monitors_and_fails_is_told_as_the_denial_that_it_would_be(effect: str) -> None:
    decision = judged(rules(rule("soon", effect, when="args.x > 1", mode="monitor", severity="high")))
    assert (decision.outcome, decision.rule) == (ALLOW, None)
    assert [(failure.rule, failure.enforced) for failure in decision.failed] == [(ref("soon"), False)]
    [found] = decision.monitored
    assert (found.rule, found.effect, found.severity) == (ref("soon"), DENY, Severity.HIGH)
    assert (found.reason or "").startswith("The rule soon could not be evaluated, so it would deny: ")


def test_a_rule_that_is_off_is_not_asked() -> None:
    assert judged(rules(rule(mode="off"), rule("s", when="args.x > 1", mode="off"))) == Decision(ALLOW)


def test_the_mode_of_a_document_holds_for_rules_without_one() -> None:
    listed = [rule("a"), rule("b", "require_approval", mode="enforce")]
    policy = read_policy({"version": 1, "name": "trial", "mode": "monitor", "rules": listed})
    decision = judged(PolicySet([Source("p", 3, policy)]))
    assert (decision.outcome, decision.rule) == (HOLD, ref("b"))


def test_the_policies_of_the_installation_come_first() -> None:
    def policy(reason: str) -> Policy:
        return policy_of_rules([rule("same", reason=reason)])

    both = PolicySet([Source("all", 1, policy("of all")), Source("one", 7, policy("of one"))])
    decision = judged(both)
    assert (decision.rule, decision.reason) == (RuleRef("all", 1, "same"), "of all")
    assert decision.matched == (RuleRef("all", 1, "same"), RuleRef("one", 7, "same"))


def test_consent_has_to_satisfy_every_rule_that_asks_for_it() -> None:
    first = {"approvers": ["owner"], "quorum": 2, "expires": "2h", "may_edit": True}
    second = {"approvers": ["ada@example.com"], "expires": "30m", "escalate_after": "10m", "escalate_to": ["owner"]}
    policies = rules(
        rule("a", "require_approval", approval=first),
        rule("b", "require_approval", approval=second),
        rule("c", "require_approval", approval={**first, "may_edit": True}),
        rule("d", "require_approval", mode="monitor", approval={"quorum": 9}),
    )
    decision = judged(policies)
    assert (decision.outcome, decision.rule) == (HOLD, ref("a"))
    assert decision.demands == Demands(
        approvers=(("owner",), ("ada@example.com",)),
        quorum=2,
        expires=timedelta(minutes=30),
        escalate_after=timedelta(minutes=10),
        escalate_to=("owner",),
        may_edit=False,
        rules=tuple(Asking("p", name, f"because {name}") for name in "abc"),
    )


def test_a_set_says_which_facts_a_decision_needs() -> None:
    policies = rules(
        rule("a", when="run.cost_micros > 5", tools=["sql.*"]),
        rule("b", when='history.saw("untrusted") && on == "tool.call" && labels != []', tools=["mail.send"]),
    )
    assert policies.asks(LLM, {"model": "m"}) == frozenset()
    assert policies.asks(TOOL, {"tool.name": "noop"}) == {"tool.name"}
    assert policies.asks(TOOL, {"tool.name": "sql.query"}) == {"tool.name", "run.cost_micros"}
    assert policies.asks(TOOL, {"tool.name": "mail.send"}) == {"tool.name", "history.labels", "labels"}


effects = st.lists(st.sampled_from(["allow", "require_approval", "deny"]), max_size=6)


@given(effects)
def test_the_strictest_verdict_wins_and_among_equals_the_first(listed: list[str]) -> None:
    decision = judged(rules(*(rule(f"r{place}", effect) for place, effect in enumerate(listed))))
    for strict in ("deny", "require_approval", "allow"):
        if strict in listed:
            assert (decision.outcome, decision.rule) == (strict, ref(f"r{listed.index(strict)}"))
            break
    else:
        assert decision == Decision(ALLOW)


@given(effects, effects)
def test_adding_rules_never_makes_a_policy_more_lenient(before: list[str], added: list[str]) -> None:
    listed = [rule(f"r{place}", effect) for place, effect in enumerate([*before, *added])]
    fewer = judged(rules(*listed[: len(before)])).outcome
    assert STRICTNESS.index(judged(rules(*listed)).outcome) >= STRICTNESS.index(fewer)


CONDITIONS = [
    None,
    "args.n > 2",
    "has(args.n) && args.n < 2",
    "args.flag",
    "run.calls > 3",
    "labels.exists(l, l == 'a')",
    "labels.exists(l, l + 'x' == args.text + 'x')",
    "size(args.text) > 3 // long",
    'history.tool("t").count > 1',
    'history.saw("a")',
    "args.list.all(x, x > 0)",
    "agent.name == 'intern' || args.n == 1",
]
some_rules = st.lists(
    st.fixed_dictionaries(
        {"effect": st.sampled_from(["allow", "require_approval", "deny"])},
        optional={
            "when": st.sampled_from([condition for condition in CONDITIONS if condition is not None]),
            "tools": st.sampled_from([["t"], ["u.*", "v"], ["u.a"]]),
            "agents": st.sampled_from([["intern"], ["boss*"]]),
            "mode": st.sampled_from(["enforce", "monitor", "off"]),
        },
    ),
    max_size=8,
)
some_facts = st.fixed_dictionaries(
    {
        "tool.name": st.sampled_from(["t", "u.a", "u.b", "v", "w"]),
        "args": st.fixed_dictionaries(
            {},
            optional={
                "n": st.sampled_from([1, 3, 2.5, "many", None, 2**63]),
                "flag": st.sampled_from([True, False, 1]),
                "text": st.sampled_from(["ab", "a", "a" * 2_000, "x\0y"]),
                "list": st.sampled_from([[], [1], [0], ["x"], [1] * 1_001]),
            },
        ),
        "run.calls": st.sampled_from([0, 9, 9.0]),
        "labels": st.sampled_from([[], ["a"], ["ab", "a:b"]]),
        "history.tools": st.sampled_from([{}, {"t": {"count": 2, "last_seconds": 1}}, 7]),
        "history.labels": st.sampled_from([[], ["a:b"]]),
    },
    optional={"agent.name": st.sampled_from(["intern", "boss-2"])},
)


def naive(listed: list[dict[str, Any]], facts: Mapping[str, Json]) -> dict[str, bool | None]:
    """What each rule says by itself: matched, or None where it could not be evaluated; no entry: it did not."""
    said: dict[str, bool | None] = {}
    for item in listed:
        one = policy_of_rules([item]).rules[0]
        names = {"agent.name": one.scope.agents, "tool.name": one.scope.tools}
        if item.get("mode") == "off" or not all(
            wanted is None or any(_fits(each, str(facts.get(fact, ""))) for each in wanted)
            for fact, wanted in names.items()
        ):
            continue
        known: dict[str, Json] = {name: FACTS[name].empty for name in ("agent.name",)} | dict(facts)
        try:
            for lookup in one.condition.lookups if one.condition else ():
                known[lookup.variable] = lookup.answer(facts)
            if one.condition is None or one.condition.expression.evaluate_bool(known):
                said[one.name] = True
        except (ExpressionError, Unknown):
            said[one.name] = None
    return said


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _outcome(listed: list[dict[str, Any]], said: Mapping[str, bool | None]) -> RuleEffect:
    enforced = [each for each in listed if each["name"] in said and each.get("mode", "enforce") == "enforce"]
    if any(said[each["name"]] is None for each in enforced):
        return DENY
    return max((RuleEffect(each["effect"]) for each in enforced), key=STRICTNESS.index, default=ALLOW)


@given(some_rules, some_facts)
def test_asking_all_rules_at_once_is_asking_each_alone(drawn: list[dict[str, Any]], facts: dict[str, Json]) -> None:
    listed = [{"name": f"r{place}", "on": ["tool.call"], **each} for place, each in enumerate(drawn)]
    decision = rules(*listed).decide(TOOL, facts)
    said = naive(listed, facts)
    assert [each.rule for each in decision.matched] == [name for name, matched in said.items() if matched]
    assert [each.rule.rule for each in decision.failed] == [name for name, matched in said.items() if matched is None]
    assert decision.outcome is _outcome(listed, said)


@given(some_rules, some_facts, st.randoms())
def test_the_order_of_rules_does_not_change_how_strict_a_verdict_is(
    drawn: list[dict[str, Any]], facts: dict[str, Json], random: Any
) -> None:
    listed = [{"name": f"r{place}", "on": ["tool.call"], **each} for place, each in enumerate(drawn)]
    mixed = random.sample(listed, len(listed))
    first, second = rules(*listed).decide(TOOL, facts), rules(*mixed).decide(TOOL, facts)
    assert first.outcome is second.outcome
    assert set(first.matched) == set(second.matched)


def test_a_set_that_keeps_no_more_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkops.domains.policies.evaluate.MAX_KEPT", 2)
    policies = rules(*(rule(f"r{place}", tools=[f"t{place}"]) for place in range(5)))
    for _ in range(2):
        for place in range(5):
            assert judged(policies, tool__name=f"t{place}").rule == ref(f"r{place}")
    assert len(policies._selected) <= 2


def test_threads_may_ask_one_set_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkops.domains.policies.evaluate.MAX_KEPT", 2)
    listed = (rule(f"r{place}", tools=[f"t{place}"], when="args.n == 1 && run.calls >= 0") for place in range(5))
    policies = rules(*listed)

    def ask(number: int) -> bool:
        facts: dict[str, Json] = {"tool.name": f"t{number % 5}", "args": {"n": number % 2}, "run.calls": number}
        return policies.decide(TOOL, facts).matched == ((ref(f"r{number % 5}"),) if number % 2 else ())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(2_000)))


def test_an_optional_fact_that_is_not_given_is_empty() -> None:
    policies = rules(rule(when="agent.name == '' && run.turns == 0"))
    assert policies.decide(TOOL, {}).matched == (ref("r"),)


def test_the_error_of_a_failed_rule_is_told_to_people() -> None:
    failure = judged(rules(rule(when="args.x > 1"))).failed[0]
    assert "Key not found" in failure.reason
    assert not isinstance(failure.reason, ExpressionError)
