"""What most tests need: real servers, one pair per test process, and a fresh migrated database for each test.

A machine without the server programs fails these tests; nothing is skipped.
"""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from hypothesis import Phase, settings
from redis.asyncio import Redis

from sparkops.core.db import Database
from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner
from tests.lent import ENV as LENT
from tests.lent import LentServers
from tests.reused import Clone, Reused

TEMPLATE = "template_sparkops"
IN_MEMORY_BYTES = 4 << 30
"""More than two servers ever need, with what they write ahead."""

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # a busy machine is no fault of what is tested

settings.register_profile("hasty", deadline=None, phases=(Phase.explicit, Phase.generate), database=None)
"""For who only wants to know whether a test fails: the first counterexample will do."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def postgres_server(anyio_backend: str) -> AsyncIterator[EmbeddedServers | LentServers]:
    """PostgreSQL and Valkey of this test process; nobody keeps their data, so they do not wait for the disk."""
    if LENT in os.environ:
        yield LentServers.from_json(os.environ[LENT])
        return
    with TemporaryDirectory(prefix="sparkops-", dir=in_memory()) as kept:
        async with EmbeddedServers(Path(kept) / "data", durable=False) as servers:
            yield servers


def in_memory() -> Path | None:
    """Return a directory that lies in memory and has room: on a disk every clone of a database takes longer than the
    one before. None: there is none, and the system's own will do."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free >= IN_MEMORY_BYTES
    return memory if roomy else None


@pytest.fixture(scope="session")
async def template(postgres_server: EmbeddedServers | LentServers) -> str:
    """The name of a migrated database that tests clone and never open."""
    if isinstance(postgres_server, LentServers):
        return postgres_server.template
    await _as_superuser(postgres_server, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
    await runner.upgrade(postgres_server.url(database=TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
async def databases(postgres_server: EmbeddedServers | LentServers, template: str) -> AsyncIterator[Reused]:
    """What lends the tests of this process their databases."""
    admin = await asyncpg.connect(postgres_server.admin_url)
    try:
        made = Reused(postgres_server, template, admin)
        yield made
        await made.close()
    finally:
        await admin.close()


@pytest.fixture
async def clone(databases: Reused) -> AsyncIterator[Clone]:
    yield await databases.lend()
    await databases.take_back()


@pytest.fixture
def owner_url(clone: Clone) -> str:
    """This test's database, under the role that owns its schema."""
    return clone.owner_url


@pytest.fixture
def app_url(clone: Clone) -> str:
    """This test's database, under the role of API and workers."""
    return clone.app_url


@pytest.fixture
async def database(clone: Clone, databases: Reused) -> Database:
    """This test's database, open, under the role of API and workers."""
    return await databases.opened()


@pytest.fixture
async def redis_url(postgres_server: EmbeddedServers | LentServers) -> str:
    """The Valkey of this test process, emptied."""
    async with Redis.from_url(postgres_server.redis_url) as client:
        await client.flushall()
    return postgres_server.redis_url


async def _as_superuser(servers: EmbeddedServers | LentServers, statement: str) -> None:
    connection = await asyncpg.connect(servers.admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
