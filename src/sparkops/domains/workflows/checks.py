"""Everything that can be wrong with a definition that is readable YAML, found in one pass and told with its place."""

from collections.abc import Iterator, Mapping
from typing import Any

from sparkops.core.document import Document, Mistake
from sparkops.core.shapes import read_shape
from sparkops.domains.workflows.expression_checks import ExpressionChecks
from sparkops.domains.workflows.format import Head
from sparkops.domains.workflows.format_values import HINTS
from sparkops.domains.workflows.graph_checks import graph_mistakes
from sparkops.domains.workflows.inputs import check_schema, closed_schema, input_types
from sparkops.domains.workflows.outlines import Outline, Outlines
from sparkops.domains.workflows.step_checks import Known, ToolSpec, check_step, check_undo

__all__ = ["Known", "ToolSpec", "find_mistakes"]

MAX_MISTAKES = 200
"""More than anybody reads; a text of a megabyte could have a hundred thousand."""


def find_mistakes(document: Document, known: Known) -> list[Mistake]:
    """Return all mistakes of the document; none: it is a workflow."""
    if not isinstance(document.value, dict):
        return [document.mistake((), "a workflow is a map with name and steps")]
    head = {key: item for key, item in document.value.items() if key != "steps"}
    _, found = read_shape(document, Head, (), head, hints=HINTS)
    outlines = Outlines(document)
    found += outlines.mistakes
    found += _input_mistakes(document)
    found += graph_mistakes(document, outlines.found)
    for outline in outlines.found:
        found += _step_mistakes(document, outline, known)
    found += _expressions(document, outlines.found)
    return found[:MAX_MISTAKES]


def _step_mistakes(document: Document, outline: Outline, known: Known) -> Iterator[Mistake]:
    if outline.step is not None:
        yield from check_step(document, outline.path, outline.step, known)
    if outline.undo is not None:
        yield from check_undo(document, (*outline.path, "undo"), outline.undo, known)


def _input_mistakes(document: Document) -> Iterator[Mistake]:
    declared = _declared_input(document)
    if declared is not None:
        for path, message, hint in check_schema(declared):
            yield document.mistake(("input", *path), message, hint, key=path[-1:] not in ((), ("default",), ("type",)))


def _declared_input(document: Document) -> Mapping[str, Any] | None:
    declared = document.value.get("input") if isinstance(document.value, dict) else None
    return declared if isinstance(declared, dict) else None


def _expressions(document: Document, outlines: list[Outline]) -> Iterator[Mistake]:
    declared = _declared_input(document)
    properties = (declared or {}).get("properties", {})
    types = input_types(closed_schema(declared)) if isinstance(properties, dict) else {}
    checks = ExpressionChecks(document, types, outlines)
    for outline in outlines:
        yield from checks.step(outline)
    yield from checks.whole()
