"""`sparkops demo`: start a stack, play, tell, stop."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from sparkops.core.config import default_data_dir, load_settings
from sparkops.core.errors import SparkOpsError
from sparkops.core.json import dumps
from sparkops.local.demo import account
from sparkops.local.demo.play import Played, play
from sparkops.local.example import project
from sparkops.local.example.data import connection_to_weather
from sparkops.local.supervisor import Supervisor


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the demo keeps its data.")
@click.option("--year", type=click.IntRange(2012, 2015), default=2015, help="The year to report on.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the account.")
def demo(data_dir: Path | None, year: int, as_json: bool) -> None:
    """Run the example workflow end to end on a stack of its own, and say what happened.

    Uses the model of SPARKOPS_MODEL_BASE_URL and SPARKOPS_MODEL_NAME if they are set, else the scripted one.
    """
    place = (data_dir or default_data_dir() / "demo").absolute()
    try:
        played, files = asyncio.run(run(place, year=year, quiet=as_json))
    except SparkOpsError as error:
        click.echo(f"sparkops demo: {error.detail}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(dumps(account.as_json(played, files)).decode())
    else:
        click.echo("\n".join(account.as_text(played, files)))
    sys.exit(0 if played.run["status"] == "succeeded" and not account.bought_again(played) else 1)


async def run(data_dir: Path, *, year: int, quiet: bool = False) -> tuple[Played, Mapping[str, Path]]:
    """Play on a stack below `data_dir`, whose data stay; return what happened and where the report lies.

    Raises:
        SparkOpsError: it could not start, or did not come to an end.
    """
    settings = load_settings(data_dir=data_dir, port=0, workers=2)
    tell = (lambda line: None) if quiet else click.echo
    tell("Starting PostgreSQL, Valkey, the API and two workers.")
    async with Supervisor(settings, prepare=connection_to_weather, say=tell) as stack:
        async with project.example_on(stack, refresh=True) as (starter, approver, _):
            tell("Running the workflow; one worker will be killed in the middle.")
            url = stack.endpoints.app_database_url or stack.endpoints.database_url
            played = await play(starter, approver, url, year=year)
    files = _save(data_dir / "reports", played)
    tell(f"Stopped. `sparkops up --example --data-dir {data_dir}` shows this run in the browser.\n")
    return played, files


def _save(directory: Path, played: Played) -> Mapping[str, Path]:
    """Write the published files where a person finds them."""
    target = directory / str(played.run["id"])
    target.mkdir(parents=True, exist_ok=True)
    files = {name: target / Path(name).name for name in played.contents}
    for name, path in files.items():
        path.write_bytes(played.contents[name])
    return files


if __name__ == "__main__":
    demo(prog_name="sparkops demo")
