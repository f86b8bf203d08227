"""Commands about people."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from sparkops.core.config import Settings


@click.group()
def users() -> None:
    """Add people."""


@users.command()
@click.argument("email")
@click.option("--name", default="", help="What the person is called; the address if left out.")
@click.option("--admin", is_flag=True, help="Make this person an administrator of the installation.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def add(email: str, name: str, admin: bool, password_stdin: bool, data_dir: Path | None) -> None:
    """Add a user. Without a password, one is generated and printed once."""
    from sparkops.cli.target import find_settings
    from sparkops.domains.identity.passwords import generate_password

    with refusals():
        settings = find_settings(data_dir)
        given = _password(from_stdin=password_stdin)
        password = generate_password() if given is None else given
        asyncio.run(_add(settings, email=email, name=name, password=password, is_admin=admin))
    click.echo(f"Added {email}.")
    if given is None:
        click.echo(f"Password: {password}")


def _password(*, from_stdin: bool) -> str | None:
    """Return what was given, or None if a password is to be generated."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        return None
    prompt = "Password (empty: generate one)"
    typed: str = click.prompt(prompt, default="", show_default=False, hide_input=True, confirmation_prompt=True)
    return typed or None


async def _add(settings: "Settings", *, email: str, name: str, password: str, is_admin: bool) -> None:
    from sparkops.cli.target import open_target
    from sparkops.domains.identity.service import create_user

    async with open_target(settings) as database, database.sessions.begin() as session:
        await create_user(session, email=email, name=name, password=password, is_admin=is_admin)
