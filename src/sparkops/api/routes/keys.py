"""API keys of the caller, and service accounts of a project with theirs.

A key may no more than whom it acts for, at any time: what it is allowed is looked up with each request. No key makes
keys of a person: who has got hold of one must not be able to keep a way in.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs, people_only, signed_in
from sparkops.api.deps import AuditDep, NamedProject, PageDep, PrincipalDep, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import keys as views
from sparkops.core.clock import utc_now
from sparkops.core.errors import Conflict, NotFound
from sparkops.core.json import Json
from sparkops.core.paging import page_of
from sparkops.core.permissions import DESCRIPTIONS, ROLES, Permission
from sparkops.core.principal import Place, Principal
from sparkops.domains.identity import api_keys, key_queries
from sparkops.domains.identity import service_accounts as accounts
from sparkops.domains.identity.key_models import ApiKey
from sparkops.domains.identity.keys import GRANTABLE, PREFIX

router = APIRouter(prefix="/api-keys", tags=["keys"])
of_project = APIRouter(prefix="/projects/{slug}/service-accounts", tags=["keys"])


@router.get("", openapi_extra=people_only())
async def list_api_keys(principal: PrincipalDep, session: SessionDep, page: PageDep) -> views.ApiKeyList:
    """List the caller's keys, newest first; those that have ended, too."""
    found = page_of(await key_queries.keys_of(session, user_id=principal.user_id, page=page), page)
    return views.ApiKeyList(items=await _views(session, principal, found.items), next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(403, 404, 409), openapi_extra=people_only())
async def create_api_key(
    body: views.NewApiKey, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.CreatedApiKey:
    """Make a key that acts for the caller. The answer is the only place where it is ever shown."""
    request = _request(body, [_place(principal, slug) for slug in dict.fromkeys(body.projects)])
    made = await api_keys.make_api_key(session, principal, request, user_id=principal.user_id)
    for place in request.places:
        await audit("key.create", f"key:{made.key.id}", place.id, after=_about(made.key))
    return await _created(session, principal, made)


@router.get("/scopes", openapi_extra=signed_in())
async def list_key_scopes() -> views.KeyScopeList:
    """List what keys can be given, with the roles that have it."""
    return views.KeyScopeList(
        items=[
            views.KeyScope(
                scope=one, description=DESCRIPTIONS[one], roles=[role for role, may in ROLES.items() if one in may]
            )
            for one in Permission
            if one in GRANTABLE
        ]
    )


@router.post("/{key_id}/revoke", responses=problems(404), openapi_extra=people_only())
async def revoke_api_key(key_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep) -> views.ApiKey:
    """End one of the caller's keys, from the next request on. Again changes nothing."""
    return await _revoke(session, principal, audit, user_id=principal.user_id, key_id=key_id)


@of_project.get("", responses=problems(403, 404), openapi_extra=needs(Permission.ACCOUNT_READ))
async def list_service_accounts(project: NamedProject, session: SessionDep, page: PageDep) -> views.ServiceAccountList:
    """List the service accounts of a project, newest first."""
    found = page_of(await accounts.accounts_of(session, project_id=project.id, page=page), page)
    items = [views.ServiceAccount.model_validate(one) for one in found.items]
    return views.ServiceAccountList(items=items, next_cursor=found.next_cursor)


@of_project.post("", status_code=201, responses=problems(403, 404, 409), openapi_extra=needs(Permission.ACCOUNT_MANAGE))
async def create_service_account(
    body: views.NewServiceAccount, project: NamedProject, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.ServiceAccount:
    """Add a service account with a role that allows no more than that of the caller. Give it a key next."""
    place = _place(principal, project.slug)
    account_id = await accounts.create_account(session, principal, place, name=body.name, role=body.role)
    after: dict[str, Json] = {"name": body.name, "role": body.role}
    await audit("account.create", f"user:{account_id}", project.id, after=after)
    return await _account(session, project.id, account_id)


@of_project.patch("/{account_id}", responses=problems(403, 404), openapi_extra=needs(Permission.ACCOUNT_MANAGE))
async def change_service_account(
    account_id: UUID,
    body: views.ServiceAccountChange,
    project: NamedProject,
    principal: PrincipalDep,
    session: SessionDep,
    audit: AuditDep,
) -> views.ServiceAccount:
    """Let an account act in another role, or disable it; both hold from the next request of its keys on."""
    before = await accounts.find_account(session, project_id=project.id, account_id=account_id)
    if body.role is not None:
        await accounts.change_role(session, principal, project_id=project.id, account_id=account_id, role=body.role)
    if body.disabled is not None:
        await accounts.switch(session, project_id=project.id, account_id=account_id, on=not body.disabled)
    after = await accounts.find_account(session, project_id=project.id, account_id=account_id)
    subject = f"user:{account_id}"
    await audit("account.change", subject, project.id, before=_state(before), after=_state(after), name=before.name)
    return views.ServiceAccount.model_validate(after)


@of_project.get("/{account_id}/keys", responses=problems(403, 404), openapi_extra=needs(Permission.ACCOUNT_READ))
async def list_account_keys(
    account_id: UUID, project: NamedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.ApiKeyList:
    """List the keys of a service account, newest first."""
    await accounts.find_account(session, project_id=project.id, account_id=account_id)
    found = page_of(await key_queries.keys_of(session, user_id=account_id, page=page), page)
    return views.ApiKeyList(items=await _views(session, principal, found.items), next_cursor=found.next_cursor)


@of_project.post(
    "/{account_id}/keys",
    status_code=201,
    responses=problems(403, 404, 409),
    openapi_extra=needs(Permission.ACCOUNT_MANAGE),
)
async def create_account_key(
    account_id: UUID,
    body: views.NewAccountKey,
    project: NamedProject,
    principal: PrincipalDep,
    session: SessionDep,
    audit: AuditDep,
) -> views.CreatedApiKey:
    """Make a key that acts for a service account. The answer is the only place where it is ever shown."""
    account = await accounts.find_account(session, project_id=project.id, account_id=account_id)
    if account.role is None:
        raise Conflict("This account was taken out of the project; give it a role first.")
    accounts.check_role(principal, project.id, account.role)
    request = _request(body, [_place(principal, project.slug)])
    made = await api_keys.make_api_key(session, principal, request, user_id=account_id)
    await audit("key.create", f"key:{made.key.id}", project.id, after=_about(made.key), account=account.name)
    return await _created(session, principal, made)


@of_project.post(
    "/{account_id}/keys/{key_id}/revoke", responses=problems(403, 404), openapi_extra=needs(Permission.ACCOUNT_MANAGE)
)
async def revoke_account_key(
    account_id: UUID,
    key_id: UUID,
    project: NamedProject,
    principal: PrincipalDep,
    session: SessionDep,
    audit: AuditDep,
) -> views.ApiKey:
    """End a key of a service account, from the next request on. Again changes nothing."""
    await accounts.find_account(session, project_id=project.id, account_id=account_id)
    return await _revoke(session, principal, audit, user_id=account_id, key_id=key_id)


async def _revoke(
    session: AsyncSession, principal: Principal, audit: AuditDep, *, user_id: UUID, key_id: UUID
) -> views.ApiKey:
    key = await api_keys.find_key(session, user_id=user_id, key_id=key_id)
    if await key_queries.revoke_key(session, user_id=user_id, key_id=key_id, by=principal.user_id):
        reached = await key_queries.projects_of_keys(session, key_ids=[key_id])
        nowhere: list[UUID | None] = [None]
        for project_id in reached.get(key_id) or nowhere:
            await audit("key.revoke", f"key:{key_id}", project_id, before=_about(key))
        await session.refresh(key)
    (view,) = await _views(session, principal, [key])
    return view


async def _account(session: AsyncSession, project_id: UUID, account_id: UUID) -> views.ServiceAccount:
    found = await accounts.find_account(session, project_id=project_id, account_id=account_id)
    return views.ServiceAccount.model_validate(found)


def _place(principal: Principal, slug: str) -> Place:
    place = principal.place(slug)
    if place is None:
        raise NotFound(f"There is no project {slug} here.")
    return place


def _request(body: views.NewKeyTerms, places: Sequence[Place]) -> api_keys.KeyRequest:
    days = body.expires_in_days
    expires_at = utc_now() + timedelta(days=days) if days is not None else None
    return api_keys.KeyRequest(body.name, frozenset(body.scopes), places, expires_at)


async def _created(session: AsyncSession, principal: Principal, made: api_keys.MadeKey) -> views.CreatedApiKey:
    (view,) = await _views(session, principal, [made.key])
    return views.CreatedApiKey(**view.model_dump(), key=made.text)


async def _views(session: AsyncSession, principal: Principal, keys: Sequence[ApiKey]) -> list[views.ApiKey]:
    reached = await key_queries.projects_of_keys(session, key_ids=[key.id for key in keys])
    return [_view(principal, key, reached) for key in keys]


def _view(principal: Principal, key: ApiKey, reached: Mapping[UUID, Sequence[UUID]]) -> views.ApiKey:
    places = [principal.places[one].slug for one in reached.get(key.id, ()) if one in principal.places]
    ended = key.expires_at is not None and key.expires_at <= utc_now()
    return views.ApiKey(
        id=key.id,
        name=key.name,
        prefix=PREFIX + key.public_id,
        status="revoked" if key.revoked_at else "expired" if ended else "active",
        scopes=sorted(GRANTABLE.intersection(key.scopes)),
        projects=sorted(places),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        last_used_from=key.last_used_from,
        revoked_at=key.revoked_at,
    )


def _state(account: accounts.ServiceAccount) -> dict[str, Json]:
    """Return what the audit trail tells of a service account."""
    return {"role": account.role, "disabled": account.disabled_at is not None}


def _about(key: ApiKey) -> dict[str, Json]:
    """Return what the audit trail tells of a key."""
    return {
        "name": key.name,
        "prefix": PREFIX + key.public_id,
        "scopes": sorted(key.scopes),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
