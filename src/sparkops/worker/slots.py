"""What this process holds: one entry a step, from its claim to its end."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
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
    """A step in execution. `stop` is set before its task is cancelled, and tells it what to do then.

    `unrecorded` are outcomes of its calls that have come back and are not written yet: whoever ends the step in the
    place of its task writes them.
    """

    claim: Claim
    trust: Trust
    task: "asyncio.Task[None] | None" = None
    stop: Stop | None = None
    ending: bool = False
    """Its end is being written, which says by itself whether the step was lost or cancelled."""
    unrecorded: list[Mapping[str, Any]] = field(default_factory=list)

    def end(self, why: Stop) -> None:
        """Cancel the work on this step; the first reason given counts, and only a drain interrupts an end."""
        if self.ending and why is not Stop.DRAINED:
            return
        if self.stop is None and self.task is not None:
            self.stop = why
            self.task.cancel(why)


RESERVE = 10
"""One slot of so many, and at least one, is kept for projects that hold none, and as much again from each project."""


class Slots:
    """The steps of this process, up to a number.

    `shared`: there is more than one project. Where some have work without end, the first step of another must find a
    slot that is free: the last tenth is for projects that hold nothing, each of which gets one of it. And none may
    hold all the others: else who comes second has one slot at a time beside a flood that was there first. None: not
    known yet, and taken for yes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.shared: bool | None = None
        self._held: dict[UUID, Held] = {}
        self._by_project: Counter[UUID] = Counter()
        self._promised = 0

    @property
    def free(self) -> int:
        """How many more steps may be claimed."""
        return max(self.size - len(self._held) - self._promised, 0)

    @property
    def _kept(self) -> int:
        """How many slots are kept for projects that hold nothing."""
        return 0 if self.shared is False else max(self.size // RESERVE, 1)

    @property
    def share(self) -> int:
        """How many slots one project may hold."""
        return max(self.size - 2 * self._kept, 1)

    @property
    def full(self) -> Sequence[UUID]:
        """The projects that may hold no more: they have their share, or what is free is kept for those without."""
        if self.free <= self._kept:
            return list(self._by_project)
        return [project for project, count in self._by_project.items() if count + self._promised >= self.share]

    @property
    def claimable(self) -> int:
        """How many steps may be claimed at once from projects that are not full, be they all of one project."""
        if self.free <= self._kept:
            return min(self.free, 1)
        most = max((count for project, count in self._by_project.items() if project not in self.full), default=0)
        return max(min(self.free - self._kept, self.share - most - self._promised), 0)

    def room_after(self, ending: Sequence[UUID]) -> int:
        """How many steps may be taken on when these end, one for each project named, be they all of one project."""
        counts = Counter(ending)
        staying = [self._by_project[each] - count for each, count in counts.items()]
        free = self.free + len(ending)
        if free <= self._kept:
            return 0 if any(staying) else min(free, 1)
        return max(min(free - self._kept, *(self.share - self._promised - each for each in staying)), 0)

    @contextmanager
    def promised(self, count: int) -> Iterator[None]:
        """Keep slots for steps that are being claimed, of whatever project, so that nobody else claims for them."""
        self._promised += count
        try:
            yield
        finally:
            self._promised -= count

    def add(self, held: Held) -> None:
        self._held[held.claim.lease.step_id] = held
        self._by_project[held.claim.project_id] += 1

    def remove(self, lease: Lease) -> None:
        held = self._held.get(lease.step_id)
        if held is not None and held.claim.lease == lease:
            del self._held[lease.step_id]
            self._by_project -= Counter([held.claim.project_id])  # and forgets those that hold nothing

    def all(self) -> Sequence[Held]:
        return list(self._held.values())
