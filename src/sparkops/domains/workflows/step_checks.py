"""Checks of one step alone: the agent or tool it names, and those parameters that are literal."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.durations import DURATION_HINT, parse_duration
from sparkops.core.expression_text import suggest
from sparkops.core.json import Json
from sparkops.core.model_spec import SCRIPTED, script_errors
from sparkops.core.schemas import compile_schema
from sparkops.core.templates import OPEN, holds_expressions, strings
from sparkops.core.text_templates import template_problem
from sparkops.domains.workflows.format import (
    LITERAL_KEYS,
    AgentCall,
    LlmCall,
    LoopHead,
    MapHead,
    StepHead,
    ToolCall,
    TransformStep,
    Undo,
    WaitStep,
    WorkflowCall,
)
from sparkops.domains.workflows.format_with import MAX_ITEMS, WaitWith
from sparkops.domains.workflows.inputs import schema_problem
from sparkops.domains.workflows.instants import INSTANT_HINT, parse_instant

_MAX_QUOTED = 200
_NOT_PLAIN = frozenset({"script", "template", "cases", "until", "filter"})


@dataclass(frozen=True)
class ToolSpec:
    """What a definition is checked against: the JSON Schema of the tool's arguments."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """What a definition may name. None leaves the names of that kind unchecked."""

    agents: Collection[str] | None
    tools: Mapping[str, ToolSpec] | None
    models: Collection[str] | None
    workflows: Collection[str] | None = None


def check_step(document: Document, path: Path, step: StepHead, known: Known) -> Iterator[Mistake]:
    """Yield what is wrong with a step of the right shape, but for its place in the graph and its expressions."""
    yield from _literal_keys(document, path, step.type)
    yield from _retried_frames(document, path, step)
    match step:
        case TransformStep():
            yield from _template(document, path, step)
        case MapHead():
            yield from _items(document, (*path, "with", "over"), step.with_.over)
        case WaitStep():
            yield from _time(document, (*path, "with"), step.with_)
        case _:
            yield from _call(document, path, step, known)


def _retried_frames(document: Document, path: Path, step: StepHead) -> Iterator[Mistake]:
    """An attempt at a map or a loop only starts its frames: what fails in one of them fails it for good."""
    if isinstance(step, MapHead | LoopHead) and (*path, "retry") in document.values:
        frame = "item" if isinstance(step, MapHead) else "pass"
        yield document.mistake(
            (*path, "retry"),
            f"retry on a {step.type} would not do a failed {frame} again",
            "write retry on the steps of its body that may fail",
            key=True,
        )


def check_undo(document: Document, path: Path, undo: Undo, known: Known) -> Iterator[Mistake]:
    """Yield what is wrong with an undo of the right shape, but for its expressions."""
    yield from _literal_keys(document, path, undo.type)
    yield from _call(document, path, undo, known)


def _call(document: Document, path: Path, step: object, known: Known) -> Iterator[Mistake]:
    """Check what a step calls: that it is known, and what of its arguments is literal."""
    match step:
        case AgentCall():
            yield from _known(document, (*path, "agent"), step.agent, known.agents)
        case ToolCall():
            yield from _known(document, (*path, "tool"), step.tool, known.tools)
            if known.tools is not None and step.tool in known.tools:
                yield from _arguments(document, (*path, "with"), step.with_, known.tools[step.tool])
        case LlmCall():
            models = None if known.models is None else [*known.models, SCRIPTED]
            yield from _known(document, (*path, "with", "model"), step.with_.model, models)
            yield from _llm(document, (*path, "with"), step)
        case WorkflowCall():
            yield from _workflow(document, (*path, "workflow"), step.workflow, known.workflows)


def _workflow(document: Document, path: Path, name: str, known: Collection[str] | None) -> Iterator[Mistake]:
    own = document.at(("name",)) if ("name",) in document.values else None
    if name == own:
        yield document.mistake(path, f"the workflow {name} would start itself", "repeat steps with type: loop")
    else:
        yield from _known(document, path, name, known)


def _items(document: Document, path: Path, over: Json) -> Iterator[Mistake]:
    """Check items that are stated; those of an expression are counted when the step runs."""
    hint = "write a list, a whole number, or an expression: ${{ steps.list.output }}"
    if isinstance(over, str):
        if not holds_expressions(over):
            yield document.mistake(path, "over is a text", hint)
    elif isinstance(over, bool) or not isinstance(over, list | int):
        yield document.mistake(path, "over must give a list or a whole number", hint)
    elif isinstance(over, int) and over < 0:
        yield document.mistake(path, "over must be 0 or more")
    elif (len(over) if isinstance(over, list) else over) > MAX_ITEMS:
        yield document.mistake(path, f"a map has {MAX_ITEMS:,} items at most")


def _time(document: Document, path: Path, with_: WaitWith) -> Iterator[Mistake]:
    """Check a duration or instant that is stated."""
    for key, text, read, hint in (
        ("for", with_.for_, parse_duration, DURATION_HINT),
        ("until", with_.until, parse_instant, INSTANT_HINT),
    ):
        if text is None or holds_expressions(text):
            continue
        try:
            read(text)
        except ValueError:
            yield document.mistake((*path, key), f"{key} is not valid", hint)


def _known(document: Document, path: Path, name: str, known: Collection[str] | None) -> Iterator[Mistake]:
    if known is not None and name not in known:
        listed = ", ".join(sorted(known)[:20]) or "none"
        hint = suggest(name, known) or f"known: {listed}"
        yield document.mistake(path, f"there is no {path[-1]} {name} here", hint)


def _literal_keys(document: Document, path: Path, kind: str) -> Iterator[Mistake]:
    """A script has expressions of its own, a template its own language, and conditions are evaluated at their own
    time; elsewhere expressions would stay as they are."""
    for key in sorted(LITERAL_KEYS[kind] - _NOT_PLAIN):
        base = (*path, "with", key)
        if base not in document.values:
            continue
        for inner, text in strings(document.at(base)):
            if OPEN in text:
                message = f"expressions are not evaluated in {key}"
                yield document.mistake_within((*base, *inner), text.index(OPEN), message, "write the value itself")


def _arguments(document: Document, path: Path, arguments: Mapping[str, Json], tool: ToolSpec) -> Iterator[Mistake]:
    try:
        validator = compile_schema(tool.parameters)
    except ValueError:
        return  # the tool's own definition is wrong, which no workflow can mend
    for error in validator.iter_errors(dict(arguments)):
        at: Path = (*path, *error.instance_path)
        value = _inside(arguments, tuple(error.instance_path))
        if error.kind.name == "required":
            yield document.mistake(at, f"the argument {error.kind.as_dict()['property']} is missing")
        elif error.kind.name == "additionalProperties":
            for name in error.kind.as_dict()["unexpected"]:
                known = tool.parameters.get("properties", {})
                hint = suggest(name, known) or f"arguments: {', '.join(known) or 'none'}"
                yield document.mistake((*at, name), f"unknown argument {name}", hint, key=True)
        elif not holds_expressions(value):  # what an expression gives is known when the step runs
            yield document.mistake(at, _quoted(error))


def _inside(value: Any, path: Path) -> Json:
    for part in path:
        value = value[part]
    found: Json = value
    return found


def _quoted(error: jsonschema_rs.ValidationError) -> str:
    return error.message if len(error.message) <= _MAX_QUOTED else error.message[:_MAX_QUOTED] + "…"


def _template(document: Document, path: Path, step: TransformStep) -> Iterator[Mistake]:
    if step.with_.template is None:
        return
    names = step.with_.data.keys() if isinstance(step.with_.data, dict) else None
    problem = template_problem(step.with_.template, names)
    if problem is not None:
        where = (*path, "with", "template")
        yield document.mistake_within(where, problem.offset, problem.message, problem.hint)


def _llm(document: Document, path: Path, step: LlmCall) -> Iterator[Mistake]:
    if step.with_.output_schema is not None:
        reason = schema_problem(step.with_.output_schema)
        if reason is not None:
            yield document.mistake((*path, "output_schema"), reason)
    if step.with_.script is not None:
        for found in script_errors(step.with_.script):
            inner = tuple(int(part) if part.isdigit() else part for part in found["path"].split("."))
            offset = _offset(document.at((*path, *inner)), found["line"], found["column"])
            yield document.mistake_within((*path, *inner), offset, found["message"], found.get("hint"))


def _offset(text: Json, line: int, column: int) -> int:
    before = str(text).split("\n")[: line - 1]
    return sum(len(part) + 1 for part in before) + column - 1
