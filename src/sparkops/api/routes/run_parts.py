"""What lies below a run: steps, calls, events, artifacts."""

from typing import Annotated, Any, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs
from sparkops.api.compose import call_views, failure, step_views, steps_shown
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, SessionDep
from sparkops.api.responses import problems
from sparkops.api.routes.runs import find_run
from sparkops.api.run_rows import step_row, step_rows
from sparkops.api.views import runs as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import PageRequest, next_cursor, page_of, page_request
from sparkops.core.payloads import MAX_BYTES
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.approvals.queries import approvals_refer_to
from sparkops.domains.artifacts import queries as artifacts
from sparkops.domains.effects.queries import calls, calls_refer_to
from sparkops.domains.runs import frames, queries
from sparkops.domains.runs.models import StepAttempt, WorkerSession
from sparkops.domains.runs.state import AttemptOutcome, StepStatus

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"])
files = APIRouter(prefix="/artifacts", tags=["runs"])

MAX_STEPS = 2_000
"""As many as a definition may have: without payloads they are small, and pages want them all."""
MAX_EVENTS = 1_000
MAX_FRAMES = 10_000
MAX_FRAMES_A_PAGE = 200
MAX_DOWNLOAD_BYTES = 100 << 20


@router.get("/steps", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_steps(
    run_id: UUID,
    principal: PrincipalDep,
    door: DoorDep,
    limit: Annotated[int, Query(ge=1, le=MAX_STEPS)] = MAX_STEPS,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    bodies: Annotated[bool, Query(description="False: without the steps in bodies of maps and loops.")] = True,
    parent: Annotated[UUID | None, Query(description="Only the steps in the body of this map or loop.")] = None,
    frame: Annotated[
        int | None, Query(ge=0, le=MAX_FRAMES, description="With `parent`: only of this item or pass.")
    ] = None,
) -> views.StepList:
    """List the steps of a run, without outputs; `position` is their place in the definition."""
    page = PageRequest(limit, page_request(None, cursor).after)
    where = queries.StepFilter(bodies=bodies, parent_id=parent, frame_no=frame)
    rows = await step_rows(door.rows(principal), principal, run_id=run_id, where=where, page=page)
    if not rows:
        await find_run(door, principal, run_id)
    items = await step_views(door, rows[:limit])
    return views.StepList(items=items, next_cursor=next_cursor([row["id"] for row in rows], page))


@router.get("/steps/{step_id}/frames", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_frames(
    run_id: UUID,
    step_id: UUID,
    principal: PrincipalDep,
    session: SessionDep,
    status: Annotated[views.FrameStatus | None, Query(description="Only those that stand so.")] = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_FRAMES, description="The last number that the caller has.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_FRAMES_A_PAGE)] = MAX_FRAMES_A_PAGE,
) -> views.FrameList:
    """List the items of a map or the passes of a loop, by number."""
    if await queries.step(session, principal, run_id=run_id, step_id=step_id) is None:
        raise NotFound("There is no such step in this run.")
    found = await frames.frames(session, principal, step_id=step_id, status=status, after=after, limit=limit + 1)
    items = [
        views.Frame(
            no=row.no,
            status=cast(views.FrameStatus, row.status),
            value=row.value,
            error=failure(row.error),
            finished_at=row.finished_at,
        )
        for row in found[:limit]
    ]
    return views.FrameList(items=items, next_cursor=str(items[-1].no) if len(found) > limit else None)


@router.get("/steps/{step_id}", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def get_step(
    run_id: UUID, step_id: UUID, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> views.StepDetail:
    """Return one step with its output and all attempts at it."""
    return await step_detail(session, door, principal, run_id, step_id)


async def step_detail(
    session: AsyncSession, door: Door, principal: Principal, run_id: UUID, step_id: UUID
) -> views.StepDetail:
    """Return one step whole.

    Raises:
        NotFound: there is no such run of the principal, or no such step in it.
    """
    # lint: allow await-in-transaction -- the session only reads, without a transaction
    step = await step_row(door.rows(principal), principal, run_id=run_id, step_id=step_id)
    if step is None:
        # lint: allow await-in-transaction -- the session only reads, without a transaction
        await find_run(door, principal, run_id)
        raise NotFound("There is no such step in this run.")
    # lint: allow await-in-transaction -- the session only reads, without a transaction
    [shown] = await steps_shown(door, [step])
    tries = await queries.attempts(session, principal, run_id=run_id, step_id=step_id)
    skipped = step["status"] == StepStatus.SKIPPED
    return views.StepDetail(
        **shown,
        output=step["output"],
        attempts=[_attempt(*one) for one in tries],
        skipped_because=await frames.skip_reason(session, run_id=run_id, step_id=step_id) if skipped else None,
    )


def _attempt(attempt: StepAttempt, worker: WorkerSession | None) -> views.Attempt:
    return views.Attempt(
        attempt=attempt.attempt,
        worker=views.Worker.model_validate(worker) if worker else None,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=AttemptOutcome(attempt.outcome) if attempt.outcome else None,
        error=failure(attempt.error),
    )


@router.get("/calls", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_calls(
    run_id: UUID,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    page: PageDep,
    step: Annotated[UUID | None, Query(description="Only the calls of this step.")] = None,
) -> views.CallList:
    """List model and tool calls of a run in the order in which they were proposed."""
    await find_run(door, principal, run_id)
    found = page_of(await calls(session, principal, run_id=run_id, step_id=step, page=page), page)
    return views.CallList(items=await call_views(session, principal, found.items), next_cursor=found.next_cursor)


@router.get("/events", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_events(
    run_id: UUID,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    since: Annotated[int, Query(ge=0, le=2**53, description="The last sequence number that the caller has.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
) -> views.EventList:
    """List the log of a run after `since`, in order."""
    await find_run(door, principal, run_id)
    found = await queries.events(session, principal, run_id=run_id, since=since, limit=limit + 1)
    items = [views.Event.model_validate(one) for one in found[:limit]]
    return views.EventList(items=items, next_cursor=str(items[-1].seq) if len(found) > limit else None)


@router.get("/artifacts", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_artifacts(
    run_id: UUID, principal: PrincipalDep, session: SessionDep, door: DoorDep, page: PageDep
) -> views.ArtifactList:
    """List the files of a run, oldest first."""
    await find_run(door, principal, run_id)
    found = page_of(await artifacts.artifacts(session, principal, run_id=run_id, page=page), page)
    items = [views.Artifact.model_validate(one) for one in found.items]
    return views.ArtifactList(items=items, next_cursor=found.next_cursor)


_WHOLE_VALUE: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}


@router.get(
    "/values/{sha256}",
    response_class=StreamingResponse,
    responses={200: _WHOLE_VALUE, **problems(404, 413, 503)},
    openapi_extra=needs(Permission.RUN_READ),
)
async def get_value(
    run_id: UUID,
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
) -> StreamingResponse:
    """Return a large value of the run whole, as a download.

    Where a value has more than 64 kB, answers hold `{"$blob": {"sha256", "bytes", "type", "preview"}}` in its place.
    """
    project_id = await find_run(door, principal, run_id)
    if not (
        await queries.run_refers_to(session, run_id=run_id, sha256=sha256)
        or await calls_refer_to(session, run_id=run_id, sha256=sha256)
        or await approvals_refer_to(session, run_id=run_id, sha256=sha256)
    ):
        raise NotFound("This run has no such value.")
    chunks = await door.engine.payloads.blobs_of(project_id).stream(sha256, MAX_BYTES)
    return StreamingResponse(chunks, media_type="application/json", headers=_as_download(f"{sha256[:12]}.json", sha256))


def _as_download(name: str, sha256: str) -> dict[str, str]:
    """Return the headers under which a browser saves what it gets: what a run made is never a page of ours."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "ETag": f'"{sha256}"',
    }


_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}


@files.get(
    "/{artifact_id}/content",
    response_class=Response,
    responses={200: _BYTES, **problems(404, 413)},
    openapi_extra=needs(Permission.RUN_READ),
)
async def get_artifact_content(
    artifact_id: UUID, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> Response:
    """Return the bytes of a file, always as a download: what a run wrote is never shown as a page of ours."""
    found = await artifacts.artifact(session, principal, artifact_id=artifact_id)
    if found is None:
        raise NotFound("There is no such file here.")
    data = await door.blobs.get(found.sha256, MAX_DOWNLOAD_BYTES)
    name = found.name.rpartition("/")[2]
    return Response(data, media_type=found.media_type, headers=_as_download(name, found.sha256))
