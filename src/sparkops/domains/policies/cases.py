"""The tests of a policy: what it says to facts that its authors wrote down, and which of its rules they reach.

A rule in mode monitor is judged as if it were enforced: the mode says when a rule takes hold, not what it says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparkops.core.json import Json
from sparkops.domains.policies.document import Case, Policy
from sparkops.domains.policies.evaluate import Decision, PolicySet, Source
from sparkops.domains.policies.facts import Subject, empty_facts, facts_of
from sparkops.domains.policies.format import Mode, RuleEffect


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; `problem` None: it is as expected."""

    case: Case
    outcome: RuleEffect
    rule: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class CaseReport:
    """All cases, in order. `coverage` names, for each rule that is not off, the cases in which it matched."""

    results: tuple[CaseResult, ...]
    coverage: Mapping[str, tuple[str, ...]]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases that are not as expected."""
        return tuple(result for result in self.results if result.problem is not None)

    @property
    def never_matched(self) -> tuple[str, ...]:
        """The rules that no case reaches."""
        return tuple(rule for rule, cases in self.coverage.items() if not cases)


def run_cases(
    policy: Policy, default: RuleEffect = RuleEffect.ALLOW, *, stop: Callable[[], bool] = lambda: False
) -> CaseReport:
    """Judge every case of a policy by the policy alone; facts that a case does not give are empty.

    A thousand cases may take seconds of processor time, and minutes where their conditions are as costly as they may
    be: not for an event loop. Once `stop` says so the cases that are left fail, as not judged.
    """
    asked = [rule for rule in policy.rules if rule.mode is not Mode.OFF]
    enforced = replace(policy, rules=tuple(replace(rule, mode=Mode.ENFORCE) for rule in asked))
    judge = PolicySet([Source("", 0, enforced)], default)
    coverage: dict[str, list[str]] = {rule.name: [] for rule in asked}
    results = []
    for case in policy.cases:
        if stop():
            results.append(CaseResult(case, default, None, "not judged: the tests took too long"))
            continue
        decision = judge.decide(case.on, {**empty_facts(case.on), **case.facts})
        for ref in decision.matched:
            coverage[ref.rule].append(case.name)
        results.append(_result(case, decision))
    return CaseReport(tuple(results), {rule: tuple(cases) for rule, cases in coverage.items()})


def case_of(name: str, subject: Subject, facts: Mapping[str, Json], expect: RuleEffect, rule: str | None) -> Json:
    """Return a recorded decision as a case, ready to stand among the `tests` of a document.

    Facts that no case may give are left out, and those that are empty anyway.
    """
    known = facts_of(subject)
    given = {key: facts[key] for key in known if key != "on" and key in facts and facts[key] != known[key].empty}
    case: dict[str, Any] = {"name": name, "on": str(subject), "facts": given, "expect": str(expect)}
    return case if rule is None else {**case, "rule": rule}


def _result(case: Case, decision: Decision) -> CaseResult:
    rule = decision.rule.rule if decision.rule is not None else None
    return CaseResult(case, decision.outcome, rule, _problem(case, decision, rule))


def _problem(case: Case, decision: Decision, rule: str | None) -> str | None:
    said = f"{decision.outcome} by {f'the rule {rule}' if rule is not None else 'default, as no rule matched'}"
    if decision.outcome is not case.expect:
        failure = decision.failed[0].reason if decision.failed else None
        return f"expected {case.expect}, got {said}" + (f": {failure}" if failure else "")
    if case.rule is not None and case.rule != rule:
        return f"expected the rule {case.rule} to decide, got {said}"
    return None
