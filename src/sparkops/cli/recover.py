"""The command `recover`: after a restore or a promotion, before workers start."""

import asyncio
import getpass
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from sparkops.engine.recover import Listed, Recovered


@click.command()
@click.option(
    "--restored-to", help="The time that was restored to, such as 2026-11-22T09:30:00Z: lists calls since then."
)
@click.option("--force", is_flag=True, help="Do it although workers are alive; they lose what they are doing.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def recover(restored_to: str | None, force: bool, data_dir: Path | None) -> None:
    """Begin a new epoch after the database was restored or promoted: workers of before can do nothing any more.

    Running steps go back to the queue, or wait for a person if they may have done what must not be done twice.
    """
    with refusals():
        done = asyncio.run(_recover(data_dir, force, _instant(restored_to)))
    for line in _lines(done):
        click.echo(line)


def _instant(text: str | None) -> datetime | None:
    from sparkops.core.errors import Invalid

    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"--restored-to is no time: {text}. One looks like 2026-11-22T09:30:00Z.") from None
    if instant.tzinfo is None:
        raise Invalid(f"--restored-to {text} names no time zone; add Z or an offset such as +01:00.")
    return instant


async def _recover(data_dir: Path | None, force: bool, restored_to: datetime | None) -> "Recovered":
    from sparkops.cli.target import find_settings, open_target
    from sparkops.engine import recover as engine
    from sparkops.engine.context import Engine, SilentBell

    async with open_target(find_settings(data_dir), owner=True) as database:
        actor = f"system:{getpass.getuser()}"
        return await engine.recover(Engine(database, SilentBell()), actor=actor, force=force, restored_to=restored_to)


def _lines(done: "Recovered") -> Iterator[str]:
    yield f"New epoch {done.new_epoch}; {done.old_epoch} has ended, with {done.sessions} worker sessions."
    if not done.steps:
        yield "No step was running."
    for status, count in done.steps.items():
        yield f"Running steps now {status}: {count}"
    yield from _list("Steps that wait for a person, because nobody knows what became of their call", done.uncertain)
    if done.review is not None:
        yield from _list("Calls since the time restored to, to be compared with what their targets know", done.review)


def _list(title: str, listed: "Listed") -> Iterator[str]:
    from sparkops.core.json import dumps

    yield f"{title}: {listed.total}"
    for row in listed.rows:
        yield f"  {dumps(row).decode()}"
    if listed.total > len(listed.rows):
        yield f"  … {listed.total - len(listed.rows)} more"
