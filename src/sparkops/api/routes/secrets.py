"""Secrets: written, rotated and archived here, and never read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs
from sparkops.api.deps import AuditDep, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.views import secrets as views
from sparkops.api.views.base import Ref
from sparkops.core.errors import Conflict, Forbidden, NotFound
from sparkops.core.paging import PageRequest, next_cursor, page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.identity.queries import names_of
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.secrets import queries, service
from sparkops.domains.secrets.models import Secret
from sparkops.domains.secrets.reference import Reference, pieces
from sparkops.domains.workflows.queries import workflows_that_mention

router = APIRouter(prefix="/secrets", tags=["secrets"])


class KeptElsewhere(Conflict):
    code, title = "secrets-kept-elsewhere", "Secrets are not kept here"


@router.get("", responses=problems(404), openapi_extra=needs(Permission.SECRET_READ))
async def list_secrets(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    page: PageDep,
    archived: Annotated[bool, Query(description="Those that nothing can refer to any more.")] = False,
) -> views.SecretList:
    """List the secrets of a project, newest first, without what they hold."""
    rows = await queries.secrets(session, principal, project_id=project.id, archived=archived, page=page)
    return await _list(session, principal, rows, page, project.slug, door.settings.secrets_source)


@router.get("/of-installation", openapi_extra=needs(Permission.INSTALLATION_MANAGE))
async def list_installation_secrets(
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    page: PageDep,
    archived: Annotated[bool, Query(description="Those that nothing can refer to any more.")] = False,
) -> views.SecretList:
    """List the secrets of the installation, to which its settings may refer, without what they hold."""
    rows = await queries.secrets(session, principal, project_id=None, archived=archived, page=page)
    return await _list(session, principal, rows, page, None, door.settings.secrets_source)


@router.post("", status_code=201, responses=problems(403, 404, 409), openapi_extra=needs(Permission.SECRET_MANAGE))
async def create_secret(
    body: views.NewSecret, principal: PrincipalDep, session: SessionDep, door: DoorDep, audit: AuditDep
) -> views.Secret:
    """Add a secret with its first version; from now on `secret://name` refers to it."""
    project_id = None
    if body.project is not None:
        project_id = (await find_project(session, principal, body.project)).id
    elif not principal.may(Permission.INSTALLATION_MANAGE, None):
        raise Forbidden("Only administrators of the installation may write its secrets.")
    _check_kept_here(door.settings.secrets_source)
    made = await service.create_secret(
        session,
        service.ring_of(door.keys),
        project_id=project_id,
        name=body.name,
        value=body.value.get_secret_value(),
        description=body.description.strip(),
        created_by=principal.user_id,
    )
    await audit("secret.create", f"secret:{made.id}", project_id, name=made.name, version=1)
    return _view(made, body.project)


@router.get("/{secret_id}", responses=problems(404), openapi_extra=needs(Permission.SECRET_READ))
async def get_secret(secret_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.SecretDetail:
    """Return a secret with what refers to it, without what it holds."""
    found = await _secret(session, principal, secret_id)
    view = await _whole(session, principal, found)
    readers = []
    if found.project_id is not None:
        mark = f"secret://{found.name}"
        for reader in await workflows_that_mention(session, principal, project_id=found.project_id, text=mark):
            named = {part.name for part in pieces(reader.source) if isinstance(part, Reference)}
            if found.name in named:
                readers.append(views.SecretReader(id=reader.id, name=reader.name, version=reader.version))
    return views.SecretDetail(**view.model_dump(), workflows=readers)


@router.post(
    "/{secret_id}/versions",
    status_code=201,
    responses=problems(403, 404, 409),
    openapi_extra=needs(Permission.SECRET_MANAGE),
)
async def create_secret_version(
    secret_id: UUID,
    body: views.NewSecretVersion,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    audit: AuditDep,
) -> views.Secret:
    """Put a new value in the place of a secret's latest; the next call gets it, without a restart."""
    found = await service.locked_secret(session, principal, secret_id)
    _check_kept_here(door.settings.secrets_source)
    await service.put_version(
        session,
        service.ring_of(door.keys),
        found,
        value=body.value.get_secret_value(),
        created_by=principal.user_id,
    )
    await audit(
        "secret.version", f"secret:{secret_id}", found.project_id, name=found.name, version=found.latest_version
    )
    return await _whole(session, principal, found)


@router.get("/{secret_id}/versions", responses=problems(404), openapi_extra=needs(Permission.SECRET_READ))
async def list_secret_versions(
    secret_id: UUID, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.SecretVersionList:
    """List the versions of a secret, newest first, without what they hold."""
    await _secret(session, principal, secret_id)
    rows = await queries.versions(session, principal, secret_id=secret_id, page=page)
    names = await names_of(session, user_ids={one.created_by for _, one in rows if one.created_by})
    items = [
        views.SecretVersion(
            version=one.version, kek_id=one.kek_id, created_by=_person(one.created_by, names), created_at=one.created_at
        )
        for _, one in rows[: page.limit]
    ]
    return views.SecretVersionList(items=items, next_cursor=next_cursor([version_id for version_id, _ in rows], page))


@router.get("/{secret_id}/uses", responses=problems(404), openapi_extra=needs(Permission.SECRET_READ))
async def list_secret_uses(
    secret_id: UUID, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.SecretUseList:
    """List which calls were given a secret, the latest first."""
    found = await _secret(session, principal, secret_id)
    rows = await queries.uses(session, principal, project_id=found.project_id, name=found.name, page=page)
    shown = page_of(rows, page)
    items = [views.SecretUse.model_validate(one) for one in shown.items]
    return views.SecretUseList(items=items, next_cursor=shown.next_cursor)


@router.post("/{secret_id}/archive", responses=problems(403, 404), openapi_extra=needs(Permission.SECRET_MANAGE))
async def archive_secret(
    secret_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.Secret:
    """Let nothing refer to a secret any more: calls that do so fail. Again changes nothing."""
    found = await service.locked_secret(session, principal, secret_id)
    if await service.archive(session, found):
        await audit("secret.archive", f"secret:{secret_id}", found.project_id, name=found.name)
    return await _whole(session, principal, found)


@router.post("/{secret_id}/restore", responses=problems(403, 404), openapi_extra=needs(Permission.SECRET_MANAGE))
async def restore_secret(
    secret_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.Secret:
    """Let references find an archived secret again. Again changes nothing."""
    found = await service.locked_secret(session, principal, secret_id)
    if await service.restore(session, found):
        await audit("secret.restore", f"secret:{secret_id}", found.project_id, name=found.name)
    return await _whole(session, principal, found)


def _check_kept_here(source: str) -> None:
    if source != "database":
        place = "a vault outside" if source == "vault" else "files that its orchestrator mounts"
        raise KeptElsewhere(f"This installation reads secrets from {place}; write them there.")


async def _secret(session: AsyncSession, principal: Principal, secret_id: UUID) -> Secret:
    found = await queries.secret(session, principal, secret_id=secret_id)
    if found is None:
        raise NotFound("There is no such secret here.")
    return found


async def _list(
    session: AsyncSession,
    principal: Principal,
    rows: Sequence[Secret],
    page: PageRequest,
    project: str | None,
    source: views.SecretSource,
) -> views.SecretList:
    found = page_of(rows, page)
    project_id = found.items[0].project_id if found.items else None
    names = [one.name for one in found.items]
    used = await queries.last_uses(session, principal, project_id=project_id, names=names)
    items = [_view(one, project, used.get(one.name)) for one in found.items]
    return views.SecretList(items=items, next_cursor=found.next_cursor, source=source)


async def _whole(session: AsyncSession, principal: Principal, found: Secret) -> views.Secret:
    used = await queries.last_uses(session, principal, project_id=found.project_id, names=[found.name])
    slugs = await slugs_of(session, principal, project_ids=[found.project_id]) if found.project_id else {}
    return _view(found, slugs[found.project_id] if found.project_id else None, used.get(found.name))


def _person(user_id: UUID | None, names: Mapping[UUID, str]) -> Ref | None:
    return Ref(id=user_id, name=names[user_id]) if user_id is not None and user_id in names else None


def _view(found: Secret, project: str | None, last_used_at: datetime | None = None) -> views.Secret:
    return views.Secret(
        id=found.id,
        project=project,
        name=found.name,
        reference=str(Reference(found.name)),
        description=found.description,
        latest_version=found.latest_version,
        created_at=found.created_at,
        archived_at=found.archived_at,
        last_used_at=last_used_at,
    )
