"""Evaluation of what a step was given: pure, by workers before an attempt and by the engine for inline steps."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sparkops.core.durations import parse_duration
from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.core.templates import as_text
from sparkops.core.text_templates import render_template
from sparkops.domains.workflows.definition import StepType
from sparkops.domains.workflows.format_with import MAX_ITEMS
from sparkops.domains.workflows.instants import parse_instant
from sparkops.domains.workflows.scope import Context, EventView, FrameView, StepView, bind, loop_frame, map_frame
from sparkops.engine.graph import Graph, Node

__all__ = [
    "Context",
    "EventView",
    "FrameView",
    "StepView",
    "evaluate_condition",
    "evaluate_filter",
    "evaluate_inline",
    "evaluate_items",
    "evaluate_until",
    "evaluate_wait",
    "loop_frame",
    "map_frame",
    "render_concurrency_key",
    "render_output",
    "render_with",
]

MAX_KEY = 500


def render_with(node: Node, context: Context) -> dict[str, Json]:
    """Return the parameters of a step with every expression evaluated; literal keys come as they stand.

    `context` needs the steps in `node.reads`, the input if `node.reads_input`, the frame if `node.reads_frame`.

    Raises:
        ExpressionError: an expression failed on these values.
    """
    rendered = node.parameters.render(bind(node.parameters.variables, context))
    assert isinstance(rendered, dict), "a map renders to a map"
    return {**node.literals, **rendered}


def evaluate_condition(node: Node, context: Context) -> bool:
    """Return whether a step that its needs let start is to run; one without a condition is.

    Raises:
        ExpressionError: the condition failed, or gave something else than true or false.
    """
    if node.condition is None:
        return True
    return node.condition.evaluate_bool(bind(node.condition.variables, context))


def evaluate_inline(node: Node, context: Context) -> Json:
    """Return the output of a transform, its value or its template filled; or of a branch, what it chooses.

    Raises:
        ExpressionError: an expression failed.
        TemplateError: the template could not be filled.
    """
    if node.type is StepType.BRANCH:
        return _choose(node, context)
    parameters = render_with(node, context)
    template = parameters.get("template")
    if isinstance(template, str):
        return render_template(template, parameters.get("data"))
    return parameters.get("value")


def _choose(node: Node, context: Context) -> Json:
    for number, (case, when) in enumerate(zip(node.branch.cases, node.case_conditions, strict=True)):
        if when.evaluate_bool(bind(when.variables, context)):
            return {"case": number, "chosen": list(case.then)}
    return {"case": None, "chosen": list(node.branch.otherwise)}


def evaluate_items(node: Node, context: Context) -> list[Json]:
    """Return the items of a map in their order: those of a list, or 0 to n-1 for a whole number n.

    Raises:
        ExpressionError: `over` failed, gave something else, or more items than a map may have.
    """
    over = render_with(node, context)["over"]
    many = len(over) if isinstance(over, list) else _whole(over)
    if many is None or many < 0:
        raise _unfit("over must give a list, or a whole number from 0")
    if many > MAX_ITEMS:
        raise _unfit(f"over gave more than {MAX_ITEMS:,} items; work through them in parts")
    return over if isinstance(over, list) else list(range(many))


def _whole(value: Json) -> int | None:
    """Return a number that is whole, also one written 3.0; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value)


def evaluate_until(node: Node, context: Context) -> bool:
    """Return whether a loop is done after a pass; one without `until` never is before its last.

    `context` needs the steps in `node.until_mentions` and the frame of the pass.

    Raises:
        ExpressionError: `until` failed, or gave something else than true or false.
    """
    return node.until is not None and node.until.evaluate_bool(bind(node.until.variables, context))


def evaluate_filter(node: Node, context: Context) -> bool:
    """Return whether a wait counts an event of its name; `context` holds the event. Without a filter it does.

    Raises:
        ExpressionError: the filter failed, or gave something else than true or false.
    """
    return node.filter is None or node.filter.evaluate_bool(bind(node.filter.variables, context))


def evaluate_wait(node: Node, context: Context) -> timedelta | datetime:
    """Return how long, or until when, a wait that is not for an event lasts.

    Raises:
        ExpressionError: an expression failed, or gave no duration or no instant.
    """
    parameters = render_with(node, context)
    text = parameters.get("for", parameters.get("until"))
    if not isinstance(text, str):
        raise _unfit("a wait needs a text, such as 10m or 2031-01-31T12:00:00Z")
    try:
        return parse_duration(text) if "for" in parameters else parse_instant(text)
    except ValueError as error:
        raise _unfit(str(error)) from error


def render_output(graph: Graph, context: Context) -> Json:
    """Return the output of a run or frame that has succeeded: as its definition says, or what its leaves give.

    Those of a run give a map of the outputs of the leaves that succeeded; so do those of a body, unless there is only
    one: then the output is its output, null if it did not succeed.

    Raises:
        ExpressionError: an expression failed.
    """
    if graph.simple_end:
        return _leaf_outputs(graph, context.steps)
    return graph.output.render(bind(graph.output.variables, context))


def _leaf_outputs(graph: Graph, steps: Mapping[str, StepView]) -> Json:
    if graph.parent is not None and len(graph.leaves) == 1:
        return steps[graph.leaves[0]].output
    return {key: steps[key].output for key in graph.leaves if steps[key].status == "succeeded"}


def render_concurrency_key(graph: Graph, inputs: Mapping[str, Json]) -> str | None:
    """Return the key under which a run with this input is counted; None: all runs of the workflow count together.

    Raises:
        ExpressionError: the expression failed, or the key is too long.
    """
    if graph.concurrency_key is None:
        return None
    context = Context(inputs, {}, "")
    key = as_text(graph.concurrency_key.render(bind(graph.concurrency_key.variables, context)))
    if len(key) > MAX_KEY:
        raise _unfit(f"the concurrency key is longer than {MAX_KEY} characters")
    return key


def _unfit(reason: str) -> ExpressionError:
    return ExpressionError(reason, reason=reason)
