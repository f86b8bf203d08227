"""The prepared world of one interleaving: a run in which every transaction has something to do.

Its steps: `held` runs and has a call out; `free` is ready; `asks` waits for an answer; `asking` has asked and is about
to wait; `new` runs and has not asked yet; `after` and `last` come later.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.engine.accept import RunRequest
from sparkops.engine.claim import Claim, claim
from sparkops.engine.context import Engine, Worker
from sparkops.engine.wait import ask, wait_for_approvals
from tests.engine.acts import prepared, proposal
from tests.engine.conftest import World

WORKFLOW = """
version: 1
name: pairs
steps:
  - {id: held, type: tool, tool: noop, retry: {attempts: 3, backoff: 1ms, max_backoff: 1ms}}
  - {id: asks, type: approval, with: {title: "Publish?"}}
  - {id: asking, type: approval, with: {title: "Really?"}}
  - {id: new, type: approval, with: {title: "Now?"}}
  - {id: free, type: tool, tool: noop}
  - {id: after, type: tool, tool: noop, needs: [held]}
  - {id: last, type: tool, tool: noop, needs: [after, free, asks, asking, new]}
"""
BOUND = 5
COST = 3


@dataclass
class Case:
    """One run with its workers. `first` holds the step that two transactions meet at, `second` is idle."""

    world: World
    name: str
    effect_class: str
    run_id: UUID
    first: Worker
    second: Worker
    claims: Mapping[str, Claim] = field(default_factory=dict)
    questions: dict[str, UUID] = field(default_factory=dict)
    call_id: str = ""
    """The call that `held` has out."""
    sent: Counter[str] = field(default_factory=Counter)
    """What would have left the process, by call id."""
    said: dict[str, Any] = field(default_factory=dict)
    """The answers that callers saw: nothing of them may turn out to be untrue."""

    @property
    def key(self) -> str:
        """The idempotency key of the run that ACCEPT makes."""
        return f"again-{self.run_id}"

    @property
    def held(self) -> Claim:
        return self.claims["held"]

    def proposal(self, seq: int) -> dict[str, Any]:
        """What `held` asks for at this place, the same in every attempt."""
        return proposal(seq, effect_class=self.effect_class, bound_micros=BOUND)

    def request(self) -> RunRequest:
        return RunRequest(self.world.project_id, "pairs", idem_key=self.key)

    async def sql(self, statement: str) -> None:
        """Execute for this run, which the statement names as $1."""
        await self.world.sql(statement, self.run_id)

    async def value(self, query: str, *values: object) -> Any:
        return await self.world.database.pool.fetchval(query, *values)


async def prepare_case(world: World, name: str, effect_class: str, epoch: UUID) -> Case:
    """Bring a new run to where every transaction can happen. It has a queue of its own, which nobody else claims."""
    run_id = await world.run("pairs")
    queue = str(run_id)
    first, second = (Worker(new_id(), epoch, (queue,)) for _ in range(2))
    case = Case(world, name, effect_class, run_id, first, second)
    await world.sql(
        "UPDATE steps SET queue = CASE node_key WHEN 'free' THEN 'later' ELSE $2 END WHERE run_id = $1", run_id, queue
    )
    case.claims = {each.key: each for each in await claim(world.engine, first, limit=4)}
    assert set(case.claims) == {"held", "asks", "asking", "new"}
    await world.sql("UPDATE steps SET queue = $2 WHERE run_id = $1 AND queue = 'later'", run_id, queue)
    for key in ("asks", "asking"):
        answer = await ask(world.engine, case.claims[key], question(case.claims[key]))
        case.questions[key] = UUID(answer["approval_id"])
    await wait_for_approvals(world.engine, case.claims["asks"], [case.questions["asks"]])
    (verdict,) = await prepared(world, case.held, case.proposal(1))
    case.call_id = verdict["call_id"]
    case.sent[case.call_id] += 1
    return case


def question(held: Claim) -> dict[str, Any]:
    """What an approval step asks, the same in every attempt."""
    return {
        "approval_id": str(new_id()),
        "title": held.key,
        "request": {"title": held.key},
        "request_hash": f"hash of {held.key}",
        "seconds": 3600,
    }


def of_pool(case: Case) -> Engine:
    """The engine whose statements each are a transaction of their own."""
    return case.world.engine
