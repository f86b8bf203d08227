"""What all kinds of steps work with in one attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, Protocol
from uuid import UUID

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.json import Json
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.graph import Graph, Node
from sparkops.engine.params import Context, render_with
from sparkops.engine.secrets import Use, slug_of
from sparkops.engine.wait import Wait
from sparkops.runtime.effects import Dispatch
from sparkops.runtime.gate import RecordedGate
from sparkops.runtime.llm.base import Model
from sparkops.runtime.llm.effect import OnCallText, Speaker
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.secrets.base import CallSecrets, Secrets
from sparkops.runtime.tools.base import Tool, ToolContext


class Viewer(Protocol):
    """Where the text of a model's answer is shown while it comes. Losing a piece loses nothing."""

    async def text(self, run_id: UUID, step_id: UUID, call_id: UUID, offset: int, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Agent:
    """One version of an agent."""

    definition: AgentDefinition
    version: int


@dataclass(frozen=True, slots=True)
class Runtime:
    """What attempts of this process share."""

    engine: Engine
    settings: Settings
    blobs: Blobs
    models: Models
    tools: Mapping[str, Tool]
    policies: PolicyCache
    viewer: Viewer
    agents: dict[UUID, Agent] = field(default_factory=dict)
    """Agent versions never change, so each is read once."""
    slugs: dict[UUID, str] = field(default_factory=dict)
    """Of projects, which never change either."""
    secrets: Secrets = field(default_factory=Secrets)

    async def slug(self, project_id: UUID) -> str:
        """Return by which name the settings know a project."""
        if project_id not in self.slugs:
            self.slugs[project_id] = await slug_of(self.engine.database, project_id)
        return self.slugs[project_id]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The step was parked and needs no worker. `due_in`: when a time will wake it; None: something else will."""

    due_in: timedelta | None = None


class LetGo(Exception):
    """The step waits, as the database knows already."""

    def __init__(self, waited: Wait) -> None:
        super().__init__("the step waits")
        self.waiting = Waiting(waited.due_in)


@dataclass(frozen=True)
class Attempt:
    """One attempt and what it works with."""

    runtime: Runtime
    claim: Claim
    graph: Graph
    node: Node
    context: Context
    gate: RecordedGate
    project: str
    """The slug of the step's project."""

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    @property
    def step_id(self) -> UUID:
        return self.claim.lease.step_id

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """The step's `with`, evaluated.

        Raises:
            ExpressionError: an expression failed.
        """
        return render_with(self.node, self.context)

    def context_for(self, dispatch: Dispatch) -> ToolContext:
        """Return what a tool is given for one call."""
        return ToolContext(
            project_id=self.claim.project_id,
            run_id=self.claim.run_id,
            step_id=self.step_id,
            call_id=dispatch.call_id,
            database=self.engine.database,
            blobs=self.runtime.blobs,
            settings=self.runtime.settings,
            deadline=dispatch.deadline,
            labels=frozenset(self.gate.labels.seen),
            project=self.project,
            secrets=self.secrets_for(dispatch),
        )

    def secrets_for(self, dispatch: Dispatch) -> CallSecrets:
        """Return what one call may be given."""
        use = Use(self.claim.project_id, self.claim.run_id, self.step_id, dispatch.call_id)
        return self.runtime.secrets.of_call(use)

    def speaker(self, name: str, model: Model) -> Speaker:
        """Return a model under its name, whose text is shown while it comes, without secrets."""
        stream = partial(self.runtime.secrets.stream_of, self.claim.project_id)
        return Speaker(name, model, self.listener(), self.secrets_for, stream)

    def listener(self) -> OnCallText:
        """Return what shows a model's text on the page, with the offset of each piece within its call."""
        shown: dict[UUID, int] = {}

        async def show(call_id: UUID, text: str) -> None:
            offset = shown.get(call_id, 0)
            shown[call_id] = offset + len(text)
            await self.runtime.viewer.text(self.claim.run_id, self.step_id, call_id, offset, text)

        return show


def went_on(waited: Wait) -> None:
    """Go on if what is awaited is there.

    Raises:
        LetGo: it is not; the step waits, or has ended because its run was asked to stop.
    """
    if waited.status != "there":
        raise LetGo(waited)


def reason_of(error: Mapping[str, Json] | None) -> str:
    """Return the words in which a step says why what it waited for has failed."""
    known = error or {}
    return str(known.get("message") or known.get("code") or "unknown error")
