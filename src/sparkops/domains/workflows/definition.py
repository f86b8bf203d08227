"""A workflow as the rest of the platform reads it: frozen, checked, rebuilt from its JSON document at will."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import count
from typing import Any, Final

from sparkops.core.document import DefinitionInvalid, invalid, read_document
from sparkops.core.durations import parse_duration
from sparkops.core.json import Json
from sparkops.core.money import Micros, micros_from_usd
from sparkops.domains.workflows.checks import Known, ToolSpec, find_mistakes
from sparkops.domains.workflows.format import (
    AgentCall,
    ApprovalStep,
    Attempted,
    LlmCall,
    LoopStep,
    MapStep,
    ToolCall,
    Undoable,
    Workflow,
    WorkflowCall,
    workflow_schema,
)
from sparkops.domains.workflows.format import Step as StepFormat
from sparkops.domains.workflows.format import Undo as UndoFormat
from sparkops.domains.workflows.format_values import Retry
from sparkops.domains.workflows.format_with import DEFAULT_EXPIRES
from sparkops.domains.workflows.inputs import InputInvalid, closed_schema, fit_input
from sparkops.domains.workflows.options import (
    ALL,
    FAIL,
    Join,
    OnError,
    Options,
    RetryPolicy,
    join_of,
    on_error_of,
    options_of,
    retry_of,
)

__all__ = [
    "INLINE_TYPES",
    "PRIORITIES",
    "ConcurrencyLimit",
    "Definition",
    "DefinitionInvalid",
    "InputInvalid",
    "RetryPolicy",
    "StepDefinition",
    "StepType",
    "ToolSpec",
    "parse_definition",
    "undo_key",
    "validate_input",
    "workflow_schema",
]


class StepType(StrEnum):
    """What a step does. All but `transform` and `branch` are attempted by workers."""

    AGENT = "agent"
    LLM = "llm"
    TOOL = "tool"
    TRANSFORM = "transform"
    APPROVAL = "approval"
    BRANCH = "branch"
    MAP = "map"
    LOOP = "loop"
    WORKFLOW = "workflow"
    WAIT = "wait"


INLINE_TYPES: Final = frozenset({StepType.TRANSFORM, StepType.BRANCH})
"""The types that the engine evaluates itself."""
PRIORITIES: Final = {"high": -1, "normal": 0, "low": 1}
"""As stored: steps of runs with a lower number are claimed first."""


@dataclass(frozen=True)
class StepDefinition:
    """One node of the graph."""

    key: str
    type: StepType
    position: int
    """The place in the whole definition: a body's steps follow the step whose body it is."""
    needs: tuple[str, ...]
    condition: str | None
    """The `if` as it stands in the text, with or without `${{ }}` around it."""
    parameters: Mapping[str, Json]
    """The `with`, its expressions not yet evaluated."""
    name: str | None
    """The tool, the agent, the model or the workflow; None for types that have none."""
    retry: RetryPolicy
    timeout: timedelta | None
    version: int | None = None
    """The version of the workflow that it starts; None: the latest when the run was accepted."""
    deadline: timedelta | None = None
    join: Join = ALL
    on_error: OnError = FAIL
    options: Options | None = None
    undo: "StepDefinition | None" = None
    """What takes this step's effect back; its key is `undo_key` of this one's."""
    body: "tuple[StepDefinition, ...] | None" = None
    """The steps of a map or loop; None for other types."""
    output: Json = None
    """What a map or loop takes from each of its frames; None: what its leaves give."""


@dataclass(frozen=True)
class ConcurrencyLimit:
    """At most `limit` runs with the same key go on at once. `key` may hold expressions over the input; None: one key
    for all runs of the workflow."""

    key: str | None
    limit: int
    when_full: str
    """`queue`, `cancel_running` or `reject`."""


@dataclass(frozen=True)
class Definition:
    """A workflow version. `document` is what is stored; everything else follows from it."""

    name: str
    description: str | None
    input_schema: Mapping[str, Any]
    budget_micros: Micros | None
    timeout: timedelta | None
    priority: int
    """One of `PRIORITIES`."""
    concurrency: ConcurrencyLimit | None
    steps: tuple[StepDefinition, ...]
    output: Json
    """The `output` with its expressions, or None: then each leaf that succeeded gives its own."""
    document: dict[str, Any] = field(repr=False)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Definition":
        """Return the definition of a document that was checked when it was saved."""
        workflow = Workflow.model_validate(document)
        limit = workflow.concurrency
        return cls(
            name=workflow.name,
            description=workflow.description,
            input_schema=closed_schema(workflow.input),
            budget_micros=None if workflow.budget_usd is None else micros_from_usd(workflow.budget_usd),
            timeout=_duration(workflow.timeout),
            priority=PRIORITIES[workflow.priority],
            concurrency=None if limit is None else ConcurrencyLimit(limit.key, limit.limit, limit.when_full),
            steps=_steps(workflow.steps, document["steps"], count()),
            output=workflow.output,
            document=document,
        )


def undo_key(key: str) -> str:
    """Return the key of the step that takes this one's effect back."""
    return f"{key}:undo"


def parse_definition(
    source: str,
    *,
    agents: Collection[str] | None,
    tools: Mapping[str, ToolSpec] | None,
    models: Collection[str] | None = None,
    workflows: Collection[str] | None = None,
) -> Definition:
    """Return the definition that a YAML or JSON text gives.

    `agents`, `tools` and `workflows` are those of the project, `models` those of the settings; None leaves names
    unchecked.
    Thousands of steps take seconds of processor time: not for an event loop.

    Raises:
        DefinitionInvalid: its `errors` list everything wrong, each with path, line, column, message and hint.
    """
    document = read_document(source)
    mistakes = find_mistakes(document, Known(agents, tools, models, workflows))
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


def _steps(
    steps: Sequence[StepFormat], documents: Sequence[Mapping[str, Any]], positions: Iterator[int]
) -> tuple[StepDefinition, ...]:
    return tuple(_step(step, raw, positions) for step, raw in zip(steps, documents, strict=True))


def _step(step: StepFormat, raw: Mapping[str, Any], positions: Iterator[int]) -> StepDefinition:
    attempted = step if isinstance(step, Attempted) else None
    framed = step if isinstance(step, MapStep | LoopStep) else None
    undo = step.undo if isinstance(step, Undoable) else None
    position = next(positions)
    return StepDefinition(
        key=step.id,
        type=StepType(step.type),
        position=position,
        needs=step.needs,
        condition=step.if_,
        parameters=_parameters(step, raw),
        name=_name(step),
        retry=retry_of(attempted.retry if attempted else Retry()),
        timeout=_duration(attempted.timeout if attempted else None),
        version=step.version if isinstance(step, WorkflowCall) else None,
        deadline=_duration(attempted.deadline if attempted else None),
        join=join_of(step.join),
        on_error=on_error_of(step.on_error),
        options=options_of(step.with_),
        undo=None if undo is None else _undo(step.id, undo, raw["undo"], position),
        body=_steps(framed.steps, raw["steps"], positions) if framed else None,
        output=framed.output if framed else None,
    )


def _undo(key: str, undo: UndoFormat, raw: Mapping[str, Any], position: int) -> StepDefinition:
    return StepDefinition(
        key=undo_key(key),
        type=StepType(undo.type),
        position=position,
        needs=(),
        condition=None,
        parameters=raw.get("with", {}),
        name=_name(undo),
        retry=retry_of(undo.retry),
        timeout=_duration(undo.timeout),
        version=undo.version if isinstance(undo, WorkflowCall) else None,
    )


def _parameters(step: StepFormat, raw: Mapping[str, Any]) -> Mapping[str, Json]:
    parameters: Mapping[str, Json] = raw.get("with", {})
    return {"expires": DEFAULT_EXPIRES, **parameters} if isinstance(step, ApprovalStep) else parameters


def _name(step: object) -> str | None:
    match step:
        case ToolCall():
            return step.tool
        case AgentCall():
            return step.agent
        case LlmCall():
            return step.with_.model
        case WorkflowCall():
            return step.workflow
        case _:
            return None


def _duration(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)
