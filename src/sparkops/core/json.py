"""JSON once: orjson for bytes, and the canonical digest that approvals and replays bind to."""

import hashlib
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None


def dumps(value: Any) -> bytes:
    """Serialise a value; UUIDs and datetimes become strings."""
    return orjson.dumps(value)


def loads(data: str | bytes) -> Any:
    """Parse JSON text."""
    return orjson.loads(data)


def canonical(value: Any) -> bytes:
    """Serialise a value with its keys sorted and without spaces: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form. Equal values give equal digests."""
    return hashlib.sha256(canonical(value)).hexdigest()
