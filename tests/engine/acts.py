"""What workers do, one transaction at a time, so that tests can stop between any two of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Completion, Ended, complete, end_attempt
from sparkops.engine.context import Engine, Worker
from sparkops.engine.effects import PolicyChanged, prepare, record
from sparkops.engine.governing import DUTIES
from sparkops.runtime.attempt import Waiting, execute
from sparkops.runtime.trust import Trust
from tests.engine.conftest import World

ONE_STEP = """
version: 1
name: one
steps:
  - {id: only, type: tool, tool: noop}
"""

HOLD_NOOP = {"name": "look-first", "on": ["tool.call"], "effect": "require_approval", "reason": "look first"}
DENY_NOOP = {"name": "no-tools", "on": ["tool.call"], "effect": "deny", "reason": "not today"}


def proposal(seq: int = 1, **changed: Any) -> dict[str, Any]:
    """A call as the gate proposes it: a pure, free one that is allowed, but for what is changed."""
    request = changed.pop("request", {"tool": "noop", "arguments": {"seq": seq}})
    return {
        "id": str(new_id()),
        "seq": seq,
        "kind": "tool",
        "name": "noop",
        "tool_hash": "v1",
        "request": request,
        "request_hash": digest(request),
        "effect_class": "pure",
        "bound_micros": 0,
        "outcome": "allow",
        "rule": None,
        "reason": None,
        "facts": {},
        "approval_id": str(new_id()),
        "approval_seconds": 3600,
        "title": "may I",
        **changed,
    }


async def prepared(
    world: World | Engine,
    claim: Claim,
    *calls: Mapping[str, Any],
    policy: int | None = None,
    again: bool = False,
    results: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """Prepare these calls (or the default one) and return the verdicts; judged again where the rules have changed,
    unless it is said under which they were judged. `results`: what calls before these have come to."""
    engine = world.engine if isinstance(world, World) else world
    asked = list(calls) or [proposal()]

    async def under(version: int) -> Any:
        return await prepare(engine, claim.lease, asked, policy_version=version, again=again, results=results)

    try:
        return await under(policy or 1)
    except PolicyChanged as changed:
        if policy is not None:
            raise
        return await under(changed.version)


def result(call_id: str | UUID, status: str = "done", *, cost: int | None = 0, **more: Any) -> dict[str, Any]:
    """The outcome of one call, as the gate records it."""
    response = {"ok": True} if status == "done" else None
    return {"call_id": str(call_id), "status": status, "response": response, "cost_micros": cost, **more}


async def recorded(world: World, claim: Claim, *results: Mapping[str, Any]) -> None:
    await record(world.engine, claim.lease, results)


async def succeed(
    world: World | Engine, worker: Worker, claim: Claim, output: Any = None, *, take: int = 0
) -> Completion:
    """End an attempt well, on the path that the worker would take."""
    engine = world.engine if isinstance(world, World) else world
    ended = Ended(claim, StepStatus.SUCCEEDED, output=output)
    if ended.mechanical:
        return await complete(engine, worker, [ended], claim=take)
    return await end_attempt(engine, worker, ended, claim=take)


async def fail(world: World | Engine, worker: Worker, claim: Claim, code: str = "broken") -> Completion:
    """End an attempt for good, without success."""
    engine = world.engine if isinstance(world, World) else world
    error = {"code": code, "message": f"it is {code}"}
    return await end_attempt(engine, worker, Ended(claim, StepStatus.FAILED, error=error), claim=0)


async def govern(world: World) -> None:
    """Do once what workers of the queue `policy` do again and again."""
    for duty in DUTIES:
        await duty(world.engine)


async def rows(world: World, run_id: UUID) -> dict[str, str]:
    """The status of each step of a run, bodies included, by its path."""
    found = await world.database.pool.fetch("SELECT path, status FROM steps WHERE run_id = $1", run_id)
    return {row["path"]: row["status"] for row in found}


@dataclass
class Hands:
    """A worker that does the steps of one run by hand."""

    world: World
    run_id: UUID
    worker: Worker
    held: dict[str, Claim] = field(default_factory=dict)

    async def take(self) -> set[str]:
        """Claim what is ready; returns the paths of all that is held."""
        for claim in await self.world.claims(self.worker, 50):
            self.held[claim.path] = claim
        return set(self.held)

    async def attempt(self, path: str) -> Ended | Waiting:
        """Execute a step that was taken, as a worker does; what it ends with is recorded."""
        claim = self.held.pop(path)
        ended = await execute(self.world.runtime(), claim, Trust.since(monotonic(), 60))
        if isinstance(ended, Ended):
            await (
                complete(self.world.engine, self.worker, [ended], claim=0)
                if ended.mechanical
                else end_attempt(self.world.engine, self.worker, ended, claim=0)
            )
        return ended

    async def end(self, path: str, output: Any = None) -> None:
        """End a step that was taken, well."""
        await succeed(self.world, self.worker, self.held.pop(path), output)

    async def fail(self, path: str) -> None:
        await fail(self.world, self.worker, self.held.pop(path))

    async def status(self, path: str) -> str:
        return (await rows(self.world, self.run_id))[path]


async def hands(world: World, run_id: UUID) -> Hands:
    return Hands(world, run_id, await world.worker())
