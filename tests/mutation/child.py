"""A test run in a process that is forked from one which has imported everything."""

import os
import sys
from pathlib import Path

import pytest

from tests.engine import conftest  # noqa: F401 -- imported for the sake of all that it imports
from tests.lent import ENV

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
