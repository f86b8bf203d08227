"""Checks of a definition's expressions: each is compiled against the input and the steps that have ended before it."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sparkops.core.expression_text import Problem, suggest
from sparkops.core.expressions import ExpressionInvalid, ValueType, compile_expression
from sparkops.core.json import Json
from sparkops.core.templates import compile_value, shifted, unwrap
from sparkops.domains.workflows.document import Document, Mistake, Path
from sparkops.domains.workflows.format import LITERAL_KEYS
from sparkops.domains.workflows.format import Step as StepFormat
from sparkops.domains.workflows.scope import Scope, step_of


class ExpressionChecks:
    """Compiles the expressions of one document, place by place."""

    def __init__(self, document: Document, inputs: Mapping[str, ValueType], needs: Mapping[str, Sequence[str]]) -> None:
        self.document, self.inputs, self.needs = document, inputs, needs
        self.ancestors = _Ancestors(needs)

    def step(self, path: Path, step: StepFormat) -> Iterator[Mistake]:
        """Yield what is wrong with a step's condition and parameters."""
        scope = Scope(self.inputs, self.ancestors.of(step.id))
        if step.if_ is not None:
            yield from self._mistakes((*path, "if"), compile_condition_problems(step.if_, scope), step.id)
        base = (*path, "with")
        parameters = self.document.at(base) if base in self.document.values else {}
        assert isinstance(parameters, dict)
        for key, value in parameters.items():
            if key not in LITERAL_KEYS[step.type]:
                yield from self._mistakes((*base, key), compile_value_problems(value, scope), step.id)

    def output(self) -> Iterator[Mistake]:
        """Yield what is wrong with the run's output, which sees every step."""
        if ("output",) in self.document.values:
            scope = Scope(self.inputs, self.needs.keys())
            yield from self._mistakes(("output",), compile_value_problems(self.document.at(("output",)), scope), None)

    def _mistakes(self, path: Path, problems: list[Problem], step: str | None) -> Iterator[Mistake]:
        for problem in problems:
            if problem.name is not None and step is not None and self._follows_from_needs(problem.name, step):
                continue
            message, hint = problem.message, problem.hint
            if problem.name is not None:
                message, hint = self._explain(problem.name, step, message, hint)
            yield self.document.mistake_within((*path, *problem.path), problem.offset, message, hint)

    def _explain(self, name: str, step: str | None, message: str, hint: str | None) -> tuple[str, str | None]:
        """Say why a name is not known here, and what to do."""
        root, *rest = name.split(".")
        target = step_of(name)
        if root == "steps" and target is not None:
            return self._explain_step(name, target, step)
        if root == "steps":
            return "steps is no value of its own", "name a step and what you want of it: steps.fetch.output"
        if root == "input" and rest:
            return f"the input has no {rest[0]}", hint or "declare it under input.properties"
        if root == "input":
            return "input is no value of its own", "name a property of it, declared under input.properties"
        return message, hint or "expressions see input, steps and run.id"

    def _follows_from_needs(self, name: str, step: str) -> bool:
        """True if the step would perhaps be known, had a need not been wrong: that has been told already."""
        before = (step, *self.ancestors.of(step))
        broken = any(need not in self.needs for key in before for need in self.needs[key])
        return broken and step_of(name) in self.needs and step_of(name) != step

    def _explain_step(self, name: str, target: str, step: str | None) -> tuple[str, str | None]:
        if target not in self.needs:
            near = suggest(target, self.needs)
            return f"there is no step {target}", near
        if step is None or target in self.ancestors.of(step):
            field = "".join(name.split(".")[2:3])
            missing = f"a step has no {field}" if field else f"steps.{target} is no value of its own"
            return missing, f"write steps.{target}.output or steps.{target}.status"
        if target == step:
            return f"{step} cannot read itself", None
        if step in self.ancestors.of(target):
            return f"the step {target} runs after {step}, so its output is not known here", None
        return f"the step {target} need not have ended before {step}", f"add {target} to the needs of {step}"


def compile_condition_problems(source: str, scope: Scope) -> list[Problem]:
    """Return the problems of a condition, offsets counted in the whole string."""
    try:
        bare, offset = unwrap(source)
    except ExpressionInvalid as error:
        return error.problems
    try:
        compile_expression(bare, scope, result=ValueType.BOOL)
    except ExpressionInvalid as error:
        return [shifted(problem, source, offset) for problem in error.problems]
    return []


def compile_value_problems(value: Json, scope: Scope) -> list[Problem]:
    """Return the problems of all expressions in a value, each with the path of its string."""
    try:
        compile_value(value, scope)
    except ExpressionInvalid as error:
        return error.problems
    return []


class _Ancestors:
    """The steps that have ended before a step may start: a bit each, as 2,000 in a chain have two million."""

    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        self.needs = needs
        self.bits = {key: 1 << index for index, key in enumerate(needs)}
        self.known: dict[str, int] = {}

    def of(self, key: str) -> "_Steps":
        """Return all steps that this one needs, directly or not. A circle is walked once, not for ever."""
        if key not in self.known:
            self.known[key] = self._walk(key)
        return _Steps(self.bits, self.known[key])

    def _walk(self, key: str) -> int:
        found, open_ends = 0, [key]
        while open_ends:
            for need in self.needs.get(open_ends.pop(), ()):
                if need not in self.bits or found & self.bits[need]:
                    continue
                found |= self.bits[need] | self.known.get(need, 0)
                if need not in self.known:
                    open_ends.append(need)
        return found


class _Steps(Collection[str]):
    """Some of the steps, by their bits."""

    def __init__(self, bits: Mapping[str, int], chosen: int) -> None:
        self.bits, self.chosen = bits, chosen

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.bits.get(key, 0) & self.chosen)

    def __iter__(self) -> Iterator[str]:
        return (key for key, bit in self.bits.items() if bit & self.chosen)

    def __len__(self) -> int:
        return self.chosen.bit_count()
