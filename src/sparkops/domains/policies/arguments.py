"""Which arguments a rule may ask for, where it names the tools that it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

Takes = Mapping[str, frozenset[str] | None]
"""The arguments that tools take, by the names of both; None: any."""


def arguments_of(parameters: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of all arguments that this JSON Schema lets in; None: also others than it names."""
    if parameters.get("additionalProperties") is not False or "patternProperties" in parameters:
        return None
    return frozenset(parameters.get("properties", ()))


def arguments_for(tools: Sequence[str], takes: Takes) -> frozenset[str] | None:
    """Return what at least one of these tools takes, a name of which may end in `*`.

    None: one of them takes any, or is not among those that are known.
    """
    found: set[str] = set()
    for each in tools:
        meant = [name for name in takes if name.startswith(each[:-1])] if each.endswith("*") else [each]
        known = [takes.get(name) for name in meant]
        if not known or None in known:
            return None
        found.update(*[names for names in known if names is not None])
    return frozenset(found)
