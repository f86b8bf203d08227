"""A project whose runs have every shape: maps of sub-workflows, passes, choices, waits, undos, attempts that fail.

And what people do to them meanwhile: they pause and resume runs, and stop the whole project and let it go again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import httpx2

from sparkops.core.client import ApiClient, ApiRefused
from sparkops.core.db import Database

SHAPES = "shapes"
EVENT = "paid"
BELOW = """
version: 1
name: below
input: {properties: {n: {type: integer}}}
steps:
  - {id: a, type: tool, tool: sink.flaky, with: {n: "${{ input.n }}"}, retry: {attempts: 9, backoff: 100ms}}
  - {id: b, type: tool, tool: sink.send, needs: [a], with: {n: "${{ input.n }}"}}
"""
"""It is started by others only."""
WORKFLOWS: Mapping[str, str] = {
    "items": """
version: 1
name: items
steps:
  - id: each
    type: map
    with: {over: 4, concurrency: 2, on_item_error: continue}
    steps:
      - {id: plain, type: tool, tool: noop}
      - {id: sub, type: workflow, workflow: below, needs: [plain], with: {n: "${{ index }}"}}
  - {id: last, type: tool, tool: sink.send, needs: [each], with: {n: 1}}
""",
    "passes": """
version: 1
name: passes
input: {properties: {n: {type: integer}}, required: [n]}
steps:
  - id: again
    type: loop
    with: {max: 3, at_max: succeed, until: "${{ steps.touch.output.answer == 'enough' }}"}
    steps:
      - {id: touch, type: tool, tool: sink.send, with: {n: "${{ input.n }}"}}
  - id: pick
    type: branch
    needs: [again]
    with: {cases: [{when: "${{ input.n > 1 }}", then: [much]}], else: [little]}
  - {id: much, type: tool, tool: sink.send, needs: [pick], with: {n: 2}}
  - {id: little, type: tool, tool: sink.flaky, needs: [pick], with: {n: 1}, retry: {attempts: 9, backoff: 100ms}}
  - {id: last, type: tool, tool: noop, needs: [much, little], join: any}
""",
    "awaits": """
version: 1
name: awaits
steps:
  - {id: nap, type: wait, with: {for: 500ms}}
  - id: paid
    type: wait
    needs: [nap]
    with: {event: paid, filter: "${{ event.data.run == run.id }}", timeout: 60s, on_timeout: continue}
  - {id: ship, type: tool, tool: sink.send, needs: [paid], with: {n: 1}}
""",
    "undone": """
version: 1
name: undone
steps:
  - {id: a, type: tool, tool: sink.send, with: {n: 1}, undo: {type: tool, tool: sink.send, with: {undo: 1}}}
  - {id: b, type: tool, tool: sink.send, needs: [a], with: {n: 2}, undo: {type: tool, tool: sink.send, with: {undo: 2}}}
  - {id: c, type: tool, tool: sink.broken, needs: [b]}
""",
}
_SHAPED = """
SELECT (SELECT count(*) FROM frames WHERE status = 'succeeded') AS frames,
       (SELECT count(*) FROM runs WHERE parent_run_id IS NOT NULL AND status = 'succeeded') AS sub_runs,
       (SELECT count(*) FROM steps WHERE undo_of IS NOT NULL AND status = 'succeeded') AS undone,
       (SELECT count(*) FROM steps WHERE type = 'wait' AND waiting_for ->> 'kind' IS NULL AND status = 'succeeded'
           AND path = 'paid' AND output <> 'null') AS events_met,
       (SELECT count(*) FROM steps WHERE failures > 0 AND status = 'succeeded') AS retries
"""


async def shaped(database: Database) -> Mapping[str, int]:
    """Return how often each shape was gone through to its end."""
    return dict(await database.pool.fetchrow(_SHAPED))


@dataclass
class Shapes:
    """The owner of the project. `counts`: what they did."""

    owner: ApiClient
    random: Random
    counts: Counter[str]
    waiting: list[UUID] = field(default_factory=list)
    """Runs for which nobody has paid."""

    async def install(self) -> None:
        await self.owner.post("/projects", {"slug": SHAPES, "name": "Shapes"})
        for source in (BELOW, *WORKFLOWS.values()):
            await self.owner.post("/workflows", {"project": SHAPES, "source": source})

    def started(self, workflow: str, run_id: UUID) -> None:
        if workflow == "awaits":
            self.waiting.append(run_id)

    async def go_on(self) -> None:
        """Until cancelled: do all of it, side by side. What was held is let go whatever happens between."""
        acts = ((self._pay, 1.0), (self._pause_one, 2.0), (self._resume_all, 1.5), (self._stop, 10.0))
        await asyncio.gather(*(self._again(act, seconds) for act, seconds in acts))

    async def _again(self, act: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await act()
            except (httpx2.HTTPError, ApiRefused):
                self.counts["page_errors"] += 1
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * seconds)

    async def _pay(self) -> None:
        """Tell of each payment twice, as senders do who got no answer."""
        for run_id in list(self.waiting):
            event = {"project": SHAPES, "id": f"paid-{run_id}", "name": EVENT, "data": {"run": str(run_id)}}
            await self.owner.post("/events", event)
            await self.owner.post("/events", event)
            self.waiting.remove(run_id)

    async def _pause_one(self) -> None:
        if runs := await self._items("/runs", status="running"):
            with suppress(ApiRefused):  # it may have ended
                await self.owner.post(f"/runs/{self.random.choice(runs)['id']}/pause")
                self.counts["pauses"] += 1

    async def _resume_all(self) -> None:
        for run in await self._items("/runs", status="paused"):
            with suppress(ApiRefused):  # it is paused with the one above it
                await self.owner.post(f"/runs/{run['id']}/resume")

    async def _stop(self) -> None:
        """Stop the project for a moment; a stop that somebody gave and forgot is released, too."""
        order = {"kind": "stop", "scope": "project", "project": SHAPES, "reason": "Something is wrong."}
        await self.owner.post("/halts", order)
        self.counts["stops"] += 1
        await asyncio.sleep(1)
        while in_force := await self._items("/halts", in_force="true"):
            for halt in in_force:
                with suppress(httpx2.HTTPError, ApiRefused):
                    await self.owner.post(f"/halts/{halt['id']}/release")

    async def _items(self, path: str, **query: str) -> Sequence[Mapping[str, Any]]:
        page = await self.owner.get(path, project=SHAPES, **query)
        items: Sequence[Mapping[str, Any]] = page["items"]
        return items
