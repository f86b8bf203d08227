"""T_ACCEPT: after it a run exists with all its steps, and is never lost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.errors import Invalid, NotFound, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.definition import validate_input
from sparkops.engine.context import Engine
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
from sparkops.engine.graph import Graph, Node

_VERSION = """
SELECT v.id, v.version, v.workflow_id, r.id AS first_run, r.idem_hash FROM workflows w
  JOIN memberships m ON m.project_id = w.project_id AND m.user_id = $2
  JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce($4, w.latest_version)
  LEFT JOIN runs r ON r.project_id = w.project_id AND r.idem_key = $5
 WHERE w.project_id = $1 AND w.name = $3
"""
_AGENTS = """
SELECT a.name, v.id FROM agents a JOIN agent_versions v ON v.agent_id = a.id AND v.version = a.latest_version
 WHERE a.project_id = $1 AND a.name = ANY ($2)
"""


class IdempotencyMismatch(Invalid):
    code, title = "idempotency-mismatch", "The idempotency key was used for another request"


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


@dataclass(frozen=True, slots=True)
class Begun:
    """A run as it stood when it was accepted."""

    workflow_id: UUID
    version: int
    trigger: str
    graph: Graph
    input: Any
    pins: Mapping[str, Mapping[str, str]]
    limit_micros: int
    created_at: datetime
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


async def accept_run(engine: Engine, principal: Principal, request: RunRequest) -> Accepted:
    """Accept a run: when this returns it is committed, and finishes or waits in a named state whatever dies.

    Raises:
        NotFound: no such workflow or version in a project of this person.
        Invalid: the input does not fit the workflow's schema, or names an agent that is gone.
        IdempotencyMismatch: the key was used for another request.
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
        return _repeated(request, found)
    graph = await engine.graphs.get(pool, found["id"])
    values = validate_input(graph.definition, request.input)
    run_id = new_id()
    document = {
        "run": {
            "id": str(run_id),
            "project_id": str(request.project_id),
            "workflow_id": str(found["workflow_id"]),
            "workflow_version_id": str(found["id"]),
            "trigger": request.trigger,
            "input": values,
            "pins": {"agents": await _pin_agents(pool, request.project_id, graph)},
            "idem_key": request.idem_key,
            "idem_hash": _request_hash(request),
            "created_by": str(principal.user_id),
        },
        "budget_id": str(new_id()),
        "limit_micros": _limit(engine, graph, request),
        "deadline_seconds": _seconds(graph.definition.timeout),
        "actor": f"user:{principal.user_id}",
        **_first_steps(graph, values, run_id),
    }
    failpoint("before_accept")
    try:
        answer = await engine.accepts.add(document)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
        raise Unavailable(
            "The database did not confirm. Send the same request with the same Idempotency-Key again.",
            retry_after_seconds=1,
        ) from None
    failpoint("after_accept")
    if not answer["same"]:
        raise _mismatch()
    engine.bell.log_grew(answer["rings"])
    if not answer["created"]:
        return Accepted(UUID(answer["run_id"]), created=False)
    engine.bell.work("run")
    return Accepted(run_id, created=True, begun=_begun(found, graph, document, answer))


def _begun(
    found: "asyncpg.Record", graph: Graph, document: Mapping[str, Any], answer: Mapping[str, Any]
) -> Begun | None:
    if answer["status"] != RunStatus.RUNNING:
        return None
    return Begun(
        workflow_id=found["workflow_id"],
        version=found["version"],
        trigger=document["run"]["trigger"],
        graph=graph,
        input=document["run"]["input"],
        pins=document["run"]["pins"],
        limit_micros=document["limit_micros"],
        created_at=datetime.fromisoformat(answer["created_at"]),
        steps_by_status=Counter(StepStatus(row["status"]) for row in document["steps"]),
        last_seq=answer["rings"][0]["seq"],
    )


def _request_hash(request: RunRequest) -> str:
    return digest([request.workflow, request.version, request.input, request.budget_micros])


def _repeated(request: RunRequest, found: asyncpg.Record) -> Accepted:
    if found["idem_hash"] != _request_hash(request):
        raise _mismatch()
    return Accepted(found["first_run"], created=False)


def _mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch("This Idempotency-Key belongs to a request with another body; use a fresh key.")


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _limit(engine: Engine, graph: Graph, request: RunRequest) -> int:
    """The request may lower what the workflow allows, not raise it."""
    stated = [limit for limit in (request.budget_micros, graph.definition.budget_micros) if limit is not None]
    return min(stated, default=engine.run_budget_micros)


async def _pin_agents(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, str]:
    """Name the versions that the agents of this run mean from now on."""
    names = sorted(graph.agents)
    if not names:
        return {}
    pins = {row["name"]: str(row["id"]) for row in await pool.fetch(_AGENTS, project_id, names)}
    missing = [name for name in names if name not in pins]
    if missing:
        raise Invalid(f"The workflow uses agents that this project no longer has: {', '.join(missing)}.")
    return pins


def _first_steps(graph: Graph, values: Any, run_id: UUID) -> dict[str, Any]:
    """Compile the graph into step rows, each in the status that can be decided before anything has run."""
    pending = {node.key: StepState(StepStatus.PENDING, None, None) for node in graph.nodes}
    commands = decide(graph, pending, values, str(run_id))
    first = {
        command.key: _first_status(command) for command in commands if not isinstance(command, FinishRun | Compensate)
    }
    ids = {node.key: new_id() for node in graph.nodes}

    def named(keys: Sequence[str]) -> list[str]:
        return [str(ids[key]) for key in keys]

    rows: list[Mapping[str, Any]] = [
        {
            "id": str(ids[node.key]),
            "node_key": node.key,
            "type": node.type,
            "position": position,
            "queue": "run",
            "inline": node.inline,
            "mechanical": node.mechanical,
            "hands_over": _hands_over(graph, node),
            "needs": named(node.needs),
            "dependents": named(node.dependents),
            "reads": named(node.reads),
            "reads_input": node.reads_input,
            "effect_class": node.effect_class,
            "timeout": f"{node.timeout.total_seconds()} seconds" if node.timeout else None,
            "max_attempts": node.retry.attempts,
            **first.get(node.key, {"status": StepStatus.PENDING}),
        }
        for position, node in enumerate(graph.nodes)
    ]
    finish = [to_json(command) for command in commands if isinstance(command, FinishRun)]
    skipped = {command.key: command.reason for command in commands if isinstance(command, Skip)}
    return {"steps": rows, "skipped": skipped, **({"finish": finish[0]} if finish else {})}


def _hands_over(graph: Graph, node: Node) -> bool:
    """Say whether the database alone can apply the success of this step, the end of the run included.

    Where the run's output has to be evaluated, a step may not be the last to end: another must surely follow it.
    """
    if not node.hands_over or graph.simple_end:
        return node.hands_over
    return any(graph.by_key[key].needs == (node.key,) for key in node.dependents)


def _first_status(command: Command) -> dict[str, Any]:
    match command:
        case MakeReady():
            return {"status": StepStatus.READY}
        case Skip():
            return {"status": StepStatus.SKIPPED}
        case FinishInline():
            return {"status": StepStatus.SUCCEEDED, "output": command.output}
        case FailInline():
            return {"status": StepStatus.FAILED, "error": command.error}
        case _:
            return {}
