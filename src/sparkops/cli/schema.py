"""Commands about the schema of the database."""

import asyncio
from pathlib import Path

import click

from sparkops.cli.refusals import refusals


@click.command()
@click.option("--down", type=click.IntRange(min=1), help="Take back this many migrations instead.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def migrate(down: int | None, data_dir: Path | None) -> None:
    """Bring the schema to the newest revision. `sparkops up` does this by itself."""
    with refusals():
        revision = asyncio.run(_move(data_dir, down))
    click.echo(f"The schema is at revision {revision}." if revision else "The schema is empty.")


async def _move(data_dir: Path | None, down: int | None) -> str | None:
    from sparkops.cli.target import find_settings, owner_url
    from sparkops.migrations import runner

    url = owner_url(find_settings(data_dir))
    if down is None:
        await runner.upgrade(url)
    else:
        await runner.downgrade(url, down)
    return await runner.current(url)
