"""Steps of type `tool`: one call of one tool."""

from sparkops.core.json import Json
from sparkops.core.schemas import schema_errors
from sparkops.runtime.agent import tool_effect
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.llm.effect import failure, perform_anew
from sparkops.runtime.steps.base import Attempt


async def run_tool(attempt: Attempt) -> Json:
    """Return what the tool gave."""
    tool = attempt.runtime.tools[attempt.node.name or ""]
    wrong = schema_errors(tool.validator, dict(attempt.params))
    if wrong:
        raise StepFailed("invalid-arguments", "The arguments do not fit: " + "; ".join(wrong))
    outcome = await perform_anew(attempt.gate, tool_effect(tool, attempt.params, attempt.context_for))
    if outcome.status != "done":
        raise failure(outcome)
    return outcome.response
