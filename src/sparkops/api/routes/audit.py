"""The audit trail and the security events: of a project for those who look after it, of all for administrators."""

from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse

from sparkops.api import audit_rows
from sparkops.api.access import needs, signed_in
from sparkops.api.audit_export import MEDIA_TYPES, Format, exported
from sparkops.api.deps import Door, DoorDep, PrincipalDep, QueriedProject
from sparkops.api.responses import problems
from sparkops.api.views import audit as views
from sparkops.api.views.base import Instant, Ref
from sparkops.core.clock import utc_now
from sparkops.core.db import Statements
from sparkops.core.errors import NotFound
from sparkops.core.paging import DEFAULT_LIMIT, MAX_LIMIT
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.audit.actions import ACTIONS
from sparkops.engine.context import call

router = APIRouter(prefix="/audit", tags=["audit"])
installation = APIRouter(prefix="/installation", tags=["audit"])

_FILE: dict[str, Any] = {
    "content": {
        "application/x-ndjson": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
    }
}

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next_cursor` of the page before.")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Word = Annotated[str | None, Query(max_length=200)]
Moment = Annotated[Instant | None, Query(description="With its offset, such as 2026-11-23T09:30:00Z.")]


async def wanted_lines(
    actor: Annotated[str | None, Query(max_length=200, description="Such as `user:<id>` or `system`.")] = None,
    action: Annotated[
        str | None, Query(max_length=200, description="Such as `policy.publish`, or `policy` for all of these.")
    ] = None,
    object_: Annotated[
        str | None,
        Query(alias="object", max_length=200, description="Such as `policy:<id>`, or `policy` for all of these."),
    ] = None,
    request_id: Word = None,
    address: Word = None,
    since: Moment = None,
    until: Moment = None,
) -> audit_rows.LineFilter:
    """Read which lines are asked for."""
    return audit_rows.LineFilter(actor, action, object_, request_id, address, since, until)


async def wanted_events(
    kind: Annotated[
        str | None, Query(max_length=200, description="Such as `sign-in.failed`, or `sign-in` for all of these.")
    ] = None,
    severity: Annotated[Literal["info", "warning", "critical"] | None, Query()] = None,
    address: Word = None,
    since: Moment = None,
    until: Moment = None,
) -> audit_rows.EventFilter:
    """Read which events are asked for."""
    return audit_rows.EventFilter(kind, severity, address, since, until)


LinesDep = Annotated[audit_rows.LineFilter, Depends(wanted_lines)]
EventsDep = Annotated[audit_rows.EventFilter, Depends(wanted_events)]


@router.get("", responses=problems(404), openapi_extra=needs(Permission.AUDIT_READ))
async def list_audit(
    project: QueriedProject,
    principal: PrincipalDep,
    wanted: LinesDep,
    door: DoorDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> views.AuditLineList:
    """List what was done in a project, newest first."""
    return await _list(door.rows(principal), project.id, wanted, limit, cursor)


@router.get("/actions", openapi_extra=signed_in())
async def list_audit_actions() -> views.AuditActionList:
    """List the actions that lines tell of."""
    items = [views.AuditAction(action=action, meaning=meaning) for action, meaning in ACTIONS.items()]
    return views.AuditActionList(items=items, next_cursor=None)


@router.get("/chain", responses=problems(404), openapi_extra=needs(Permission.AUDIT_READ))
async def get_audit_chain(_: QueriedProject, door: DoorDep) -> views.AuditChain:
    """Say how far the audit trail of the installation is sealed."""
    return await _chain(door)


@installation.get("/audit/chain", openapi_extra=needs(Permission.INSTALLATION_AUDIT))
async def get_installation_audit_chain(door: DoorDep) -> views.AuditChain:
    """Say how far the audit trail is sealed, as `getAuditChain` does."""
    return await _chain(door)


async def _chain(door: Door) -> views.AuditChain:
    row = await audit_rows.chain(door.database.pool)
    never = row["number"] is None
    state: Literal["sealed", "behind", "never"] = "never" if never else "behind" if row["behind"] else "sealed"
    return views.AuditChain(
        state=state,
        seals=row["number"] or 0,
        lines=row["lines"] or 0,
        last=None if never else views.Sealed(number=row["number"], at=row["at"], root=row["root"]),
        waiting=row["waiting"],
        waiting_since=row["since"],
    )


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: _FILE, **problems(404)},
    openapi_extra=needs(Permission.AUDIT_READ),
)
async def export_audit(
    project: QueriedProject,
    principal: PrincipalDep,
    wanted: LinesDep,
    door: DoorDep,
    format: Format = Format.JSONL,  # noqa: A002 -- the name of the parameter
) -> StreamingResponse:
    """Return what was done in a project as a file, newest first, with what was changed. That it was taken is noted."""
    return await _export(door, principal, project.id, project.slug, wanted, format)


@router.get("/lines/{number}", responses=problems(404), openapi_extra=needs(Permission.AUDIT_READ))
async def get_audit_line(
    project: QueriedProject, principal: PrincipalDep, number: Number, door: DoorDep
) -> views.AuditLineDetail:
    """Return one line with what it changed, and the seal that covers it."""
    return await _line(door, door.rows(principal), project.id, number)


@router.get("/security-events", responses=problems(404), openapi_extra=needs(Permission.AUDIT_READ))
async def list_security_events(
    project: QueriedProject,
    principal: PrincipalDep,
    wanted: EventsDep,
    door: DoorDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> views.SecurityEventList:
    """List what happened to the safety of a project, newest first."""
    return await _events(door.rows(principal), project.id, wanted, limit, cursor)


@installation.get("/audit", openapi_extra=needs(Permission.INSTALLATION_AUDIT))
async def list_installation_audit(
    wanted: LinesDep, door: DoorDep, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> views.AuditLineList:
    """List what was done in the whole installation, newest first."""
    return await _list(door.database.pool, None, wanted, limit, cursor)


@installation.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses={200: _FILE},
    openapi_extra=needs(Permission.INSTALLATION_AUDIT),
)
async def export_installation_audit(
    principal: PrincipalDep,
    wanted: LinesDep,
    door: DoorDep,
    format: Format = Format.JSONL,  # noqa: A002 -- the name of the parameter
) -> StreamingResponse:
    """Return what was done in the whole installation as a file, newest first. That it was taken is noted."""
    return await _export(door, principal, None, "installation", wanted, format)


@installation.get("/audit/lines/{number}", responses=problems(404), openapi_extra=needs(Permission.INSTALLATION_AUDIT))
async def get_installation_audit_line(number: Number, door: DoorDep) -> views.AuditLineDetail:
    """Return one line with what it changed, and the seal that covers it."""
    return await _line(door, door.database.pool, None, number)


@installation.get("/audit/roots", openapi_extra=needs(Permission.INSTALLATION_AUDIT))
async def list_audit_roots(
    door: DoorDep,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Of the seals that come after this one.")] = 0,
    limit: Annotated[int, Query(ge=1, le=audit_rows.ROOTS_AT_ONCE)] = audit_rows.ROOTS_AT_ONCE,
) -> views.AuditRootList:
    """List the root of every seal in order, to be kept elsewhere: `sparkops audit verify --root` compares with them."""
    rows = await audit_rows.roots(door.database.pool, after, limit + 1)
    items = [views.AuditRoot.model_validate(dict(row)) for row in rows[:limit]]
    return views.AuditRootList(items=items, next_cursor=str(items[-1].number) if len(rows) > limit else None)


@installation.get("/security-events", openapi_extra=needs(Permission.INSTALLATION_AUDIT))
async def list_installation_security_events(
    wanted: EventsDep, door: DoorDep, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> views.SecurityEventList:
    """List what happened to the safety of the installation, newest first."""
    return await _events(door.database.pool, None, wanted, limit, cursor)


async def _list(
    on: Statements, project_id: UUID | None, wanted: audit_rows.LineFilter, limit: int, cursor: int | None
) -> views.AuditLineList:
    rows = await audit_rows.lines(on, project_id, wanted, before=cursor, limit=limit + 1)
    items = [views.AuditLine.model_validate(_shown(row)) for row in rows[:limit]]
    return views.AuditLineList(items=items, next_cursor=str(items[-1].number) if len(rows) > limit else None)


async def _line(door: Door, on: Statements, project_id: UUID | None, number: int) -> views.AuditLineDetail:
    row = await audit_rows.line(on, project_id, number)
    if row is None:
        raise NotFound("There is no such line here.")
    seal = await audit_rows.seal_of(door.database.pool, number, row["at"])
    sealed = views.Sealed(number=seal["number"], at=seal["at"], root=seal["root"]) if seal else None
    return views.AuditLineDetail.model_validate({**_shown(row), "seal": sealed})


async def _export(
    door: Door,
    principal: Principal,
    project_id: UUID | None,
    name: str,
    wanted: audit_rows.LineFilter,
    form: Format,
) -> StreamingResponse:
    """Note that the trail is taken away, before the first byte is."""
    pool = door.database.pool
    filters = {key: str(value) for key in wanted.__slots__ if (value := getattr(wanted, key)) is not None}
    actor, object_ = f"user:{principal.user_id}", f"project:{project_id}" if project_id else "installation"
    await call(pool, "write_audit", project_id, actor, "audit.export", object_, {"format": form, "filters": filters})
    file = f"audit-{name}-{utc_now():%Y%m%dT%H%M%SZ}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return StreamingResponse(exported(pool, project_id, wanted, form), media_type=MEDIA_TYPES[form], headers=headers)


async def _events(
    on: Statements, project_id: UUID | None, wanted: audit_rows.EventFilter, limit: int, cursor: int | None
) -> views.SecurityEventList:
    rows = await audit_rows.security_events(on, project_id, wanted, before=cursor, limit=limit + 1)
    items = [views.SecurityEvent.model_validate(_shown(row)) for row in rows[:limit]]
    return views.SecurityEventList(items=items, next_cursor=str(items[-1].number) if len(rows) > limit else None)


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    who = None if row["user_id"] is None else Ref(id=row["user_id"], name=row["user_name"])
    return {**dict(row), "who": who}
