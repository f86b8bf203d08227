"""What one version of a policy says that another did not, rule by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sparkops.core.json import Json

Kind = Literal["added", "removed", "changed", "moved"]
_APART = frozenset({"rules", "tests"})


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a rule or a test; `keys` are what differs in one that changed.

    `moved`: it says the same, but is asked before or after others that it was asked after or before.
    """

    name: str
    kind: Kind
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """All differences of two documents; `whole` are keys outside of rules and tests."""

    whole: tuple[str, ...]
    rules: tuple[Change, ...]
    tests: tuple[Change, ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """Return what `after` says that `before` did not. Both are documents of checked policies."""
    whole = tuple(key for key in _keys(before, after) if key not in _APART)
    return Changes(
        whole,
        tuple(_listed(before["rules"], after["rules"])),
        tuple(_listed(before.get("tests") or [], after.get("tests") or [])),
    )


def _keys(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def _listed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Change]:
    old = {each["name"]: each for each in before}
    new = {each["name"]: each for each in after}
    stayed_before = [name for name in old if name in new]
    stayed_after = [name for name in new if name in old]
    moved = {one for one, other in zip(stayed_after, stayed_before, strict=True) if one != other}
    found = []
    for name, each in new.items():
        if name not in old:
            found.append(Change(name, "added"))
        elif keys := _keys(old[name], each):
            found.append(Change(name, "changed", tuple(keys)))
        elif name in moved:
            found.append(Change(name, "moved"))
    return found + [Change(name, "removed") for name in old if name not in new]
