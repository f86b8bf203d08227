"""Second chances: what a new run made from another one would keep and repeat, and starting it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from sparkops.api.access import needs
from sparkops.api.deps import Door, DoorDep, PrincipalDep
from sparkops.api.responses import problems
from sparkops.api.routes.runs import read_run
from sparkops.api.views import reruns as views
from sparkops.api.views.base import VersionNumber
from sparkops.api.views.runs import Run, TokenCount
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.draft import Rerun
from sparkops.engine.kept import explain
from sparkops.engine.rerun import start_rerun
from sparkops.engine.rerun_plan import Cost, Plan, PlannedStep, plan_rerun

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"])

_RETRY, _RERUN = views.Retry(), views.Rerun()
_REFUSALS = problems(403, 404, 409, 413, 503)

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200)]


@router.get("/rerun-plan", responses=problems(404, 409), openapi_extra=needs(Permission.RUN_READ))
async def get_rerun_plan(
    run_id: UUID,
    principal: PrincipalDep,
    door: DoorDep,
    kind: SourceKind,
    start: Annotated[
        views.StepKey | None, Query(alias="from", description="The step of a fork, by its id in the definition.")
    ] = None,
    version: Annotated[VersionNumber | None, Query(description="None: that of the run.")] = None,
    keep_calls: Annotated[bool, Query(description="Of a retry: answer from the calls on record.")] = True,
) -> views.RerunPlan:
    """Say which steps of a new run made from this one would be kept and which run again, before anything happens.

    A retry or a re-run is planned for a run that has ended. A fork may be planned for one that goes on: it keeps the
    steps that have ended by now, but for those that may yet be undone.

    A map, loop, workflow or wait step is kept or runs again as a whole.
    """
    return await _plan(door, principal, run_id, Rerun(kind, start, version, keep_calls=keep_calls))


@router.post("/rerun-plan", responses=problems(404, 409, 413), openapi_extra=needs(Permission.RUN_READ))
async def plan_rerun_with_input(
    run_id: UUID, principal: PrincipalDep, door: DoorDep, body: views.PlanQuestion
) -> views.RerunPlan:
    """Say the same of a new run with another input: what reads what is changed runs again. Nothing is written."""
    request = Rerun(
        body.kind,
        body.start,
        body.version,
        same_input=body.same_input,
        input=body.input,
        labels=body.stated_labels,
        keep_calls=body.keep_calls,
    )
    return await _plan(door, principal, run_id, request)


async def _plan(door: Door, principal: Principal, run_id: UUID, request: Rerun) -> views.RerunPlan:
    plan = await plan_rerun(door.engine, principal, run_id, request)
    return views.RerunPlan(
        run_id=run_id,
        kind=request.kind,
        start=request.start,
        version=plan.version,
        labels=list(plan.labels),
        source_status=plan.source_status,
        steps=[_step(step) for step in plan.steps],
        gone=list(plan.gone),
        effects=[views.RepeatedEffect.model_validate(effect) for effect in plan.effects],
        totals=_totals(plan),
    )


@router.post(
    "/retry", status_code=201, responses={200: {"model": Run}, **_REFUSALS}, openapi_extra=needs(Permission.RUN_CREATE)
)
async def retry_run(
    run_id: UUID,
    response: Response,
    principal: PrincipalDep,
    door: DoorDep,
    body: views.Retry = _RETRY,
    idempotency_key: IdempotencyKey = None,
) -> Run:
    """Start a new run that does again what failed or was cancelled in this one, and what depends on it.

    It runs under the version, the input and the pinned agents of this run. With the same `Idempotency-Key` the same
    request answers 200 with the first run.
    """
    request = Rerun(
        SourceKind.RETRY,
        keep_calls=body.keep_calls,
        repeat_doubtful=body.repeat_doubtful,
        budget_micros=body.budget_micros,
        idem_key=idempotency_key,
    )
    return await _start(door, principal, run_id, request, response)


@router.post(
    "/fork", status_code=201, responses={200: {"model": Run}, **_REFUSALS}, openapi_extra=needs(Permission.RUN_CREATE)
)
async def fork_run(
    run_id: UUID,
    response: Response,
    principal: PrincipalDep,
    door: DoorDep,
    body: views.Fork,
    idempotency_key: IdempotencyKey = None,
) -> Run:
    """Start a new run that does one step of this one and all behind it again, perhaps with another input or version.

    A step before it is kept if it ended well, is defined the same in the version, reads no input that changed, and
    all it needs is kept. Agents are pinned as they are now. With the same `Idempotency-Key` the same request answers
    200 with the first run.
    """
    return await _start(door, principal, run_id, _request(SourceKind.FORK, body, body.start, idempotency_key), response)


@router.post(
    "/rerun", status_code=201, responses={200: {"model": Run}, **_REFUSALS}, openapi_extra=needs(Permission.RUN_CREATE)
)
async def rerun(
    run_id: UUID,
    response: Response,
    principal: PrincipalDep,
    door: DoorDep,
    body: views.Rerun = _RERUN,
    idempotency_key: IdempotencyKey = None,
) -> Run:
    """Start a new run that does everything of this one again. Agents are pinned as they are now.

    With the same `Idempotency-Key` the same request answers 200 with the first run.
    """
    return await _start(door, principal, run_id, _request(SourceKind.RERUN, body, None, idempotency_key), response)


def _request(kind: SourceKind, body: views.Rerun, start: str | None, idem_key: str | None) -> Rerun:
    return Rerun(
        kind,
        start,
        body.version,
        same_input=body.same_input,
        input=body.input,
        labels=body.stated_labels,
        repeat_doubtful=body.repeat_doubtful,
        budget_micros=body.budget_micros,
        idem_key=idem_key,
    )


async def _start(door: Door, principal: Principal, run_id: UUID, request: Rerun, response: Response) -> Run:
    accepted = await start_rerun(door.engine, principal, run_id, request)
    if not accepted.created:
        response.status_code = 200
    return await read_run(door, principal, accepted.run_id)


def _step(step: PlannedStep) -> views.PlannedStep:
    return views.PlannedStep(
        key=step.fate.key,
        type=step.type,
        name=step.name,
        kept=step.fate.kept,
        why=step.fate.why,
        because=list(step.fate.because),
        explanation=explain(step.fate, step.past),
        last_status=step.past.status if step.past else None,
        calls=step.cost.calls,
        cost_micros=step.cost.cost_micros,
        tokens=_tokens(step.cost),
        inputs=list(step.inputs),
        kept_calls=step.kept_calls,
        repeats=step.repeats,
    )


def _tokens(cost: Cost) -> TokenCount | None:
    if cost.input_tokens is None and cost.output_tokens is None:
        return None
    return TokenCount(input=cost.input_tokens or 0, output=cost.output_tokens or 0)


def _totals(plan: Plan) -> views.PlanTotals:
    kept = [step for step in plan.steps if step.fate.kept]
    again = [step for step in plan.steps if not step.fate.kept]
    return views.PlanTotals(
        kept_steps=len(kept),
        kept_cost_micros=sum(step.cost.cost_micros for step in kept),
        again_steps=len(again),
        again_calls=sum(step.cost.calls for step in again),
        again_cost_micros=sum(step.cost.cost_micros for step in again),
        kept_calls=sum(step.kept_calls for step in again),
        repeats=plan.effects_total,
    )
