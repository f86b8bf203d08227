"""How a command refuses: one sentence on stderr, exit code 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sparkops.core.errors import SparkOpsError


@contextmanager
def refusals() -> Iterator[None]:
    """End the process with the sentence of an expected failure; others pass."""
    try:
        yield
    except SparkOpsError as error:
        click.echo(f"sparkops: {error.detail}", err=True)
        sys.exit(1)
