"""What routes around the second factor share: counting codes, asking for one, telling its owner, and the picture."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import segno
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.deps import Door
from sparkops.api.sign_in import mails_of, note
from sparkops.api.throttle import Caller
from sparkops.core.clock import utc_now
from sparkops.core.errors import Invalid
from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.domains.identity import attempts, factor_queries, factors
from sparkops.domains.identity.models import User

_SCALE = 5
"""Pixels for each of the 45 or so squares of a side."""


@asynccontextmanager
async def counted(door: Door, caller: Caller, principal: Principal, code: str | None) -> AsyncIterator[None]:
    """Count what is done within as an attempt of the caller at their own second factor; who was right is forgiven.

    A code of None is no attempt.

    Raises:
        TooMany: there were too many.
    """
    if code is None:
        yield
        return
    who = str(principal.user_id)
    await door.throttle.take_one(attempts.OWN_FACTOR, who, caller=caller, email=principal.email)
    try:
        yield
    except Invalid:
        await note(door, caller, "factor.refused", severity="warning", user=principal)
        raise
    await attempts.forget(door.database.pool, attempts.OWN_FACTOR, who)


async def spend_if_enrolled(door: Door, session: AsyncSession, principal: Principal, code: str | None) -> None:
    """Use a code up if the caller has a second factor, in the caller's transaction.

    Raises:
        Invalid: there is one, and the code is none that counts, or was left out.
    """
    if await factor_queries.confirmed_at(session, user_id=principal.user_id) is None:
        return
    if code is None:
        message = "is needed: you have a second factor"
        raise Invalid(f"A code {message}.", errors=[{"path": "code", "message": message}])
    ring = factors.ring_of(door.keys)
    await factors.spend(session, ring, user_id=principal.user_id, code=code, now=utc_now())


async def told(door: Door, caller: Caller, kind: str, *, user: User | Principal, what: str, **detail: Json) -> None:
    """Note what became of somebody's second factor, and tell them by mail where mails are sent."""
    await note(door, caller, kind, severity="warning", user=user, email=user.email, **detail)
    if (mails := mails_of(door)) is not None:
        door.errands.start(mails.factor(to=user.email, what=what))


def picture_of(address: str) -> str:
    """Return a QR code as a `data:` URL, dark on light whatever the page is."""
    picture: str = segno.make(address, error="m", micro=False).svg_data_uri(scale=_SCALE, dark="#000", light="#fff")
    return picture
