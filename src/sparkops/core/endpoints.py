"""Where a running stack can be reached: a private file in its data directory, for commands that come later."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sparkops.core.json import dumps, loads

FILE = Path("run") / "endpoints.json"
SECRETS_KEY = Path("secrets") / "secrets.key"
"""Where the key of secrets lies that `sparkops up` makes, if the settings have none."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What other commands need. `database_url` is the owner's; `app_database_url` of None means that URL, too."""

    pid: int
    api_url: str
    database_url: str
    app_database_url: str | None
    redis_url: str


def publish(data_dir: Path, endpoints: Endpoints) -> None:
    """Write the file, readable by this user only, whole or not at all."""
    path = data_dir / FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(dumps(asdict(endpoints)))
    fresh.replace(path)


def withdraw(data_dir: Path) -> None:
    """Remove the file; none is fine."""
    (data_dir / FILE).unlink(missing_ok=True)


def running(data_dir: Path) -> Endpoints | None:
    """Return the endpoints of the stack that runs on this directory, or None if none does."""
    try:
        endpoints = Endpoints(**loads((data_dir / FILE).read_bytes()))
        os.kill(endpoints.pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        if not os.access(data_dir / FILE, os.R_OK):
            raise
    return endpoints
