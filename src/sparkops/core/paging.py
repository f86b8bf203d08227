"""Keyset paging: a cursor names the last row seen, so that pages never shift while rows arrive."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from sparkops.core.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


T = TypeVar("T", bound=HasId)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How much to return and where to go on. `after` is the id of the last row of the page before."""

    limit: int = DEFAULT_LIMIT
    after: UUID | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Up to `limit` rows; `next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None


def page_request(limit: int | None, cursor: str | None) -> PageRequest:
    """Read the two query parameters of every list.

    Raises:
        Invalid: the limit is out of range, or the cursor was not made by this server.
    """
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid(f"limit must lie between 1 and {MAX_LIMIT}, not {size}.")
    if cursor is None:
        return PageRequest(size)
    try:
        return PageRequest(size, UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
    except (ValueError, binascii.Error):
        raise Invalid("The cursor is not one that this server gave out; start again without it.") from None


def page_of(rows: Sequence[T], request: PageRequest) -> Page[T]:
    """Make a page of `limit + 1` fetched rows: the extra one only tells that there is more."""
    return Page(rows[: request.limit], next_cursor([row.id for row in rows], request))


def next_cursor(ids: Sequence[UUID], request: PageRequest) -> str | None:
    """Return where the next page goes on, by the ids of `limit + 1` fetched rows; None if there is none."""
    return encode_cursor(ids[request.limit - 1]) if len(ids) > request.limit else None


def encode_cursor(after: UUID) -> str:
    """Return the opaque cursor that goes on after this row."""
    return base64.urlsafe_b64encode(after.bytes).decode().rstrip("=")
