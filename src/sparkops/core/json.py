"""JSON once: orjson for bytes, and the canonical digest that approvals and replays bind to."""

import hashlib
import json
from typing import Any, TypeAlias
from uuid import UUID

import orjson

Part: TypeAlias = orjson.Fragment
"""JSON text within a value that is to be serialised; nothing reads it there."""
Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None


def dumps(value: Any) -> bytes:
    """Serialise a value; UUIDs, also those of the database driver, and datetimes become strings."""
    return orjson.dumps(value, default=_driver_uuid)


def _driver_uuid(value: object) -> str:
    """Serialise the UUIDs that asyncpg returns: a subclass, which orjson leaves to its caller."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def as_part(data: bytes) -> orjson.Fragment:
    """Return JSON that was serialised already such that `dumps` puts it into a larger value as it is."""
    return orjson.Fragment(data)


def loads(data: str | bytes) -> Any:
    """Parse JSON text."""
    return orjson.loads(data)


def pretty(value: Any) -> str:
    """Serialise a value for people to read and edit."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def canonical(value: Any) -> bytes:
    """Serialise a value with its keys sorted and without spaces: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form. Equal values give equal digests.

    Also of what has an integer that nothing here can store: who sent it is told so when it is looked at.
    """
    try:
        return digest_of(canonical(value))
    except TypeError:
        return digest_of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def digest_of(data: bytes) -> str:
    """Return the digest of a value whose canonical form this is."""
    return hashlib.sha256(data).hexdigest()
