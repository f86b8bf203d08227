"""The prepared world of one interleaving: a run in which every transaction has something to do.

Its steps: `held` runs and has a call out, and in every other case an undo; `free` and `spare` are ready; `asks` waits
for an answer; `asking` has asked and is about to wait; `new` runs and has not asked yet; `sub`, `each`, `nap` and
`paid` run and have done nothing yet; `after` and `last` come later.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import insert

from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.identity.models import Membership, User
from sparkops.engine.accept import RunRequest
from sparkops.engine.claim import Claim, claim
from sparkops.engine.context import Engine, Worker
from sparkops.engine.removal import Removal
from sparkops.engine.wait import ask, wait_for_approvals
from tests.engine.acts import prepared, proposal
from tests.engine.conftest import World, person_of

WORKFLOW = """
version: 1
name: NAME
steps:
  - {id: held, type: tool, tool: noop, retry: {attempts: 3, backoff: 1ms, max_backoff: 1ms}UNDO}
  - {id: asks, type: approval, with: {title: "Publish?"}}
  - {id: asking, type: approval, with: {title: "Really?"}}
  - {id: new, type: approval, with: {title: "Now?"}}
  - {id: free, type: tool, tool: noop}
  - {id: spare, type: tool, tool: noop}
  - {id: sub, type: workflow, workflow: below}
  - {id: each, type: map, with: {over: 2, concurrency: 2}, steps: [{id: touch, type: tool, tool: noop}]}
  - {id: nap, type: wait, with: {for: 1h}}
  - id: paid
    type: wait
    with: {event: paid, timeout: 1h, on_timeout: continue, filter: "${{ event.data.run == run.id }}"}
  - {id: after, type: tool, tool: noop, needs: [held]}
  - {id: last, type: tool, tool: noop, needs: [after, free, spare, asks, asking, new, sub, each, nap, paid]}
"""
BELOW = """
version: 1
name: below
steps:
  - {id: work, type: tool, tool: noop}
"""
RUNNING = ("held", "asks", "asking", "new", "sub", "each", "nap", "paid")
WORKFLOWS = ("pairs", "undone")
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
    claims: dict[str, Claim] = field(default_factory=dict)
    questions: dict[str, UUID] = field(default_factory=dict)
    call_id: str = ""
    """The call that `held` has out."""
    halt_id: UUID | None = None
    beside: Claim | None = None
    """The only step of another run, which does one call as well."""
    removal: Removal | None = None
    """Of another project."""
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
        return RunRequest(self.world.project_id, "below", idem_key=self.key)

    async def stamp(self) -> int:
        """How often the rules have changed."""
        return int(await self.value("SELECT engine.policy_stamp($1)", self.world.project_id))

    async def sql(self, statement: str) -> None:
        """Execute for this run, which the statement names as $1."""
        await self.world.sql(statement, self.run_id)

    async def claim_from(self, queue: str, limit: int) -> list[Claim]:
        """Let the first worker claim from a queue of their own."""
        return await claim(self.world.engine, Worker(self.first.session_id, self.first.epoch, (queue,)), limit=limit)

    async def value(self, query: str, *values: object) -> Any:
        return await self.world.database.pool.fetchval(query, *values)


def second_approver(world: World) -> Principal:
    """Somebody who may answer besides ben."""
    return person_of("cyd", world.project_id, user_id=uuid5(world.project_id, "cyd"))


def stand_in(world: World) -> Principal:
    """Somebody to whom ben may give his voice."""
    return person_of("dee", world.project_id, user_id=uuid5(world.project_id, "dee"))


async def store_workflows(world: World) -> None:
    """Store what the cases run, and let others than ben answer too."""
    async with world.database.sessions.begin() as session:
        for other in (second_approver(world), stand_in(world)):
            await session.execute(
                insert(User).values(id=other.user_id, email=other.email, name=other.name, password_hash="-")
            )
            await session.execute(
                insert(Membership).values(project_id=world.project_id, user_id=other.user_id, role="operator")
            )
    await world.workflow(BELOW)
    for name, undo in zip(WORKFLOWS, ("", ", undo: {type: tool, tool: noop}"), strict=True):
        await world.workflow(WORKFLOW.replace("NAME", name).replace("UNDO", undo))


async def prepare_case(world: World, name: str, effect_class: str, epoch: UUID, *, undo: bool) -> Case:
    """Bring a new run to where every transaction can happen. It has a queue of its own, which nobody else claims."""
    run_id = await world.run(WORKFLOWS[undo])
    queue = str(run_id)
    first, second = (Worker(new_id(), epoch, (queue,)) for _ in range(2))
    case = Case(world, name, effect_class, run_id, first, second)
    await world.sql(
        "UPDATE steps SET queue = CASE WHEN node_key IN ('free', 'spare') THEN 'later' ELSE $2 END WHERE run_id = $1",
        run_id,
        queue,
    )
    case.claims = {each.key: each for each in await claim(world.engine, first, limit=len(RUNNING))}
    assert set(case.claims) == set(RUNNING)
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
