"""A workflow as the rest of the platform reads it: frozen, checked, rebuilt from its JSON document at will."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sparkops.core.durations import parse_duration
from sparkops.core.json import Json
from sparkops.core.money import Micros, micros_from_usd
from sparkops.domains.workflows.checks import Known, ToolSpec, find_mistakes
from sparkops.domains.workflows.document import DefinitionInvalid, invalid, read_document
from sparkops.domains.workflows.format import DEFAULT_EXPIRES, Retry, Workflow, workflow_schema
from sparkops.domains.workflows.format import Step as StepFormat
from sparkops.domains.workflows.inputs import InputInvalid, closed_schema, fit_input

__all__ = [
    "Definition",
    "DefinitionInvalid",
    "InputInvalid",
    "RetryPolicy",
    "StepDefinition",
    "StepType",
    "ToolSpec",
    "parse_definition",
    "validate_input",
    "workflow_schema",
]


class StepType(StrEnum):
    """What a step does. All but `transform` are attempted by workers."""

    AGENT = "agent"
    LLM = "llm"
    TOOL = "tool"
    TRANSFORM = "transform"
    APPROVAL = "approval"


@dataclass(frozen=True)
class RetryPolicy:
    """`attempts` counts the first one, too; the pauses between them grow from `backoff` to `max_backoff`."""

    attempts: int
    backoff: timedelta
    max_backoff: timedelta


@dataclass(frozen=True)
class StepDefinition:
    """One node of the graph."""

    key: str
    type: StepType
    position: int
    needs: tuple[str, ...]
    condition: str | None
    """The `if` as it stands in the text, with or without `${{ }}` around it."""
    parameters: Mapping[str, Json]
    """The `with`, its expressions not yet evaluated."""
    name: str | None
    """The tool, the agent or the model; None for types that have none."""
    retry: RetryPolicy
    timeout: timedelta | None


@dataclass(frozen=True)
class Definition:
    """A workflow version. `document` is what is stored; everything else follows from it."""

    name: str
    description: str | None
    input_schema: Mapping[str, Any]
    budget_micros: Micros | None
    timeout: timedelta | None
    steps: tuple[StepDefinition, ...]
    output: Json
    """The `output` with its expressions, or None: then each leaf that succeeded gives its own."""
    document: dict[str, Any] = field(repr=False)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Definition":
        """Return the definition of a document that was checked when it was saved."""
        workflow = Workflow.model_validate(document)
        return cls(
            name=workflow.name,
            description=workflow.description,
            input_schema=closed_schema(workflow.input),
            budget_micros=None if workflow.budget_usd is None else micros_from_usd(workflow.budget_usd),
            timeout=_duration(workflow.timeout),
            steps=tuple(
                _step(step, position, document["steps"][position].get("with", {}))
                for position, step in enumerate(workflow.steps)
            ),
            output=workflow.output,
            document=document,
        )


def parse_definition(
    source: str,
    *,
    agents: Collection[str] | None,
    tools: Mapping[str, ToolSpec] | None,
    models: Collection[str] | None = None,
) -> Definition:
    """Return the definition that a YAML or JSON text gives.

    `agents` and `tools` are those of the project, `models` those of the settings; None leaves names unchecked.
    Thousands of steps take seconds of processor time: not for an event loop.

    Raises:
        DefinitionInvalid: its `errors` list everything wrong, each with path, line, column, message and hint.
    """
    document = read_document(source)
    mistakes = find_mistakes(document, Known(agents, tools, models))
    if mistakes:
        raise invalid(mistakes)
    assert isinstance(document.value, dict), "what is no map was a mistake"
    return Definition.from_document(document.value)


def validate_input(definition: Definition, value: Json) -> dict[str, Any]:
    """Return the input of a run with defaults filled in; None counts as no input.

    Raises:
        InputInvalid: it does not fit the schema; `errors` name each value by its path.
    """
    return fit_input(definition.input_schema, value)


def _step(step: StepFormat, position: int, parameters: dict[str, Json]) -> StepDefinition:
    kind = StepType(step.type)
    if kind is StepType.APPROVAL:
        parameters = {"expires": DEFAULT_EXPIRES, **parameters}
    return StepDefinition(
        key=step.id,
        type=kind,
        position=position,
        needs=step.needs,
        condition=step.if_,
        parameters=parameters,
        name=_name(step),
        retry=_retry(getattr(step, "retry", Retry())),
        timeout=_duration(getattr(step, "timeout", None)),
    )


def _name(step: StepFormat) -> str | None:
    match step.type:
        case "tool":
            return step.tool
        case "agent":
            return step.agent
        case "llm":
            return step.with_.model
        case _:
            return None


def _retry(retry: Retry) -> RetryPolicy:
    return RetryPolicy(retry.attempts, parse_duration(retry.backoff), parse_duration(retry.max_backoff))


def _duration(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)
