"""Second chances: T_ACCEPT of a new run made from another one, whose kept steps have ended when it begins."""

from uuid import UUID

from sparkops.core.errors import Conflict
from sparkops.core.json import digest
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.accept import Accepted, accept_document, repeated
from sparkops.engine.context import Engine
from sparkops.engine.document import Kept, Origin, limit_of, run_document, store_input
from sparkops.engine.draft import Draft, Rerun, check_whole, draft_run, find_source
from sparkops.engine.judging import NewRun
from sparkops.engine.pins import pin_names

_OUTPUTS = "SELECT id, output, labels FROM steps WHERE id = ANY ($1)"
_DOUBTFUL = """
SELECT (made).id, (made).name, key FROM engine.calls_below($1)
 WHERE key = ANY ($2) AND NOT (made).id = ANY ($3) AND may_stand AND (made).effect_class = 'unsafe'
   AND (made).status <> 'done'
 ORDER BY (made).proposed_at, (made).id LIMIT $4
"""
MAX_DOUBTFUL = 20
"""How many calls in doubt a refusal names."""
_SKIPS = "SELECT step_id, data ->> 'reason' AS reason FROM events WHERE run_id = $1 AND kind = 'step.skipped'"


class RepeatsDoubt(Conflict):
    code, title = "repeats-doubt", "What may have happened already would be done again"


async def start_rerun(engine: Engine, principal: Principal, run_id: UUID, request: Rerun) -> Accepted:
    """Accept a new run made from this one: kept steps have ended when it begins. The source does not change.

    A retry runs under the version and the pins of its source; a fork and a re-run pin the agents as they are now. A
    fork may be made of a run that is still going on: it keeps what has ended by now, but for steps with an undo, which
    it may yet take back. As long as a retry goes on or has
    succeeded there is no other.

    The input keeps its labels, also where it is another, unless a person states others; what a key states is added.

    Raises:
        NotFound: no such run, or no such version of its workflow, in a project of this person.
        RunNotEnded: only a fork can be made of a run that is going on.
        NothingToRetry: the run succeeded, was never started, or no step of it failed or was cancelled.
        RepeatsDoubt: a call would be made again of which nobody knows whether it happened, and which must not happen
            twice; `calls` names them. Resolve the step, or ask for it with `repeat_doubtful`.
        AlreadyRetried: another retry is going on or has succeeded; `run_id` names it.
        Invalid: the request does not fit the kind, names no step of the version, or its input does not fit.
        ValuesRemoved: the project no longer keeps what the run worked with.
        IdempotencyMismatch: the key was used for another request.
        DeniedByPolicy: the rules of the project do not allow it; that is on record.
        OverBudget: a budget refuses one more run; nothing was written.
        Unavailable: the outcome is unknown, or a large value could not be read or written; try the same key again.
    """
    source = await find_source(engine, principal, Permission.RUN_CREATE, run_id, request.idem_key)
    idem_hash = _request_hash(run_id, request)
    if source["first_run"] is not None:
        # Before the source is looked at: it may have changed since this very request was accepted.
        return repeated(source["first_run"], source["idem_hash"], idem_hash)
    draft = await draft_run(engine, principal, source, request)
    if not request.repeat_doubtful:
        await _refuse_doubt(engine, draft)
    retry = request.kind is SourceKind.RETRY
    pins = source["pins"] if retry else await pin_names(engine.database.pool, source["project_id"], draft.graph)
    asked = source["limit_micros"] if request.budget_micros is None else request.budget_micros
    inputs = await store_input(engine, source["project_id"], draft.values)
    document = await run_document(
        engine,
        draft.graph,
        inputs,
        {
            "project_id": str(source["project_id"]),
            "workflow_id": str(source["workflow_id"]),
            "workflow_version_id": str(draft.version_id),
            "trigger": "api",
            "pins": pins,
            "loop_version": source["loop_version"] if retry else None,
            "idem_key": request.idem_key,
            "idem_hash": idem_hash,
            "created_by": str(principal.user_id),
            "created_by_key": str(principal.key_id) if principal.key_id else None,
            "source_run_id": str(run_id),
            "source_kind": request.kind,
            "labels": list(draft.labels),
        },
        limit_micros=limit_of(engine, draft.graph, asked),
        actor=f"user:{principal.user_id}",
        origin=await _origin(engine, draft, request),
    )
    await check_whole(engine, run_id)  # again: all that is taken over has been read by now
    new = NewRun(draft.graph.definition.name, inputs.values, int(source["stamp"]))
    return await accept_document(engine, draft.graph, document, new)


async def _refuse_doubt(engine: Engine, draft: Draft) -> None:
    again = draft.again()
    answered = [call.id for key in again for call in draft.calls.get(key, ())]
    rows = await engine.database.pool.fetch(_DOUBTFUL, draft.source["id"], again, answered, MAX_DOUBTFUL)
    if rows:
        names = ", ".join(sorted({f"{row['name']} in {row['key']}" for row in rows}))
        raise RepeatsDoubt(
            f"Nobody knows whether this happened, and it would be done again: {names}. Find out first, or say that it "
            "may be done twice.",
            calls=[{"id": str(row["id"]), "name": row["name"], "step": row["key"]} for row in rows],
        )


def _request_hash(run_id: UUID, request: Rerun) -> str:
    stated = [] if request.labels is None else [{"labels": sorted(request.labels)}]
    return digest(
        [
            *(request.kind, str(run_id), request.start, request.version, request.same_input, request.input),
            *(request.keep_calls, request.repeat_doubtful, request.budget_micros),
            *stated,
        ]
    )


async def _origin(engine: Engine, draft: Draft, request: Rerun) -> Origin:
    """Gather what the new run takes over, with the outputs on which its first decisions may rest."""
    pool = engine.database.pool
    kept = draft.kept()
    outputs = {row["id"]: row for row in await pool.fetch(_OUTPUTS, [one.step_id for one in kept.values()])}
    skips = {row["step_id"]: row["reason"] for row in await pool.fetch(_SKIPS, draft.source["id"])}
    return Origin(
        run_id=draft.source["id"],
        kind=request.kind,
        kept={
            key: Kept(
                one.step_id,
                one.status,
                outputs[one.step_id]["output"],
                skips.get(one.step_id),
                tuple(outputs[one.step_id]["labels"]),
            )
            for key, one in kept.items()
        },
        calls={key: [one.id for one in made] for key, made in draft.calls.items()},
        about={
            "start": request.start,
            "kept": list(kept),
            "answered": {key: len(made) for key, made in draft.calls.items() if key not in kept and made},
        },
    )
