"""State machines are tables. A machine lists every status with its exits; the database holds the same list."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)

Machine = Mapping[S, frozenset[S]]


def terminal(machine: Machine[S]) -> frozenset[S]:
    """Return the statuses that have no exit."""
    return frozenset(status for status, exits in machine.items() if not exits)


def pairs(machine: Machine[S]) -> list[tuple[str, str]]:
    """Return every allowed change as (from, to), sorted, for the trigger that guards the table."""
    return sorted((str(source), str(target)) for source, exits in machine.items() for target in exits)
