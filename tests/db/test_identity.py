"""Making users, as the command line and the first start do."""

import asyncio

import pytest

from sparkops.core.clock import utc_now
from sparkops.core.db import Database
from sparkops.core.errors import Conflict, Invalid
from sparkops.domains.identity.passwords import verify_password
from sparkops.domains.identity.queries import user_by_email
from sparkops.domains.identity.service import create_user, ensure_admin, open_session, refresh_session

LONG_ENOUGH = "long enough"


async def test_the_first_administrator_gets_a_generated_password_once(database: Database) -> None:
    async with database.sessions.begin() as session:
        generated = await ensure_admin(session, email="Admin@Example.com", password=None)
    async with database.sessions.begin() as session:
        again = await ensure_admin(session, email="admin@example.com", password="another password")
        user = await user_by_email(session, email="ADMIN@example.com")

    assert generated is not None
    assert again is None
    assert user is not None
    assert user.is_admin
    assert verify_password(generated, user.password_hash)


async def test_a_given_password_is_used_and_not_returned(database: Database) -> None:
    async with database.sessions.begin() as session:
        assert await ensure_admin(session, email="a@example.com", password=LONG_ENOUGH) is None
        user = await user_by_email(session, email="a@example.com")
    assert user is not None
    assert verify_password(LONG_ENOUGH, user.password_hash)


@pytest.mark.parametrize(
    ("email", "password"), [("no address", LONG_ENOUGH), ("a@example.com", "short"), ("a@example.com", "x" * 1_025)]
)
async def test_what_cannot_be_a_user_is_refused(database: Database, email: str, password: str) -> None:
    async with database.sessions.begin() as session:
        with pytest.raises(Invalid):
            await create_user(session, email=email, name="A", password=password, is_admin=False)


async def test_an_address_is_taken_once_in_any_case(database: Database) -> None:
    async with database.sessions.begin() as session:
        await create_user(session, email="a@example.com", name="A", password=LONG_ENOUGH, is_admin=False)
        with pytest.raises(Conflict):
            await create_user(session, email=" A@Example.com ", name="B", password=LONG_ENOUGH, is_admin=False)


async def test_of_two_refreshes_at_once_one_rotates_and_the_other_keeps(database: Database) -> None:
    """Arranged: the second comes while the first has rotated and not committed; it waits and finds itself second."""
    async with database.sessions.begin() as session:
        user = await create_user(session, email="a@example.com", name="A", password=LONG_ENOUGH, is_admin=False)
        token = (await open_session(session, user=user, now=utc_now())).refresh_token
    assert token is not None

    async def second() -> str | None:
        async with database.sessions.begin() as session:
            refreshed = await refresh_session(session, token=token, now=utc_now())
        assert refreshed is not None
        return refreshed.refresh_token

    async with database.sessions.begin() as session:
        first = await refresh_session(session, token=token, now=utc_now())
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert first is not None
    assert first.refresh_token is not None
    assert await waiting is None
