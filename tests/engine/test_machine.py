"""Random lives of runs, act by act, beside a reference in memory: after every act both stand at the same place.

The whole tier plays 500 lives of 100 acts. On two cores with little else to do 200 took 85 seconds; on busy ones 50
took 32 seconds, 200 took 191, 300 took 406 and 350 took 572: each takes longer than the one before, as all share a
database, and the audit at the end of each looks at what the others have left. By that growth 500 take less than half an
hour, and 10,000 days.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sparkops.core.db import Database, open_database
from sparkops.core.errors import SparkOpsError
from sparkops.core.ids import new_id
from sparkops.core.json import dumps
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim, claim, claim_isolated, heartbeat
from sparkops.engine.complete import Ended, complete, end_attempt
from sparkops.engine.context import Engine, SilentBell, Worker
from sparkops.engine.errors import CancelRequested, Fenced
from sparkops.engine.give_back import reap, release_session
from sparkops.engine.invariants import audit
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import ask, wait_for_approvals
from sparkops.runtime.attempt import execute
from sparkops.runtime.trust import Trust
from tests.engine.acts import prepared, proposal, recorded, result
from tests.engine.conftest import World
from tests.engine.reference_run import ALONE, BEFORE, EACH, OPEN, Run, Step, in_status, without_undo
from tests.reused import Clone
from tests.tiers import WHOLE
from tests.unit.reference import Plan, document, random_plans

EXAMPLES, ACTS = (500, 100) if WHOLE else (15, 50)
T = TypeVar("T")


@dataclass
class Held:
    """A claim that some worker remembers, whether or not it still counts."""

    claim: Claim
    run: Run
    step: Step

    @property
    def counts(self) -> bool:
        return self.step.status == "running" and self.step.attempt == self.claim.lease.attempt

    @property
    def plan(self) -> Plan:
        return self.run.plan(self.claim.path)

    @property
    def is_map(self) -> bool:
        return self.run.is_map(self.claim.path)


@dataclass
class Stage:
    """The database that all examples share, and the loop on which it is used."""

    world: World
    runner: asyncio.Runner

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)


class Lives(RuleBasedStateMachine):
    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = self.stage.world
        self.runs: dict[UUID, Run] = {}
        self.held: list[Held] = []
        self.workers: list[Worker] = []

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.stage.do(act)

    def refused(self, act: Coroutine[Any, Any, Any], error: type[SparkOpsError]) -> None:
        with pytest.raises(error):
            self.do(act)

    def pick(self, place: int) -> Held:
        return self.held[place % len(self.held)]

    # Doors

    @initialize()
    def begin(self) -> None:
        self.workers = [self.do(self.world.worker()) for _ in range(2)]

    @rule(seed=st.integers(0, 2**32), count=st.one_of(st.integers(1, 8), st.integers(9, 60)))
    @precondition(lambda self: len(self.runs) < 3)
    def accept(self, seed: int, count: int) -> None:
        self.start(seed, count, in_body=False)

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 12))
    @precondition(lambda self: len(self.runs) < 3)
    def accept_map(self, seed: int, count: int) -> None:
        self.start(seed, count, in_body=True)

    def start(self, seed: int, count: int, *, in_body: bool) -> None:
        plans = [without_undo(plan) for plan in random_plans(Random(seed), count, in_body=in_body)]
        source = {**document(plans, in_body=in_body), "name": f"w-{new_id().hex}"}
        for step, plan in zip(source["steps"][1]["steps"] if in_body else source["steps"], plans, strict=True):
            if plan.work == "worker" and plan.number == 3:
                step.update(type="approval", **{"with": {"title": "?"}})
                del step["tool"]
        name = self.do(self.world.workflow(dumps(source).decode()))
        run_id = self.do(self.world.run(name))
        self.runs[run_id] = Run([BEFORE, EACH], body=plans) if in_body else Run(plans)

    @rule(place=st.integers(0, 2))
    @precondition(lambda self: self.runs)
    def cancel(self, place: int) -> None:
        run_id = list(self.runs)[place % len(self.runs)]
        self.do(cancel_run(self.world.engine, self.world.ada, run_id))
        self.runs[run_id].cancel()

    @rule(place=st.integers(0, 99), yes=st.booleans())
    @precondition(lambda self: self.asking())
    def answer(self, place: int, yes: bool) -> None:
        asking = self.asking()
        run, key, step = asking[place % len(asking)]
        assert step.asked is not None
        act = answer_approval(self.world.engine, self.world.ben, step.asked, approve=yes, comment=None)
        if step.question != "pending":
            self.refused(act, SparkOpsError)
            return
        self.do(act)
        step.question = "approved" if yes else "rejected"
        if step.status == "waiting":
            run.end(key, "ready")

    def asking(self) -> list[tuple[Run, str, Step]]:
        return [found for found in in_status(self.runs, *OPEN) if found[2].asked is not None]

    # Workers

    @rule(place=st.integers(0, 1), limit=st.integers(1, 4))
    def claim(self, place: int, limit: int) -> None:
        taken = self.do(claim(self.world.engine, self.workers[place], limit=limit))
        assert len(taken) == min(limit, len(self.ready(isolated=False)))
        self.take(taken, self.workers[place], isolated=False)

    @rule(place=st.integers(0, 1), limit=st.integers(1, 4), empty=st.booleans())
    @precondition(lambda self: self.ready(isolated=True))
    def claim_isolated(self, place: int, limit: int, empty: bool) -> None:
        empty = empty and not self.holds(self.workers[place])
        taken = self.do(claim_isolated(self.world.engine, self.workers[place], limit=limit, empty=empty))
        ready = self.ready(isolated=True)
        alone = {each.alone for each in taken}
        assert (alone <= {True} and len(taken) <= 1) or alone == {False}
        assert taken or (not empty and any(step.crashes >= ALONE for step in ready.values()))
        assert all(each.alone == (ready[id(self.runs[each.run_id]), each.path].crashes >= ALONE) for each in taken)
        self.take(taken, self.workers[place], isolated=True)

    def holds(self, worker: Worker) -> bool:
        """Say whether this process has a step: one that must be alone is not for it then."""
        return any(step.session == worker.session_id for _, _, step in in_status(self.runs, "running"))

    def ready(self, *, isolated: bool) -> dict[tuple[int, str], Step]:
        found = in_status(self.runs, "ready")
        return {(id(run), key): step for run, key, step in found if step.isolate == isolated}

    def take(self, taken: Sequence[Claim], worker: Worker, *, isolated: bool) -> None:
        ready = self.ready(isolated=isolated)
        for each in taken:
            run = self.runs[each.run_id]
            step = ready[id(run), each.path]
            step.status, step.attempt, step.session = "running", each.lease.attempt, worker.session_id
            self.held.append(Held(each, run, step))

    @rule(place=st.integers(0, 99))
    @precondition(lambda self: self.held)
    def beat(self, place: int) -> None:
        held = self.pick(place)
        kept = self.do(heartbeat(self.world.engine, self.workers[0], [held.claim.lease]))
        assert (held.claim.lease.step_id in kept.kept) == held.counts
        assert (held.claim.lease.step_id in kept.cancel) == (held.counts and held.step.stop)
        if held.counts:
            held.step.lapsed = False

    @rule(place=st.integers(0, 99))
    @precondition(lambda self: self.held)
    def prepare(self, place: int) -> None:
        held = self.pick(place)
        act = prepared(self.world, held.claim, self.proposal(held))
        if not held.counts:
            self.refused(act, Fenced)
        elif held.step.stop:
            self.refused(act, CancelRequested)
        elif held.step.asks or held.is_map:
            act.close()
        else:
            (verdict,) = self.do(act)
            self.see(held, verdict)

    def proposal(self, held: Held) -> dict[str, Any]:
        return proposal(effect_class="unsafe" if held.step.unsafe else "idempotent", bound_micros=2)

    def see(self, held: Held, verdict: dict[str, Any]) -> None:
        """What the gate must say about a call that was not there, was lost, or has been answered."""
        step = held.step
        if step.call in ("done", "unknown"):
            assert verdict["verdict"] == ("recorded" if step.call == "done" else "uncertain")
        elif step.call == "prepared" and step.unsafe:
            assert verdict["verdict"] == "uncertain"
        else:
            assert verdict["verdict"] == "send"
            step.call = "prepared"
            return
        if verdict["verdict"] == "uncertain":
            held.run.end(held.claim.path, "uncertain")
            self.do(advance_run(self.world.engine, held.claim.run_id))

    @rule(place=st.integers(0, 99))
    @precondition(lambda self: self.held)
    def record(self, place: int) -> None:
        held = self.pick(place)
        if held.counts and held.step.call != "prepared":
            return  # a worker records what it has sent
        call_id = self.call_id(held) or str(new_id())
        act = recorded(self.world, held.claim, result(call_id, cost=1))
        if not held.counts:
            self.refused(act, Fenced)
            return
        self.do(act)
        held.step.call = "done"

    def call_id(self, held: Held) -> str | None:
        query = "SELECT id::text FROM calls WHERE run_id = $1 AND step_id = $2"
        found: str | None = self.do(self.fetch(query, held.claim.run_id, held.claim.lease.step_id))
        return found

    async def fetch(self, query: str, *values: object) -> Any:
        return await self.world.database.pool.fetchval(query, *values)

    @rule(place=st.integers(0, 99), how=st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "ready"]))
    @precondition(lambda self: self.held)
    def end(self, place: int, how: str) -> None:
        held = self.pick(place)
        if held.counts and how == "succeeded" and not self.may_succeed(held):
            return
        output = {"n": held.plan.number} if how == "succeeded" else None
        error = None if how == "succeeded" else {"code": "broken", "message": "it is broken"}
        results = [result(self.call_id(held) or "", cost=1)] if how == "succeeded" and self.is_out(held) else []
        self.write(held, Ended(held.claim, StepStatus(how), output=output, error=error, results=results))
        if held.counts:
            held.step.call = "done" if results else held.step.call
            held.run.close(held.claim.path, how, output)

    def may_succeed(self, held: Held) -> bool:
        """A step whose question nobody has answered yes, or whose effect is lost, does not succeed."""
        if held.is_map:
            return False  # that follows from its frames
        return held.step.question == "consumed" if held.step.asks else held.step.call != "unknown"

    def is_out(self, held: Held) -> bool:
        return held.counts and held.step.call == "prepared"

    def write(self, held: Held, ended: Ended) -> None:
        if ended.mechanical:
            done = self.do(complete(self.world.engine, self.workers[0], [ended], claim=0))
            assert (held.claim.lease.step_id in done.closed) == held.counts
        elif held.counts:
            self.do(end_attempt(self.world.engine, self.workers[0], ended, claim=0))
        else:
            self.refused(end_attempt(self.world.engine, self.workers[0], ended, claim=0), Fenced)

    @rule(place=st.integers(0, 99), park=st.booleans())
    @precondition(lambda self: any(held.step.asks for held in self.held))
    def ask(self, place: int, park: bool) -> None:
        asking = [held for held in self.held if held.step.asks]
        held = asking[place % len(asking)]
        asked = {"approval_id": str(new_id()), "title": "?", "request": {}, "request_hash": "h", "seconds": 600}
        act = ask(self.world.engine, held.claim, asked)
        if not held.counts:
            self.refused(act, Fenced)
        elif held.step.stop:
            self.refused(act, CancelRequested)
        else:
            answer = self.do(act)
            question = held.step.question or "pending"
            held.step.question = "consumed" if question == "approved" else question
            assert answer["status"] == ("approved" if held.step.question == "consumed" else question)
            held.step.asked = UUID(answer["approval_id"])
            if park and held.step.question != "consumed":
                self.wait(held)

    def wait(self, held: Held) -> None:
        assert held.step.asked is not None
        self.do(wait_for_approvals(self.world.engine, held.claim, [held.step.asked]))
        held.run.end(held.claim.path, "waiting" if held.step.question == "pending" else "ready")

    @rule(place=st.integers(0, 99))
    @precondition(lambda self: any(held.is_map for held in self.held))
    def go_on_with_map(self, place: int) -> None:
        maps = [held for held in self.held if held.is_map]
        self.attempt_map(maps[place % len(maps)])

    def attempt_map(self, held: Held) -> None:
        """Execute an attempt at a map as a worker does: it expands, waits for its frames, or ends."""
        act = execute(self.world.runtime(), held.claim, Trust.since(monotonic(), 60))
        if not held.counts:
            self.refused(act, Fenced)
            return
        ended = self.do(act)
        if isinstance(ended, Ended):
            self.write(held, ended)
        if held.step.stop:
            held.run.end(EACH.key, "cancelled")
            return
        held.run.expand()
        if not held.run.frames_ended():
            assert not isinstance(ended, Ended), "its frames are open"
            held.run.end(EACH.key, "waiting")
            return
        output = held.run.map_output()
        assert isinstance(ended, Ended), "its frames have ended"
        held.run.close(EACH.key, "failed" if output is None else "succeeded", output)

    # Those who look after workers

    @rule(place=st.integers(0, 99))
    @precondition(lambda self: self.held)
    def lose(self, place: int) -> None:
        held = self.pick(place)
        if held.counts:
            self.do(self.world.lapse(held.claim.lease.step_id))
            held.step.lapsed = True

    @rule(whole=st.booleans())
    def reap(self, whole: bool) -> None:
        self.do(sweep(self.world.engine, ("run",)) if whole else self.reaped())
        for run, key, step in in_status(self.runs, "running"):
            if step.lapsed:
                run.give_back(key, crashed=True)

    async def reaped(self) -> None:
        await reap(self.world.engine)

    @rule(place=st.integers(0, 1), crashed=st.booleans())
    def release(self, place: int, crashed: bool) -> None:
        session = self.workers[place].session_id
        self.do(release_session(self.world.engine, session, crashed=crashed))
        for run, key, step in in_status(self.runs, "running"):
            if step.session == session:
                run.give_back(key, crashed=crashed)
        self.workers[place] = self.do(self.world.worker())

    # What must be

    @invariant()
    def both_stand_at_the_same_place(self) -> None:
        for run_id, run in self.runs.items():
            steps = self.do(self.by_path(run_id))
            self.see_abandoned(run, steps)
            assert {key: step["status"] for key, step in steps.items()} == run.statuses()
            status = self.do(self.world.status(run_id))
            assert status == run.status() or (status, run.status()) == ("attention", "running"), run
            for key, fate in run.fates.items():
                assert steps[key]["output"] == fate.output
                assert key not in run.steps or steps[key]["crashes"] == run.steps[key].crashes

    async def by_path(self, run_id: UUID) -> Mapping[str, Any]:
        query = "SELECT path, status, output, crashes FROM steps WHERE run_id = $1"
        return {row["path"]: row for row in await self.world.database.pool.fetch(query, run_id)}

    def see_abandoned(self, run: Run, steps: Mapping[str, Any]) -> None:
        """An uncertain step of a map that has ended is let go by whoever looks at the whole run next."""
        for key, step in run.steps.items():
            dead = "." in key and run.is_dead(key)
            if dead and step.status == "uncertain" and steps[key]["status"] == "cancelled":
                run.end(key, "cancelled")

    def teardown(self) -> None:
        """Whatever has happened, every run can be brought to its end, and the books are in order."""
        for _ in range(60):
            if all(run.status() not in ("running", "cancelling") for run in self.runs.values()):
                break
            self.go_on()
        else:
            raise AssertionError("a run does not end")
        self.both_stand_at_the_same_place()
        assert self.do(audit(self.world.database.pool)) == []

    def go_on(self) -> None:
        for place, held in enumerate(self.held):
            if held.counts:
                self.do_what_is_left(place, held)
        self.reap(whole=True)
        for place, (_, _, step) in enumerate(self.asking()):
            if step.question == "pending":
                self.answer(place, yes=True)
        for place, run in enumerate(self.runs.values()):
            going = {status for key, status in run.statuses().items() if not (run.is_map(key) and status == "waiting")}
            if "uncertain" in going and not {"ready", "running", "waiting"} & going:
                self.cancel(place)
        self.claim(place=0, limit=50)
        while self.ready(isolated=True):
            self.workers[0] = self.do(self.world.worker())  # a process of its own, as each is that is started for them
            self.claim_isolated(place=0, limit=50, empty=True)

    def do_what_is_left(self, place: int, held: Held) -> None:
        if held.is_map:
            self.attempt_map(held)
        elif held.step.asks and held.step.question not in ("consumed", "rejected") and not held.step.stop:
            self.ask(place=self.asks_place(held), park=True)
        else:
            self.end(place, "succeeded" if self.may_succeed(held) else "failed")

    def asks_place(self, held: Held) -> int:
        return [each for each in self.held if each.step.asks].index(held)


@contextmanager
def stage(world: World, url: str) -> Iterator[Stage]:
    """The same project on a loop of its own, because Hypothesis calls from outside of one."""
    with asyncio.Runner() as runner:
        opened = open_database(url, name="machine", pool_size=2)
        database: Database = runner.run(opened.__aenter__())
        try:
            yield Stage(replace(world, engine=Engine(database, SilentBell())), runner)
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.mark.timeout(3600)
def test_the_database_and_the_reference_agree_after_every_act(
    world: World, clone: Clone, record_property: Callable[[str, object], None]
) -> None:
    record_property("played", EXAMPLES * ACTS)
    with stage(world, clone.app_url) as shared:
        run_state_machine_as_test(
            type("Lives", (Lives,), {"stage": shared}),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=ACTS,
                phases=(Phase.generate,),  # a shared database makes every example differ a little: shrinking is no use
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
