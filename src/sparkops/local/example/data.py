"""Loads the example's table into a database of its own, readable by one role that can do nothing else."""

import csv
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from sparkops.core.config import Connection
from sparkops.local.errors import StartError
from sparkops.local.example import CONNECTION, DATABASE, PROJECT, example_dir
from sparkops.local.paths import DataDir
from sparkops.local.stack import EmbeddedServers

READER = "weather_reader"

_TABLE = """
CREATE TABLE days (
  date date PRIMARY KEY, precipitation float8 NOT NULL, temp_max float8 NOT NULL, temp_min float8 NOT NULL,
  wind float8 NOT NULL, weather text NOT NULL)
"""
_COLUMNS = ("date", "precipitation", "temp_max", "temp_min", "wind", "weather")


async def connection_to_weather(servers: EmbeddedServers | None) -> Mapping[str, object]:
    """Return the setting that names the example's database, after loading it where it is not there yet.

    Raises:
        StartError: the servers are not ours, so that there is no place for it.
    """
    if servers is None:
        raise StartError("The example needs the embedded servers; unset SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL.")
    password = DataDir(servers.data.root).secret("weather_reader.password")
    await _create(servers.admin_url, password)
    url = make_url(servers.admin_url).set(username=READER, password=password, database=DATABASE)
    connection = {"url": url.render_as_string(hide_password=False), "projects": [PROJECT]}
    return {"connections": {CONNECTION: Connection.model_validate(connection)}}


async def _create(admin_url: str, password: str) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            return
        if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", READER):
            # lint: allow sql-text -- the password is ours, hexadecimal
            await admin.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{password}'")
        await _fill(admin, admin_url)
    finally:
        await admin.close()


async def _fill(admin: "asyncpg.Connection", admin_url: str) -> None:
    """Load the table under another name first, so that a half-loaded database is never taken for a whole one."""
    loading = f"{DATABASE}_loading"
    await admin.execute(f"DROP DATABASE IF EXISTS {loading} WITH (FORCE)")
    await admin.execute(f"CREATE DATABASE {loading}")
    url = make_url(admin_url).set(database=loading).render_as_string(hide_password=False)
    target = await asyncpg.connect(url)
    try:
        await target.execute(_TABLE)
        await target.copy_records_to_table("days", records=_rows(example_dir()), columns=_COLUMNS)
        await target.execute(f"GRANT SELECT ON days TO {READER}; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    finally:
        await target.close()
    await admin.execute(f"ALTER DATABASE {loading} RENAME TO {DATABASE}")
    await _confine(admin)


async def _confine(admin: "asyncpg.Connection") -> None:
    """Let the reader connect to its database and to no other, and make no temporary tables there."""
    for name in [row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database WHERE datallowconn")]:
        # lint: allow sql-text -- names from the server's own catalogue
        await admin.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    await admin.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}")


def _rows(directory: Path) -> list[tuple[Any, ...]]:
    with (directory / "seattle-weather.csv").open(encoding="utf-8", newline="") as file:
        return [
            (_date(row["date"]), *(float(row[name]) for name in _COLUMNS[1:5]), row["weather"])
            for row in csv.DictReader(file)
        ]


def _date(text: str) -> date:
    return datetime.strptime(text, "%Y/%m/%d").date()  # noqa: DTZ007 -- a calendar day has no zone
