"""A rule that holds at every commit, with the query that finds what breaks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`query` lists what breaks the rule: `subject` names the row, whatever else it selects explains."""

    name: str
    rule: str
    query: str
