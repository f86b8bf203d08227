"""The state machine of a deletion. The database repeats it in a trigger; a test compares them."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class DeletionStatus(StrEnum):
    """Where the deletion of a project stands."""

    ASKED = "asked"
    """The project is stopped; an owner can take it back until it is due."""
    CANCELLED = "cancelled"
    REMOVING = "removing"
    """Nobody sees the project any more, and a worker removes its data."""
    DONE = "done"


_S = DeletionStatus
DELETION_MACHINE: Machine[DeletionStatus] = {
    _S.ASKED: frozenset({_S.CANCELLED, _S.REMOVING}),
    _S.CANCELLED: frozenset(),
    _S.REMOVING: frozenset({_S.DONE}),
    _S.DONE: frozenset(),
}
