"""Commands that become another program: each door runs as itself, and this process is replaced by it."""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from sparkops.cli.refusals import refusals

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}


def become(module: str, arguments: tuple[str, ...] = (), variables: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by the program of a door, with these variables added to its environment."""
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], {**os.environ, **(variables or {})})  # noqa: S606


@click.command(context_settings=_PASS_ON, short_help="Start everything: database, queue, API and workers.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def up(arguments: tuple[str, ...]) -> None:
    """Hand all options on; the program behind it explains them."""
    become("sparkops.local", arguments)


@click.command(context_settings=_PASS_ON, short_help="Run the example end to end, and say what happened.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Hand all options on; the program behind it explains them."""
    become("sparkops.local.demo", arguments)


@click.command()
@click.option("--host", help="The address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="The port to listen on (8000).")
def api(host: str | None, port: int | None) -> None:
    """Run the API alone, on servers given by variables or on those of a running `sparkops up`."""
    from sparkops.cli.target import server_variables

    given = {"SPARKOPS_HOST": host, "SPARKOPS_PORT": port}
    with refusals():
        become("sparkops.api", variables=server_variables() | _stated(given))


@click.command()
@click.option("--queues", help="Which kinds of work to take, separated by commas; all by default.")
@click.option("--slots", type=int, help="How many steps to hold at once (100).")
def worker(queues: str | None, slots: int | None) -> None:
    """Run one worker, on servers given by variables or on those of a running `sparkops up`."""
    from sparkops.cli.target import server_variables

    named = ("--queues", queues) if queues else ()
    with refusals():
        become("sparkops.worker", named, server_variables() | _stated({"SPARKOPS_SLOTS": slots}))


def _stated(options: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items() if value is not None}
