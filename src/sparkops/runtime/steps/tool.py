"""Steps of type `tool`: one call of one tool."""

from collections.abc import Mapping

from sparkops.core.json import Json
from sparkops.core.schemas import schema_errors
from sparkops.core.templates import Path
from sparkops.domains.secrets.reference import MixedReference, written_in
from sparkops.runtime.agent import tool_effect
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.llm.effect import failure, perform_anew
from sparkops.runtime.steps.base import Attempt
from sparkops.runtime.tools.base import Tool


async def run_tool(attempt: Attempt) -> Json:
    """Return what the tool gave."""
    tool = attempt.runtime.tools[attempt.node.name or ""]
    wrong = schema_errors(tool.validator, dict(attempt.params))
    if wrong:
        raise StepFailed("invalid-arguments", "The arguments do not fit: " + "; ".join(wrong))
    written = _written(attempt, tool)
    outcome = await perform_anew(attempt.gate, tool_effect(tool, attempt.params, attempt.context_for, written=written))
    if outcome.status != "done":
        raise failure(outcome)
    return outcome.response


def _written(attempt: Attempt, tool: Tool) -> Mapping[Path, str]:
    """Return the references to secrets that the step's definition has in its arguments.

    Raises:
        StepFailed: the tool takes none, or nobody can say what is referred to.
    """
    try:
        written = written_in(attempt.node.step.parameters)
    except MixedReference as mixed:
        raise StepFailed(
            "invalid-arguments", f"{mixed} stand in one text; give the reference to a secret a text of its own."
        ) from None
    if written and not tool.takes_secrets:
        raise StepFailed(
            "secret-not-taken",
            f"The tool {tool.name} keeps what it is given, so it takes no secrets; where the text is meant as it "
            "stands, write it as an expression.",
        )
    return written
