"""Instants as people write them in definitions: RFC 3339 with an offset, `2031-01-31T12:00:00Z`."""

import re
from datetime import UTC, datetime

INSTANT_HINT = "write date, time and offset: 2031-01-31T12:00:00Z or 2031-01-31T14:00:00+02:00"

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")


def parse_instant(text: str) -> datetime:
    """Return the instant that a text names, in UTC.

    Raises:
        ValueError: the text is no instant of the years 1 to 9999, or has no offset.
    """
    if _RFC_3339.fullmatch(text) is None:
        raise ValueError(f"'{text[:100]}' is not an instant: {INSTANT_HINT}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text[:100]}' is not an instant: {INSTANT_HINT}") from error
