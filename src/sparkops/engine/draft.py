"""A new run made from another one, thought through before anything is written: what is kept, what happens again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.errors import Conflict, Invalid, NotFound
from sparkops.core.json import Json
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.transitions import terminal
from sparkops.domains.effects.state import CALL_MACHINE, CallKind, CallStatus
from sparkops.domains.runs.state import TERMINAL_RUN, RunStatus, SourceKind, StepStatus
from sparkops.domains.workflows.definition import validate_input
from sparkops.engine.context import Engine
from sparkops.engine.graph import Graph
from sparkops.engine.kept import (
    Change,
    Fate,
    Past,
    PastCall,
    changed_inputs,
    fates,
    may_reuse_calls,
    parts_of,
    reusable,
)

_FINAL_CALLS = terminal(CALL_MACHINE)

_SOURCE = """
SELECT r.id, r.project_id, r.workflow_id, r.workflow_version_id, r.status, r.input, r.labels, r.pins, r.loop_version,
       v.version, w.name, b.limit_micros, k.id AS first_run, k.idem_hash,
       engine.policy_stamp(r.project_id) AS stamp
  FROM runs r
  JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2 AND r.project_id = ANY ($4)
  JOIN workflow_versions v ON v.id = r.workflow_version_id
  JOIN workflows w ON w.id = r.workflow_id
  LEFT JOIN budgets b ON b.definition_id IS NULL AND b.scope_id = r.id
  LEFT JOIN runs k ON k.project_id = r.project_id AND k.idem_key = $3
 WHERE r.id = $1
"""
_WHOLE = """
SELECT 1 FROM runs r
 WHERE r.id = $1 AND NOT EXISTS (
   SELECT 1 FROM thinned_runs t WHERE t.run_id = r.id AND t.values_removed_at IS NOT NULL)
"""
_VERSION = "SELECT id FROM workflow_versions WHERE workflow_id = $1 AND version = $2"
_STEPS = """
WITH undone AS (
  SELECT DISTINCT undo_of FROM steps
   WHERE run_id = $1 AND undo_of IS NOT NULL AND status NOT IN ('skipped', 'cancelled'))
SELECT s.id, s.node_key, s.status, s.started_at, s.finished_at, s.error ->> 'code' AS error_code,
       s.id IN (SELECT undo_of FROM undone) AS undone
  FROM steps s
 WHERE s.run_id = $1 AND s.parent_id IS NULL AND s.undo_of IS NULL
"""
_CALLS = (
    "SELECT id, step_id, seq, kind, status FROM calls WHERE run_id = $1 AND step_id = ANY ($2) ORDER BY step_id, seq"
)


class RunNotEnded(Conflict):
    code, title = "run-not-ended", "The run is still going on"


class NothingToRetry(Conflict):
    code, title = "nothing-to-retry", "The run has nothing that a retry would do again"


class ValuesRemoved(Conflict):
    code, title = "values-removed", "What the run worked with is no longer kept"


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a caller asks for.

    `start`: the step of a fork, by its id in the definition. `version` None: that of the source. `same_input`: the
    source's input; otherwise `input`. `labels`: those of the input, as `labels_of` reads them. `keep_calls`: what a
    retry does again is answered from the calls that are on record as done. `repeat_doubtful`: also calls are made again
    of which nobody knows whether they happened, and which must not happen twice. `budget_micros` None: what the source
    was allowed.
    """

    kind: SourceKind
    start: str | None = None
    version: int | None = None
    same_input: bool = True
    input: Json = None
    labels: frozenset[str] | None = None
    keep_calls: bool = True
    repeat_doubtful: bool = False
    budget_micros: int | None = None
    idem_key: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A new run that has been thought through: which graph over which input, what is kept, which calls with it.

    `labels` are those of the input, in their order.
    """

    source: asyncpg.Record
    version: int
    version_id: UUID
    graph: Graph
    values: Mapping[str, Json]
    labels: Sequence[str]
    past: Mapping[str, Past]
    fates: Mapping[str, Fate]
    gone: Sequence[str]
    calls: Mapping[str, Sequence[PastCall]] = field(default_factory=dict)

    def kept(self) -> dict[str, Past]:
        """Return what became of the steps that are kept."""
        return {key: self.past[key] for key, fate in self.fates.items() if fate.kept}

    def again(self) -> list[str]:
        """Return the steps that run again."""
        return [key for key, fate in self.fates.items() if not fate.kept]


async def find_source(
    engine: Engine, principal: Principal, permission: Permission, run_id: UUID, idem_key: str | None
) -> asyncpg.Record:
    """Return a run of this person as the source of another, and the run that was accepted under this key before.

    Raises:
        NotFound: there is no such run in a project where they have this permission.
    """
    reach = principal.reach(permission)
    source = await engine.database.pool.fetchrow(_SOURCE, run_id, principal.user_id, idem_key, reach)
    if source is None:
        raise NotFound("There is no such run in your projects.")
    return source


async def check_whole(engine: Engine, run_id: UUID) -> None:
    """Do nothing if what a run worked with is still there. Nothing that was read before can have been missing then.

    Raises:
        ValuesRemoved: its project keeps values, or runs, for a shorter time.
    """
    if await engine.database.pool.fetchval(_WHOLE, run_id) is None:
        raise ValuesRemoved("The project no longer keeps what this run worked with, so it cannot be done again.")


def labels_of(principal: Principal, source: Collection[str], stated: frozenset[str] | None) -> frozenset[str]:
    """Return the labels of the input of a run that is made from one whose input has the labels `source`.

    They stay, also where the input is another: most of it will be what it was. A person who states labels (none, too)
    has looked at it, and theirs count; nobody has where a key asks, and what it states is added.
    """
    if stated is None:
        return frozenset(source)
    return stated if principal.key_id is None else stated.union(source)


async def draft_run(engine: Engine, principal: Principal, source: asyncpg.Record, request: Rerun) -> Draft:
    """Decide what is kept. What a step has ended as never changes, so nothing need be locked until the commit.

    Raises:
        NotFound, RunNotEnded, NothingToRetry, Invalid, ValuesRemoved: as `start_rerun` says.
    """
    await check_whole(engine, source["id"])
    _check(RunStatus(source["status"]), request)
    pool = engine.database.pool
    before = await engine.graphs.get(pool, source["workflow_version_id"])
    version_id = await _version_id(engine, source, request)
    graph = await engine.graphs.get(pool, version_id)
    if request.start is not None and request.start not in graph.by_key:
        raise Invalid(
            f"The version has no step {request.start} to fork from. A step in a body is forked with the step around it."
        )
    given: Any = await engine.payloads.load(source["project_id"], source["input"])
    values = _input(graph, given, request, same_version=version_id == source["workflow_version_id"])
    past = {row["node_key"]: _past(row) for row in await pool.fetch(_STEPS, source["id"])}
    labels = labels_of(principal, source["labels"], request.labels)
    # What a kept step made of the input does not carry a label that is new, so nothing that reads the input is kept.
    more = not labels <= set(source["labels"])
    change = Change(
        request.kind,
        request.start,
        changed_inputs(given, values).union(values if more else ()),
        going_on=RunStatus(source["status"]) not in TERMINAL_RUN,
    )
    decided = fates(graph, parts_of(before.definition), past, change)
    if request.kind is SourceKind.RETRY and all(fate.kept for fate in decided.values()):
        raise NothingToRetry(
            "All steps ended well; what failed is the output of the workflow. Fork with a new version."
        )
    draft = Draft(
        source=source,
        version=request.version or source["version"],
        version_id=version_id,
        graph=graph,
        values=values,
        labels=sorted(labels),
        past=past,
        fates=decided,
        gone=[node.key for node in before.nodes if node.key not in graph.by_key],
    )
    return await _with_calls(engine, draft, request)


def _check(status: RunStatus, request: Rerun) -> None:
    """Refuse what cannot be made of a run that stands there."""
    if request.kind is SourceKind.FORK:
        if request.start is None:
            raise Invalid("A fork needs the step to start from.")
        return
    if request.start is not None:
        raise Invalid(f"Only a fork starts from a step; a {request.kind} does not.")
    if status not in TERMINAL_RUN:
        raise RunNotEnded(
            f"It is {status} now. Wait for its end or cancel it; only a fork can be made before.", status_now=status
        )
    if request.kind is SourceKind.RERUN:
        return
    if request.version is not None or not request.same_input or request.labels is not None:
        raise Invalid("A retry keeps version, input and labels; fork or re-run to change them.")
    if status not in (RunStatus.FAILED, RunStatus.CANCELLED):
        raise NothingToRetry(f"The run {status}; fork it from a step or re-run it.", status_now=status)


async def _version_id(engine: Engine, source: asyncpg.Record, request: Rerun) -> UUID:
    if request.version is None:
        known: UUID = source["workflow_version_id"]
        return known
    found: UUID | None = await engine.database.pool.fetchval(_VERSION, source["workflow_id"], request.version)
    if found is None:
        raise NotFound(f"There is no version {request.version} of workflow {source['name']}.")
    return found


def _input(graph: Graph, given: Mapping[str, Json], request: Rerun, *, same_version: bool) -> Mapping[str, Json]:
    """Return the input of the new run. `given`, that of the source, has passed the schema of its own version."""
    if request.same_input and same_version:
        return given
    return validate_input(graph.definition, dict(given) if request.same_input else request.input)


def _past(row: asyncpg.Record) -> Past:
    return Past(
        row["id"], StepStatus(row["status"]), row["started_at"], row["finished_at"], row["error_code"], row["undone"]
    )


async def _with_calls(engine: Engine, draft: Draft, request: Rerun) -> Draft:
    """Find the calls to be copied: all final ones of kept steps, and what answers the steps that a retry runs again."""
    parts = parts_of(draft.graph.definition)
    answered = {
        key
        for key in (draft.again() if request.keep_calls else ())
        if may_reuse_calls(draft.graph.by_key[key], parts[key], draft.fates, draft.past, request.kind)
    }
    kept = draft.kept()
    calls = await _calls(engine, draft, {*kept, *answered})
    chosen: dict[str, Sequence[PastCall]] = {}
    for key, made in calls.items():
        failed = draft.past[key].status is StepStatus.FAILED
        final = [one for one in made if one.status in _FINAL_CALLS]
        chosen[key] = final if key in kept else reusable(made, failed=failed)
    return replace(draft, calls=chosen)


async def _calls(engine: Engine, draft: Draft, keys: Collection[str]) -> dict[str, list[PastCall]]:
    by_id = {draft.past[key].step_id: key for key in keys}
    found: dict[str, list[PastCall]] = {}
    for row in await engine.database.pool.fetch(_CALLS, draft.source["id"], list(by_id)):
        made = PastCall(row["id"], row["seq"], CallKind(row["kind"]), CallStatus(row["status"]))
        found.setdefault(by_id[row["step_id"]], []).append(made)
    return found
