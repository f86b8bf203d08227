"""Where the spending of a period leads: its average, carried on to the end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

EARLY: Final = 0.05
"""Of a period that has only begun nobody knows where it leads."""
AVERAGE: Final = "average since the period began, carried on to its end"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected by the end of a period. `exhausted_at`: when the limit is reached; None: not in this period."""

    micros: int
    exhausted_at: datetime | None
    method: str = AVERAGE


def forecast(
    limit: int | None, spent: int, *, since: datetime | None, until: datetime | None, now: datetime | None
) -> Forecast | None:
    """Carry the average spending since the period began on to its end; None where that says nothing."""
    if limit is None or since is None or until is None or now is None or now >= until:
        return None
    gone, whole = now - since, until - since
    if gone < whole * EARLY:
        return None
    exhausted = None
    if spent >= limit:
        exhausted = now
    elif spent:
        at = since + timedelta(seconds=gone.total_seconds() * limit / spent)
        exhausted = at if at < until else None
    return Forecast(round(spent * (whole / gone)), exhausted)
