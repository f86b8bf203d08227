"""T_ACCEPT: after it a run exists with all its steps, and is never lost."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, Invalid, NotFound, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.json import Json, digest
from sparkops.core.labels import OF_EVENTS
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.budgets.definition import Action
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.definition import validate_input
from sparkops.engine.admission import admit_after
from sparkops.engine.advance import advance_soon
from sparkops.engine.context import Engine, call
from sparkops.engine.displace import DISPLACES, displace
from sparkops.engine.document import Inputs, limit_of, run_document, store_input
from sparkops.engine.errors import OverBudget
from sparkops.engine.graph import Graph
from sparkops.engine.judging import TRIES, NewRun, RulesChanged, judge_run
from sparkops.engine.pins import pin_names

_VERSION = """
SELECT v.id, v.version, v.workflow_id, p.id AS project_id, r.id AS first_run, r.idem_hash,
       (SELECT coalesce(sum(s.version), 0) FROM policy_stamps s
         WHERE s.scope_id IN (p.id, '00000000-0000-0000-0000-000000000000')) AS stamp,
       p.max_running_runs IS NOT NULL OR w.max_running_runs IS NOT NULL OR EXISTS (
         SELECT 1 FROM halts h WHERE h.scope_id = w.id AND h.kind = 'pause' AND h.released_at IS NULL) AS limited,
       d.counted, d.forecast
  FROM projects p JOIN workflows w ON w.project_id = p.id AND w.name = $3
  JOIN memberships m ON m.project_id = p.id AND m.user_id = $2 AND p.id = ANY ($6)
  JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce($4, w.latest_version)
  LEFT JOIN runs r ON r.project_id = w.project_id AND r.idem_key = $5
  CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(limit_runs IS NOT NULL), false) AS counted,
           coalesce(bool_or(admission IS NOT NULL), false) AS forecast
      FROM budget_definitions WHERE archived_at IS NULL AND (project_id = p.id OR project_id IS NULL)) d
 WHERE p.{key} = $1
"""
_STAMP = "SELECT engine.policy_stamp($1)"
_BY_ID, _BY_SLUG = _VERSION.format(key="id"), _VERSION.format(key="slug")

_FROM_OUTSIDE: Final = frozenset({"event", "webhook"})
"""Triggers that strangers can pull."""

log = structlog.get_logger()


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

    project: UUID | str
    """Its id or its slug."""
    workflow: str
    version: int | None = None
    input: Any = None
    budget_micros: int | None = None
    idem_key: str | None = None
    trigger: str = "api"
    priority: int | None = None
    """-1 high, 0 normal, 1 low; None: as the workflow says."""
    labels: frozenset[str] = frozenset()
    """Of the input, as the caller knows them."""


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

    `begun` is None then, and where the run has not simply begun: it ended at once, stands in a queue, has a deadline or
    counts against a limit of its workflow.
    """

    run_id: UUID
    created: bool
    begun: Begun | None = None


async def accept_run(engine: Engine, principal: Principal, request: RunRequest) -> Accepted:
    """Accept a run: when this returns it is committed, and finishes or waits in a named state whatever dies.

    Raises:
        NotFound: no such workflow or version in a project of this person.
        Invalid: the input does not fit the workflow's schema, or names an agent that is gone.
        InputTooLarge: put what is large where the steps can read it, and give its address as input.
        IdempotencyMismatch: the key was used for another request.
        ConcurrencyFull: the workflow rejects what would have to queue; nothing was written.
        DeniedByPolicy: the rules of the project do not allow it; that is on record.
        OverBudget: a budget refuses one more run, or what it is expected to cost; nothing was written.
        Unavailable: the outcome is unknown, or a large input could not be written; try again with the same key.
    """
    pool = engine.database.pool
    version = _BY_SLUG if isinstance(request.project, str) else _BY_ID
    found = await pool.fetchrow(
        version,
        request.project,
        principal.user_id,
        request.workflow,
        request.version,
        request.idem_key,
        principal.reach(Permission.RUN_CREATE),
    )
    if found is None:
        wanted = f"version {request.version} of " if request.version else ""
        raise NotFound(f"There is no {wanted}workflow {request.workflow} in this project.")
    if found["first_run"] is not None:
        # Before the input is looked at: the workflow may have changed since this very request was accepted.
        return repeated(found["first_run"], found["idem_hash"], _request_hash(request))
    graph = await engine.graphs.get(pool, found["id"])
    project_id: UUID = found["project_id"]
    inputs = await store_input(engine, project_id, validate_input(graph.definition, request.input))
    document = await run_document(
        engine,
        graph,
        inputs,
        {
            "project_id": str(project_id),
            "workflow_id": str(found["workflow_id"]),
            "workflow_version_id": str(found["id"]),
            "trigger": request.trigger,
            **({} if request.priority is None else {"priority": request.priority}),
            "pins": await pin_names(pool, project_id, graph),
            "idem_key": request.idem_key,
            "idem_hash": _request_hash(request),
            "created_by": str(principal.user_id),
            "created_by_key": str(principal.key_id) if principal.key_id else None,
            **_labelled(request),
        },
        limit_micros=limit_of(engine, graph, request.budget_micros),
        actor=f"user:{principal.user_id}",
        limited=found["limited"],
        budgeted=found["counted"],
    )
    asked = NewRun(request.workflow, inputs.values, int(found["stamp"]), forecast=found["forecast"])
    answer = await _write_judged(engine, graph, document, asked)
    begun = _begun(graph, found["version"], inputs, document, answer) if answer["created"] else None
    return Accepted(UUID(answer["run_id"]), answer["created"], begun)


async def accept_document(engine: Engine, graph: Graph, document: Mapping[str, Any], new: NewRun) -> Accepted:
    """Write a run if the rules let it begin; when this returns it is committed.

    Raises:
        DeniedByPolicy: they do not; that is on record.
        IdempotencyMismatch, ConcurrencyFull, Unavailable: as `accept_run` says.
        AlreadyRetried: another retry of the source is going on or has succeeded.
        OverBudget: as `accept_run` says.
    """
    answer = await _write_judged(engine, graph, document, new)
    return Accepted(UUID(answer["run_id"]), answer["created"])


async def _write_judged(engine: Engine, graph: Graph, document: Mapping[str, Any], new: NewRun) -> Mapping[str, Any]:
    for _ in range(TRIES):
        with suppress(RulesChanged):
            return await _write(engine, graph, await judge_run(engine, document, new))
        new = replace(new, stamp=await engine.database.pool.fetchval(_STAMP, UUID(document["run"]["project_id"])))
    raise Unavailable("The rules and budgets of the project keep changing.", retry_after_seconds=1)


async def _send(engine: Engine, document: Mapping[str, Any]) -> Mapping[str, Any]:
    # What has to be counted takes the locks of its limits, first and in their order, and what belongs to a step takes
    # that of the step: it goes alone.
    limited = bool({"when_full", "parent", "budgeted"} & document.keys())
    writing = call(engine.database.pool, "accept", document) if limited else engine.accepts.add(document)
    try:
        answer: Mapping[str, Any] = await writing
    except OverBudget as over:
        if over.members["action"] != Action.DENY:  # since it was judged: then people are asked, or it waits
            raise RulesChanged from None
        raise
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        raise Unavailable(
            "The database did not confirm. Send the same request with the same Idempotency-Key again.",
            retry_after_seconds=1,
        ) from None
    return answer


async def _write(engine: Engine, graph: Graph, document: Mapping[str, Any]) -> Mapping[str, Any]:
    failpoint("before_accept")
    answer = await _send(engine, document)
    failpoint("after_accept")
    if "policy_version" in answer:
        raise RulesChanged
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
    elif answer["created"] and "unended" in document:
        # People are asked about the output of what ends as it begins.
        await advance_soon(engine, UUID(answer["run_id"]))
        return {**answer, "status": RunStatus.AWAITING_APPROVAL}
    elif answer["created"]:
        engine.bell.work("run")
    return answer


def _begun(
    graph: Graph, version: int, inputs: Inputs, document: Mapping[str, Any], answer: Mapping[str, Any]
) -> Begun | None:
    run = document["run"]
    more = document["deadline_seconds"] is not None or run.get("concurrency_key") is not None
    if more or answer["status"] != RunStatus.RUNNING:
        return None
    return Begun(
        workflow_id=UUID(run["workflow_id"]),
        version=version,
        trigger=run["trigger"],
        priority=run["priority"],
        graph=graph,
        input=inputs.stored.value,
        pins=run["pins"],
        limit_micros=document["limit_micros"],
        created_at=datetime.fromisoformat(answer["created_at"]),
        started_at=datetime.fromisoformat(answer["started_at"]),
        steps_by_status=Counter(StepStatus(row["status"]) for row in document["steps"]),
        last_seq=answer["rings"][0]["seq"],
    )


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
    stated: list[Json] = [] if request.priority is None else [request.priority]
    stated += [{"labels": sorted(request.labels)}] if request.labels else []
    return digest([request.workflow, request.version, request.input, request.budget_micros, *stated])


def _labelled(request: RunRequest) -> dict[str, Any]:
    """Return the labels of an input; what nobody of the project has sent is untrusted."""
    labels = request.labels | ({OF_EVENTS} if request.trigger in _FROM_OUTSIDE else frozenset())
    return {"labels": sorted(labels)} if labels else {}


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
