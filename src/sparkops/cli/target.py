"""Which installation a command works on: the servers of the settings, or the stack that runs on the data directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from sparkops.core.config import Settings, load_settings
from sparkops.core.db import APP_ROLE, Database, open_database
from sparkops.core.endpoints import running
from sparkops.core.errors import ConfigError, Unavailable


@dataclass(frozen=True, slots=True)
class Target:
    """Where the servers are. `app_url` of None: `owner_url`, under the application's role."""

    owner_url: str
    app_url: str | None
    redis_url: str


def find_target(data_dir: Path | None = None) -> Target:
    """Return the installation that the variables name, or the one that runs on the data directory.

    Raises:
        ConfigError: a setting is wrong, or nothing runs.
    """
    settings = load_settings(data_dir=data_dir)
    if settings.database_url is not None:
        return Target(
            settings.database_url.get_secret_value(), _text(settings.app_database_url), _text(settings.redis_url) or ""
        )
    endpoints = running(settings.data_dir)
    if endpoints is None:
        raise ConfigError(
            f"No Spark-Ops runs on {settings.data_dir}. Start one with `sparkops up`, name its directory with "
            "--data-dir, or set SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL."
        )
    return Target(endpoints.database_url, endpoints.app_database_url, endpoints.redis_url)


def server_variables() -> dict[str, str]:
    """Return the variables that point a door at a running stack; none if the settings name servers already.

    Raises:
        ConfigError: a setting is wrong, or nothing runs.
    """
    if _names_servers(load_settings()):
        return {}
    target = find_target()
    owner = {"SPARKOPS_DATABASE_URL": target.owner_url}
    return {
        **({"SPARKOPS_APP_DATABASE_URL": target.app_url} if target.app_url else owner),
        "SPARKOPS_REDIS_URL": target.redis_url,
    }


@asynccontextmanager
async def open_target(target: Target) -> AsyncIterator[Database]:
    """Open the database under the application's role.

    Raises:
        Unavailable: it cannot be reached, or refuses the login.
    """
    import asyncpg

    role = None if target.app_url else APP_ROLE
    try:
        async with open_database(target.app_url or target.owner_url, role=role, name="sparkops", pool_size=1) as opened:
            yield opened
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
        raise Unavailable(f"The database cannot be reached: {error}. Does the server run?") from None
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise Unavailable(f"The database refuses the login: {error}.") from None


def _names_servers(settings: Settings) -> bool:
    return settings.database_url is not None or settings.app_database_url is not None


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
