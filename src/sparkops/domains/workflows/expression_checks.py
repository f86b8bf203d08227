"""Checks of a definition's expressions: each is compiled against what may be read where it stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.expression_text import Problem
from sparkops.core.expressions import ExpressionInvalid, ValueType, compile_expression
from sparkops.core.json import Json
from sparkops.core.templates import compile_value, shifted, unwrap
from sparkops.domains.workflows.format import LITERAL_KEYS, BranchStep, LoopHead, MapHead, StepHead, WaitStep
from sparkops.domains.workflows.outlines import Outline
from sparkops.domains.workflows.scope import EVENT_NAMES, LOOP_NAMES, MAP_NAMES, Scope, step_of
from sparkops.domains.workflows.visibility import Steps, Visibility

_ONLY_IN = {
    **dict.fromkeys(MAP_NAMES, "the body of a map"),
    **dict.fromkeys(LOOP_NAMES, "the body and the until of a loop"),
    "event": "the filter of a wait for an event",
}


@dataclass(frozen=True)
class Place:
    """Where expressions stand: what they see, and the step whose needs decide about it (None: no step's)."""

    step: str | None
    steps: Steps
    names: Mapping[str, ValueType] = field(default_factory=dict)
    accepting: bool = False
    """Evaluated before the run exists: only the input is known."""


class ExpressionChecks:
    """Compiles the expressions of one document, place by place."""

    def __init__(self, document: Document, inputs: Mapping[str, ValueType], outlines: Sequence[Outline]) -> None:
        self.document, self.inputs = document, inputs
        self.visibility = Visibility(outlines)

    def step(self, outline: Outline) -> Iterator[Mistake]:
        """Yield what is wrong with the expressions of a step."""
        place = Place(outline.key, self.visibility.before(outline.key), _frame_names(outline.around))
        if outline.step is not None:
            if outline.step.if_ is not None:
                yield from self._condition((*outline.path, "if"), outline.step.if_, place)
            yield from self._parameters(outline.path, outline.step.type, place)
            yield from self._own_conditions(outline, outline.step, place)
        if outline.undo is not None:
            after = Place(outline.key, place.steps.plus((outline.key,)), place.names)
            yield from self._parameters((*outline.path, "undo"), outline.undo.type, after)

    def whole(self) -> Iterator[Mistake]:
        """Yield what is wrong with the run's output, and with the key by which its runs are limited."""
        yield from self._value(("output",), Place(None, self.visibility.at_end()))
        yield from self._value(("concurrency", "key"), Place(None, self.visibility.nothing(), accepting=True))

    def _own_conditions(self, outline: Outline, step: StepHead, place: Place) -> Iterator[Mistake]:
        """Yield what is wrong with the expressions of a step that are evaluated at a time of their own."""
        base = (*outline.path, "with")
        if isinstance(step, MapHead | LoopHead):
            inside = Place(outline.key, self.visibility.within(outline.key), _frame_names(outline))
            yield from self._value((*outline.path, "output"), inside)
            if isinstance(step, LoopHead) and step.with_.until is not None:
                yield from self._condition((*base, "until"), step.with_.until, inside)
        elif isinstance(step, BranchStep):
            for index, case in enumerate(step.with_.cases):
                yield from self._condition((*base, "cases", index, "when"), case.when, place)
        elif isinstance(step, WaitStep) and step.with_.filter is not None:
            filtering = replace(place, names={**place.names, **EVENT_NAMES})
            yield from self._condition((*base, "filter"), step.with_.filter, filtering)

    def _parameters(self, path: Path, kind: str, place: Place) -> Iterator[Mistake]:
        base = (*path, "with")
        parameters = self.document.at(base) if base in self.document.values else {}
        for key in parameters if isinstance(parameters, dict) else ():
            if key not in LITERAL_KEYS[kind]:
                yield from self._value((*base, key), place)

    def _value(self, path: Path, place: Place) -> Iterator[Mistake]:
        if path in self.document.values:
            problems = compile_value_problems(self.document.at(path), self._scope(place))
            yield from self._mistakes(path, problems, place)

    def _condition(self, path: Path, source: str, place: Place) -> Iterator[Mistake]:
        yield from self._mistakes(path, compile_condition_problems(source, self._scope(place)), place)

    def _scope(self, place: Place) -> Mapping[str, ValueType]:
        return self.inputs if place.accepting else Scope(self.inputs, place.steps, place.names)

    def _mistakes(self, path: Path, problems: list[Problem], place: Place) -> Iterator[Mistake]:
        for problem in problems:
            message, hint = problem.message, problem.hint
            if problem.name is not None:
                target = step_of(problem.name)
                if target and place.step and self.visibility.follows_from_needs(target, place.step):
                    continue
                message, hint = self._explain(problem.name, place, message, hint)
            yield self.document.mistake_within((*path, *problem.path), problem.offset, message, hint)

    def _explain(self, name: str, place: Place, message: str, hint: str | None) -> tuple[str, str | None]:
        """Say why a name is not known here, and what to do."""
        root, *rest = name.split(".")
        if place.accepting and root in ("steps", "run"):
            return "only the input is known before the run begins", "name a property of it: input.customer"
        if root == "steps":
            return self._explain_step(name, step_of(name), place)
        if root == "input" and rest:
            return f"the input has no {rest[0]}", hint or "declare it under input.properties"
        if root == "input":
            return "input is no value of its own", "name a property of it, declared under input.properties"
        if root in _ONLY_IN:
            return _explain_special(name, root, place)
        return message, hint or "expressions see input, steps and run.id"

    def _explain_step(self, name: str, target: str | None, place: Place) -> tuple[str, str | None]:
        if target is None:
            return "steps is no value of its own", "name a step and what you want of it: steps.fetch.output"
        if target in place.steps:
            field = "".join(name.split(".")[2:3])
            missing = f"a step has no {field}" if field else f"steps.{target} is no value of its own"
            return missing, f"write steps.{target}.output or steps.{target}.status"
        return self.visibility.explain(target, place.step)


def _explain_special(name: str, root: str, place: Place) -> tuple[str, str | None]:
    """Explain a name that only some places have."""
    if root == "event" and "event.id" in place.names:
        return f"unknown name {name}", "an event has event.id, event.name and event.data"
    return f"{root} is known only in {_ONLY_IN[root]}", None


def compile_condition_problems(source: str, scope: Mapping[str, ValueType]) -> list[Problem]:
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


def compile_value_problems(value: Json, scope: Mapping[str, ValueType]) -> list[Problem]:
    """Return the problems of all expressions in a value, each with the path of its string."""
    try:
        compile_value(value, scope)
    except ExpressionInvalid as error:
        return error.problems
    return []


def _frame_names(outline: Outline | None) -> dict[str, ValueType]:
    """Return the names that the frames of this map or loop, and of those around it, give."""
    names: dict[str, ValueType] = {}
    while outline is not None:
        # The nearest of its kind wins, but all of one kind have the same types.
        names |= MAP_NAMES if outline.type == "map" else LOOP_NAMES
        outline = outline.around
    return names
