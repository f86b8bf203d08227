"""Checks of one step alone: the agent or tool it names, and those parameters that are literal."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from sparkops.core.expression_text import suggest
from sparkops.core.json import Json
from sparkops.core.model_spec import SCRIPTED, script_errors
from sparkops.core.schemas import compile_schema
from sparkops.core.templates import OPEN, holds_expressions, strings
from sparkops.core.text_templates import template_problem
from sparkops.domains.workflows.document import Document, Mistake, Path
from sparkops.domains.workflows.format import LITERAL_KEYS, AgentStep, LlmStep, ToolStep, TransformStep
from sparkops.domains.workflows.format import Step as StepFormat
from sparkops.domains.workflows.inputs import schema_problem

_MAX_QUOTED = 200


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


def check_step(document: Document, path: Path, step: StepFormat, known: Known) -> Iterator[Mistake]:
    """Yield what is wrong with a step of the right shape, but for its place in the graph and its expressions."""
    yield from _literal_keys(document, path, step)
    match step:
        case AgentStep():
            yield from _known(document, (*path, "agent"), step.agent, known.agents)
        case ToolStep():
            yield from _known(document, (*path, "tool"), step.tool, known.tools)
            if known.tools is not None and step.tool in known.tools:
                yield from _arguments(document, (*path, "with"), step.with_, known.tools[step.tool])
        case TransformStep():
            yield from _template(document, path, step)
        case LlmStep():
            models = None if known.models is None else [*known.models, SCRIPTED]
            yield from _known(document, (*path, "with", "model"), step.with_.model, models)
            yield from _llm(document, (*path, "with"), step)


def _known(document: Document, path: Path, name: str, known: Collection[str] | None) -> Iterator[Mistake]:
    if known is not None and name not in known:
        listed = ", ".join(sorted(known)[:20]) or "none"
        hint = suggest(name, known) or f"known: {listed}"
        yield document.mistake(path, f"there is no {path[-1]} {name} here", hint)


def _literal_keys(document: Document, path: Path, step: StepFormat) -> Iterator[Mistake]:
    """A script has expressions of its own, a template its own language; elsewhere they would stay as they are."""
    for key in sorted(LITERAL_KEYS[step.type] - {"script", "template"}):
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


def _llm(document: Document, path: Path, step: LlmStep) -> Iterator[Mistake]:
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
