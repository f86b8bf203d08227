"""T_ACCEPT: after it a run exists with all its steps, and is never lost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, Invalid, NotFound, Unavailable
from sparkops.core.expressions import ExpressionError
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import RunStatus, SourceKind, StepStatus
from sparkops.domains.workflows.definition import validate_input
from sparkops.engine.admission import admit_after
from sparkops.engine.context import Engine, call
from sparkops.engine.decide import (
    Command,
    Compensate,
    FailInline,
    FinishInline,
    FinishRun,
    MakeReady,
    Skip,
    StepState,
    decide,
    to_json,
)
from sparkops.engine.displace import DISPLACES, displace
from sparkops.engine.graph import Graph, Node
from sparkops.engine.params import render_concurrency_key
from sparkops.engine.rows import Named, step_row

_VERSION = """
SELECT v.id, v.version, v.workflow_id, r.id AS first_run, r.idem_hash,
       p.max_running_runs IS NOT NULL OR w.max_running_runs IS NOT NULL OR EXISTS (
         SELECT 1 FROM halts h WHERE h.scope_id = w.id AND h.kind = 'pause' AND h.released_at IS NULL) AS limited
  FROM workflows w JOIN projects p ON p.id = w.project_id
  JOIN memberships m ON m.project_id = w.project_id AND m.user_id = $2
  JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce($4, w.latest_version)
  LEFT JOIN runs r ON r.project_id = w.project_id AND r.idem_key = $5
 WHERE w.project_id = $1 AND w.name = $3
"""
_AGENTS = """
SELECT a.name, v.id FROM agents a JOIN agent_versions v ON v.agent_id = a.id AND v.version = a.latest_version
 WHERE a.project_id = $1 AND a.name = ANY ($2)
"""
_WORKFLOWS = """
SELECT n.name, n.version, v.id FROM unnest($2::text[], $3::bigint[]) AS n (name, version)
  JOIN workflows w ON w.project_id = $1 AND w.name = n.name
  JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce(n.version, w.latest_version)
"""


log = structlog.get_logger()

NO_KEY = "-"
"""The concurrency key of runs whose workflow names none, and of an empty one."""


class ConcurrencyFull(Conflict):
    """The workflow rather rejects a run than let it queue."""

    code, title = "concurrency-full", "As many such runs go on as the workflow allows at once"


class IdempotencyMismatch(Invalid):
    code, title = "idempotency-mismatch", "The idempotency key was used for another request"


class AlreadyRetried(Conflict):
    code, title = "already-retried", "A retry of this run is going on or has succeeded"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for. `version` None: the latest. `budget_micros` None: as the workflow says."""

    project_id: UUID
    workflow: str
    version: int | None = None
    input: Any = None
    budget_micros: int | None = None
    idem_key: str | None = None
    trigger: str = "api"
    priority: int | None = None
    """-1 high, 0 normal, 1 low; None: as the workflow says."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run as it stood when it was accepted."""

    workflow_id: UUID
    version: int
    trigger: str
    priority: int
    graph: Graph
    input: Any
    pins: Mapping[str, Mapping[str, str]]
    limit_micros: int
    created_at: datetime
    started_at: datetime
    steps_by_status: Mapping[StepStatus, int]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """`created` is False when the idempotency key had been used for the same request: the run is the first one.

    `begun` is None then, and where the run has not simply begun: it ended at once, or stands in a queue.
    """

    run_id: UUID
    created: bool
    begun: Begun | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that is not attempted because it ended in the source run, as SUCCEEDED or SKIPPED.

    `reason`: why it was skipped there.
    """

    step_id: UUID
    status: StepStatus
    output: Json = None
    reason: str | None = None


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


async def accept_run(engine: Engine, principal: Principal, request: RunRequest) -> Accepted:
    """Accept a run: when this returns it is committed, and finishes or waits in a named state whatever dies.

    Raises:
        NotFound: no such workflow or version in a project of this person.
        Invalid: the input does not fit the workflow's schema, or names an agent that is gone.
        IdempotencyMismatch: the key was used for another request.
        ConcurrencyFull: the workflow rejects what would have to queue; nothing was written.
        Unavailable: the outcome is unknown; the same key finds out.
    """
    pool = engine.database.pool
    found = await pool.fetchrow(
        _VERSION, request.project_id, principal.user_id, request.workflow, request.version, request.idem_key
    )
    if found is None:
        wanted = f"version {request.version} of " if request.version else ""
        raise NotFound(f"There is no {wanted}workflow {request.workflow} in this project.")
    if found["first_run"] is not None:
        # Before the input is looked at: the workflow may have changed since this very request was accepted.
        return repeated(found["first_run"], found["idem_hash"], _request_hash(request))
    graph = await engine.graphs.get(pool, found["id"])
    document = run_document(
        graph,
        validate_input(graph.definition, request.input),
        {
            "project_id": str(request.project_id),
            "workflow_id": str(found["workflow_id"]),
            "workflow_version_id": str(found["id"]),
            "trigger": request.trigger,
            **({} if request.priority is None else {"priority": request.priority}),
            "pins": await pin_names(pool, request.project_id, graph),
            "idem_key": request.idem_key,
            "idem_hash": _request_hash(request),
            "created_by": str(principal.user_id),
        },
        limit_micros=limit_of(engine, graph, request.budget_micros),
        actor=f"user:{principal.user_id}",
        limited=found["limited"],
    )
    answer = await _write(engine, graph, document)
    begun = _begun(graph, found["version"], document, answer) if answer["created"] else None
    return Accepted(UUID(answer["run_id"]), answer["created"], begun)


def run_document(
    graph: Graph,
    values: Any,
    run: Mapping[str, Any],
    *,
    limit_micros: int,
    actor: str,
    limited: bool = True,
    origin: Origin | None = None,
) -> dict[str, Any]:
    """Return what `engine.accept` takes: the run with all its steps. `run` holds the columns that the caller knows.

    `limited`: some limit may keep it back, or the caller does not know; it is then counted.
    """
    run_id = new_id()
    return {
        "run": {
            "priority": graph.definition.priority,
            **run,
            "id": str(run_id),
            "input": values,
            "has_undo": graph.has_undo,
            **_concurrency(graph, values),
        },
        "budget_id": str(new_id()),
        "limit_micros": limit_micros,
        "deadline_seconds": _seconds(graph.definition.timeout),
        "actor": actor,
        **_admission(graph, limited=limited),
        **_first_steps(graph, values, run_id, origin),
    }


async def accept_document(engine: Engine, graph: Graph, document: Mapping[str, Any]) -> Accepted:
    """Write a run; when this returns it is committed.

    Raises:
        IdempotencyMismatch, ConcurrencyFull, Unavailable: as `accept_run` says.
        AlreadyRetried: another retry of the source is going on or has succeeded.
    """
    answer = await _write(engine, graph, document)
    return Accepted(UUID(answer["run_id"]), answer["created"])


async def _write(engine: Engine, graph: Graph, document: Mapping[str, Any]) -> Mapping[str, Any]:
    failpoint("before_accept")
    try:
        # What has to be counted takes the locks of its limits, first and in their order, and what belongs to a step
        # takes that of the step: it goes alone.
        limited = "when_full" in document or "parent" in document
        writing = call(engine.database.pool, "accept", document) if limited else engine.accepts.add(document)
        answer: Mapping[str, Any] = await writing
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        raise Unavailable(
            "The database did not confirm. Send the same request with the same Idempotency-Key again.",
            retry_after_seconds=1,
        ) from None
    failpoint("after_accept")
    if "retried" in answer:
        raise AlreadyRetried(
            f"Its retry {answer['retried']} is {answer['status']}. Fork the run to do a part of it once more.",
            run_id=answer["retried"],
            status_now=answer["status"],
        )
    if answer["run_id"] is None:
        raise ConcurrencyFull("As many runs with this concurrency key go on as the workflow allows; try again later.")
    if not answer["same"]:
        raise _mismatch()
    engine.bell.log_grew(answer["rings"])
    if answer["created"] and answer["status"] == RunStatus.QUEUED:
        await _make_room(engine, graph, UUID(document["run"]["project_id"]), UUID(answer["run_id"]))
    elif answer["created"]:
        engine.bell.work("run")
    return answer


def _begun(graph: Graph, version: int, document: Mapping[str, Any], answer: Mapping[str, Any]) -> Begun | None:
    if answer["status"] != RunStatus.RUNNING:
        return None
    run = document["run"]
    return Begun(
        workflow_id=UUID(run["workflow_id"]),
        version=version,
        trigger=run["trigger"],
        priority=run["priority"],
        graph=graph,
        input=run["input"],
        pins=run["pins"],
        limit_micros=document["limit_micros"],
        created_at=datetime.fromisoformat(answer["created_at"]),
        started_at=datetime.fromisoformat(answer["started_at"]),
        steps_by_status=Counter(StepStatus(row["status"]) for row in document["steps"]),
        last_seq=answer["rings"][0]["seq"],
    )


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


async def _make_room(engine: Engine, graph: Graph, project_id: UUID, run_id: UUID) -> None:
    """After a run was accepted to queue: cancel what it displaces, and see whether somebody may go on by now.

    What fails here the sweep does; the run is accepted.
    """
    limit = graph.definition.concurrency
    try:
        if limit is not None and limit.when_full == DISPLACES:
            await displace(engine, run_id)
    except LOST_CONNECTION as error:
        log.warning("displace.failed", run_id=str(run_id), error=str(error) or type(error).__name__)
    await admit_after(engine, [project_id])


def _request_hash(request: RunRequest) -> str:
    stated = [] if request.priority is None else [request.priority]
    return digest([request.workflow, request.version, request.input, request.budget_micros, *stated])


def repeated(first_run: UUID, idem_hash: str, request_hash: str) -> Accepted:
    """Return the run that was accepted under this key.

    Raises:
        IdempotencyMismatch: the key was used for another request.
    """
    if idem_hash != request_hash:
        raise _mismatch()
    return Accepted(first_run, created=False)


def _mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch("This Idempotency-Key belongs to a request with another body; use a fresh key.")


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def limit_of(engine: Engine, graph: Graph, asked: int | None) -> int:
    """Return what a run may spend: a request may lower what the workflow allows, not raise it."""
    stated = [limit for limit in (asked, graph.definition.budget_micros) if limit is not None]
    return min(stated, default=engine.run_budget_micros)


async def pin_names(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, Any]:
    """Return the versions that the names in this graph mean from now on: `{"agents": {name: version id}, "workflows":
    {reference: version id}}`, where the reference of a workflow is as `workflow_ref` says.

    Raises:
        Invalid: the project no longer has an agent or a workflow that the graph names.
    """
    pins: dict[str, Any] = {"agents": await _pin_agents(pool, project_id, graph)}
    if graph.workflows:
        pins["workflows"] = await _pin_workflows(pool, project_id, graph)
    return pins


def workflow_ref(name: str, version: int | None) -> str:
    """Return under what a workflow is pinned: `name`, or `name@version` where the step states one."""
    return name if version is None else f"{name}@{version}"


async def _pin_workflows(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, str]:
    wanted = sorted(graph.workflows, key=lambda each: workflow_ref(*each))
    rows = await pool.fetch(_WORKFLOWS, project_id, [name for name, _ in wanted], [version for _, version in wanted])
    pins = {workflow_ref(row["name"], row["version"]): str(row["id"]) for row in rows}
    missing = [ref for ref in (workflow_ref(*each) for each in wanted) if ref not in pins]
    if missing:
        raise Invalid(f"The workflow starts workflows that this project does not have: {', '.join(missing)}.")
    return pins


async def _pin_agents(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, str]:
    names = sorted(graph.agents)
    if not names:
        return {}
    pins = {row["name"]: str(row["id"]) for row in await pool.fetch(_AGENTS, project_id, names)}
    missing = [name for name in names if name not in pins]
    if missing:
        raise Invalid(f"The workflow uses agents that this project no longer has: {', '.join(missing)}.")
    return pins


def _first_steps(graph: Graph, values: Any, run_id: UUID, origin: Origin | None) -> dict[str, Any]:
    """Compile the graph into step rows, each in the status that can be decided before anything has run."""
    kept = origin.kept if origin else {}
    states = {node.key: StepState(StepStatus.PENDING, None, None) for node in graph.nodes}
    states |= {key: StepState(one.status, one.output) for key, one in kept.items()}
    commands = decide(graph, states, values, str(run_id))
    ids = {node.key: new_id() for node in graph.nodes}

    def named(keys: Sequence[str]) -> list[str]:
        return [str(ids[key]) for key in keys]

    first = {key: {"status": one.status, "copied_from": str(one.step_id)} for key, one in kept.items()}
    first |= {
        command.key: _first_status(command, named)
        for command in commands
        if not isinstance(command, FinishRun | Compensate)
    }

    rows: list[Mapping[str, Any]] = [
        {
            "id": str(ids[node.key]),
            **step_row(node, named, hands_over=_hands_over(graph, node)),
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


def _hands_over(graph: Graph, node: Node) -> bool:
    """Say whether the database alone can apply the success of this step, the end of the run included.

    Where the run's output has to be evaluated, or its failure undone, a step may not be the last to end: another must
    surely follow it.
    """
    if not node.hands_over or (graph.simple_end and not graph.has_undo):
        return node.hands_over
    return any(graph.by_key[key].needs == (node.key,) for key in node.dependents)


def _first_status(command: Command, named: Named) -> dict[str, Any]:
    match command:
        case MakeReady():
            reads = {} if command.reads is None else {"reads": named(command.reads)}
            return {"status": StepStatus.READY, **reads}
        case Skip():
            return {"status": StepStatus.SKIPPED}
        case FinishInline():
            return {"status": StepStatus.SUCCEEDED, "output": command.output}
        case FailInline():
            return {"status": StepStatus.FAILED, "error": command.error}
        case _:
            return {}
