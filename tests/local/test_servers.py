"""The embedded PostgreSQL and Valkey, for real."""

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from sparkops.local.child import ChildState
from sparkops.local.errors import StartError
from sparkops.local.stack import EmbeddedServers


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    async with EmbeddedServers(tmp_path / "data") as started:
        yield started


async def query(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def back(servers: EmbeddedServers, name: str) -> None:
    child = servers.postgres if name == "postgres" else servers.valkey
    async with asyncio.timeout(10):
        while child.starts < 2 or child.state is not ChildState.RUNNING:
            await asyncio.sleep(0.02)


async def test_what_is_confirmed_is_kept_on_disk(servers: EmbeddedServers) -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert await query(servers.owner_url, f"SHOW {name}") == "on"
    async with Redis.from_url(servers.redis_url) as client:
        assert (await client.info("persistence"))["aof_enabled"] == 1


async def test_nobody_gets_in_without_a_password(servers: EmbeddedServers) -> None:
    port = servers.owner_url.rpartition(":")[2].partition("/")[0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:guess@127.0.0.1:{port}/postgres")
    bare = servers.redis_url.rpartition("@")[2]
    async with Redis.from_url(f"redis://{bare}") as client:
        with pytest.raises(AuthenticationError):
            await client.ping()


async def test_the_application_role_owns_nothing(servers: EmbeddedServers) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query(servers.app_url, "CREATE TABLE mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query(servers.app_url, "CREATE ROLE other")
    assert await query(servers.app_url, "SELECT current_user") == "sparkops_app"


async def test_a_role_made_for_another_database_cannot_enter_this_one(servers: EmbeddedServers) -> None:
    await query(servers.admin_url, "CREATE ROLE reader LOGIN PASSWORD 'reader'")
    place = servers.owner_url.rpartition("@")[2].partition("/")[0]
    for database in ("sparkops", "postgres"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(f"postgresql://reader:reader@{place}/{database}")


def command_lines() -> list[str]:
    lines = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(command.read_text(errors="replace"))
    return lines


async def test_secrets_are_private_and_on_no_command_line(servers: EmbeddedServers) -> None:
    secrets = list((servers.data.root / "secrets").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    texts = [path.read_text().strip() for path in secrets]
    assert not [line for line in command_lines() if any(text in line for text in texts)]


async def test_a_second_start_finds_everything(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path) as servers:
        await query(servers.owner_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        async with Redis.from_url(servers.redis_url) as client:
            await client.set("kept", "42")
    async with EmbeddedServers(tmp_path) as servers:
        assert await query(servers.owner_url, "SELECT answer FROM kept") == 42
        async with Redis.from_url(servers.redis_url) as client:
            assert await client.get("kept") == b"42"


async def test_postgres_comes_back_where_it_was_with_what_it_confirmed(servers: EmbeddedServers) -> None:
    await query(servers.owner_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert servers.postgres.pid is not None
    os.kill(servers.postgres.pid, signal.SIGKILL)
    await back(servers, "postgres")
    assert await query(servers.owner_url, "SELECT answer FROM kept") == 42


async def test_valkey_comes_back_where_it_was(servers: EmbeddedServers) -> None:
    assert servers.valkey.pid is not None
    os.kill(servers.valkey.pid, signal.SIGKILL)
    await back(servers, "valkey")
    async with Redis.from_url(servers.redis_url) as client:
        assert await client.ping()


async def test_an_interrupted_first_start_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "half").write_text("made")
    async with EmbeddedServers(tmp_path) as servers:
        assert await query(servers.owner_url, "SELECT 1") == 1
    assert not (tmp_path / "postgres.new").exists()


async def test_a_process_number_from_before_is_not_taken_for_a_server(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path) as servers:
        postgres = servers.data.postgres
        left_behind = (postgres / "postmaster.pid").read_text()
    lines = left_behind.splitlines()
    other = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        (postgres / "postmaster.pid").write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        async with EmbeddedServers(tmp_path) as servers:
            assert await query(servers.owner_url, "SELECT 1") == 1
    finally:
        other.kill()
        await other.wait()


async def test_data_of_another_major_version_are_refused(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(StartError, match="were written by PostgreSQL 14"):
        async with EmbeddedServers(tmp_path):
            pass


async def test_lost_secrets_are_named(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path):
        pass
    shutil.rmtree(tmp_path / "secrets")
    with pytest.raises(StartError, match="do not fit the database"):
        async with EmbeddedServers(tmp_path):
            pass


async def test_a_temporary_directory_is_removed() -> None:
    async with EmbeddedServers(durable=False) as servers:
        root = servers.data.root
        assert root.is_dir()
    assert not root.exists()
