"""Servers that somebody else runs: can they be reached, are they new enough, do they keep what they confirm?"""

from urllib.parse import urlsplit

import asyncpg

from sparkops.local.binaries import MINIMUM_POSTGRES, MINIMUM_REDIS
from sparkops.local.errors import StartError

CONNECT_SECONDS = 5.0
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


async def check_postgres(url: str, setting: str = "SPARKOPS_DATABASE_URL") -> None:
    """Do nothing if the server serves; `setting` is the name under which the URL was given.

    Raises:
        StartError: it cannot be reached, refuses us, is too old, or does not keep what it confirms.
    """
    connection = await _connect(url, setting)
    try:
        version = connection.get_server_version()
        if version.major < MINIMUM_POSTGRES:
            raise StartError(
                f"PostgreSQL at {_place(url)} is version {version.major}.{version.minor}; "
                f"Spark-Ops needs {MINIMUM_POSTGRES} or later."
            )
        for name in DURABLE:
            if await connection.fetchval("SELECT current_setting($1)", name) == "off":
                raise StartError(
                    f"PostgreSQL at {_place(url)} runs with {name} off and may lose what it has confirmed; turn it on."
                )
    finally:
        await connection.close()


async def _connect(url: str, setting: str) -> "asyncpg.Connection[asyncpg.Record]":
    place = _place(url, setting)
    try:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise StartError(f"PostgreSQL at {place} refuses the user or the password in {setting}.") from None
    except asyncpg.InvalidCatalogNameError:
        raise StartError(f"PostgreSQL at {place} has no database of the name in {setting}; create it first.") from None
    except TimeoutError:
        raise StartError(_unreachable("PostgreSQL", place, setting, "no answer")) from None
    except OSError as error:
        raise StartError(_unreachable("PostgreSQL", place, setting, _reason(error))) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StartError(f"PostgreSQL at {place} cannot be used with {setting}: {error}.") from None


async def check_redis(url: str, setting: str = "SPARKOPS_REDIS_URL") -> None:
    """Do nothing if the server serves.

    Raises:
        StartError: it cannot be reached, refuses us, or is too old.
    """
    # Here, because the supervisor of servers of our own has no use for it: it is a fifth of its memory.
    from redis.asyncio import Redis  # noqa: PLC0415
    from redis.exceptions import AuthenticationError, RedisError  # noqa: PLC0415

    place = _place(url, setting)
    async with Redis.from_url(url, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS) as client:
        try:
            version = str((await client.info("server"))["redis_version"])
        except AuthenticationError:
            raise StartError(f"Redis at {place} refuses the user or the password in {setting}.") from None
        except (OSError, RedisError) as error:
            raise StartError(_unreachable("Redis", place, setting, _reason(error))) from None
    if int(version.partition(".")[0]) < MINIMUM_REDIS:
        raise StartError(f"Redis at {place} is version {version}; Spark-Ops needs {MINIMUM_REDIS} or later.")


def _unreachable(what: str, place: str, setting: str, reason: str) -> str:
    return f"{what} at {place} cannot be reached ({reason}); check {setting} and that the server runs."


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__


def _place(url: str, setting: str = "the URL") -> str:
    """Return host and port of a URL, never its password.

    Raises:
        StartError: the URL holds no such thing.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise StartError(f"{setting} is not a valid URL: {error}.") from None
    return f"{host}:{port}" if port else host or parts.path or "its socket"
