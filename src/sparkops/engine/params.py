"""Evaluation of what a step was given: pure, by workers before an attempt and by the engine for inline steps."""

from collections.abc import Mapping

from sparkops.core.json import Json
from sparkops.core.text_templates import render_template
from sparkops.domains.workflows.scope import Context, StepView, bind
from sparkops.engine.graph import Graph, Node

__all__ = ["Context", "StepView", "evaluate_condition", "evaluate_inline", "render_output", "render_with"]


def render_with(node: Node, context: Context) -> dict[str, Json]:
    """Return the parameters of a step with every expression evaluated; literal keys come as they stand.

    `context` needs the steps in `node.reads`, and the input if `node.reads_input`.

    Raises:
        ExpressionError: an expression failed on these values.
    """
    rendered = node.parameters.render(bind(node.parameters.variables, context))
    assert isinstance(rendered, dict), "a map renders to a map"
    return {**node.literals, **rendered}


def evaluate_condition(node: Node, context: Context) -> bool:
    """Return whether a step whose needs have succeeded is to run; one without a condition is.

    Raises:
        ExpressionError: the condition failed, or gave something else than true or false.
    """
    if node.condition is None:
        return True
    return node.condition.evaluate_bool(bind(node.condition.variables, context))


def evaluate_inline(node: Node, context: Context) -> Json:
    """Return the output of a transform: its value, or its template filled.

    Raises:
        ExpressionError: an expression failed.
        TemplateError: the template could not be filled.
    """
    parameters = render_with(node, context)
    template = parameters.get("template")
    if isinstance(template, str):
        return render_template(template, parameters.get("data"))
    return parameters.get("value")


def render_output(graph: Graph, context: Context) -> Json:
    """Return the output of a run that has succeeded: as its definition says, or that of each leaf that succeeded.

    Raises:
        ExpressionError: an expression failed.
    """
    if graph.simple_end:
        return _leaf_outputs(graph, context.steps)
    return graph.output.render(bind(graph.output.variables, context))


def _leaf_outputs(graph: Graph, steps: Mapping[str, StepView]) -> dict[str, Json]:
    return {key: steps[key].output for key in graph.leaves if steps[key].status == "succeeded"}
