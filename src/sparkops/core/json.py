"""JSON once: orjson for bytes, and the canonical digest that approvals and replays bind to."""

import hashlib
from typing import Any, TypeAlias
from uuid import UUID

import orjson

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None


def dumps(value: Any) -> bytes:
    """Serialise a value; UUIDs, also those of the database driver, and datetimes become strings."""
    return orjson.dumps(value, default=_driver_uuid)


def _driver_uuid(value: object) -> str:
    """Serialise the UUIDs that asyncpg returns: a subclass, which orjson leaves to its caller."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def loads(data: str | bytes) -> Any:
    """Parse JSON text."""
    return orjson.loads(data)


def canonical(value: Any) -> bytes:
    """Serialise a value with its keys sorted and without spaces: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form. Equal values give equal digests."""
    return hashlib.sha256(canonical(value)).hexdigest()
