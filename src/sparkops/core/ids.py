"""Identifiers: UUIDv7, made by the application, so that related rows sort by time and lie together."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a fresh UUIDv7."""
    return uuid7()
