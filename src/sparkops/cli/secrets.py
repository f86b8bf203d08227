"""Commands about secrets, for operators. Values are read from standard input and printed by none of them."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from sparkops.core.config import Settings
    from sparkops.core.db import Database
    from sparkops.core.envelope import Keyring, Place, Sealed
    from sparkops.core.json import Json
    from sparkops.core.wrapped import Wrapped

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`."
)
_PROJECT = click.option("--project", help="The project's name in addresses; without it, secrets of the installation.")


@click.group()
def secrets() -> None:
    """Write secrets, and change the key that encrypts them."""


@secrets.command()
@click.argument("name")
@_PROJECT
@click.option("--description", default="", help="What it is for.")
@_DATA_DIR
def put(name: str, project: str | None, description: str, data_dir: Path | None) -> None:
    """Put a secret, or a new version of it. Its value is asked for, or read from standard input.

    One newline at its end is not part of it. Settings refer to a secret of the installation by secret://NAME.
    """
    from sparkops.cli.target import find_settings

    with refusals():
        settings = find_settings(data_dir)
        value = _value()
        version = asyncio.run(_put(settings, project, name, value, description))
    click.echo(f"secret://{name} is version {version} now.")


@secrets.command(name="list")
@_PROJECT
@_DATA_DIR
def list_(project: str | None, data_dir: Path | None) -> None:
    """List secrets by name, without what they hold."""
    from sparkops.cli.target import find_settings

    with refusals():
        lines = asyncio.run(_names(find_settings(data_dir), project))
    for line in lines:
        click.echo(line)


@secrets.command(name="rotate-key")
@click.option("--drop-old", is_flag=True, help="Remove the keys that nothing is under any more from the key file.")
@_DATA_DIR
def rotate_key(drop_old: bool, data_dir: Path | None) -> None:
    """Encrypt the keys of all secrets anew, while everything goes on.

    Where the key lies in a file, a new key is put into it first; API and workers notice. Where the settings state it,
    put a new key before the old one there, restart API and workers, and run this.

    A backup of the database from before needs the old keys: keep them as long as that.
    """
    from sparkops.cli.target import find_settings

    with refusals():
        active, count, dropped = asyncio.run(_rotate(find_settings(data_dir), drop_old=drop_old))
    click.echo(
        f"{count} versions are under the key {active} now." + (f" Dropped {dropped} old keys." if dropped else "")
    )


@secrets.command()
@_DATA_DIR
def check(data_dir: Path | None) -> None:
    """Open every secret once, and say which do not open. Nothing of them is printed. The exit code is 1 if any."""
    from sparkops.cli.target import find_settings

    with refusals():
        count, lost = asyncio.run(_check(find_settings(data_dir)))
    for line in lost:
        click.echo(line)
    click.echo(f"{count} versions of secrets, {len(lost)} of which cannot be opened.")
    sys.exit(1 if lost else 0)


def _value() -> str:
    if sys.stdin.isatty():
        typed: str = click.prompt("Value", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


async def _project_id(session: "AsyncSession", slug: str | None) -> UUID | None:
    from sqlalchemy import select

    from sparkops.core.errors import NotFound
    from sparkops.domains.projects.models import Project

    if slug is None:
        return None
    found = await session.scalar(select(Project.id).where(Project.slug == slug))
    if found is None:
        raise NotFound(f"There is no project {slug}.")
    return found


async def _put(settings: "Settings", project: str | None, name: str, value: str, description: str) -> int:
    from sparkops.cli.target import open_target
    from sparkops.core.errors import Invalid
    from sparkops.domains.secrets import queries, service
    from sparkops.domains.secrets.reference import Reference, whole
    from sparkops.runtime.secrets.sources import keys_of

    if whole(f"secret://{name}") != Reference(name):
        raise Invalid("The name of a secret begins with a small letter; small letters, digits, - and _ follow.")
    keyring = service.ring_of(keys_of(settings))
    async with open_target(settings) as database, database.sessions.begin() as session:
        project_id = await _project_id(session, project)
        found = await queries.locked_by_name(session, project_id=project_id, name=name)
        if found is None:
            found = await service.create_secret(
                session, keyring, project_id=project_id, name=name, value=value, description=description
            )
        else:
            await service.put_version(session, keyring, found, value=value)
        await _audit(
            session, "secret.version", f"secret:{found.id}", project_id, name=name, version=found.latest_version
        )
        return found.latest_version


async def _names(settings: "Settings", project: str | None) -> list[str]:
    from sparkops.cli.target import open_target
    from sparkops.domains.secrets.queries import all_secrets

    async with open_target(settings) as database, database.sessions.begin() as session:
        found = await all_secrets(session, project_id=await _project_id(session, project))
        return [f"{one.name}  version {one.latest_version}{'  archived' if one.archived_at else ''}" for one in found]


async def _rotate(settings: "Settings", *, drop_old: bool) -> tuple[str, int, int]:
    from sparkops.cli.target import open_target
    from sparkops.core.envelope import keep_only_first, put_new_key
    from sparkops.domains.secrets import service
    from sparkops.runtime.secrets.sources import keys_of

    file = settings.secrets_key_file
    keyring = service.ring_of(keys_of(settings)) if file is None else put_new_key(file)
    async with open_target(settings) as database:
        count = await _rewrap_all(database, keyring)
        async with database.sessions.begin() as session:
            under = {key for each in _encrypted() for key in await each.keys_in_use(session)}
            await _audit(session, "secret.rotate-key", f"key:{keyring.active}", None, versions=count)
    nothing_else = under <= {keyring.active}
    return keyring.active, count, keep_only_first(file) if drop_old and file is not None and nothing_else else 0


async def _check(settings: "Settings") -> tuple[int, list[str]]:
    from sparkops.cli.target import open_target
    from sparkops.core.envelope import SecretLost
    from sparkops.domains.secrets import service
    from sparkops.runtime.secrets.sources import keys_of

    keyring = service.ring_of(keys_of(settings))
    count, lost = 0, []
    async with open_target(settings) as database:
        async for place, sealed in _envelopes(database):
            count += 1
            try:
                keyring.open(place, sealed)
            except SecretLost as error:
                lost.append(f"{place.name} (project {place.project_id or 'none'}): {error.detail}")
    return count, lost


def _encrypted() -> "tuple[Wrapped, Wrapped]":
    """Return what lies encrypted under the keys of the installation: secrets, and second factors of people."""
    from sparkops.domains.identity.factor_queries import KEYS
    from sparkops.domains.secrets.queries import VERSIONS

    return VERSIONS, KEYS


async def _envelopes(database: "Database") -> "AsyncIterator[tuple[Place, Sealed]]":
    for encrypted in _encrypted():
        after = None
        while True:
            async with database.sessions.begin() as session:
                page = await encrypted.after(session, after)
            if not page:
                break
            for each in page:
                yield each.place, each.sealed
            after = page[-1].id


async def _rewrap_all(database: "Database", keyring: "Keyring") -> int:
    """Wrap the data keys of all that is encrypted anew, and return how many."""
    count = 0
    for encrypted in _encrypted():
        some = None
        while some != 0:
            async with database.sessions.begin() as session:
                some = await encrypted.rewrap(session, keyring)
            count += some
    return count


async def _audit(session: "AsyncSession", action: str, subject: str, project_id: UUID | None, **detail: "Json") -> None:
    from sparkops.domains.audit.queries import add_line

    await add_line(
        session,
        project_id=project_id,
        actor="system",
        via=None,
        address=None,
        request_id=None,
        action=action,
        subject=subject,
        detail=dict(detail),
        before=None,
        after=None,
    )
