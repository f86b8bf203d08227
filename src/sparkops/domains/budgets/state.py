"""The state machine of a reservation."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class ReservationStatus(StrEnum):
    HELD = "held"
    SETTLED = "settled"
    """Replaced by what the call really cost."""
    RELEASED = "released"
    """Given back: nothing was spent."""


_V = ReservationStatus
RESERVATION_MACHINE: Machine[ReservationStatus] = {
    _V.HELD: frozenset({_V.SETTLED, _V.RELEASED}),
    _V.SETTLED: frozenset(),
    _V.RELEASED: frozenset(),
}
