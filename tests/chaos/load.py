"""Clients: who starts runs and asks again until they know, and who answers questions and gives up what nobody knows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx2

from sparkops.core.client import ApiClient, ApiRefused
from tests.chaos import government, shapes
from tests.chaos.government import GOVERNED
from tests.chaos.shapes import SHAPES, Shapes

PROJECT = "chaos"
RETRY_SECONDS = 0.3
SIGN_IN_SECONDS = 300.0
"""An access token is good for fifteen minutes, and a campaign may take longer."""
USAGE = {"input_tokens": 100, "output_tokens": 10}
AGENT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["sink.send"],
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "sink.send", "arguments": {"n": 1}}, {"tool": "sink.send"}], "usage": USAGE},
            {"tool_calls": [{"tool": "sink.send", "arguments": {"n": 2}}], "usage": USAGE},
            {"tool_calls": [{"tool": "sink.send", "arguments": {"n": 3}}], "usage": USAGE},
            {"text": "done", "usage": USAGE},
        ]
    },
}
FAN = (
    "version: 1\nname: fan\nsteps:\n  - {id: first, type: tool, tool: noop}\n"
    + "".join(f"  - {{id: s{n}, type: tool, tool: sink.send, needs: [first], with: {{n: {n}}}}}\n" for n in range(6))
    + "  - {id: last, type: tool, tool: noop, needs: [s0, s1, s2, s3, s4, s5]}\n"
)
WORKFLOWS: Mapping[str, str] = {
    "chain": """
version: 1
name: chain
input: {properties: {n: {type: integer}}}
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: sink.send, needs: [a], with: {n: "${{ input.n }}"}}
  - {id: c, type: tool, tool: noop, needs: [b]}
  - {id: d, type: tool, tool: sink.send, needs: [c], with: {text: "${{ steps.b.output }}"}}
""",
    "fan": FAN,
    "once": """
version: 1
name: once
steps:
  - {id: a, type: tool, tool: sink.once, with: {n: 1}}
  - {id: b, type: tool, tool: sink.once, needs: [a], with: {n: 2}}
""",
    "asks": """
version: 1
name: asks
steps:
  - {id: a, type: tool, tool: sink.send, with: {n: 1}}
  - {id: ask, type: approval, needs: [a], with: {title: "Go on?"}}
  - {id: b, type: tool, tool: sink.once, needs: [ask], if: "${{ steps.ask.output.approved }}"}
  - {id: c, type: transform, needs: [b], with: {value: "${{ steps.b.output }}"}}
output: {said: "${{ steps.c.output }}"}
""",
    "agent": """
version: 1
name: agent
steps:
  - {id: think, type: agent, agent: scout, with: {prompt: go}}
  - {id: after, type: tool, tool: sink.send, needs: [think], with: {text: "${{ steps.think.output }}"}}
""",
}

STARTED = [
    *((PROJECT, name) for name in WORKFLOWS),
    *((GOVERNED, name) for name in government.WORKFLOWS),
    *((SHAPES, name) for name in shapes.WORKFLOWS),
]
"""What runs are started of, each as often as the others."""


@dataclass
class Clients:
    """Two signed-in people. `accepted` holds the runs whose acceptance they saw, `counts` what they lived through."""

    owner: ApiClient
    approver: ApiClient
    shapes: Shapes
    random: Random
    accepted: list[UUID] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    async def install(self, approver_email: str) -> None:
        await self.owner.post("/projects", {"slug": PROJECT, "name": "Chaos"})
        await self.owner.post(f"/projects/{PROJECT}/members", {"email": approver_email, "role": "operator"})
        await self.owner.post("/agents", {"project": PROJECT, "name": "scout", "definition": AGENT})
        for source in WORKFLOWS.values():
            await self.owner.post("/workflows", {"project": PROJECT, "source": source})

    async def keep_signed_in(self, *logins: tuple[ApiClient, str, str]) -> None:
        """Until cancelled: sign these people in anew before their tokens run out."""
        while True:
            await asyncio.sleep(SIGN_IN_SECONDS)
            for who, email, password in logins:
                await _until_answered(partial(who.sign_in, email, password))

    async def start_runs(self, enough: asyncio.Event, least: int, *, side_by_side: int, pause: float) -> None:
        """Start runs until there are at least so many and somebody says that it is enough."""

        async def one_after_the_other() -> None:
            while len(self.accepted) < least or not enough.is_set():
                await self.start_run()
                await asyncio.sleep(self.random.uniform(0, 2 * pause))

        await asyncio.gather(*(one_after_the_other() for _ in range(side_by_side)))

    async def start_run(self) -> None:
        """Ask with one key until the answer comes; every repeat is counted."""
        project, workflow = self.random.choice(STARTED)
        given = {"n": self.random.randrange(4)} if workflow in ("chain", "passes") else {}
        body = {"project": project, "workflow": workflow, "input": given}
        key = str(uuid4())
        while True:
            try:
                run = await self.owner.post("/runs", body, {"Idempotency-Key": key})
            except (httpx2.HTTPError, ApiRefused):
                self.counts["accept_retries"] += 1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.accepted.append(UUID(run["id"]))
                self.shapes.started(workflow, UUID(run["id"]))
                return

    async def answer_questions(self) -> None:
        """Until cancelled: say yes to all that workflows ask, and give up runs that only a person could let go on."""
        while True:
            try:
                for question in await self._items(self.approver, "/approvals", project=PROJECT, state="open"):
                    await self._try(self.approver, f"/approvals/{question['id']}/approve")
                for project, status in product((PROJECT, GOVERNED, SHAPES), ("attention", "cancelling")):
                    for run in await self._items(self.owner, "/runs", project=project, status=status):
                        await self._try(self.owner, f"/runs/{run['id']}/cancel")
            except (httpx2.HTTPError, ApiRefused):
                self.counts["page_errors"] += 1
            await asyncio.sleep(0.5)

    async def _items(self, who: ApiClient, path: str, **query: str) -> Sequence[Mapping[str, Any]]:
        page = await who.get(path, **query)
        items: Sequence[Mapping[str, Any]] = page["items"]
        return items

    async def _try(self, who: ApiClient, path: str) -> None:
        try:
            await who.post(path, {})
            self.counts["answers"] += 1
        except ApiRefused:
            self.counts["late_answers"] += 1  # somebody was quicker, or it was this one, whose answer was lost


async def _until_answered(act: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await act()
        except (httpx2.HTTPError, ApiRefused):
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
