"""A graph and an input as the rows of a run: all its steps, each as far as can be decided before anything has run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sparkops.core.errors import Invalid, TooLarge
from sparkops.core.expressions import ExpressionError
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.origin import origin as request_origin
from sparkops.core.payloads import MAX_INPUT_BYTES, Desk, Stored, ValueTooLarge
from sparkops.domains.runs.state import SourceKind, StepStatus
from sparkops.engine.context import Engine
from sparkops.engine.decide import (
    Command,
    Compensate,
    FailInline,
    FinishInline,
    FinishRun,
    Labels,
    MakeReady,
    Skip,
    StepState,
    decide,
    to_json,
)
from sparkops.engine.graph import Graph
from sparkops.engine.params import render_concurrency_key
from sparkops.engine.rows import Named, step_row

NO_KEY = "-"
"""The concurrency key of runs whose workflow names none, and of an empty one."""


class InputTooLarge(TooLarge):
    code, title = "input-too-large", "The input of the run is larger than allowed"


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that is not attempted because it ended in the source run, as SUCCEEDED or SKIPPED.

    `reason`: why it was skipped there.
    """

    step_id: UUID
    status: StepStatus
    output: Json = None
    reason: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run that is made from another comes from, and what it takes over, by step.

    `calls` are those of the source that are copied, in the order of each step: of kept steps for the record, of
    others as the journal from which their first attempt is answered. `about` goes into the audit line.
    """

    run_id: UUID
    kind: SourceKind
    kept: Mapping[str, Kept] = field(default_factory=dict)
    calls: Mapping[str, Sequence[UUID]] = field(default_factory=dict)
    about: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input of a run: what expressions read, and what its row holds."""

    values: Mapping[str, Json]
    stored: Stored


async def store_input(engine: Engine, project_id: UUID, values: Mapping[str, Json]) -> Inputs:
    """Bring an input into its stored form; a large one is safe in object storage before any row names it.

    Raises:
        InputTooLarge, Unavailable: as `accept_run` says.
    """
    try:
        return Inputs(values, await engine.payloads.store(project_id, dict(values), limit=MAX_INPUT_BYTES))
    except ValueTooLarge as error:
        raise InputTooLarge(error.detail, limit_bytes=MAX_INPUT_BYTES) from None


async def run_document(
    engine: Engine,
    graph: Graph,
    inputs: Inputs,
    run: Mapping[str, Any],
    *,
    limit_micros: int,
    actor: str,
    limited: bool = True,
    budgeted: bool = True,
    origin: Origin | None = None,
) -> dict[str, Any]:
    """Return what `engine.accept` takes: the run with all its steps. `run` holds the columns that the caller knows.

    `limited`: some limit may keep it back, or the caller does not know; it is then counted. `budgeted` says the same of
    budgets that limit runs.

    Raises:
        Unavailable: a large value could not be read or written.
    """
    run_id = new_id()
    asked = request_origin()
    desk = engine.payloads.desk(UUID(run["project_id"]))

    async def first_steps() -> dict[str, Any]:
        labels = Labels(tuple(run.get("labels", ())))
        return _first_steps(graph, inputs.stored.value, run_id, origin, desk, labels)

    return {
        "run": {
            "priority": graph.definition.priority,
            **run,
            "id": str(run_id),
            "input": inputs.stored.text,
            "has_undo": graph.has_undo,
            **_concurrency(graph, inputs.values),
        },
        "budget_id": str(new_id()),
        "limit_micros": limit_micros,
        "deadline_seconds": _seconds(graph.definition.timeout),
        "actor": actor,
        **({} if asked is None else {"origin": asdict(asked)}),
        **_admission(graph, limited=limited),
        **({"budgeted": True} if budgeted else {}),
        **await desk.decide(first_steps),
    }


def limit_of(engine: Engine, graph: Graph, asked: int | None) -> int:
    """Return what a run may spend: a request may lower what the workflow allows, not raise it."""
    stated = [limit for limit in (asked, graph.definition.budget_micros) if limit is not None]
    return min(stated, default=engine.run_budget_micros)


def _concurrency(graph: Graph, values: Mapping[str, Json]) -> dict[str, Json]:
    """Return the columns that count a run against its workflow's concurrency: its key is never empty."""
    limit = graph.definition.concurrency
    if limit is None:
        return {}
    try:
        key = render_concurrency_key(graph, values)
    except ExpressionError as error:
        raise Invalid(f"The concurrency key cannot be made from this input: {error.detail}") from None
    return {"concurrency_key": key or NO_KEY, "concurrency_limit": limit.limit}


def _admission(graph: Graph, *, limited: bool) -> dict[str, str]:
    """Say that the run has to be counted, and what is done where there is no room; nothing for a run without limits."""
    limit = graph.definition.concurrency
    if limit is not None:
        return {"when_full": limit.when_full}
    return {"when_full": "queue"} if limited else {}


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _first_steps(
    graph: Graph, inputs: Any, run_id: UUID, origin: Origin | None, desk: Desk, labels: Labels
) -> dict[str, Any]:
    """Compile the graph into step rows, each in the status that can be decided before anything has run."""
    kept = origin.kept if origin else {}
    states = {node.key: StepState(StepStatus.PENDING, None, None) for node in graph.nodes}
    states |= {key: StepState(one.status, one.output, labels=one.labels) for key, one in kept.items()}
    commands = decide(graph, states, inputs, str(run_id), values=desk, labels=labels)
    ids = {node.key: new_id() for node in graph.nodes}

    def named(keys: Sequence[str]) -> list[str]:
        return [str(ids[key]) for key in keys]

    first = {
        key: {"status": one.status, "copied_from": str(one.step_id), **_labelled(one.labels)}
        for key, one in kept.items()
    }
    first |= {
        command.key: _first_status(command, named)
        for command in commands
        if not isinstance(command, FinishRun | Compensate)
    }

    rows: list[Mapping[str, Any]] = [
        {
            "id": str(ids[node.key]),
            **step_row(node, named, hands_over=graph.hands_over(node)),
            **first.get(node.key, {"status": StepStatus.PENDING}),
        }
        for node in graph.nodes
    ]
    finish = [to_json(command) for command in commands if isinstance(command, FinishRun)]
    skipped = {command.key: command.reason for command in commands if isinstance(command, Skip)}
    skipped |= {key: one.reason for key, one in kept.items() if one.reason}
    taken_over = _taken_over(origin, ids) if origin else {}
    return {"steps": rows, "skipped": skipped, **taken_over, **({"finish": finish[0]} if finish else {})}


def _taken_over(origin: Origin, ids: Mapping[str, UUID]) -> dict[str, Any]:
    """Name the calls to be copied, each with its new id and step, and what the audit line says."""
    calls = [
        {"id": str(new_id()), "copy_of": str(call_id), "step_id": str(ids[key])}
        for key, copied in origin.calls.items()
        for call_id in copied
    ]
    return {"calls": calls, "about": {**origin.about, "source_run_id": str(origin.run_id)}}


def _labelled(labels: Sequence[str]) -> dict[str, Any]:
    return {"labels": list(labels)} if labels else {}


def _first_status(command: Command, named: Named) -> dict[str, Any]:
    match command:
        case MakeReady():
            reads = {} if command.reads is None else {"reads": named(command.reads)}
            return {"status": StepStatus.READY, **reads}
        case Skip():
            return {"status": StepStatus.SKIPPED}
        case FinishInline():
            return {"status": StepStatus.SUCCEEDED, "output": command.written, **_labelled(command.labels)}
        case FailInline():
            return {"status": StepStatus.FAILED, "error": command.error}
        case _:
            return {}
