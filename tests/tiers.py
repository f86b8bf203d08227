"""How much of the long matrices a test run plays: a fixed part in `make test`, all of them in `make proof`."""

import os

WHOLE = os.environ.get("SPARK_TESTS") == "whole"


def in_tier(number: int, one_in: int) -> bool:
    """Say whether this cell belongs to the run: all do in the whole tier, otherwise one in so many, always the same."""
    return WHOLE or number % one_in == 0
