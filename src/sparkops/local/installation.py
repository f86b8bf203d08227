"""`python -m sparkops.local.installation FD`: makes an installation ready for its doors, and says so to the descriptor.

Bringing the schema up to date and adding the first administrator take libraries that a supervisor never needs again;
in a process of their own they do not weigh on the machine for as long as the stack runs.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, closing, suppress
from typing import Final

from sparkops.core.clock import utc_now
from sparkops.core.config import Settings, load_settings
from sparkops.core.db import Database, open_database
from sparkops.core.errors import ConfigError, Invalid, SparkOpsError
from sparkops.local.errors import StartError, disk_errors
from sparkops.local.paths import DataDir, write_private
from sparkops.local.process import Launch, run_to_end

COMMAND: Final = (sys.executable, "-m", "sparkops.local.installation")
OWNER_URL: Final = "SPARK_OWNER_URL"
"""Where the schema is changed. No setting: doors are not to know it where they have a role of their own."""
BY_LINK: Final = "SPARK_FIRST_BY_LINK"


async def make_ready(
    data: DataDir, environment: Mapping[str, str], *, owner_url: str, by_link: bool, started: Callable[[int], None]
) -> str | None:
    """Have a process of its own do what `install` says, with the settings that this environment holds.

    `started` is told the number of the process. Returns what `install` returns.

    Raises:
        StartError: it could not; the sentence says why.
    """
    reading, writing = os.pipe()
    with closing(os.fdopen(reading, encoding="utf-8")) as answer:
        try:
            launch = Launch(
                argv=(*COMMAND, str(writing)),
                log=data.log("installation"),
                env={**environment, OWNER_URL: owner_url, **({BY_LINK: "1"} if by_link else {})},
                keep_open=(writing,),
            )
            with disk_errors(data.root):
                code = await run_to_end(launch, started)
        finally:
            os.close(writing)
        said = _said(answer.read())
    if code != 0 or "set_up" not in said:  # whoever was killed may not have come to say it, or not all of it
        raise StartError(said.get("error") or f"The installation could not be prepared (log: {launch.log}).")
    return said["set_up"]


def _said(text: str) -> dict[str, str | None]:
    """Return what the process has said, or nothing if it did not come to the end of it."""
    with suppress(ValueError):
        said: dict[str, str | None] = json.loads(text)
        return said
    return {}


async def install(settings: Settings, owner_url: str, *, by_link: bool) -> str | None:
    """Bring the schema up to date; in an installation without people, have a first one.

    Returns the path of the page where that person makes an account of their own, or None: they have a password, the one
    of the settings or else one in a file. `by_link` chooses where the settings have none.

    Raises:
        SparkOpsError: why not, in one sentence.
    """
    from sparkops.migrations import runner  # noqa: PLC0415 -- only this process loads it

    await runner.upgrade(owner_url)
    if by_link and settings.admin_password is None:
        return await _set_up_path(settings)
    await _first_administrator(settings)
    return None


async def _first_administrator(settings: Settings) -> None:
    from sparkops.domains.identity.queries import has_users  # noqa: PLC0415
    from sparkops.domains.identity.service import ensure_admin  # noqa: PLC0415

    given = settings.admin_password
    data = DataDir(settings.data_dir)
    try:
        async with _open_database(settings) as database, database.sessions.begin() as session:
            if given is None and await has_users(session):
                return  # nobody is let in whom those who are there did not ask for
            generated = await ensure_admin(
                session, email=settings.admin_email, password=given.get_secret_value() if given else None
            )
            if generated is not None:
                # Before the commit: a password that was lost on the way to the disk would lock everybody out.
                with disk_errors(data.root):
                    write_private(data.admin_password, generated + "\n")
    except Invalid as error:
        raise ConfigError(f"SPARKOPS_ADMIN_EMAIL or SPARKOPS_ADMIN_PASSWORD is not valid: {error.detail}") from None


async def _set_up_path(settings: Settings) -> str | None:
    """Return where a fresh link leads that sets an empty installation up; earlier ones work no more."""
    from sparkops.domains.identity.links import Purpose, make_link  # noqa: PLC0415
    from sparkops.domains.identity.queries import has_users  # noqa: PLC0415

    async with _open_database(settings) as database, database.sessions.begin() as session:
        if await has_users(session):
            return None
        return (await make_link(session, purpose=Purpose.SETUP, user_id=None, now=utc_now())).path


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    url, role = settings.app_login
    return open_database(url, role=role, name="sparkops up", pool_size=1)


def main(arguments: list[str]) -> int:
    """Install, and write {"set_up"} or {"error"} to the descriptor; the exit code is 1 with an error."""
    with os.fdopen(int(arguments[0]), "w", encoding="utf-8") as answer:
        try:
            by_link = os.environ.get(BY_LINK) == "1"
            path = asyncio.run(install(load_settings(), os.environ[OWNER_URL], by_link=by_link))
        except SparkOpsError as error:
            json.dump({"error": error.detail}, answer)
            return 1
        json.dump({"set_up": path}, answer)
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
