"""A policy as the rest of the platform reads it: frozen, checked, rebuilt from its JSON document at will."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sparkops.core.document import DefinitionInvalid, Document, Mistake, document_of, invalid, read_document
from sparkops.core.durations import parse_duration
from sparkops.core.json import Json
from sparkops.domains.policies.arguments import Takes
from sparkops.domains.policies.checks import Parts, read_parts
from sparkops.domains.policies.condition import Condition
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import ApprovalFormat, CaseFormat, Mode, RuleEffect, RuleFormat, Severity

MAX_MISTAKES = 200
"""More than anybody reads."""


class PolicyInvalid(DefinitionInvalid):
    """A policy has errors; `errors` lists all that were found, in the order of the text."""

    code, title = "policy-invalid", "The policy is not valid"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is about: agents, workflows, tools by name and by what they can do, models; None: all.

    A name may end in `*`.
    """

    agents: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """What the consent of people takes, as one rule asks for it.

    `approvers` are roles and e-mail addresses; None: anybody who may approve at all. `expires` None: as the platform
    has it. `may_edit`: who approves may change the arguments.
    """

    approvers: tuple[str, ...] | None = None
    quorum: int = 1
    expires: timedelta | None = None
    escalate_after: timedelta | None = None
    escalate_to: tuple[str, ...] = ()
    may_edit: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `condition` None: it matches all that `on` and `scope` leave."""

    name: str
    description: str | None
    on: frozenset[Subject]
    scope: Scope
    condition: Condition | None
    effect: RuleEffect
    reason: str | None
    severity: Severity
    mode: Mode
    approval: Approval | None


@dataclass(frozen=True, slots=True)
class Case:
    """What the policy has to say to these facts; `rule` None: whichever rule says it."""

    name: str
    on: Subject
    facts: Mapping[str, Json]
    expect: RuleEffect
    rule: str | None


@dataclass(frozen=True)
class Policy:
    """A checked policy. `document` is what it was read from, and says all of it."""

    name: str
    description: str | None
    mode: Mode
    rules: tuple[Rule, ...]
    cases: tuple[Case, ...]
    document: dict[str, Json] = field(repr=False)


def parse_policy(source: str, takes: Takes | None = None) -> Policy:
    """Return the policy that a YAML or JSON text gives.

    `takes`: which arguments tools take; None: rules may ask for any.
    A thousand rules take seconds of processor time: not for an event loop.

    Raises:
        PolicyInvalid: its `errors` list everything wrong, each with path, line, column, message and hint.
    """
    try:
        document = read_document(source)
    except DefinitionInvalid as error:
        raise PolicyInvalid(error.detail, **error.members) from None
    return _policy(document, takes=takes)


def read_policy(value: Json) -> Policy:
    """Return the policy of a document that was stored, and so had been accepted.

    Raises:
        PolicyInvalid: this release cannot read it; lines and columns count within the text at the path.
    """
    return _policy(document_of(value), stored=True)


def policy_of_rules(rules: Sequence[Json], takes: Takes | None = None) -> Policy:
    """Return the policy that is nothing but these rules, as a project keeps them; `takes` as for `parse_policy`.

    Raises:
        PolicyInvalid: as `parse_policy`; lines and columns count within the text at the path.
    """
    return _policy(document_of({"version": 1, "name": "project", "rules": list(rules)}), takes=takes)


def _policy(document: Document, *, stored: bool = False, takes: Takes | None = None) -> Policy:
    parts, mistakes = read_parts(document, stored=stored, takes=takes)
    if mistakes:
        raise _invalid(mistakes)
    assert parts is not None, "what has no parts was a mistake"
    assert isinstance(document.value, dict), "what is no map was a mistake"
    return Policy(
        name=parts.head.name,
        description=parts.head.description,
        mode=parts.head.mode,
        rules=tuple(_rule(parts, place, rule) for place, rule in enumerate(parts.rules)),
        cases=tuple(map(_case, parts.cases)),
        document=document.value,
    )


def _invalid(mistakes: list[Mistake]) -> PolicyInvalid:
    error = invalid(mistakes[:MAX_MISTAKES])
    return PolicyInvalid(error.detail, **error.members)


def _rule(parts: Parts, place: int, rule: RuleFormat) -> Rule:
    return Rule(
        name=rule.name,
        description=rule.description,
        on=frozenset(rule.on),
        scope=Scope(rule.agents, rule.workflows, rule.tools, rule.capabilities, rule.models),
        condition=parts.conditions.get(place),
        effect=rule.effect,
        reason=rule.reason or None,
        severity=rule.severity,
        mode=rule.mode or parts.head.mode,
        approval=_approval(rule.approval or ApprovalFormat()) if rule.effect is RuleEffect.REQUIRE_APPROVAL else None,
    )


def _approval(approval: ApprovalFormat) -> Approval:
    return Approval(
        approvers=approval.approvers,
        quorum=approval.quorum,
        expires=_duration(approval.expires),
        escalate_after=_duration(approval.escalate_after),
        escalate_to=approval.escalate_to or (),
        may_edit=approval.may_edit,
    )


def _case(case: CaseFormat) -> Case:
    return Case(case.name, case.on, case.facts, case.expect, case.rule)


def _duration(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)
