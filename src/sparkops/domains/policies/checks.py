"""Everything that can be wrong with a policy that is readable YAML, found in one pass and told with its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import BaseModel

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.durations import parse_duration
from sparkops.core.expression_text import suggest
from sparkops.core.expressions import ExpressionInvalid, ValueType
from sparkops.core.json import Json
from sparkops.core.shapes import read_shape
from sparkops.domains.policies.arguments import Takes
from sparkops.domains.policies.condition import Condition, compile_condition
from sparkops.domains.policies.facts import FACTS, Subject, facts_of
from sparkops.domains.policies.format import (
    DEFAULT_EXPIRES,
    HINTS,
    MAX_CASES,
    MAX_RULES,
    ApprovalFormat,
    CaseFormat,
    Head,
    PolicyFormat,
    RuleEffect,
    RuleFormat,
)

M = TypeVar("M", bound=BaseModel)

BUDGET_RULE: Final = "budget"
"""The name under which a decision says that the money was not there; no rule may be named so."""
_SCOPES: Final = {
    "agents": "agent.name",
    "workflows": "workflow.name",
    "tools": "tool.name",
    "capabilities": "tool.capability",
    "models": "model",
}
"""The fact by which each list of names chooses."""
_CLASSES: Final = {ValueType.STRING: str, ValueType.INT: int, ValueType.MAP: dict, ValueType.LIST: list}
_KINDS: Final = {
    ValueType.STRING: "a text",
    ValueType.INT: "a whole number",
    ValueType.MAP: "a map",
    ValueType.LIST: "a list",
}


@dataclass
class Parts:
    """What a document is made of; `conditions` by the place of their rule."""

    head: Head
    rules: list[RuleFormat]
    cases: list[CaseFormat]
    conditions: dict[int, Condition] = field(default_factory=dict)


def read_parts(
    document: Document, *, stored: bool = False, takes: Takes | None = None
) -> tuple[Parts | None, list[Mistake]]:
    """Return the parts of a policy and no mistakes, or all mistakes of the document.

    `stored`: it was accepted before; what only later releases refuse is let through, so that it keeps its force.
    `takes`: which arguments tools take; None: rules may ask for any.
    """
    value = document.value
    if not isinstance(value, dict):
        return None, [document.mistake((), "a policy is a map with version, name and rules")]
    bare = {key: item for key, item in value.items() if key not in ("rules", "tests")}
    head, mistakes = read_shape(document, Head, (), bare, hints=HINTS, known=PolicyFormat)
    if "rules" not in value:
        mistakes.append(document.mistake((), "rules is missing"))
    rules = _items(document, "rules", RuleFormat, MAX_RULES, mistakes)
    cases = _items(document, "tests", CaseFormat, MAX_CASES, mistakes)
    conditions: dict[int, Condition] = {}
    for place, rule in rules.items():
        mistakes += _rule_mistakes(document, ("rules", place), rule, stored=stored)
        mistakes += _condition_mistakes(document, place, rule, conditions, takes)
    names = _names(value.get("rules"))
    for place, case in cases.items():
        mistakes += _case_mistakes(document, ("tests", place), case, names)
    mistakes += [*_repeated(document, "rules"), *_repeated(document, "tests")]
    return (Parts(head, [*rules.values()], [*cases.values()], conditions) if head else None), mistakes


def _items(document: Document, key: str, model: type[M], most: int, mistakes: list[Mistake]) -> dict[int, M]:
    """Return the items of a list that are in shape, by their place; add the mistakes of the others."""
    listed = document.value.get(key, []) if isinstance(document.value, dict) else []
    if not isinstance(listed, list):
        mistakes.append(document.mistake((key,), f"{key} must be a list"))
        return {}
    if len(listed) > most:
        mistakes.append(document.mistake((key, most), f"{key} may have {most:,} items at most"))
        return {}
    found: dict[int, M] = {}
    for place, raw in enumerate(listed):
        if not isinstance(raw, dict):
            mistakes.append(document.mistake((key, place), f"each of the {key} is a map"))
            continue
        item, wrong = read_shape(document, model, (key, place), raw, hints=_ITEM_HINTS)
        mistakes += wrong
        if item is not None:
            found[place] = item
    return found


_ITEM_HINTS: Final = {key: hint for key, hint in HINTS.items() if key != "name"}


def _rule_mistakes(document: Document, path: Path, rule: RuleFormat, *, stored: bool) -> Iterator[Mistake]:
    if rule.name == BUDGET_RULE:
        hint = "under this name decisions say that the money was not there"
        yield document.mistake((*path, "name"), f"no rule may be named {BUDGET_RULE}", hint)
    for key, fact in _SCOPES.items():
        lacking = [subject for subject in rule.on if subject not in FACTS[fact].subjects]
        if getattr(rule, key) is not None and lacking:
            message = f"{', '.join(lacking)} has no {key} to choose by"
            yield document.mistake((*path, key), message, "make a rule of its own for the rest", key=True)
    if rule.approval is not None:
        yield from _approval_mistakes(document, (*path, "approval"), rule.effect, rule.approval, stored=stored)


def _approval_mistakes(
    document: Document, path: Path, effect: RuleEffect, approval: ApprovalFormat, *, stored: bool
) -> Iterator[Mistake]:
    if effect is not RuleEffect.REQUIRE_APPROVAL:
        yield document.mistake(path, f"a rule that says {effect} asks nobody", "use it with require_approval", key=True)
    people = approval.approvers or ()
    if people and all("@" in each for each in people) and approval.quorum > len(set(people)):
        yield document.mistake((*path, "quorum"), f"only {len(set(people))} may approve, and {approval.quorum} must")
    if (approval.escalate_after is None) != (approval.escalate_to is None):
        hint = "say both, when and to whom"
        yield document.mistake(path, "escalate_after and escalate_to belong together", hint, key=True)
    after, expires = approval.escalate_after, approval.expires or (None if stored else DEFAULT_EXPIRES)
    if after and expires and parse_duration(after) >= parse_duration(expires):
        message = "the question expires before it is escalated"
        yield document.mistake((*path, "escalate_after"), message, f"less than {expires}")


def _condition_mistakes(
    document: Document, place: int, rule: RuleFormat, conditions: dict[int, Condition], takes: Takes | None
) -> Iterator[Mistake]:
    if rule.when is None:
        return
    path = ("rules", place, "when")
    try:
        conditions[place] = compile_condition(rule.when, rule.on, rule.tools, takes)
    except ExpressionInvalid as error:
        for problem in error.problems:
            yield document.mistake_within(path, problem.offset, problem.message, problem.hint)


def _case_mistakes(document: Document, path: Path, case: CaseFormat, rules: Sequence[str]) -> Iterator[Mistake]:
    known = facts_of(case.on)
    for name, value in case.facts.items():
        place = (*path, "facts", name)
        if name not in known or name == "on":
            yield document.mistake(place, *_unknown_fact(name, case.on, known), key=True)
        elif not _has_type(value, FACTS[name].type):
            yield document.mistake(place, f"{name} must be {_KINDS[FACTS[name].type]}")
    if case.rule is not None and case.rule not in rules:
        yield document.mistake((*path, "rule"), f"there is no rule {case.rule}", suggest(case.rule, rules))


def _unknown_fact(name: str, subject: Subject, known: Mapping[str, object]) -> tuple[str, str | None]:
    if name == "on":
        return "what the case is on stands beside its facts", None
    if name in FACTS:
        where = ", ".join(each for each in Subject if each in FACTS[name].subjects)
        return f"{name} is not known on {subject}", f"known on {where}"
    inside = [each for each in known if each.startswith(f"{name}.")]
    return f"unknown fact {name}", f"known here: {', '.join(inside)}" if inside else suggest(name, known)


def _has_type(value: Json, kind: ValueType) -> bool:
    return kind is ValueType.DYN or type(value) is _CLASSES[kind]


def _names(listed: Json) -> list[str]:
    items = listed if isinstance(listed, list) else []
    return [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _repeated(document: Document, key: str) -> Iterator[Mistake]:
    listed = document.value.get(key) if isinstance(document.value, dict) else None
    seen: set[str] = set()
    for place, item in enumerate(listed if isinstance(listed, list) else []):
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and name in seen:
            yield document.mistake((key, place, "name"), f"the name {name} is used twice")
        elif isinstance(name, str):
            seen.add(name)
