"""What people decide while everything goes wrong: they answer side by side, change what was asked for, publish rules,
raise budgets and cancel runs, in a project of their own."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import asyncpg
import httpx2

from sparkops.core.client import ApiClient, ApiRefused
from sparkops.core.db import LOST_CONNECTION

GOVERNED = "governed"
ASKED_ABOUT = "sink.pay"
"""The tool of which no call leaves without consent, whichever of the rules below are in force."""
TAKES_TWO = "effect: require_approval, approval: {quorum: 2, may_edit: true}"
RULES: Sequence[str] = tuple(
    f"""
version: 1
name: guard
rules:
  - {{name: pay, on: [tool.call], tools: [{ASKED_ABOUT}], {of_calls}}}
  - {{name: begin, on: [run.create], workflows: [begins], {of_runs}}}
  - {{name: hand-out, on: [output], workflows: [hands-out], {of_outputs}}}
"""
    for of_calls, of_runs, of_outputs in (
        (TAKES_TWO, "effect: require_approval, approval: {quorum: 2}", "effect: require_approval"),
        (TAKES_TWO, "effect: require_approval", "effect: require_approval, approval: {quorum: 2}"),
        ("effect: require_approval", "effect: require_approval, approval: {quorum: 2}", "effect: require_approval"),
        ("effect: deny", "effect: require_approval", "effect: allow"),
    )
)
OFTEN = (4, 4, 3, 1)
"""How often each version is published, beside the others."""
WORKFLOWS: Mapping[str, str] = {
    "pays": """
version: 1
name: pays
steps:
  - {id: a, type: tool, tool: sink.pay, with: {n: 1}}
  - {id: b, type: tool, tool: sink.pay, with: {n: 2}}
  - {id: c, type: tool, tool: sink.send, needs: [a, b], with: {n: 3}}
""",
    "begins": """
version: 1
name: begins
steps:
  - {id: a, type: tool, tool: sink.send, with: {n: 1}}
""",
    "hands-out": """
version: 1
name: hands-out
steps:
  - {id: a, type: tool, tool: sink.send, with: {n: 1}}
output: {said: "${{ steps.a.output }}"}
""",
    "spends": "version: 1\nname: spends\nsteps:\n"
    + "".join(f"  - {{id: s{n}, type: tool, tool: sink.send, with: {{n: {n}}}}}\n" for n in range(8)),
}
_PAUSES = {"period": "total", "thresholds": [{"percent": 100, "action": "pause"}]}
BUDGETS: Sequence[Mapping[str, Any]] = (
    {"project": GOVERNED, "name": "purse", "scope": "project", "limit_micros": 60, **_PAUSES},
    {"project": GOVERNED, "name": "sends", "scope": "project", "limit_calls": 20, **_PAUSES},
    {"project": None, "name": "house", "scope": "installation", "limit_micros": 300, **_PAUSES},
)
RAISE: Mapping[str, int] = {"purse": 150, "sends": 50, "house": 1_500}
"""By how much each is raised when something waits for it: soon more will."""
_BEYOND = """
SELECT coalesce(sum(greatest(spent_micros + reserved_micros - limit_micros, 0)), 0)::bigint AS micros,
       coalesce(sum(greatest(calls - limit_calls, 0)), 0)::bigint AS calls
  FROM budgets
"""


@dataclass
class Overshoot:
    """By how much budgets were ever seen to be spent and held beyond their limits, in all `looks`."""

    micros: int = 0
    calls: int = 0
    looks: int = 0

    async def watch(self, url: str) -> None:
        """Until cancelled: look at all budgets, whenever the database is there. Limits are only raised here."""
        while True:
            try:
                connection = await asyncpg.connect(url, timeout=2)
                try:
                    row = await connection.fetchrow(_BEYOND, timeout=5)
                finally:
                    await connection.close(timeout=1)
                self.micros, self.calls = max(self.micros, row["micros"]), max(self.calls, row["calls"])
                self.looks += 1
            except LOST_CONNECTION:
                pass
            await asyncio.sleep(0.5)


@dataclass
class Government:
    """The owner of the project, who starts its runs, and those who answer there. `counts`: what they did."""

    owner: ApiClient
    approvers: Sequence[ApiClient]
    random: Random
    counts: Counter[str]
    _publish_path: str = ""

    async def install(self, emails: Sequence[str]) -> None:
        owner = self.owner
        await owner.post("/projects", {"slug": GOVERNED, "name": "Governed"})
        for email in emails:
            await owner.post(f"/projects/{GOVERNED}/members", {"email": email, "role": "operator"})
        for source in WORKFLOWS.values():
            await owner.post("/workflows", {"project": GOVERNED, "source": source})
        made = await owner.post("/policies", {"project": GOVERNED, "source": RULES[0]})
        for source in RULES[1:]:
            await owner.post(f"/policies/{made['policy']['id']}/versions", {"source": source})
        self._publish_path = f"/policies/{made['policy']['id']}/publish"
        await self._publish(1)
        for budget in BUDGETS:
            await owner.post("/budgets", dict(budget))

    async def govern(self) -> None:
        """Until cancelled: do all of it, side by side."""
        versions = range(1, len(RULES) + 1)

        async def publish() -> None:
            (version,) = self.random.choices(versions, OFTEN)
            await self._publish(version)

        answering = (self._again(partial(self._answer, each), 0.7) for each in self.approvers)
        others = ((publish, 4.0), (self._raise_budgets, 1.5), (self._cancel_one, 3.0))
        await asyncio.gather(*answering, *(self._again(act, seconds) for act, seconds in others))

    async def _again(self, act: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await act()
            except (httpx2.HTTPError, ApiRefused):
                self.counts["page_errors"] += 1
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * seconds)

    async def _answer(self, who: ApiClient) -> None:
        page = await who.get("/approvals", project=GOVERNED, state="open")
        for question in page["items"]:
            try:
                await self._say(who, question)
            except ApiRefused:
                self.counts["late_answers"] += 1  # others were quicker, or something else is asked about now

    async def _say(self, who: ApiClient, question: Mapping[str, Any]) -> None:
        path, shown, chance = f"/approvals/{question['id']}", {"request_hash": question["request_hash"]}, self.random
        if chance.random() < 0.03:
            await who.post(f"{path}/reject", {"reason": "No."})
            self.counts["rejections"] += 1
        elif question["demands"]["may_edit"] and not question["edited_at"] and chance.random() < 0.3:
            await who.post(f"{path}/edit", {"arguments": {"n": chance.randrange(100, 999)}, **shown})
            self.counts["edits"] += 1
        else:
            await who.post(f"{path}/approve", shown)
            self.counts["votes"] += 1

    async def _publish(self, version: int) -> None:
        await self.owner.post(self._publish_path, {"version": version})
        self.counts["publications"] += 1

    async def _raise_budgets(self) -> None:
        for budget in await self._items("/budgets"):
            if not budget["waiting"]:
                continue
            self.counts["budget_waits"] += budget["waiting"]
            limits, more = budget["limits"], RAISE[budget["name"]]
            terms = {"limit_micros": limits["money_micros"], "limit_calls": limits["calls"]}
            raised = {kind: limit + more for kind, limit in terms.items() if limit is not None}
            body = {"name": budget["name"], "thresholds": budget["thresholds"], **raised}
            await self.owner.put(f"/budgets/{budget['id']}", body)
            self.counts["raises"] += 1

    async def _cancel_one(self) -> None:
        if runs := await self._items("/runs", status="running"):
            await self.owner.post(f"/runs/{self.random.choice(runs)['id']}/cancel")
            self.counts["cancels"] += 1

    async def _items(self, path: str, **query: str) -> Sequence[Mapping[str, Any]]:
        page = await self.owner.get(path, project=GOVERNED, **query)
        items: Sequence[Mapping[str, Any]] = page["items"]
        return items
