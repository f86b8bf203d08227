"""Runs: starting, listing, looking at, cancelling."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.compose import begun_run, run_summaries, run_whole
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, QueriedProjectId, SessionDep, find_project_id
from sparkops.api.responses import problems
from sparkops.api.views import runs as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.principal import Principal
from sparkops.domains.runs import queries
from sparkops.domains.runs.models import Run
from sparkops.domains.runs.state import RunStatus
from sparkops.domains.workflows.definition import PRIORITIES
from sparkops.domains.workflows.queries import ids_named, ids_with_name_part
from sparkops.engine import pause
from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.cancel import cancel_run as ask_to_stop

router = APIRouter(prefix="/runs", tags=["runs"])

_ID_PREFIX = re.compile(r"0[0-9a-f-]{0,35}")
"""The ids of this century begin with 0; no workflow's name does."""
_UUID_DIGITS = 32


async def find_run(session: AsyncSession, principal: Principal, run_id: UUID) -> Run:
    """Return a run of the principal.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    found = await queries.run(session, principal, run_id=run_id)
    if found is None:
        raise NotFound("There is no such run here.")
    return found


async def read_run(door: Door, principal: Principal, run_id: UUID) -> views.Run:
    """Read a run after the engine's own transaction has changed it."""
    async with door.database.sessions.begin() as session:
        return await run_whole(door, session, principal, await find_run(session, principal, run_id))


@router.post("", status_code=201, responses={200: {"model": views.Run}, **problems(404, 409, 413, 503)})
async def create_run(
    body: views.NewRun,
    response: Response,
    principal: PrincipalDep,
    door: DoorDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> views.Run:
    """Start a run. With the same `Idempotency-Key` the same request answers 200 with the first run, however often."""
    project_id = await find_project_id(door, principal, body.project)
    request = RunRequest(
        project_id=project_id,
        workflow=body.workflow,
        version=body.version,
        input=body.input,
        budget_micros=body.budget_micros,
        priority=PRIORITIES[body.priority] if body.priority else None,
        idem_key=idempotency_key,
    )
    accepted = await accept_run(door.engine, principal, request)
    if not accepted.created:
        response.status_code = 200
    if accepted.begun is None:
        return await read_run(door, principal, accepted.run_id)
    return await begun_run(door, principal, body.project, accepted.run_id, accepted.begun)


@router.get("", responses=problems(404))
async def list_runs(
    project_id: QueriedProjectId,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    page: PageDep,
    status: Annotated[list[RunStatus] | None, Query(description="Any of these.")] = None,
    workflow: Annotated[str | None, Query(max_length=100, description="The name of a workflow.")] = None,
    q: Annotated[str | None, Query(max_length=100, description="The start of an id, or a part of a name.")] = None,
    source: Annotated[UUID | None, Query(description="Only retries, forks and re-runs of this run.")] = None,
) -> views.RunList:
    """List the runs of a project, newest first."""
    where = queries.RunFilter(
        statuses=set(status) if status else None,
        workflow_ids=await _workflows(session, project_id, workflow),
        source_run_id=source,
    )
    where = await _narrowed(session, project_id, where, (q or "").strip().lower())
    rows = await queries.runs(session, principal, project_id=project_id, where=where, page=page)
    found = page_of(rows, page)
    items = await run_summaries(door, session, principal, found.items)
    return views.RunList(items=items, next_cursor=found.next_cursor)


async def _workflows(session: AsyncSession, project_id: UUID, name: str | None) -> Sequence[UUID] | None:
    return await ids_named(session, project_id=project_id, name=name) if name else None


async def _narrowed(session: AsyncSession, project_id: UUID, where: queries.RunFilter, text: str) -> queries.RunFilter:
    """Narrow to runs whose id starts with the text, or whose workflow's name contains it."""
    if not text:
        return where
    if _ID_PREFIX.fullmatch(text):
        digits = text.replace("-", "")[:_UUID_DIGITS]
        return replace(
            where, id_from=UUID(digits.ljust(_UUID_DIGITS, "0")), id_to=UUID(digits.ljust(_UUID_DIGITS, "f"))
        )
    named = await ids_with_name_part(session, project_id=project_id, part=text)
    both = named if where.workflow_ids is None else set(named) & set(where.workflow_ids)
    return replace(where, workflow_ids=both)


@router.get("/{run_id}", responses=problems(404))
async def get_run(run_id: UUID, principal: PrincipalDep, session: SessionDep, door: DoorDep) -> views.Run:
    """Return one run."""
    return await run_whole(door, session, principal, await find_run(session, principal, run_id))


@router.post("/{run_id}/cancel", status_code=202, responses=problems(404))
async def cancel_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Ask a run to stop; asking again, or asking a run that has ended, changes nothing."""
    await ask_to_stop(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)


@router.post("/{run_id}/pause", responses=problems(404, 409))
async def pause_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Let nothing more of a run start; what runs goes on to its end. Pausing it again changes nothing."""
    await pause.pause_run(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)


@router.post("/{run_id}/resume", responses=problems(404, 409))
async def resume_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Let a paused run go on, or queue where a limit leaves no room. A run that is not paused stays as it is."""
    await pause.resume_run(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)
