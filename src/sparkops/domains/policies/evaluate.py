"""What a policy says about one effect: pure, from the rules and the facts alone.

Deny wins over require_approval, that over allow; where no rule matches, the effect is allowed. A rule that cannot be
evaluated denies, and says so: a policy must not lose its force because a fact is missing or of another shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sparkops.core.errors import Invalid
from sparkops.core.expressions import Expression, ExpressionError, ExpressionInvalid, ValueType, compile_expression
from sparkops.core.json import Json
from sparkops.core.templates import unwrap

MAX_RULES = 100


class RuleEffect(StrEnum):
    """What a rule asks for, and what a verdict says."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


class Subject(StrEnum):
    """What a rule may be about."""

    LLM_CALL = "llm.call"
    TOOL_CALL = "tool.call"


FACTS: Final = {
    "kind": ValueType.STRING,
    "tool": ValueType.STRING,
    "args": ValueType.MAP,
    "model": ValueType.STRING,
    "agent": ValueType.STRING,
    "workflow": ValueType.STRING,
    "step": ValueType.STRING,
    "run.cost_micros": ValueType.INT,
    "run.turns": ValueType.INT,
    "call.bound_micros": ValueType.INT,
}
"""What rules may mention. Facts that do not apply are empty: `tool` of a model call is "", its `args` are {}."""

_NOTHING: Final[Mapping[ValueType, Json]] = {ValueType.STRING: "", ValueType.MAP: {}, ValueType.INT: 0}
_EMPTY: Final[Mapping[str, Json]] = {name: _NOTHING[kind] for name, kind in FACTS.items()}
_STRICTNESS: Final = (RuleEffect.DENY, RuleEffect.REQUIRE_APPROVAL, RuleEffect.ALLOW)


class Rule(BaseModel):
    """One rule as it is stored. Without `when` it matches every effect that `on` names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    on: Annotated[tuple[Subject, ...], Field(min_length=1)]
    when: str | None = None
    effect: RuleEffect
    reason: Annotated[str, Field(max_length=500)] = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided. `rule` of None: no rule matched."""

    outcome: RuleEffect
    rule: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    condition: Expression | None

    def verdict(self, facts: Mapping[str, Json]) -> Verdict | None:
        """Return what the rule says, or None if it does not match."""
        if self.condition is None:
            return self._matched()
        try:
            matched = self.condition.evaluate_bool(facts)
        except ExpressionError as error:
            reason = f"The rule {self.rule.name} could not be evaluated, so it denies: {error.detail}"
            return Verdict(RuleEffect.DENY, self.rule.name, reason)
        return self._matched() if matched else None

    def _matched(self) -> Verdict:
        return Verdict(self.rule.effect, self.rule.name, self.rule.reason or None)


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """Rules ready to be asked; free of state, and may be kept."""

    rules: tuple[_Compiled, ...]

    def decide(self, kind: Subject, facts: Mapping[str, Json]) -> Verdict:
        """Return the strictest verdict of the rules that match; among equals the first in the policy's order.

        Facts that are not given are empty, facts that no rule may mention are left out.
        """
        known = {**_EMPTY, **{name: facts[name] for name in FACTS if name in facts}, "kind": str(kind)}
        said = [found for rule in self.rules if kind in rule.rule.on and (found := rule.verdict(known)) is not None]
        for outcome in _STRICTNESS:
            for verdict in said:
                if verdict.outcome is outcome:
                    return verdict
        return Verdict(RuleEffect.ALLOW)


_RULES: Final = TypeAdapter(Annotated[list[Rule], Field(max_length=MAX_RULES)])


def compile_policy(rules: Sequence[Any]) -> CompiledPolicy:
    """Return the policy of these rules, as they are stored or sent.

    Raises:
        Invalid: its `errors` list what is wrong: path, message, and line and column within an expression.
    """
    try:
        parsed = _RULES.validate_python(list(rules))
    except ValidationError as error:
        raise _invalid([_shape_error(dict(found)) for found in error.errors()]) from None
    errors = _repeated(parsed)
    compiled: list[_Compiled] = []
    for place, rule in enumerate(parsed):
        try:
            compiled.append(_Compiled(rule, _condition(rule)))
        except ExpressionInvalid as error:
            errors += [
                {"path": f"rules.{place}.when", "line": found.line, "column": found.column, "message": found.message}
                | ({"hint": found.hint} if found.hint else {})
                for found in error.problems
            ]
    if errors:
        raise _invalid(errors)
    return CompiledPolicy(tuple(compiled))


def _condition(rule: Rule) -> Expression | None:
    if rule.when is None:
        return None
    # map builds new lists and can make one expression as costly as thousands; conditions do well without.
    return compile_expression(unwrap(rule.when)[0], FACTS, result=ValueType.BOOL, allow_map=False)


def _repeated(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    names = [rule.name for rule in rules]
    return [
        {"path": f"rules.{place}.name", "message": f"the name {name} is used twice", "hint": "decisions name the rule"}
        for place, name in enumerate(names)
        if name in names[:place]
    ]


def _shape_error(found: dict[str, Any]) -> dict[str, Any]:
    path = ".".join(["rules", *(str(part) for part in found["loc"])])
    last = found["loc"][-1] if found["loc"] else "rules"
    if found["type"] == "extra_forbidden":
        return {"path": path, "message": f"unknown key {last}", "hint": f"known keys: {', '.join(Rule.model_fields)}"}
    if found["type"] == "missing":
        return {"path": path, "message": f"{last} is missing"}
    return {"path": path, "message": str(found["msg"]).removeprefix("Value error, ")}


def _invalid(errors: list[dict[str, Any]]) -> Invalid:
    return Invalid(f"The policy is not valid. {errors[0]['path']}: {errors[0]['message']}", errors=errors)
