"""The definition of an agent: what its author may write, and what is wrong with it in words."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sparkops.core.errors import Invalid
from sparkops.core.expression_text import suggest
from sparkops.core.json import Json
from sparkops.core.model_spec import SCRIPTED, ModelSpec, script_errors, shape_errors

DEFAULT_MAX_TURNS = 10
DEFAULT_MAX_OUTPUT_TOKENS = 1_024
MAX_INSTRUCTIONS_CHARS = 100_000


class AgentDefinition(ModelSpec):
    """A configured actor: a model, what it is told, which tools it may use, and its limits."""

    instructions: str = Field(min_length=1, max_length=MAX_INSTRUCTIONS_CHARS)
    tools: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(default=(), max_length=100)
    max_turns: int = Field(default=DEFAULT_MAX_TURNS, ge=1, le=100)
    max_output_tokens: int = Field(default=DEFAULT_MAX_OUTPUT_TOKENS, ge=1, le=1_000_000)
    """Of one answer. It bounds what a call may cost, so it is sent with every request."""
    temperature: float | None = Field(default=None, ge=0, le=2)


def parse_agent(definition: Json, *, models: Collection[str], tools: Collection[str]) -> AgentDefinition:
    """Return the definition, checked against the models of the settings and the tools of the project.

    Raises:
        Invalid: its `errors` list everything that is wrong, each with path, message and a hint where one helps.
    """
    try:
        agent = AgentDefinition.model_validate(definition)
    except ValidationError as error:
        raise _invalid(shape_errors(error, AgentDefinition)) from None
    errors = [*_model_errors(agent, models), *_tool_errors(agent, tools)]
    errors += script_errors(agent.script) if agent.script else []
    if errors:
        raise _invalid(errors)
    return agent


def _invalid(errors: list[dict[str, Any]]) -> Invalid:
    first = errors[0]
    where = f"{first['path']}: " if first["path"] else ""
    return Invalid(f"The agent definition is not valid. {where}{first['message']}", errors=errors)


def _model_errors(agent: AgentDefinition, models: Collection[str]) -> list[dict[str, Any]]:
    if agent.model == SCRIPTED or agent.model in models:
        return []
    known = ", ".join([*sorted(models), SCRIPTED])
    hint = suggest(agent.model, [*models, SCRIPTED]) or f"known models: {known}"
    if not models:
        hint = "set SPARKOPS_MODEL_BASE_URL and SPARKOPS_MODEL_NAME to make the model called default, or use scripted"
    return [{"path": "model", "message": f"there is no model called {agent.model}", "hint": hint}]


def _tool_errors(agent: AgentDefinition, tools: Collection[str]) -> list[dict[str, Any]]:
    known = ", ".join(sorted(tools)) or "none"
    errors: list[dict[str, Any]] = []
    for place, name in enumerate(agent.tools):
        path = f"tools.{place}"
        if name in agent.tools[:place]:
            errors.append({"path": path, "message": f"the tool {name} is listed twice"})
        elif name not in tools:
            hint = suggest(name, tools) or f"tools of this project: {known}"
            errors.append({"path": path, "message": f"there is no tool called {name}", "hint": hint})
    return errors
