"""The shape of a workflow definition: which keys there are and what may stand in them. Meaning is `checks.py`."""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from sparkops.core.json import Json
from sparkops.core.shapes import Closed, Duration, Text
from sparkops.domains.workflows.format_values import (
    MAX_STEPS,
    Concurrency,
    Ids,
    Join,
    Name,
    OnError,
    Reference,
    Retry,
    StepId,
)
from sparkops.domains.workflows.format_with import (
    AgentWith,
    ApprovalWith,
    BranchWith,
    LlmWith,
    LoopWith,
    MapWith,
    TransformWith,
    WaitWith,
)

MAX_NESTING = 4
"""How deep bodies of maps and loops may stand in each other."""


class _Step(Closed):
    id: StepId
    needs: Ids = ()
    join: Join = "all"
    if_: Text | None = Field(default=None, alias="if")
    on_error: OnError = "fail"


class Tried(Closed):
    """What workers attempt: it may be tried again, and each attempt may be limited."""

    retry: Retry = Retry()
    timeout: Duration | None = None


class Attempted(Tried, _Step):
    """A step that a worker attempts. `deadline` limits all of it: attempts, the pauses between them, waits."""

    deadline: Duration | None = None


class Undoable(Attempted):
    """A step whose effect another may take back."""

    undo: "Undo | None" = None


class AgentCall(Closed):
    type: Literal["agent"]
    agent: Reference
    with_: AgentWith = Field(alias="with")


class LlmCall(Closed):
    type: Literal["llm"]
    with_: LlmWith = Field(alias="with")


class ToolCall(Closed):
    type: Literal["tool"]
    tool: Reference
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")


class WorkflowCall(Closed):
    """`version` None: the latest when the run was accepted."""

    type: Literal["workflow"]
    workflow: Name
    version: int | None = Field(default=None, ge=1)
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")


class AgentUndo(AgentCall, Tried): ...


class LlmUndo(LlmCall, Tried): ...


class ToolUndo(ToolCall, Tried): ...


class WorkflowUndo(WorkflowCall, Tried): ...


Undo = Annotated[AgentUndo | LlmUndo | ToolUndo | WorkflowUndo, Field(discriminator="type")]


class AgentStep(AgentCall, Undoable): ...


class LlmStep(LlmCall, Undoable): ...


class ToolStep(ToolCall, Undoable): ...


class WorkflowStep(WorkflowCall, Undoable): ...


class TransformStep(_Step):
    type: Literal["transform"]
    with_: TransformWith = Field(alias="with")


class BranchStep(_Step):
    type: Literal["branch"]
    with_: BranchWith = Field(alias="with")


class ApprovalStep(Attempted):
    type: Literal["approval"]
    with_: ApprovalWith = Field(alias="with")


class WaitStep(Attempted):
    type: Literal["wait"]
    with_: WaitWith = Field(alias="with")


class MapHead(Undoable):
    """A map without its body."""

    type: Literal["map"]
    with_: MapWith = Field(alias="with")
    output: Any = None


class MapStep(MapHead):
    steps: "Steps"


class LoopHead(Undoable):
    """A loop without its body."""

    type: Literal["loop"]
    with_: LoopWith = Field(alias="with")
    output: Any = None


class LoopStep(LoopHead):
    steps: "Steps"


_Plain = AgentStep | LlmStep | ToolStep | TransformStep | ApprovalStep | BranchStep | WorkflowStep | WaitStep
Step = _Plain | MapStep | LoopStep
StepHead = _Plain | MapHead | LoopHead
"""A step without the steps in its body."""
Steps = Annotated[
    tuple[Annotated[Step, Field(discriminator="type")], ...], Field(min_length=1, max_length=MAX_STEPS, strict=False)
]
STEP_FORMATS: Final[dict[str, type[Step]]] = {
    "agent": AgentStep,
    "llm": LlmStep,
    "tool": ToolStep,
    "transform": TransformStep,
    "approval": ApprovalStep,
    "branch": BranchStep,
    "map": MapStep,
    "loop": LoopStep,
    "workflow": WorkflowStep,
    "wait": WaitStep,
}
HEADS: Final[dict[str, type[MapHead] | type[LoopHead]]] = {"map": MapHead, "loop": LoopHead}
"""The types that have a body, and their formats without it."""
UNDO_FORMATS: Final[dict[str, type[AgentUndo | LlmUndo | ToolUndo | WorkflowUndo]]] = {
    "agent": AgentUndo,
    "llm": LlmUndo,
    "tool": ToolUndo,
    "workflow": WorkflowUndo,
}
LITERAL_KEYS: Final[dict[str, frozenset[str]]] = {
    "agent": frozenset({"max_turns"}),
    "llm": frozenset({"model", "script", "price", "max_output_tokens", "temperature", "output_schema"}),
    "tool": frozenset(),
    "transform": frozenset({"template"}),
    "approval": frozenset({"expires", "approvers", "quorum", "escalate_after", "escalate_to"}),
    "branch": frozenset({"cases", "else"}),
    "map": frozenset({"concurrency", "on_item_error"}),
    "loop": frozenset({"max", "until", "at_max"}),
    "workflow": frozenset(),
    "wait": frozenset({"event", "filter", "timeout", "on_timeout"}),
}
"""The keys of `with` that are taken as they are: `${{ }}` in them is not evaluated with the step.

The conditions among them (`when`, `until`, `filter`) are evaluated each at its own time.
"""


class Head(Closed):
    """Everything but the steps."""

    version: Literal[1]
    name: Name
    description: str | None = Field(default=None, max_length=10_000)
    input: dict[str, Any] | None = None
    budget_usd: Decimal | None = Field(default=None, ge=0, le=1_000_000, strict=False, allow_inf_nan=False)
    timeout: Duration | None = None
    priority: Literal["high", "normal", "low"] = "normal"
    concurrency: Concurrency | None = None
    output: Any = None


class Workflow(Head):
    """A workflow: steps that run as soon as what they need allows it."""

    steps: Steps


for _model in (AgentStep, LlmStep, ToolStep, WorkflowStep, MapHead, MapStep, LoopHead, LoopStep, Workflow):
    _model.model_rebuild()


def workflow_schema() -> dict[str, Json]:
    """Return the JSON Schema of the format, for editors and for the page."""
    schema: dict[str, Json] = TypeAdapter(Workflow).json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
