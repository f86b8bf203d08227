"""Which installation a command works on: the servers of the settings, or the stack that runs on the data directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from sparkops.core.config import Settings, load_settings
from sparkops.core.db import Database, open_database
from sparkops.core.endpoints import SECRETS_KEY, running
from sparkops.core.errors import ConfigError, Unavailable


def find_settings(data_dir: Path | None = None) -> Settings:
    """Return the settings, completed with the servers of the stack that runs on the data directory if they name none.

    Raises:
        ConfigError: a setting is wrong, or nothing runs.
    """
    settings = _with_secrets_key(load_settings(data_dir=data_dir))
    if _names_servers(settings):
        return settings
    endpoints = running(settings.data_dir)
    if endpoints is None:
        raise ConfigError(
            f"No Spark-Ops runs on {settings.data_dir}. Start one with `sparkops up`, name its directory with "
            "--data-dir, or set SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL."
        )
    app_url = endpoints.app_database_url
    servers = {
        "database_url": SecretStr(endpoints.database_url),
        "app_database_url": SecretStr(app_url) if app_url else None,
        "redis_url": SecretStr(endpoints.redis_url),
    }
    return settings.model_copy(update=servers)


def server_variables() -> dict[str, str]:
    """Return the variables that point a door at a running stack; none if the settings name servers already.

    Raises:
        ConfigError: a setting is wrong, or nothing runs.
    """
    if _names_servers(load_settings()):
        return {}
    settings = find_settings()
    url, role = settings.app_login
    return {
        # Who only uses rows does not learn how to change tables.
        "SPARKOPS_DATABASE_URL" if role else "SPARKOPS_APP_DATABASE_URL": url,
        "SPARKOPS_REDIS_URL": settings.broker_url,
        **({"SPARKOPS_SECRETS_KEY_FILE": str(settings.secrets_key_file)} if settings.secrets_key_file else {}),
    }


def owner_url(settings: Settings) -> str:
    """Return the URL that may change the schema.

    Raises:
        ConfigError: the settings have none.
    """
    if settings.database_url is None:
        raise ConfigError("SPARKOPS_DATABASE_URL is missing: only the role that owns the schema can do this.")
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def open_target(settings: Settings, *, owner: bool = False) -> AsyncIterator[Database]:
    """Open the database as API and workers do, or as the owner of its schema.

    Raises:
        Unavailable: it cannot be reached, or refuses the login.
        ConfigError: the settings do not say how the owner gets in.
    """
    url, role = (owner_url(settings), None) if owner else settings.app_login
    try:
        async with open_database(url, role=role, name="sparkops", pool_size=1) as database:
            yield database
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
        raise Unavailable(f"The database cannot be reached ({error}); does the server run?") from None
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise Unavailable("The database refuses the user or the password.") from None


def _with_secrets_key(settings: Settings) -> Settings:
    """Return the settings with the key of secrets that `sparkops up` has made, if they have none."""
    file = settings.data_dir.absolute() / SECRETS_KEY
    if settings.secrets_key is not None or settings.secrets_key_file is not None or not file.exists():
        return settings
    return settings.model_copy(update={"secrets_key_file": file})


def _names_servers(settings: Settings) -> bool:
    return settings.database_url is not None or settings.app_database_url is not None
