"""The one source of wall-clock time in code. Leases and timers use the database's clock instead."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)
