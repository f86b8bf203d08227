"""What this process holds: one entry a step, from its claim to its end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sparkops.engine.claim import Claim, Lease
from sparkops.runtime.trust import Trust


class Stop(StrEnum):
    """Why a running step is told to stop."""

    LOST = "lost"
    """Another worker may have it: drop everything, write nothing."""
    CANCELLED = "cancelled"
    """The run was asked to stop: end the attempt."""
    DRAINED = "drained"
    """This process is going away: the step is given back."""


@dataclass(slots=True)
class Held:
    """A step in execution. `stop` is set before its task is cancelled, and tells it what to do then."""

    claim: Claim
    trust: Trust
    task: "asyncio.Task[None] | None" = None
    stop: Stop | None = None
    ending: bool = False
    """Its end is being written, which says by itself whether the step was lost or cancelled."""

    def end(self, why: Stop) -> None:
        """Cancel the work on this step; the first reason given counts, and only a drain interrupts an end."""
        if self.ending and why is not Stop.DRAINED:
            return
        if self.stop is None and self.task is not None:
            self.stop = why
            self.task.cancel(why)


class Slots:
    """The steps of this process, up to a number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._held: dict[UUID, Held] = {}

    @property
    def free(self) -> int:
        """How many more steps may be claimed."""
        return self.size - len(self._held)

    def add(self, held: Held) -> None:
        self._held[held.claim.lease.step_id] = held

    def remove(self, lease: Lease) -> None:
        held = self._held.get(lease.step_id)
        if held is not None and held.claim.lease == lease:
            del self._held[lease.step_id]

    def all(self) -> Sequence[Held]:
        return list(self._held.values())
