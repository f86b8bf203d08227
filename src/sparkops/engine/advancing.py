"""One transaction that advances a run: what it knows, loaded when it is asked for, and what it has changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.json import Json
from sparkops.core.payloads import Desk
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.scope import FrameView
from sparkops.engine.context import Connection, Engine, call
from sparkops.engine.decide import Command, Compensate, FinishRun, Labels, Missing, StepState, decide, to_json
from sparkops.engine.graph import Graph
from sparkops.engine.levels import Level

_INPUT = "SELECT input FROM runs WHERE id = $1"
_OUTPUTS = "SELECT path, node_key, status, output, error, labels FROM steps WHERE run_id = $1 AND path = ANY ($2)"


_MAY_END = (RunStatus.RUNNING, RunStatus.ATTENTION, RunStatus.AWAITING_APPROVAL)


@dataclass(slots=True)
class Advanced:
    """What advancing one run changed."""

    ready: list[UUID] = field(default_factory=list)
    """Steps that became ready."""
    ended: bool = False
    """The run has ended."""
    cleared: bool = False
    """People have let the run begin; it queues."""
    parents: list[str] = field(default_factory=list)
    """The steps to be woken because the run has ended."""
    events: list[Mapping[str, Any]] = field(default_factory=list)
    more: set[str] = field(default_factory=set)
    """The paths of maps whose next frames did not fit into this transaction."""
    unfinished: bool = False
    """There is more to do than fitted; another transaction looks at the whole run."""


class Advancing:
    """The run whose lock is held, within one transaction. `desk` has the large values of its decisions."""

    def __init__(self, engine: Engine, on: Connection, run: asyncpg.Record, graph: Graph, desk: Desk) -> None:
        self.engine, self.on, self.graph, self.desk = engine, on, graph, desk
        desk.project_id = run["project_id"]
        self.run_id: UUID = run["id"]
        self.status = RunStatus(run["status"])
        self.project_id: UUID = run["project_id"]
        self.labels: tuple[str, ...] = tuple(run["labels"])
        self.judged: bool = run["judged"]
        """The output of its runs has to be judged."""
        self.done = Advanced()
        self._input: Mapping[str, Json] | None = None
        self._around: dict[str, dict[str, StepState]] = {}

    async def decide(
        self,
        level: Level,
        states: dict[str, StepState],
        *,
        parent_id: UUID | None = None,
        focus: Collection[str] | None = None,
        labels: Collection[str] = (),
    ) -> list[Command]:
        """Ask what follows at one level, and load what the answer needs. `parent_id` is that of the frame's step,
        `labels` are those of what the frame sees.

        Raises:
            NotAtHand: large values are needed first: roll back, let the desk provide them, try again.
        """
        frame: FrameView | None = None
        # A run that is held goes on with what runs, but does not end; its frames may.
        may_end = level.parent is not None or self.status in _MAY_END
        around = self._around.setdefault(level.parent or "", {})
        while True:
            try:
                return decide(
                    level.graph,
                    states,
                    self._input,
                    str(self.run_id),
                    focus=focus,
                    frame=frame,
                    outer=around,
                    may_end=may_end,
                    values=self.desk,
                    labels=Labels(self.labels, tuple(labels)),
                )
            except Missing as lack:
                await self._load(level, states, around, lack)
                if lack.frame:
                    frame = await self._frame(level, parent_id)

    async def _load(
        self, level: Level, states: dict[str, StepState], around: dict[str, StepState], lack: Missing
    ) -> None:
        if lack.input:
            self._input = await self.on.fetchval(_INPUT, self.run_id)
        if lack.outputs:
            here = [level.path(key) for key in lack.outputs if key in states]
            there = level.paths_around([key for key in lack.outputs if key not in states])
            for row in await self.on.fetch(_OUTPUTS, self.run_id, [*here, *there]):
                target = states if row["node_key"] in states else around
                state = StepState(StepStatus(row["status"]), row["output"], row["error"], labels=labels_in(row))
                target[row["node_key"]] = state

    async def _frame(self, level: Level, parent_id: UUID | None) -> FrameView:
        view = await self.on.fetchval("SELECT engine.frame_view($1, $2)", parent_id, level.frame_no)
        return FrameView(**view)

    async def apply(self, commands: Sequence[Mapping[str, Any]]) -> None:
        """Apply commands whose keys are paths within the run."""
        if not commands:
            return
        applied = await call(self.on, "apply", self.run_id, list(commands))
        self.done.ready += [UUID(step) for step in applied["ready"]]
        self.done.parents += applied["parents"]
        self.done.events += applied["events"]
        self.done.ended = self.done.ended or any(command["op"] == "finish" for command in commands)


def labels_in(row: asyncpg.Record) -> tuple[str, ...]:
    """Return the labels that a row has."""
    return tuple(row["labels"] or ())


def split(level: Level, commands: Sequence[Command]) -> tuple[list[dict[str, Any]], FinishRun | Compensate | None]:
    """Return the commands for steps as `engine.apply` takes them, and the end that follows on them, if one does."""
    steps: list[dict[str, Any]] = []
    end: FinishRun | Compensate | None = None
    for command in commands:
        if isinstance(command, FinishRun | Compensate):
            end = command
        else:
            steps.append({**to_json(command), "key": level.path(command.key)})
    return steps, end
