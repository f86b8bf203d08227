"""A test run against a database, or a copy of the product, from which a guard was taken.

Where only the database differs, it is forked from a process which has imported everything. Where files of the product
do, it is an interpreter of its own: `python -m tests.mutation.child JSON`, with that copy first on its path.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

import sparkops
from sparkops.local.postgres import OWNER_ROLE
from sparkops.migrations import runner
from tests.engine import conftest  # noqa: F401 -- imported for the sake of all that it imports
from tests.lent import ENV, LentServers

ROOT = Path(__file__).parents[2]


def test(lent: str, tests: list[str], said: str) -> None:
    """Run these tests on lent servers up to the first that fails; what pytest prints goes to the file `said`."""
    with open(said, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    os.environ[ENV] = lent
    options = ("-x", "--tb=no", "--assert=plain", "--hypothesis-profile=hasty", "-p", "no:xdist")
    sys.exit(pytest.main([*options, *tests]))


def main(lent: str, tests: list[str], said: str, copy: str, *, migrate: bool) -> None:
    """As `test`, with the product in `copy`; with `migrate` its functions and walls are put in place first."""
    if not sparkops.__file__.startswith(copy):
        sys.exit(f"{sparkops.__file__} is not in {copy}")
    if migrate:
        servers = LentServers.from_json(lent)
        asyncio.run(runner.upgrade(servers.url(OWNER_ROLE, servers.template)))
    test(lent, tests, said)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
