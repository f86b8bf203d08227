"""The state machine of an outbox entry. The database repeats it in a trigger; a test compares them."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class OutboxStatus(StrEnum):
    """Where an event stands on its way to one subscription."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """It used all its tries; a person may send it again."""


_S = OutboxStatus
OUTBOX_MACHINE: Machine[OutboxStatus] = {
    _S.PENDING: frozenset({_S.DELIVERED, _S.DEAD}),
    _S.DELIVERED: frozenset(),
    _S.DEAD: frozenset({_S.PENDING}),
}
