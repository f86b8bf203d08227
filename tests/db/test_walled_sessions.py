"""Sessions that are shown what one person may see: over one connection, one after the other, whatever went wrong."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.db import Database, open_database
from sparkops.core.ids import new_id
from sparkops.core.tenancy import show_also
from sparkops.domains.projects.models import Project


@pytest.fixture
async def narrow(app_url: str) -> AsyncIterator[Database]:
    """A database with one connection for all sessions."""
    async with open_database(app_url, name="tests", pool_size=1) as opened:
        yield opened


@pytest.fixture
async def projects(database: Database) -> tuple[UUID, UUID]:
    first, second = new_id(), new_id()
    async with database.sessions.begin() as session:
        session.add_all([Project(id=first, slug="first", name="F"), Project(id=second, slug="second", name="S")])
    return first, second


def only(project: UUID) -> str:
    return f"{{{project}}}"


async def slugs(session: AsyncSession) -> list[str]:
    return list((await session.scalars(select(Project.slug).order_by(Project.slug))).all())


async def test_each_session_over_one_connection_sees_its_own(narrow: Database, projects: tuple[UUID, UUID]) -> None:
    first, second = projects
    for mode in ("read", "write"):
        for sight, expected in (
            (only(first), ["first"]),
            (only(second), ["second"]),
            ("{}", []),
            (f"{{{first},{second}}}", ["first", "second"]),
            (only(first), ["first"]),
        ):
            async with narrow.walled.begin(sight, mode) as session:
                assert await slugs(session) == expected


async def test_a_transaction_that_is_rolled_back_leaves_nothing_to_the_next(
    narrow: Database, projects: tuple[UUID, UUID]
) -> None:
    first, second = projects
    async with narrow.walled.begin(only(first), "read") as session:
        assert await slugs(session) == ["first"]
    async with narrow.walled.begin(only(second), "write") as session:
        assert await slugs(session) == ["second"]
        await session.rollback()
    async with narrow.walled.begin(only(second), "write") as session:
        with pytest.raises(DBAPIError):
            await session.execute(text("SELECT 1 / 0"))
        await session.rollback()
    async with narrow.walled.begin(only(first), "read") as session:
        assert await slugs(session) == ["first"]
    async with narrow.walled.begin(only(second), "read") as session:
        assert await slugs(session) == ["second"]


async def test_a_request_that_is_given_up_leaves_nothing_to_the_next(
    narrow: Database, projects: tuple[UUID, UUID]
) -> None:
    """Given up at every one of its first moments: wherever it stops, the next one sees its own."""
    first, second = projects

    async def ask(sight: str) -> list[str]:
        async with narrow.walled.begin(sight, "read") as session:
            return await slugs(session)

    for moments in range(40):
        assert await ask(only(first)) == ["first"]
        task = asyncio.create_task(ask(only(second)))
        for _ in range(moments):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await ask(only(first)) == ["first"]


async def test_what_may_be_seen_is_told_to_a_connection_once(narrow: Database, projects: tuple[UUID, UUID]) -> None:
    first, _ = projects
    async with narrow.walled.begin(only(first), "read") as session:
        pid = await session.scalar(select(func.pg_backend_pid()))
    for mode in ("read", "write", "read"):
        async with narrow.walled.begin(only(first), mode) as session:
            raw = (await (await session.connection()).get_raw_connection()).driver_connection
            assert raw is not None
            assert await session.scalar(select(func.pg_backend_pid())) == pid
            said = await session.scalar(text("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"))
            assert "set_config" not in said


async def test_a_project_that_is_being_made_is_seen_until_the_end_of_the_transaction(
    narrow: Database, projects: tuple[UUID, UUID]
) -> None:
    first, second = projects
    made = new_id()
    async with narrow.walled.begin(only(first), "read") as session:  # from now on the connection is not told again
        assert await slugs(session) == ["first"]
    async with narrow.walled.begin(only(first), "write") as session:
        with pytest.raises(DBAPIError, match="row-level security"):
            async with session.begin_nested():
                session.add(Project(id=made, slug="made", name="M"))
        await show_also(session, made)
        session.add(Project(id=made, slug="made", name="M"))
        await session.flush()
        assert await slugs(session) == ["first", "made"]
    async with narrow.walled.begin(only(first), "read") as session:
        assert await slugs(session) == ["first"]
    async with narrow.walled.begin(only(second), "write") as session:
        assert await slugs(session) == ["second"]
