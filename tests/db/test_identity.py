"""Making users, as the command line and the first start do; and what happens to sessions and links at once."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import select, update

from sparkops.api.throttle import SignInThrottle
from sparkops.api.tokens import Signer
from sparkops.core.clock import utc_now
from sparkops.core.db import Database
from sparkops.core.errors import Conflict, Forbidden, Invalid
from sparkops.core.principal import Principal
from sparkops.domains.identity import attempts, factors, links, service
from sparkops.domains.identity.attempts import ACCOUNT, ADDRESS, Rule, Verdict
from sparkops.domains.identity.link_models import AccountLink, Attempts
from sparkops.domains.identity.links import LinkVoid, Purpose, make_link
from sparkops.domains.identity.models import Session, User
from sparkops.domains.identity.passwords import hash_password, verify_password
from sparkops.domains.identity.queries import add_user, user_by_email
from sparkops.domains.identity.service import (
    REUSE_GRACE,
    NotRefreshed,
    SignedIn,
    create_user,
    ensure_admin,
    open_session,
    refresh_session,
)

T = TypeVar("T")
CHEAP = 4
HASH = hash_password("any at all", rounds=CHEAP)
OTHER_HASH = hash_password("another one", rounds=CHEAP)

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


async def a_user(database: Database, name: str = "ann", *, is_admin: bool = False) -> User:
    async with database.sessions.begin() as session:
        user = await add_user(session, email=f"{name}@example.com", name=name, password_hash=HASH, is_admin=is_admin)
    assert user is not None
    return user


async def a_session(database: Database, user: User) -> SignedIn:
    async with database.sessions.begin() as session:
        return await open_session(session, user=user, now=utc_now())


async def refreshed(database: Database, token: str) -> SignedIn | NotRefreshed:
    async with database.sessions.begin() as session:
        return await refresh_session(session, token=token, now=utc_now())


async def held_back(act: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start something that has to wait for a transaction that is open."""
    task = asyncio.create_task(act)
    await asyncio.sleep(0.3)
    assert not task.done()
    return task


async def test_of_two_refreshes_at_once_both_get_the_same_successor(database: Database) -> None:
    """Arranged: the second comes while the first has rotated and not committed; it waits and finds itself second."""
    token = (await a_session(database, await a_user(database))).refresh_token
    async with database.sessions.begin() as session:
        first = await refresh_session(session, token=token, now=utc_now())
        waiting = await held_back(refreshed(database, token))
    second = await waiting
    assert isinstance(first, SignedIn)
    assert isinstance(second, SignedIn)
    assert first.refresh_token == second.refresh_token != token


async def test_a_session_that_ends_while_it_is_refreshed_stays_ended(database: Database) -> None:
    signed_in = await a_session(database, await a_user(database))
    async with database.sessions.begin() as session:
        principal = Principal(signed_in.user.id, "", "", is_admin=False, session_id=signed_in.session_id)
        await service.sign_out(session, principal, now=utc_now())
        waiting = await held_back(refreshed(database, signed_in.refresh_token))
    assert await waiting == NotRefreshed()


async def test_the_token_before_counts_no_longer_than_the_grace_and_then_ends_the_family(database: Database) -> None:
    first = (await a_session(database, await a_user(database))).refresh_token
    second = await refreshed(database, first)
    assert isinstance(second, SignedIn)
    async with database.sessions.begin() as session:
        long_ago = utc_now() - REUSE_GRACE - timedelta(seconds=1)
        await session.execute(update(Session).values(rotated_at=long_ago))
    reused = await refreshed(database, first)
    assert isinstance(reused, NotRefreshed)
    assert reused.reused
    assert await refreshed(database, second.refresh_token) == NotRefreshed()


async def test_the_token_before_counts_no_longer_once_its_successor_was_used(database: Database) -> None:
    first = (await a_session(database, await a_user(database))).refresh_token
    second = await refreshed(database, first)
    assert isinstance(second, SignedIn)
    third = await refreshed(database, second.refresh_token)
    assert isinstance(third, SignedIn)
    reused = await refreshed(database, first)
    assert isinstance(reused, NotRefreshed)
    assert reused.reused
    assert await refreshed(database, third.refresh_token) == NotRefreshed()


async def test_a_made_up_token_does_not_end_the_session_that_it_names(database: Database) -> None:
    signed_in = await a_session(database, await a_user(database))
    other = await a_session(database, signed_in.user)
    mixed = signed_in.refresh_token[:21] + other.refresh_token[21:]
    assert await refreshed(database, mixed) == NotRefreshed()
    assert isinstance(await refreshed(database, signed_in.refresh_token), SignedIn)


async def test_what_is_stored_opens_no_session(database: Database) -> None:
    """A copy of the table holds neither a token nor what makes one."""
    first = await a_session(database, await a_user(database))
    second = await refreshed(database, first.refresh_token)
    assert isinstance(second, SignedIn)
    async with database.sessions.begin() as session:
        row = (await session.scalars(select(Session))).one()
    kept = " ".join(str(value) for value in vars(row).values())
    assert first.refresh_token not in kept
    assert second.refresh_token not in kept
    assert row.successor is not None
    for guess in (row.successor, row.family_key):
        assert guess != second.refresh_token.encode()
    stolen = await refreshed(database, "A" * 84)
    assert stolen == NotRefreshed()


async def test_a_sign_in_that_races_with_a_new_password_leaves_no_session(database: Database) -> None:
    """Arranged: the old password was right, and is replaced before the session is opened."""
    user = await a_user(database)
    old = service.Credentials(user, HASH)

    async def sign_in() -> object:
        async with database.sessions.begin() as session:
            return await factors.open_or_challenge(session, old, now=utc_now())

    async with database.sessions.begin() as session:
        await service.replace_password(session, old, password_hash=OTHER_HASH, now=utc_now())
        waiting = await held_back(sign_in())
    assert await waiting is None


async def test_a_new_password_ends_a_session_that_is_being_opened_with_the_old_one(database: Database) -> None:
    """The other way round: the session is opened and not committed; the change waits, and then sees it."""
    user = await a_user(database)
    old = service.Credentials(user, HASH)

    async def change() -> None:
        async with database.sessions.begin() as session:
            await service.replace_password(session, old, password_hash=OTHER_HASH, now=utc_now())

    async with database.sessions.begin() as session:
        opened = await factors.open_or_challenge(session, old, now=utc_now())
        waiting = await held_back(change())
    await waiting
    assert isinstance(opened, SignedIn)
    assert await refreshed(database, opened.refresh_token) == NotRefreshed()


async def test_of_two_new_passwords_at_once_the_second_is_refused(database: Database) -> None:
    user = await a_user(database)
    old = service.Credentials(user, HASH)

    async def change() -> None:
        async with database.sessions.begin() as session:
            await service.replace_password(session, old, password_hash=OTHER_HASH, now=utc_now())

    async with database.sessions.begin() as session:
        await service.replace_password(session, old, password_hash=OTHER_HASH, now=utc_now())
        waiting = await held_back(change())
    with pytest.raises(Conflict):
        await waiting


async def test_of_two_administrators_who_disable_each_other_one_stays(database: Database) -> None:
    ann, bob = await a_user(database, "ann", is_admin=True), await a_user(database, "bob", is_admin=True)

    async def disable(who: User, whom: User) -> None:
        async with database.sessions.begin() as session:
            principal = Principal(who.id, who.email, who.name, is_admin=True)
            await service.change_standing(session, principal, user_id=whom.id, to="disabled", now=utc_now())

    async with database.sessions.begin() as session:
        principal = Principal(ann.id, ann.email, ann.name, is_admin=True)
        await service.change_standing(session, principal, user_id=bob.id, to="disabled", now=utc_now())
        waiting = await held_back(disable(bob, ann))
    with pytest.raises(Forbidden):
        await waiting
    async with database.sessions.begin() as session:
        rows = await session.scalars(select(User.email).where(User.is_admin, User.disabled_at.is_(None)))
    assert rows.all() == ["ann@example.com"]


async def a_link(database: Database, user: User | None, purpose: Purpose = Purpose.RESET) -> str:
    async with database.sessions.begin() as session:
        made = await make_link(session, purpose=purpose, user_id=user.id if user else None, now=utc_now())
    return made.token


async def use(database: Database, token: str) -> User:
    async with database.sessions.begin() as session:
        return await links.choose_password(session, token=token, password_hash=OTHER_HASH, now=utc_now())


async def test_of_two_who_use_a_link_at_once_one_may(database: Database) -> None:
    token = await a_link(database, await a_user(database))
    async with database.sessions.begin() as session:
        await links.choose_password(session, token=token, password_hash=OTHER_HASH, now=utc_now())
        waiting = await held_back(use(database, token))
    with pytest.raises(LinkVoid):
        await waiting


async def test_a_link_is_used_while_another_one_is_made_and_nobody_waits_in_a_circle(database: Database) -> None:
    user = await a_user(database)
    token = await a_link(database, user)
    async with database.sessions.begin() as session:
        await make_link(session, purpose=Purpose.RESET, user_id=user.id, now=utc_now())
        waiting = await held_back(use(database, token))
    with pytest.raises(LinkVoid):
        await waiting


async def test_a_link_ends_when_its_time_is_over_or_its_user_is_disabled(database: Database) -> None:
    user = await a_user(database)
    late = await a_link(database, user)
    async with database.sessions.begin() as session:
        await session.execute(update(AccountLink).values(expires_at=utc_now()))
    with pytest.raises(LinkVoid):
        await use(database, late)
    token = await a_link(database, user)
    async with database.sessions.begin() as session:
        await session.execute(update(User).values(disabled_at=utc_now()))
    with pytest.raises(LinkVoid):
        await use(database, token)


async def test_of_two_set_ups_at_once_one_makes_the_administrator(database: Database) -> None:
    token = await a_link(database, None, Purpose.SETUP)

    async def set_up(name: str) -> None:
        async with database.sessions.begin() as session:
            await links.use_setup(session, token=token, now=utc_now())
            await service.add_user(session, email=f"{name}@example.com", name=name, password_hash=HASH, is_admin=True)

    async with database.sessions.begin() as session:
        await links.use_setup(session, token=token, now=utc_now())
        waiting = await held_back(set_up("eve"))
        await service.add_user(session, email="ann@example.com", name="Ann", password_hash=HASH, is_admin=True)
    with pytest.raises(LinkVoid):
        await waiting


async def test_a_set_up_link_is_no_reset_link_and_a_reset_link_no_set_up(database: Database) -> None:
    setup = await a_link(database, None, Purpose.SETUP)
    with pytest.raises(LinkVoid):
        await use(database, setup)
    reset = await a_link(database, await a_user(database))
    async with database.sessions.begin() as session:
        with pytest.raises(LinkVoid):
            await links.use_setup(session, token=reset, now=utc_now())
        await session.rollback()
    assert (await use(database, reset)).email == "ann@example.com"


async def test_an_installation_with_people_cannot_be_set_up(database: Database) -> None:
    token = await a_link(database, None, Purpose.SETUP)
    await a_user(database)
    async with database.sessions.begin() as session:
        with pytest.raises(Conflict):
            await links.use_setup(session, token=token, now=utc_now())
        await session.rollback()


async def take(database: Database, rule: Rule, what: str) -> Verdict:
    return await SignInThrottle(database, Signer("k" * 32)).count(rule, what)


async def test_attempts_that_come_at_once_are_all_counted(database: Database) -> None:
    verdicts = await asyncio.gather(*(take(database, ACCOUNT, "ann@example.com") for _ in range(40)))
    assert sum(one.wait is None for one in verdicts) == ACCOUNT.free
    assert sum(one.first for one in verdicts) == 1


async def test_an_attempt_waits_for_one_that_is_being_counted(database: Database) -> None:
    """Arranged: the last free place is taken by a transaction that has not committed."""
    for _ in range(ACCOUNT.free - 1):
        await take(database, ACCOUNT, "ann@example.com")
    key = attempts.key_of(ACCOUNT, "ann@example.com")
    async with database.sessions.begin() as session:
        until = utc_now() + timedelta(minutes=1)
        await session.execute(
            update(Attempts).where(Attempts.key == key).values(used=ACCOUNT.free, blocked_until=until)
        )
        waiting = await held_back(take(database, ACCOUNT, "ann@example.com"))
    assert (await waiting).wait is not None


async def test_who_was_right_gives_the_place_back(database: Database) -> None:
    for _ in range(3 * ADDRESS.free):
        assert (await take(database, ADDRESS, "192.0.2.1")).wait is None
        await attempts.give_back(database.pool, ADDRESS, "192.0.2.1")


async def test_counts_that_count_no_more_are_taken_away(database: Database) -> None:
    long_ago = utc_now() - timedelta(hours=2)
    for number in range(30):
        await take(database, ACCOUNT, f"{number}@example.com")
    async with database.sessions.begin() as session:
        await session.execute(update(Attempts).values(forget_at=long_ago))
    for number in range(3):
        await take(database, ACCOUNT, f"new{number}@example.com")
    async with database.sessions.begin() as session:
        left = (await session.scalars(select(Attempts.forget_at))).all()
    assert len(left) == 3


async def test_a_session_that_nobody_uses_ends_and_one_that_is_used_ends_after_its_time_all_the_same(
    database: Database,
) -> None:
    begun, idle = utc_now(), timedelta(hours=2)
    async with database.sessions.begin() as session:
        held = await open_session(session, user=await a_user(database), now=begun, idle=idle)
    assert held.expires_at == begun + idle

    async def at(moment: datetime) -> SignedIn | NotRefreshed:
        async with database.sessions.begin() as session:
            return await refresh_session(session, token=held.refresh_token, now=moment, idle=idle)

    now = begun
    while now < begun + service.SESSION_LIFETIME - idle:
        now += idle - timedelta(seconds=1)
        went_on = await at(now)
        assert isinstance(went_on, SignedIn)
        held = went_on
        assert held.expires_at == min(now + idle, begun + service.SESSION_LIFETIME)
    assert held.expires_at == begun + service.SESSION_LIFETIME
    assert await at(begun + service.SESSION_LIFETIME) == NotRefreshed()

    other = await a_session(database, await a_user(database, "bob"))
    assert other.expires_at < begun + timedelta(hours=13)
    held = other
    assert await at(utc_now() + service.SESSION_IDLE) == NotRefreshed()
