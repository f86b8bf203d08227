"""What a project can run: agents, tools, workflows, and its policy."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Name, ProblemError, Slug, View
from sparkops.domains.effects.state import EffectClass

JsonObject = dict[str, JsonValue]


class Policy(View):
    """The rules of a project. Each change makes the next version; a decision names the version it was taken under."""

    version: int
    rules: list[JsonObject]
    updated_at: datetime | None
    """None: there were none yet."""


class NewPolicy(Body):
    rules: Annotated[list[JsonObject], Field(max_length=500)]


class AgentVersion(View):
    """One frozen definition of an agent."""

    id: UUID
    version: int
    definition: JsonObject
    digest: str
    created_at: datetime


class AgentVersionList(View):
    items: list[AgentVersion]
    next_cursor: str | None


class Agent(View):
    """An agent with its latest version."""

    id: UUID
    project: str
    name: str
    created_at: datetime
    latest: AgentVersion


class AgentList(View):
    items: list[Agent]
    next_cursor: str | None


class NewAgent(Body):
    project: Slug
    name: Name
    definition: JsonObject


class NewAgentVersion(Body):
    definition: JsonObject


class Tool(View):
    """A tool that the agents and workflows of a project may name."""

    id: UUID
    project: str
    name: str
    description: str
    parameters: JsonObject
    """The JSON Schema of its arguments."""
    effect_class: EffectClass
    digest: str
    created_at: datetime


class ToolList(View):
    items: list[Tool]
    next_cursor: str | None


class StepOutline(View):
    """One step of a definition: enough to draw the graph."""

    id: str
    type: str
    needs: list[str]
    name: str | None
    """The tool, the agent or the model that it uses."""


class WorkflowVersion(View):
    """One frozen definition: the text as it was given, and the document read from it."""

    id: UUID
    version: int
    source: str
    definition: JsonObject
    input_schema: JsonObject | None
    steps: list[StepOutline]
    digest: str
    created_at: datetime


class WorkflowVersionSummary(View):
    id: UUID
    version: int
    digest: str
    created_at: datetime


class WorkflowVersionList(View):
    items: list[WorkflowVersionSummary]
    next_cursor: str | None


class WorkflowSummary(View):
    """A workflow as lists show it."""

    id: UUID
    project: str
    name: str
    description: str | None
    latest_version: int
    steps_total: int
    created_at: datetime
    updated_at: datetime
    """When its latest version was made."""
    max_running_runs: int | None
    """How many of its runs go on at once, the others queue; null: any number."""


class WorkflowList(View):
    items: list[WorkflowSummary]
    next_cursor: str | None


class Workflow(WorkflowSummary):
    """A workflow with its latest version."""

    latest: WorkflowVersion


Source = Annotated[str, Field(min_length=1, max_length=1_000_000)]


class NewWorkflow(Body):
    """The definition as YAML or JSON text; the name comes from it."""

    project: Slug
    source: Source

    model_config = Body.model_config | {"str_strip_whitespace": False}


class NewWorkflowVersion(Body):
    source: Source

    model_config = Body.model_config | {"str_strip_whitespace": False}


class Verdict(View):
    """Whether a definition would be accepted; if not, everything that is wrong with it."""

    valid: bool
    errors: list[ProblemError]
