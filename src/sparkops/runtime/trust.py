"""How long a worker may believe that it still holds a step, by its own monotonic clock."""

import time
from dataclasses import dataclass

MARGIN = 0.2
"""The last fifth of a lease is not trusted (3 s of 15): it might run out while a call is on its way."""


@dataclass(slots=True)
class Trust:
    """Renewed with every claim and heartbeat, from the moment at which the request for it was sent."""

    until: float

    @classmethod
    def since(cls, sent: float, lease_seconds: float) -> "Trust":
        return cls(sent + lease_seconds * (1 - MARGIN))

    def renew(self, sent: float, lease_seconds: float) -> None:
        """Extend the window after a heartbeat that was sent at this monotonic instant."""
        self.until = max(self.until, sent + lease_seconds * (1 - MARGIN))

    def holds(self) -> bool:
        """Say whether a call may still be started."""
        return time.monotonic() < self.until
