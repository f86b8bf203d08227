"""Runs: starting, listing, looking at, cancelling."""

import re
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from sparkops.api.access import allowed, needs
from sparkops.api.compose import begun_run, run_summaries, run_whole
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep
from sparkops.api.responses import problems
from sparkops.api.run_rows import run_row, run_rows
from sparkops.api.views import runs as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import next_cursor
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.runs import queries
from sparkops.domains.runs.pages import RunFilter
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


async def find_run(door: Door, principal: Principal, run_id: UUID) -> UUID:
    """Return the project of a run of the principal.

    Raises:
        NotFound: there is no such run, or it is somebody else's.
    """
    project_id = await queries.project_of_run(door.rows(principal), principal, run_id=run_id)
    if project_id is None:
        raise _no_run()
    return project_id


def _no_run() -> NotFound:
    return NotFound("There is no such run here.")


async def read_run(door: Door, principal: Principal, run_id: UUID) -> views.Run:
    """Read a run whole.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    found = await run_row(door.rows(principal), principal, run_id=run_id)
    if found is None:
        raise _no_run()
    return await run_whole(door, found)


@router.post(
    "",
    status_code=201,
    responses={200: {"model": views.Run}, **problems(403, 404, 409, 413, 503)},
    openapi_extra=needs(Permission.RUN_CREATE),
)
async def create_run(
    body: views.NewRun,
    response: Response,
    principal: PrincipalDep,
    door: DoorDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> views.Run:
    """Start a run. With the same `Idempotency-Key` the same request answers 200 with the first run, however often."""
    allowed(principal, body.project)
    request = RunRequest(
        project=body.project,
        workflow=body.workflow,
        version=body.version,
        input=body.input,
        budget_micros=body.budget_micros,
        priority=PRIORITIES[body.priority] if body.priority else None,
        idem_key=idempotency_key,
        labels=frozenset(body.labels),
    )
    accepted = await accept_run(door.engine, principal, request)
    if not accepted.created:
        response.status_code = 200
    if accepted.begun is None:
        return await read_run(door, principal, accepted.run_id)
    return await begun_run(door, principal, body.project, accepted.run_id, accepted.begun)


@router.get("", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def list_runs(
    *,
    principal: PrincipalDep,
    door: DoorDep,
    page: PageDep,
    status: Annotated[list[RunStatus] | None, Query(description="Any of these.")] = None,
    workflow: Annotated[str | None, Query(max_length=100, description="The name of a workflow.")] = None,
    q: Annotated[str | None, Query(max_length=100, description="The start of an id, or a part of a name.")] = None,
    source: Annotated[UUID | None, Query(description="Only retries, forks and re-runs of this run.")] = None,
    project: Annotated[str, Query(description="The project's slug.")],
) -> views.RunList:
    """List the runs of a project, newest first."""
    where = RunFilter(statuses=set(status) if status else None, source_run_id=source)
    text = (q or "").strip().lower()
    if _ID_PREFIX.fullmatch(text):
        where, text = _with_prefix(where, text), ""
    if workflow or text:
        where = await _of_workflows(door, principal, allowed(principal, project).id, where, workflow, text)
    rows = await run_rows(door.rows(principal), principal, slug=project, where=where, page=page)
    items = await run_summaries(door, rows[: page.limit])
    return views.RunList(items=items, next_cursor=next_cursor([row["id"] for row in rows], page))


def _with_prefix(where: RunFilter, text: str) -> RunFilter:
    """Narrow to runs whose id starts with the text."""
    digits = text.replace("-", "")[:_UUID_DIGITS]
    return replace(where, id_from=UUID(digits.ljust(_UUID_DIGITS, "0")), id_to=UUID(digits.ljust(_UUID_DIGITS, "f")))


async def _of_workflows(
    door: Door, principal: Principal, project_id: UUID, where: RunFilter, name: str | None, part: str
) -> RunFilter:
    """Narrow to runs of the workflow of this name, and to those whose workflow's name contains this part."""
    async with door.reads(principal) as session:
        found = [await ids_named(session, project_id=project_id, name=name)] if name else []
        if part:
            found.append(await ids_with_name_part(session, project_id=project_id, part=part))
    return replace(where, workflow_ids=set(found[0]).intersection(*found[1:]))


@router.get("/{run_id}", responses=problems(404), openapi_extra=needs(Permission.RUN_READ))
async def get_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Return one run."""
    return await read_run(door, principal, run_id)


@router.post("/{run_id}/cancel", status_code=202, responses=problems(404), openapi_extra=needs(Permission.RUN_CONTROL))
async def cancel_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Ask a run to stop; asking again, or asking a run that has ended, changes nothing."""
    await ask_to_stop(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)


@router.post("/{run_id}/pause", responses=problems(404, 409), openapi_extra=needs(Permission.RUN_CONTROL))
async def pause_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Let nothing more of a run start; what runs goes on to its end. Pausing it again changes nothing."""
    await pause.pause_run(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)


@router.post("/{run_id}/resume", responses=problems(404, 409), openapi_extra=needs(Permission.RUN_CONTROL))
async def resume_run(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Run:
    """Let a paused run go on, or queue where a limit leaves no room. A run that is not paused stays as it is."""
    await pause.resume_run(door.engine, principal, run_id)
    return await read_run(door, principal, run_id)
