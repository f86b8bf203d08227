"""The `when` of a rule: an expression over the facts of the subjects that the rule is on."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkops.core.expression_text import Chain, Problem, chains, problem_at, resolve, suggest, tokens
from sparkops.core.expressions import Expression, ExpressionInvalid, ValueType, compile_expression
from sparkops.core.templates import shifted, unwrap
from sparkops.domains.policies.arguments import Takes, arguments_for
from sparkops.domains.policies.facts import FACTS, TYPES, Subject
from sparkops.domains.policies.history import Lookup, Rewritten, rewrite


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `facts` are those that it asks for, `lookups` its questions to the history."""

    expression: Expression
    lookups: tuple[Lookup, ...]

    @property
    def facts(self) -> frozenset[str]:
        """The names of the facts that an answer needs."""
        asked = {lookup.variable: lookup.fact for lookup in self.lookups}
        return frozenset(asked.get(name, name) for name in self.expression.variables)


def compile_condition(
    source: str, subjects: Collection[Subject], tools: Sequence[str] | None = None, takes: Takes | None = None
) -> Condition:
    """Return the condition, bare or in `${{ }}`, for a rule on these subjects.

    `tools`: those that the rule names; None: all. `takes`: what tools take, where that is to be looked at.

    Raises:
        ExpressionInvalid: it cannot be compiled, gives no bool, asks for what one of the subjects does not have, or
            for an argument that none of the tools takes.
    """
    bare, offset = unwrap(source)
    try:
        return _compile(bare, subjects, tools or (), takes or {})
    except ExpressionInvalid as error:
        raise ExpressionInvalid([shifted(problem, source, offset) for problem in error.problems]) from None


def _compile(source: str, subjects: Collection[Subject], tools: Sequence[str], takes: Takes) -> Condition:
    rewritten = rewrite(source)
    variables = {**TYPES, **{lookup.variable: lookup.type for lookup in rewritten.lookups}}
    try:
        # map builds new lists and can make one expression as costly as thousands; conditions do well without.
        expression = compile_expression(rewritten.source, variables, result=ValueType.BOOL, allow_map=False)
    except ExpressionInvalid as error:
        raise ExpressionInvalid([_told(rewritten.translate(problem)) for problem in error.problems]) from None
    problems = [*_foreign(rewritten, variables, subjects), *_not_taken(rewritten, variables, tools, takes)]
    if problems:
        raise ExpressionInvalid(problems)
    return Condition(expression, rewritten.lookups)


def _foreign(
    rewritten: Rewritten, variables: Mapping[str, ValueType], subjects: Collection[Subject]
) -> Iterator[Problem]:
    """Yield a problem for each name that one of the subjects does not know."""
    asked = {lookup.variable: lookup.fact for lookup in rewritten.lookups}
    for chain, name in resolve(chains(tokens(rewritten.source)), variables).items():
        known = FACTS[asked.get(name, name)].subjects
        lacking = [subject for subject in Subject if subject in subjects and subject not in known]
        if lacking:
            yield rewritten.translate(_unknown_on(rewritten.source, chain, name in asked, known, lacking))


def _not_taken(
    rewritten: Rewritten, variables: Mapping[str, ValueType], tools: Sequence[str], takes: Takes
) -> Iterator[Problem]:
    """Yield a problem for each argument that none of the tools takes; none where the tools or what they take are not
    known."""
    known = arguments_for(tools, takes) if tools else None
    if known is None:
        return
    for chain, fact in resolve(chains(tokens(rewritten.source)), variables).items():
        if fact == "args" and len(chain.names) > 1 and chain.names[1] not in known:
            message = f"{', '.join(tools)} take{'s' * (len(tools) == 1)} no argument {chain.names[1]}"
            hint = suggest(chain.names[1], known) or f"known here: {', '.join(sorted(known))}"
            yield rewritten.translate(problem_at(rewritten.source, chain.start, message, hint))


def _unknown_on(
    source: str, chain: Chain, is_history: bool, known: Collection[Subject], lacking: list[Subject]
) -> Problem:
    where = ", ".join(subject for subject in Subject if subject in known)
    name = "history" if is_history else chain.dotted
    message = f"{name} is not known on {', '.join(lacking)}"
    return problem_at(source, chain.start, message, f"known on {where}: make a rule of its own for that")


def _told(problem: Problem) -> Problem:
    """Return a problem with a hint, where the name of a group of facts was taken for a fact."""
    inside = [name for name in TYPES if problem.name and name.startswith(f"{problem.name.split('.')[0]}.")]
    if problem.hint is not None or not inside:
        return problem
    return replace(problem, hint=f"known here: {', '.join(inside)}")
