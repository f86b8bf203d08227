"""Use cases of API keys: making one that may no more than its maker, and revoking it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound
from sparkops.core.permissions import Permission
from sparkops.core.principal import Place, Principal
from sparkops.domains.identity import key_queries as queries
from sparkops.domains.identity.key_models import ApiKey
from sparkops.domains.identity.keys import GRANTABLE, make_key

MAX_LIVE_KEYS: Final = 50
"""Of one user: more than anybody can keep an eye on."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What somebody wants a key for. `expires_at` None: until it is revoked."""

    name: str
    scopes: frozenset[Permission]
    places: Collection[Place]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key. `text` is the only copy there is."""

    key: ApiKey
    text: str


async def make_api_key(session: AsyncSession, principal: Principal, request: KeyRequest, *, user_id: UUID) -> MadeKey:
    """Make a key that acts for a user: for the caller, or for a service account that the caller may manage.

    It is given no scope that its maker does not have in any of the projects; what the user may not do at the time of a
    request, the key may not either.

    Raises:
        Invalid: a scope is none that keys are given.
        Forbidden: the caller does not have a scope in any of the projects.
        Conflict: the user has as many keys as anybody can keep an eye on.
    """
    check_scopes(principal, request)
    if await queries.live_keys(session, user_id=user_id) >= MAX_LIVE_KEYS:
        raise Conflict(f"There are {MAX_LIVE_KEYS} keys in use already; revoke those that nobody needs.")
    fresh = make_key()
    key_id = await queries.add_key(
        session,
        fresh,
        user_id=user_id,
        name=request.name,
        scopes=request.scopes,
        project_ids=[place.id for place in request.places],
        created_by=principal.user_id,
        expires_at=request.expires_at,
    )
    return MadeKey(await find_key(session, user_id=user_id, key_id=key_id), fresh.text)


def check_scopes(principal: Principal, request: KeyRequest) -> None:
    """Do nothing if the caller may give these scopes away.

    Raises:
        Invalid: a scope is none that keys are given.
        Forbidden: the caller does not have one in any of the projects.
    """
    never = sorted(request.scopes - GRANTABLE)
    if never:
        raise Invalid(
            f"No key is given {', '.join(never)}: that is for people.",
            errors=[{"path": "scopes", "message": f"{scope} is for people"} for scope in never],
        )
    lacking = sorted(
        scope for scope in request.scopes if not any(principal.may(scope, place.id) for place in request.places)
    )
    if lacking:
        raise Forbidden(f"You cannot give a key what you may not do yourself in these projects: {', '.join(lacking)}.")


async def find_key(session: AsyncSession, *, user_id: UUID, key_id: UUID) -> ApiKey:
    """Return a key of this user.

    Raises:
        NotFound: there is no such key of theirs.
    """
    key = await queries.key_of(session, user_id=user_id, key_id=key_id)
    if key is None:
        raise NotFound("There is no such key here.")
    return key
