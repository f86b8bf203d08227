"""What policies say about one subject: pure, from the rules and the facts alone, in any thread.

Deny wins over require_approval, that over allow; where no rule matches, the default of the project holds. A rule that
cannot be evaluated denies, and says so: a policy must not lose its force because a fact is missing or of another shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final, NamedTuple

from sparkops.core.conditions import Conditions, Together, types_of
from sparkops.core.expressions import ValueType
from sparkops.core.json import Json
from sparkops.domains.policies.document import Approval, Policy, Rule, Scope
from sparkops.domains.policies.facts import FACTS, Subject, facts_of
from sparkops.domains.policies.format import Mode, RuleEffect, Severity
from sparkops.domains.policies.history import Lookup, Unknown

MAX_KEPT = 2_000
"""How many selections of rules one set keeps; beyond that it forgets them and selects anew, from what is compiled."""

STRICTNESS: Final = {RuleEffect.ALLOW: 0, RuleEffect.REQUIRE_APPROVAL: 1, RuleEffect.DENY: 2}


class RuleRef(NamedTuple):
    """A rule of one version of one policy."""

    policy_id: str
    version: int
    rule: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule in mode monitor would have decided. One that could not be evaluated would have denied."""

    rule: RuleRef
    effect: RuleEffect
    reason: str | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that could not be evaluated, and why; `enforced`: it denied by that.

    `missing`: facts that it asks for and that were not given; none, if the reason is another.
    """

    rule: RuleRef
    reason: str
    severity: Severity
    enforced: bool
    missing: tuple[str, ...] = ()


class Asking(NamedTuple):
    """A rule that asks for consent, with its words; not the version, so that the same text that is published again is
    the same question."""

    policy_id: str
    rule: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Demands:
    """What consent takes when all rules that ask for it have to be content.

    Of each of `approvers` somebody has to agree, `quorum` people in all; none: anybody who may approve at all.
    `expires` and `escalate_after` None: no rule says. `may_edit`: every rule allows it. `rules` are those that ask, in
    order.
    """

    approvers: tuple[tuple[str, ...], ...]
    quorum: int
    expires: timedelta | None
    escalate_after: timedelta | None
    escalate_to: tuple[str, ...]
    may_edit: bool
    rules: tuple[Asking, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. `rule` None: no rule matched, the default holds.

    `demands` are set where somebody has to consent. `matched` are all rules that matched, in order, those in mode
    monitor too; `monitored` what those would have decided but allow, also where they could not be evaluated.
    """

    outcome: RuleEffect
    rule: RuleRef | None = None
    reason: str | None = None
    severity: Severity | None = None
    demands: Demands | None = None
    matched: tuple[RuleRef, ...] = ()
    monitored: tuple[Finding, ...] = ()
    failed: tuple[Failure, ...] = ()


class Source(NamedTuple):
    """A policy and the names that decisions keep of it."""

    policy_id: str
    version: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule of the set, at its place in the order of all."""

    place: int
    ref: RuleRef
    rule: Rule
    enforced: bool
    asks: frozenset[str]

    def __lt__(self, other: "_Placed") -> bool:
        return self.place < other.place


class PolicySet:
    """Policies that hold together, in order: those of the installation, then those of the project.

    The rules that a subject and its names leave are selected when they are first asked for, and kept. Rules that choose
    by the same names are compiled together, once.
    """

    def __init__(self, sources: Iterable[Source], default: RuleEffect = RuleEffect.ALLOW) -> None:
        rules = (
            (RuleRef(source.policy_id, source.version, rule.name), rule)
            for source in sources
            for rule in source.policy.rules
            if rule.mode is not Mode.OFF
        )
        placed = [
            _Placed(place, ref, rule, rule.mode is Mode.ENFORCE, _asks(rule)) for place, (ref, rule) in enumerate(rules)
        ]
        self.default = default
        self._bundles = {subject: _bundles([each for each in placed if subject in each.rule.on]) for subject in Subject}
        self._names = {
            subject: tuple(sorted({fact for bundle in bundles for fact, _ in bundle.lists}))
            for subject, bundles in self._bundles.items()
        }
        self._selected: dict[tuple[Json, ...], _Selection] = {}
        self._by_default = Decision(default)

    def judges(self, subject: Subject) -> bool:
        """Say whether anything on this subject has to be judged; if not, all of it is allowed, and nobody watches.

        A default that denies is something to say, whether there is a rule or not.
        """
        return self.default is not RuleEffect.ALLOW or bool(self._bundles[subject])

    def asks(self, subject: Subject, facts: Mapping[str, Json]) -> frozenset[str]:
        """Return the facts that a decision may need; `facts` hold at least the names of tool, model, agent, workflow.

        All others need not be known.
        """
        return self._select(subject, facts).asks

    def decide(self, subject: Subject, facts: Mapping[str, Json]) -> Decision:
        """Return the strictest verdict of the rules that match; among equals the first in order.

        Optional facts that are not given are empty; what no rule asks about is not looked at.
        """
        selection = self._select(subject, facts)
        return self._by_default if selection.empty else selection.decide(facts, self.default)

    def _select(self, subject: Subject, facts: Mapping[str, Json]) -> "_Selection":
        key = (subject, *[facts.get(name) for name in self._names[subject]])
        found = self._selected.get(key)
        if found is None:
            bundles = [bundle for bundle in self._bundles[subject] if bundle.may_apply(facts)]
            found = _Selection(subject, bundles, self._names[subject], facts)
            if len(self._selected) >= MAX_KEPT:
                self._selected.clear()
            self._selected[key] = found
        return found


class _Bundle:
    """The rules of one subject that choose by the same names."""

    def __init__(self, rules: Sequence[_Placed], types: Mapping[str, ValueType]) -> None:
        self.lists = _lists(rules[0].rule)
        self.free = [each for each in rules if each.rule.condition is None]
        self.conditioned = [(each, each.rule.condition) for each in rules if each.rule.condition is not None]
        self._types = types

    @cached_property
    def conditions(self) -> Conditions:
        """The conditions of those that have one, compiled when they are first asked."""
        return Conditions([condition.expression for _, condition in self.conditioned], self._types)

    def may_apply(self, facts: Mapping[str, Json]) -> bool:
        """Say whether the names leave these rules, as far as they are known."""
        for fact, names in self.lists:
            name = facts.get(fact, "" if FACTS[fact].optional else None)
            if name is not None and not any(_means(pattern, str(name)) for pattern in names):
                return False
        return True

    def cannot_tell(self, facts: Mapping[str, Json]) -> bool:
        """Say whether a name that these rules choose by is not known."""
        return any(fact not in facts and not FACTS[fact].optional for fact, _ in self.lists)


def _bundles(rules: Sequence[_Placed]) -> list[_Bundle]:
    types = types_of([each.rule.condition.expression for each in rules if each.rule.condition is not None])
    alike: dict[Scope, list[_Placed]] = {}
    for each in rules:
        alike.setdefault(each.rule.scope, []).append(each)
    return [_Bundle(members, types) for members in alike.values()]


class _Selection:
    """The rules that one subject and its names leave."""

    def __init__(
        self, subject: Subject, bundles: Sequence[_Bundle], names: Sequence[str], facts: Mapping[str, Json]
    ) -> None:
        self._blind = frozenset(
            each.ref
            for bundle in bundles
            if bundle.cannot_tell(facts)
            for each in (*bundle.free, *[each for each, _ in bundle.conditioned])
        )
        self._free = [each for bundle in bundles for each in bundle.free]
        conditioned = [pair for bundle in bundles for pair in bundle.conditioned]
        self._conditioned = [each for each, _ in conditioned]
        self._together = Together([bundle.conditions for bundle in bundles if bundle.conditioned])
        self.empty = not self._free and not self._conditioned
        """No rule is left: the default holds."""
        self._lookups = tuple(
            {each.variable: each for _, condition in conditioned for each in condition.lookups}.values()
        )
        self.asks = frozenset[str](names).union(*(each.asks for each in self._conditioned)) - {"on"}
        known = facts_of(subject)
        self._empty = {name: known[name].empty for name in self.asks if known[name].optional}
        self._on = {"on": str(subject)}

    def decide(self, facts: Mapping[str, Json], default: RuleEffect) -> Decision:
        matched = [*self._free]
        failed: list[tuple[_Placed, str]] = []
        for each, answer in zip(self._conditioned, self._together.ask(self._bindings(facts)), strict=True):
            if answer is True:
                matched.append(each)
            elif answer is not False:
                failed.append((each, answer.detail))
        if self._blind:
            failed += [(each, "") for each in matched if each.ref in self._blind]
            matched = [each for each in matched if each.ref not in self._blind]
        if not matched and not failed:
            return Decision(default)
        failures = [self._failure(each, reason, facts) for each, reason in sorted(failed)]
        return _decision(sorted(matched), failures, default)

    def _bindings(self, facts: Mapping[str, Json]) -> Mapping[str, Json]:
        bindings: dict[str, Json] = {**self._empty, **facts, **self._on}
        for lookup in self._lookups:
            _bind(lookup, bindings, facts)
        return bindings

    def _failure(self, each: _Placed, reason: str, facts: Mapping[str, Json]) -> Failure:
        missing = tuple(sorted(each.asks - facts.keys() - self._empty.keys() - {"on"}))
        told = f"{', '.join(missing)} is not known" if missing else reason
        return Failure(each.ref, told, each.rule.severity, each.enforced, missing)


def _bind(lookup: Lookup, bindings: dict[str, Json], facts: Mapping[str, Json]) -> None:
    try:
        bindings[lookup.variable] = lookup.answer(facts)
    except Unknown:
        bindings.pop(lookup.variable, None)


def _decision(matched: Sequence[_Placed], failed: Sequence[Failure], default: RuleEffect) -> Decision:
    holding = [each for each in matched if each.enforced]
    refs = tuple([each.ref for each in matched])
    monitored = _monitored(matched, failed)
    decisive = max(holding, key=_strictness, default=None)
    # One that lacks a fact might not match if the fact were known, so it decides only where nothing else denies.
    denying = min((failure for failure in failed if failure.enforced), key=_lacks, default=None)
    if denying is not None and (decisive is None or decisive.rule.effect is not RuleEffect.DENY):
        reason = f"The rule {denying.rule.rule} could not be evaluated, so it denies: {denying.reason}"
        return Decision(RuleEffect.DENY, denying.rule, reason, denying.severity, None, refs, monitored, tuple(failed))
    if decisive is None:
        return Decision(default, matched=refs, monitored=monitored, failed=tuple(failed))
    rule = decisive.rule
    demands = _demands(holding) if rule.effect is RuleEffect.REQUIRE_APPROVAL else None
    return Decision(rule.effect, decisive.ref, rule.reason, rule.severity, demands, refs, monitored, tuple(failed))


def _monitored(matched: Sequence[_Placed], failed: Sequence[Failure]) -> tuple[Finding, ...]:
    found = [
        Finding(each.ref, each.rule.effect, each.rule.reason, each.rule.severity)
        for each in matched
        if not each.enforced and each.rule.effect is not RuleEffect.ALLOW
    ]
    # Enforced it would deny, whatever its effect: that has to be seen before it is.
    for failure in failed:
        if not failure.enforced:
            reason = f"The rule {failure.rule.rule} could not be evaluated, so it would deny: {failure.reason}"
            found.append(Finding(failure.rule, RuleEffect.DENY, reason, failure.severity))
    return tuple(found)


def _lacks(failure: Failure) -> bool:
    return bool(failure.missing)


def _strictness(each: _Placed) -> int:
    return STRICTNESS[each.rule.effect]


def _demands(holding: Sequence[_Placed]) -> Demands:
    """Return what satisfies every rule that asks for consent."""
    asking = [each for each in holding if each.rule.approval is not None]
    asked: list[Approval] = [each.rule.approval for each in asking if each.rule.approval is not None]
    return Demands(
        approvers=tuple(dict.fromkeys(each.approvers for each in asked if each.approvers is not None)),
        quorum=max(each.quorum for each in asked),
        expires=_shortest(each.expires for each in asked),
        escalate_after=_shortest(each.escalate_after for each in asked),
        escalate_to=tuple(dict.fromkeys(person for each in asked for person in each.escalate_to)),
        may_edit=all(each.may_edit for each in asked),
        rules=tuple(Asking(each.ref.policy_id, each.ref.rule, each.rule.reason) for each in asking),
    )


def _shortest(durations: Iterable[timedelta | None]) -> timedelta | None:
    return min((each for each in durations if each is not None), default=None)


def _lists(rule: Rule) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the lists of names by which a rule chooses, with the fact that each is about."""
    scope = rule.scope
    listed = (
        ("agent.name", scope.agents),
        ("workflow.name", scope.workflows),
        ("tool.name", scope.tools),
        ("tool.capability", scope.capabilities),
        ("model", scope.models),
    )
    return tuple((fact, names) for fact, names in listed if names is not None)


def _asks(rule: Rule) -> frozenset[str]:
    named = frozenset(fact for fact, _ in _lists(rule))
    return named if rule.condition is None else named | rule.condition.facts


def _means(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
