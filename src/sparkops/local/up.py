"""The command `up`: read the settings, start everything, say where it is, and stop when told to."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from sparkops.core.config import Settings, load_settings
from sparkops.core.errors import SparkOpsError
from sparkops.local.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where everything is kept.")
@click.option("--host", help="The address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="The port of the pages and the API (8000); 0 takes a free one.")
@click.option("--workers", type=int, help="How many worker processes to run (2).")
@click.option("--example", is_flag=True, help="Have the example there: a project, its data, and a second person.")
def up(data_dir: Path | None, host: str | None, port: int | None, workers: int | None, example: bool) -> None:
    """Start Spark-Ops: database, queue, API and workers, until Ctrl-C.

    With SPARKOPS_DATABASE_URL and SPARKOPS_REDIS_URL set, those servers are used instead of embedded ones.
    """
    try:
        settings = load_settings(data_dir=data_dir, host=host, port=port, workers=workers)
        asyncio.run(run(settings, example=example))
    except SparkOpsError as error:
        click.echo(f"sparkops: {error.detail}", err=True)
        sys.exit(1)


async def run(settings: Settings, supervise: Callable[..., Supervisor] = Supervisor, *, example: bool = False) -> None:
    """Keep the stack up until a signal asks to stop, then stop it in order.

    Raises:
        SparkOpsError: it could not start; what had started is stopped again.
    """
    _stop_on_signals()
    with suppress(asyncio.CancelledError):
        async with supervise(settings, say=say, owns_process=True, **_how(example)) as stack:
            for line in welcome(stack):
                say(line)
            if example:
                await _set_up_example(stack)
            await asyncio.Event().wait()
    say("Stopped.")


def _how(example: bool) -> Mapping[str, Any]:
    if not example:
        return {"by_link": True}
    from sparkops.local.example.data import connection_to_weather  # noqa: PLC0415 -- who has no example need not load it

    return {"prepare": connection_to_weather}


async def _set_up_example(stack: Supervisor) -> None:
    from sparkops.local.example import PROJECT  # noqa: PLC0415
    from sparkops.local.example.project import example_on  # noqa: PLC0415

    async with example_on(stack) as (_, _, approver):
        say(f"  Example         project {PROJECT}; {approver.email} answers its questions,")
        say(f"                  with the password in {stack.data.root / 'secrets' / 'approver.password'}")


def _stop_on_signals() -> None:
    """Cancel this task at the first signal; later ones find the stop under way already."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        say("Stopping.")
        if task is not None:
            task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)


def say(line: str) -> None:
    """Tell the person at the terminal; a terminal that is gone is no reason to stop."""
    with suppress(OSError):
        click.echo(line)


def welcome(stack: Supervisor) -> Iterator[str]:
    """Return what a person needs to know once everything runs."""
    yield f"Spark-Ops is ready: {stack.endpoints.api_url}"
    yield f"  Data and logs   {stack.data.root}"
    yield from _way_in(stack)
    yield "  Stop with Ctrl-C."


def _way_in(stack: Supervisor) -> Iterator[str]:
    if stack.set_up is not None:
        yield "  Set up          open this link within a day; it makes you the administrator, once:"
        yield f"                  {stack.settings.public_url or stack.endpoints.api_url}{stack.set_up}"
        return
    if stack.settings.admin_password is None and not stack.data.admin_password.exists():
        return
    yield f"  Sign in as      {stack.settings.admin_email}"
    if stack.settings.admin_password is not None:
        yield "  Password        the one in SPARKOPS_ADMIN_PASSWORD when this user was made"
    else:
        yield f"  Password        the first line of {stack.data.admin_password}"
