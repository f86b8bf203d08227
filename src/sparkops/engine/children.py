"""Sub-workflows: a step starts a run of its own and waits for its end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sparkops.core.errors import Invalid
from sparkops.core.failpoints import failpoint
from sparkops.core.json import Json
from sparkops.domains.runs.state import RunStatus
from sparkops.domains.workflows.definition import validate_input
from sparkops.engine.accept import accept_document
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.document import limit_of, run_document, store_input
from sparkops.engine.judging import NewRun
from sparkops.engine.node import NOTHING, Mentions
from sparkops.engine.pins import pin_names

MAX_DEPTH = 10
"""Runs above a run. A workflow that starts itself without end stops here."""

_VERSION = "SELECT id, workflow_id FROM workflow_versions WHERE id = $1"
_DEPTH = "SELECT cardinality(lineage) FROM runs WHERE id = $1"
_CHILD = """
SELECT r.id, r.status, r.output, r.error,
       CASE WHEN $3 THEN r.labels ELSE '{}' END || ARRAY(
         SELECT unnest(s.labels) FROM steps s WHERE s.run_id = r.id AND s.path = ANY ($2)) AS labels
  FROM runs r WHERE r.id = (SELECT child_run_id FROM steps WHERE id = $1)
"""


class TooDeep(Invalid):
    code, title = "too-deep", "Sub-workflows are nested too deep"


@dataclass(frozen=True, slots=True)
class Child:
    """The run of a sub-workflow; `output` in its stored form, `labels` those of the output."""

    run_id: UUID
    status: RunStatus
    output: Json
    error: Mapping[str, Any] | None
    labels: frozenset[str]


async def made_of(engine: Engine, version_id: UUID) -> Mentions:
    """Return what the output of a run of this workflow version is made of."""
    return (await engine.graphs.get(engine.database.pool, version_id)).made_of


async def child_of(engine: Engine, step_id: UUID, made_of: Mentions = NOTHING) -> Child | None:
    """Return the run that this step has started, or None; of several, after a retry, the last.

    `made_of`: what its output is made of, by which its labels are known.
    """
    row = await engine.database.pool.fetchrow(_CHILD, step_id, list(made_of.steps), made_of.input)
    if row is None:
        return None
    return Child(row["id"], RunStatus(row["status"]), row["output"], row["error"], frozenset(row["labels"]))


async def accept_child(
    engine: Engine, claim: Claim, version_id: UUID, inputs: Json, *, labels: Collection[str] = ()
) -> UUID:
    """Accept the run of a sub-workflow, unless there is one that the step has not done with, and return its id.

    `labels` are those of the input. It is pinned now, and counts against its own budget and those of all runs above it.

    Raises:
        Invalid: the input does not fit, an agent or a workflow that it names is gone, or it would be too deep.
        InputTooLarge: as for any run.
        ConcurrencyFull: its workflow rather rejects a run than let it queue.
        Unavailable: the database did not confirm, or a large input could not be written; another attempt finds out.
        DeniedByPolicy, Fenced, CancelRequested: no run was started.
    """
    pool = engine.database.pool
    if await pool.fetchval(_DEPTH, claim.run_id) >= MAX_DEPTH:
        raise TooDeep(f"This run has {MAX_DEPTH} runs above it, and may not start another.")
    version = await pool.fetchrow(_VERSION, version_id)
    graph = await engine.graphs.get(pool, version["id"])
    stored = await store_input(engine, claim.project_id, validate_input(graph.definition, inputs))
    document = await run_document(
        engine,
        graph,
        stored,
        {
            "project_id": str(claim.project_id),
            "workflow_id": str(version["workflow_id"]),
            "workflow_version_id": str(version["id"]),
            "trigger": "workflow",
            "pins": await pin_names(pool, claim.project_id, graph),
            "created_by": str(claim.requested_by) if claim.requested_by else None,
            "labels": sorted(labels),
        },
        limit_micros=limit_of(engine, graph, None),
        actor=f"run:{claim.run_id}",
    )
    new = NewRun(graph.definition.name, stored.values, claim.policy_stamp, claim.run_id)
    accepted = await accept_document(engine, graph, {**document, "parent": claim.lease.to_json()}, new)
    failpoint("after_child_accepted")
    return accepted.run_id
