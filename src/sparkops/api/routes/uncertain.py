"""Effects that may or may not have happened: which there are, and what people found out about them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs
from sparkops.api.compose import workflow_ref
from sparkops.api.deps import DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.responses import problems
from sparkops.api.routes.run_parts import step_detail
from sparkops.api.views import uncertain as views
from sparkops.api.views.runs import StepDetail, Worker
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.effects.models import Call
from sparkops.domains.effects.queries import calls_in_doubt
from sparkops.domains.effects.state import CallKind, CallStatus
from sparkops.domains.runs import queries
from sparkops.domains.runs.models import Run, Step, StepAttempt, WorkerSession
from sparkops.domains.runs.state import AttemptOutcome, RunStatus
from sparkops.domains.workflows.queries import version_names
from sparkops.engine.doubt import consequence, why_unknown
from sparkops.engine.resolve import Answer, Resolution
from sparkops.engine.resolve import resolve_step as record_answer

router = APIRouter(tags=["runs"])

Attempts = Mapping[tuple[UUID, int], tuple[StepAttempt, WorkerSession | None]]


@router.get("/uncertain", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_uncertain(
    project: QueriedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.UncertainList:
    """List the steps of a project with calls that may or may not have happened, those of the newest runs first."""
    found = page_of(await queries.uncertain_steps(session, principal, project_id=project.id, page=page), page)
    items = await _uncertain_views(session, principal, project.slug, found.items)
    return views.UncertainList(items=items, next_cursor=found.next_cursor)


@router.post(
    "/runs/{run_id}/steps/{step_id}/resolve",
    responses=problems(404, 409, 413),
    openapi_extra=needs(Permission.RUN_RESOLVE),
)
async def resolve_step(
    run_id: UUID, step_id: UUID, body: views.Resolve, principal: PrincipalDep, door: DoorDep
) -> StepDetail:
    """Say what became of a call in doubt, with evidence; the step goes on. A second answer is a conflict."""
    resolution = Resolution(body.answer, body.evidence, body.call_id, body.output)
    await record_answer(door.engine, principal, run_id, step_id, resolution)
    async with door.reads(principal) as session:
        return await step_detail(session, door, principal, run_id, step_id)


async def _uncertain_views(
    session: AsyncSession, principal: Principal, project: str, steps: Sequence[Step]
) -> list[views.UncertainStep]:
    """Return uncertain steps of one project with all that a person needs to find out and to answer."""
    run_ids, step_ids = {step.run_id for step in steps}, {step.id for step in steps}
    runs = await queries.runs_by_id(session, principal, run_ids=run_ids)
    versions = await version_names(session, version_ids={run.workflow_version_id for run in runs.values()})
    tries = await queries.attempts_of_steps(session, principal, run_ids=run_ids, step_ids=step_ids)
    attempts = {(one.step_id, one.attempt): (one, worker) for one, worker in tries}
    calls = await calls_in_doubt(session, principal, run_ids=run_ids, step_ids=step_ids)

    def view(step: Step) -> views.UncertainStep:
        run = runs[step.run_id]
        own = [call for call in calls if call.step_id == step.id]
        last = attempts.get((step.id, step.attempt))
        return views.UncertainStep(
            id=step.id,
            project=project,
            run_id=run.id,
            run_status=RunStatus(run.status),
            workflow=workflow_ref(versions[run.workflow_version_id]),
            key=step.node_key,
            path=step.path,
            type=step.type,
            since=last[0].ended_at if last else None,
            calls=[_call(call, attempts) for call in own],
            answers=_answers(run, step, len(own)),
        )

    return [view(step) for step in steps]


def _call(call: Call, attempts: Attempts) -> views.DoubtfulCall:
    attempt, worker = attempts.get((call.step_id, call.attempt), (None, None))
    return views.DoubtfulCall(
        id=call.id,
        seq=call.seq,
        kind=CallKind(call.kind),
        name=call.name,
        status=CallStatus(call.status),
        request=call.request,
        request_hash=call.request_hash,
        sent_at=call.prepared_at,
        attempt=call.attempt,
        outcome=AttemptOutcome(attempt.outcome) if attempt and attempt.outcome else None,
        worker=Worker.model_validate(worker) if worker else None,
        why=why_unknown(CallStatus(call.status), call.error),
        cost_micros=call.cost_micros,
    )


def _answers(run: Run, step: Step, in_doubt: int) -> list[views.Consequence]:
    stopping = step.cancel_requested or run.status == RunStatus.CANCELLING
    return [
        views.Consequence(answer=answer, effect=consequence(answer, step.type, in_doubt=in_doubt, stopping=stopping))
        for answer in Answer
    ]
