"""Commands about people."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from sparkops.core.config import Settings
    from sparkops.core.json import Json
    from sparkops.domains.identity.links import Link
    from sparkops.domains.identity.models import User

T = TypeVar("T")
_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`."
)


@click.group()
def users() -> None:
    """Add people, give them a way in, keep them out."""


@users.command()
@click.argument("email")
@click.option("--name", default="", help="What the person is called; the address if left out.")
@click.option("--admin", is_flag=True, help="Make this person an administrator of the installation.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@_data_dir
def add(email: str, name: str, admin: bool, password_stdin: bool, data_dir: Path | None) -> None:
    """Add a user. Without a password, one is generated and printed once."""
    from sparkops.domains.identity.passwords import generate_password

    given = _password(from_stdin=password_stdin)
    password = generate_password() if given is None else given

    async def act(session: "AsyncSession") -> None:
        from sparkops.domains.identity.service import create_user

        user = await create_user(session, email=email, name=name, password=password, is_admin=admin)
        await _note(session, "user.add", user)

    with refusals():
        _run(data_dir, act)
    click.echo(f"Added {email}.")
    if given is None:
        click.echo(f"Password: {password}")


@users.command()
@click.argument("email")
@click.option("--name", default="", help="What the person is called; the address if left out.")
@click.option("--admin", is_flag=True, help="Make this person an administrator of the installation.")
@_data_dir
def invite(email: str, name: str, admin: bool, data_dir: Path | None) -> None:
    """Add a user who chooses a password through a link, which is printed once."""

    async def act(session: "AsyncSession") -> "Link":
        from sparkops.core.clock import utc_now
        from sparkops.domains.identity.links import Purpose, make_link
        from sparkops.domains.identity.service import create_user

        user = await create_user(session, email=email, name=name, password=None, is_admin=admin)
        await _note(session, "user.invite", user)
        return await make_link(session, purpose=Purpose.INVITE, user_id=user.id, now=utc_now())

    with refusals():
        settings, link = _run(data_dir, act)
        click.echo(f"Added {email}, who chooses a password here within three days:")
        click.echo(_address(settings) + link.path)


@users.command()
@click.argument("email")
@_data_dir
def reset(email: str, data_dir: Path | None) -> None:
    """Print a link by which a user chooses another password. It works once, for half an hour."""

    async def act(session: "AsyncSession") -> "Link":
        from sparkops.core.clock import utc_now
        from sparkops.domains.identity.links import Purpose, make_link

        user = await _user(session, email)
        await _note(session, "user.link", user)
        return await make_link(session, purpose=Purpose.RESET, user_id=user.id, now=utc_now())

    with refusals():
        settings, link = _run(data_dir, act)
        click.echo(_address(settings) + link.path)


@users.command(name="reset-factor")
@click.argument("email")
@_data_dir
def reset_factor(email: str, data_dir: Path | None) -> None:
    """Take the second factor of a user away who lost it, with all recovery codes; all sessions end at once."""

    async def act(session: "AsyncSession") -> None:
        from sparkops.core.clock import utc_now
        from sparkops.core.errors import NotFound
        from sparkops.domains.identity.factors import take_away
        from sparkops.domains.identity.queries import locked_user

        user = await locked_user(session, user_id=(await _user(session, email)).id)
        if user is None:
            raise NotFound(f"Nobody has the address {email}.")
        await take_away(session, user=user, now=utc_now())
        await _note(session, "factor.reset", user)

    with refusals():
        _run(data_dir, act)
    click.echo(f"{email} has no second factor now.")


@users.command()
@click.argument("email")
@_data_dir
def disable(email: str, data_dir: Path | None) -> None:
    """Keep a user out from now on; all sessions end at once."""

    async def act(session: "AsyncSession") -> None:
        from sparkops.core.clock import utc_now
        from sparkops.domains.identity.service import disable as disable_user

        user = await _user(session, email)
        await disable_user(session, user=user, now=utc_now())
        await _note(session, "user.disable", user)

    with refusals():
        _run(data_dir, act)
    click.echo(f"Disabled {email}.")


@users.command()
@click.argument("email")
@_data_dir
def enable(email: str, data_dir: Path | None) -> None:
    """Let a user in again, with the password from before."""

    async def act(session: "AsyncSession") -> None:
        from sparkops.domains.identity.queries import set_disabled

        user = await _user(session, email)
        await set_disabled(session, user_id=user.id, at=None)
        await _note(session, "user.enable", user)

    with refusals():
        _run(data_dir, act)
    click.echo(f"Enabled {email}.")


@users.command()
@click.argument("email")
@click.argument("project")
@_data_dir
def own(email: str, project: str, data_dir: Path | None) -> None:
    """Let a user own a project, by its slug: where its only owner has gone."""

    async def act(session: "AsyncSession") -> None:
        from sparkops.core.permissions import Role
        from sparkops.domains.identity.members import name_owner

        user = await _user(session, email)
        project_id, before = await name_owner(session, user=user, slug=project)
        await _note(
            session,
            "member.put",
            user,
            project_id=project_id,
            before={"role": before.value} if before else None,
            after={"role": Role.OWNER.value},
        )

    with refusals():
        _run(data_dir, act)
    click.echo(f"{email} owns {project}.")


def _password(*, from_stdin: bool) -> str | None:
    """Return what was given, or None if a password is to be generated."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        return None
    prompt = "Password (empty: generate one)"
    typed: str = click.prompt(prompt, default="", show_default=False, hide_input=True, confirmation_prompt=True)
    return typed or None


def _run(data_dir: Path | None, act: Callable[["AsyncSession"], Awaitable[T]]) -> tuple["Settings", T]:
    """Do something in one transaction on the installation; return its settings and what came of it."""
    from sparkops.cli.target import find_settings, open_target

    settings = find_settings(data_dir)

    async def work() -> T:
        async with open_target(settings) as database, database.sessions.begin() as session:
            return await act(session)

    return settings, asyncio.run(work())


async def _user(session: "AsyncSession", email: str) -> "User":
    """Return the user with this address.

    Raises:
        NotFound: there is none.
    """
    from sparkops.core.errors import NotFound
    from sparkops.domains.identity.queries import user_by_email

    user = await user_by_email(session, email=email)
    if user is None:
        raise NotFound(f"Nobody has the address {email}.")
    return user


async def _note(
    session: "AsyncSession",
    action: str,
    user: "User",
    *,
    project_id: "UUID | None" = None,
    before: "dict[str, Json] | None" = None,
    after: "dict[str, Json] | None" = None,
) -> None:
    """Note in the audit trail what was done from the command line, where nobody is known by name."""
    from sparkops.domains.audit.queries import add_line

    await add_line(
        session,
        project_id=project_id,
        actor="system",
        via=None,
        address=None,
        request_id=None,
        action=action,
        subject=f"user:{user.id}",
        detail={"by": "command-line", "email": user.email},
        before=before,
        after=after,
    )


def _address(settings: "Settings") -> str:
    """Return where the pages are, as far as that is known here."""
    from sparkops.core.endpoints import running

    endpoints = running(settings.data_dir)
    return settings.public_url or (endpoints.api_url if endpoints else "")
