"""Everything that can be wrong with a definition that is readable YAML, found in one pass and told with its place."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel, ValidationError

from sparkops.core.durations import DURATION_HINT
from sparkops.core.expression_text import KEYWORDS, suggest
from sparkops.core.json import Json
from sparkops.domains.workflows.document import Document, Mistake, Path
from sparkops.domains.workflows.expression_checks import ExpressionChecks
from sparkops.domains.workflows.format import MAX_STEPS, STEP_FORMATS, Head
from sparkops.domains.workflows.format import Step as StepFormat
from sparkops.domains.workflows.inputs import check_schema, closed_schema, input_types
from sparkops.domains.workflows.step_checks import Known, ToolSpec, check_step

__all__ = ["Known", "ToolSpec", "find_mistakes"]

MAX_MISTAKES = 200
"""More than anybody reads; a text of a megabyte could have a hundred thousand."""

_HINTS = {
    "name": "use small letters, digits and -, starting with a letter: weather-report",
    "id": "use small letters, digits and _, starting with a letter: fetch_all",
    "version": "the only version of the format is 1",
    **dict.fromkeys(("timeout", "backoff", "max_backoff", "expires"), DURATION_HINT),
}


@dataclass(frozen=True)
class Outline:
    """What is known of a step whatever else is wrong with it."""

    path: Path
    key: str
    needs: tuple[str, ...]
    step: StepFormat | None
    """None if its shape has mistakes."""


def find_mistakes(document: Document, known: Known) -> list[Mistake]:
    """Return all mistakes of the document; none: it is a workflow."""
    if not isinstance(document.value, dict):
        return [document.mistake((), "a workflow is a map with name and steps")]
    found = list(_shape(document, Head, (), {key: item for key, item in document.value.items() if key != "steps"}))
    outlines = _outlines(document, found)
    found += _input_mistakes(document)
    found += _graph_mistakes(document, outlines)
    for outline in outlines:
        if outline.step is not None:
            found += check_step(document, outline.path, outline.step, known)
    found += _expressions(document, outlines)
    return found[:MAX_MISTAKES]


def _outlines(document: Document, found: list[Mistake]) -> list[Outline]:
    """Return what is known of the steps, adding the mistakes in their shapes to `found`."""
    assert isinstance(document.value, dict)
    steps = document.value.get("steps")
    if not isinstance(steps, list) or not steps:
        problem = "steps is missing" if steps is None else "steps must be a list of at least one step"
        found.append(document.mistake(("steps",), problem, "a step has id, type and with"))
        return []
    if len(steps) > MAX_STEPS:
        found.append(document.mistake(("steps", MAX_STEPS), f"a workflow has {MAX_STEPS:,} steps at most"))
        return []
    outlines = []
    for index, raw in enumerate(steps):
        path: Path = ("steps", index)
        mistakes = list(_step_shape(document, path, raw))
        found += mistakes
        step = STEP_FORMATS[raw["type"]].model_validate(raw) if not mistakes else None
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            needs = raw.get("needs") if isinstance(raw.get("needs"), list) else []
            assert isinstance(needs, list)
            outlines.append(Outline(path, raw["id"], tuple(need for need in needs if isinstance(need, str)), step))
    return outlines


def _step_shape(document: Document, path: Path, raw: Json) -> Iterator[Mistake]:
    if not isinstance(raw, dict):
        yield document.mistake(path, "a step is a map", "a step has id, type and with")
        return
    kind = raw.get("type")
    if kind is None:
        yield document.mistake((*path, "type"), "type is missing", f"one of {', '.join(STEP_FORMATS)}")
    elif not isinstance(kind, str) or kind not in STEP_FORMATS:
        hint = suggest(str(kind), STEP_FORMATS) or f"one of {', '.join(STEP_FORMATS)}"
        yield document.mistake((*path, "type"), f"unknown type {kind}", hint)
    else:
        yield from _shape(document, STEP_FORMATS[kind], path, raw)
    if raw.get("id") in KEYWORDS:
        yield document.mistake((*path, "id"), f"{raw['id']} is a word of the expression language", "choose another id")


def _shape(document: Document, model: type[BaseModel], base: Path, raw: Mapping[str, Json]) -> Iterator[Mistake]:
    try:
        model.model_validate(raw)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            yield _shape_mistake(document, model, base, dict(item))


def _shape_mistake(document: Document, model: type[BaseModel], base: Path, item: dict[str, Any]) -> Mistake:
    loc: Path = tuple(item["loc"])
    path = (*base, *loc)
    match item["type"]:
        case "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            hint = suggest(str(loc[-1]), known) or (f"known here: {', '.join(known)}" if known else None)
            return document.mistake(path, f"unknown key {loc[-1]}", hint, key=True)
        case "missing":
            return document.mistake(path, f"{loc[-1]} is missing", _HINTS.get(str(loc[-1])))
        case "string_type":
            return document.mistake(path, "this must be a text", "put it in quotes")
        case "string_pattern_mismatch" | "literal_error":
            hint = _HINTS.get(str(loc[-1]))
            message = f"{loc[-1]} is not valid" if hint else _sentence(item)
            return document.mistake(path, message, hint)
        case _:
            return document.mistake(path, _sentence(item))


def _sentence(item: Mapping[str, Any]) -> str:
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"this {text}" if str(item["msg"]).startswith("Input ") else text


def _keys_at(model: type[BaseModel], loc: Path) -> list[str]:
    """Return the keys that the format knows at this place, as they are written."""
    current = model
    for part in loc:
        field = next((field for name, field in current.model_fields.items() if part in (name, field.alias)), None)
        inner = field.annotation if field is not None else None
        if not isinstance(inner, type) or not issubclass(inner, BaseModel):
            return []
        current = inner
    return [field.alias or name for name, field in current.model_fields.items()]


def _input_mistakes(document: Document) -> Iterator[Mistake]:
    declared = _declared_input(document)
    if declared is not None:
        for path, message, hint in check_schema(declared):
            yield document.mistake(("input", *path), message, hint, key=path[-1:] not in ((), ("default",), ("type",)))


def _declared_input(document: Document) -> Mapping[str, Any] | None:
    declared = document.value.get("input") if isinstance(document.value, dict) else None
    return declared if isinstance(declared, dict) else None


def _graph_mistakes(document: Document, outlines: list[Outline]) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for outline in outlines:
        if outline.key in first:
            line = document.mistake(("steps", first[outline.key], "id"), "").line
            yield document.mistake(
                (*outline.path, "id"), f"the id {outline.key} is used twice", f"first on line {line}"
            )
        first.setdefault(outline.key, int(outline.path[1]))
    for outline in outlines:
        yield from _need_mistakes(document, outline, first)
    needs = {outline.key: [need for need in outline.needs if need in first] for outline in reversed(outlines)}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle = error.args[1]
        if len(cycle) > 2:  # a step that needs itself was told with its needs
            start = min(range(len(cycle) - 1), key=lambda index: first[cycle[index]])
            around = [*cycle[start:-1], *cycle[: start + 1]]
            path: Path = ("steps", first[around[0]], "needs")
            message = f"the steps need each other in a circle: {' → '.join(around)}"
            yield document.mistake(path, message, "remove one need")


def _need_mistakes(document: Document, outline: Outline, known: Collection[str]) -> Iterator[Mistake]:
    for index, need in enumerate(outline.needs):
        path: Path = (*outline.path, "needs", index)
        if need == outline.key:
            yield document.mistake(path, f"the step {need} needs itself: {need} → {need}")
        elif need not in known:
            yield document.mistake(path, f"there is no step {need}", suggest(need, known))
        elif need in outline.needs[:index]:
            yield document.mistake(path, f"{need} is named twice")


def _expressions(document: Document, outlines: list[Outline]) -> Iterator[Mistake]:
    declared = _declared_input(document)
    properties = (declared or {}).get("properties", {})
    types = input_types(closed_schema(declared)) if isinstance(properties, dict) else {}
    checks = ExpressionChecks(document, types, {outline.key: outline.needs for outline in reversed(outlines)})
    for outline in outlines:
        if outline.step is not None:
            yield from checks.step(outline.path, outline.step)
    yield from checks.output()
