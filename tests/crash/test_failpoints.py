"""A process is hit at every named point, in each of five ways; another one finishes, and nothing was lost or doubled.

`make test` kills at every point and does one other thing at each; `make proof` does everything everywhere.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.config import Settings
from sparkops.core.errors import SparkOpsError
from sparkops.core.ids import new_id
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.answer import answer_approval
from sparkops.engine.budgets import change_budget, define_budget
from sparkops.engine.cancel import cancel_run
from sparkops.engine.events import receive_event
from sparkops.engine.give_back import reap, release_session
from sparkops.worker.event_log import event_log
from sparkops.worker.loop import WorkerLoop
from sparkops.worker.relay import Relay
from tests.crash.hit_child import (
    LEASE_SECONDS,
    LONG_LEASE_SECONDS,
    ONE_CALL,
    PAID,
    RAISED,
    Given,
    begin,
    end,
    ended,
    killed,
)
from tests.crash.test_kill_dynamic import BELOW
from tests.crash.test_kill_dynamic import OUTPUT as DYNAMIC_OUTPUT
from tests.crash.test_kill_dynamic import WHOLE as DYNAMIC
from tests.engine.acts import ONE_STEP, prepared, proposal, succeed
from tests.engine.conftest import World
from tests.engine.sink import Sink, listening, sending
from tests.reused import Clone
from tests.tiers import WHOLE

SOURCES = Path(__file__).parents[2] / "src" / "sparkops"
OTHERS = ("stall", "raise", "drop-database", "drop-redis")

POINTS = {
    # While a worker runs an agent, asks a person, and publishes.
    **dict.fromkeys(("after_register", "before_claim", "after_claim", "before_heartbeat", "after_heartbeat"), "work"),
    **dict.fromkeys(("before_prepare", "after_prepare", "before_send", "mid_send", "after_send"), "work"),
    **dict.fromkeys(("before_record", "after_record", "after_execute", "before_complete", "after_complete"), "work"),
    **dict.fromkeys(("mid_complete", "before_ask", "after_ask", "before_wait", "after_wait"), "work"),
    **dict.fromkeys(("before_sweep", "after_expire", "before_publish"), "work"),
    # While a worker finds what others have left behind.
    **dict.fromkeys(("before_give_back", "after_give_back", "before_hint"), "reap"),
    **dict.fromkeys(("before_advance", "mid_advance", "after_advance"), "repair"),
    "before_release": "drain",
    # While a worker runs maps, loops, waits and sub-workflows.
    **dict.fromkeys(("after_expand_batch", "before_start_more", "after_child_accepted"), "dynamic"),
    **dict.fromkeys(("before_wake", "after_wake", "after_wake_due"), "dynamic"),
    # While a worker hands events to a subscriber.
    **dict.fromkeys(("before_deliver", "after_deliver"), "relay"),
    # While the API does what a person asks for.
    "after_event_received": "event",
    **dict.fromkeys(("before_accept", "after_accept"), "accept"),
    **dict.fromkeys(("before_answer", "after_answer"), "answer"),
    **dict.fromkeys(("before_cancel", "after_cancel"), "cancel"),
    **dict.fromkeys(("before_budget", "after_budget"), "budget"),
}
"""Each named point, and the scenario in which it is reached."""

ELSEWHERE = {
    "after_blob_written",  # in `test_kill.py`: only runs with large values reach it
    *("after_removal_batch", "after_removal_objects", "after_condemned"),  # in `test_kill_upkeep.py`
    *(
        "before_seal",
        "after_seal",
        "before_backtest_page",
        "after_backtest_page",
        "mid_rewrap",
        "after_clear",
    ),  # `test_kill_keeping.py`
}

UNSAFE_POINTS = ("before_prepare", "after_prepare", "before_send", "mid_send", "after_send", "before_complete")

REPORT = """
version: 1
name: report
steps:
  - {id: think, type: agent, agent: scout, with: {prompt: go}}
  - {id: ask, type: approval, needs: [think], with: {title: "Publish?"}}
  - {id: publish, type: tool, tool: send, needs: [ask], if: "${{ steps.ask.output.approved }}"}
"""
ONCE = """
version: 1
name: once
steps:
  - {id: only, type: tool, tool: once}
"""
LEFT = """
version: 1
name: left
steps:
  - {id: asks, type: approval, with: {title: "Go on?"}}
  - {id: heir, type: tool, tool: noop, needs: [asks]}
"""
WAITS = """
version: 1
name: waits
steps:
  - {id: paid, type: wait, with: {event: paid}}
"""
USAGE = {"input_tokens": 100, "output_tokens": 10}
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["send"],
    "price": {"input_usd_per_million": "10", "output_usd_per_million": "20"},
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "send", "arguments": {"n": 1}}, {"tool": "send"}], "usage": USAGE},
            {"tool_calls": [{"tool": "send", "arguments": {"n": 2}}], "usage": USAGE},
            {"text": "done", "usage": USAGE},
        ]
    },
}
FINAL = ("succeeded", "failed", "cancelled")


def cells() -> Iterator[tuple[str, str]]:
    """The points and what happens at them, in this tier: a kill at each, and something else at every second."""
    for number, point in enumerate(POINTS):
        yield point, "kill"
        yield from (
            (point, other) for other in (OTHERS if WHOLE else OTHERS[number % 4 : number % 4 + (number + 1) % 2])
        )


@dataclass
class Scene:
    """One cell: the platform, the target outside, and the run that must come through."""

    world: World
    clone: Clone
    redis_url: str
    sink: Sink
    run_id: UUID | None = None
    subject: UUID | None = None

    def given(self, point: str, action: str, does: str, session: UUID) -> Given:
        lease = LONG_LEASE_SECONDS if POINTS.get(point) == "dynamic" else LEASE_SECONDS
        # Longer than the lease, and no longer than others wait for a lock.
        what = f"stall:{min(3 * lease, lease + 1.2)}" if action == "stall" else action
        person = self.world.ben if does == "answer" else self.world.ada
        return Given(
            failpoints=f"{point}={what}",
            does=does,
            database_url=self.clone.app_url,
            redis_url=self.redis_url,
            session=session,
            data_dir=self.world.settings.data_dir,
            sink=self.sink.port,
            person=person.user_id,
            project=self.world.project_id,
            subject=self.subject,
            lease_seconds=lease,
        )

    async def half_done(self) -> UUID:
        """A run whose agent has one recorded answer, and two calls whose answers were lost with their worker."""
        self.sink.open.clear()
        run_id = await self.world.run(await self.world.workflow(REPORT))
        loop = WorkerLoop(self.world.runtime(), await self.world.worker(), slots=2, drain_seconds=0)
        running = asyncio.create_task(loop.run())
        await self.sink.reached.wait()
        loop.drain()
        await running
        self.sink.open.set()
        assert [call["status"] for call in await self.world.calls(run_id)] == ["done", "prepared", "prepared"]
        return run_id

    async def prepare(self, scenario: str) -> str:
        """Arrange what the scenario needs, and return what the child does."""
        world = self.world
        if scenario == "accept":
            await world.workflow(REPORT)
            return "accept"
        if scenario == "repair":
            return await self._left()
        if scenario == "answer":
            return await self._asked()
        if scenario in ("dynamic", "event", "relay", "budget"):
            return await getattr(self, f"_{scenario}")()  # type: ignore[no-any-return]
        self.run_id = self.subject = await self.half_done()
        if scenario == "reap":
            await world.claims(await world.worker())
            await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
            return "work"
        return scenario

    async def _left(self) -> str:
        """A step whose worker is lost, with an effect of unknown outcome: who gives it back must advance the run."""
        world = self.world
        self.run_id = await world.run(await world.workflow(LEFT))
        _, held = await world.claimed(self.run_id)
        await prepared(world, held, proposal(effect_class="unsafe"))
        await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
        return "work"

    async def _asked(self) -> str:
        """A run whose first step waits for a person."""
        world = self.world
        self.run_id = await world.run(await world.workflow(LEFT))

        await self._waits()
        self.subject = await world.database.pool.fetchval("SELECT id FROM approvals")
        return "answer"

    async def _waits(self) -> None:
        async def waits() -> bool:
            return bool(await self.world.database.pool.fetchval("SELECT true FROM steps WHERE status = 'waiting'"))

        await self.world.work(waits)

    async def _budget(self) -> str:
        """A run that waits for a budget which has room for one call."""
        world = self.world
        self.subject = await define_budget(world.engine, world.ada, world.project_id, ONE_CALL)
        self.run_id = await world.run(await world.workflow(REPORT))
        await self._waits()
        return "budget"

    async def _dynamic(self) -> str:
        """A run with a map, a loop, a timer, an event that has come, and a sub-workflow."""
        await self.world.workflow(BELOW)
        self.run_id = await self.world.run(await self.world.workflow(DYNAMIC))
        await receive_event(self.world.engine, self.world.ada, self.world.project_id, PAID)
        return "work"

    async def _event(self) -> str:
        """A run that waits for an event."""
        self.run_id = await self.world.run(await self.world.workflow(WAITS))
        await self._waits()
        return "event"

    async def _relay(self) -> str:
        """A run that has ended and whose log somebody wants to have."""
        await event_log(self.world.engine, self.log_settings)
        self.run_id = await self.world.run(await self.world.workflow(ONE_STEP))
        await succeed(self.world, *await self.world.claimed(self.run_id))
        return "relay"

    @property
    def log_settings(self) -> Settings:
        return Settings(data_dir=self.world.settings.data_dir, event_log="file")

    async def delivered(self) -> set[int]:
        """Let another relay deliver what the hit one held, and return the numbers of the lines that came."""
        world = self.world
        await world.sql("UPDATE outbox SET lease_expires_at = '-infinity' WHERE claim_token IS NOT NULL")
        handlers = await event_log(world.engine, self.log_settings)
        draining = asyncio.Event()
        relay = asyncio.create_task(Relay(world.engine, await world.worker(), handlers).run(draining))

        async def all_delivered() -> bool:
            return bool(await world.database.pool.fetchval("SELECT bool_and(status = 'delivered') FROM outbox"))

        await world.reaches(all_delivered)
        draining.set()
        await relay
        return {json.loads(line)["seq"] for line in self.log_settings.event_log_file.read_text().splitlines()}

    async def hit(self, given: Given, action: str) -> Any:
        """Start the child and return once it has been hit; after a kill it is gone and its parent has seen it."""
        process, reached = begin(given)
        await self._reached(process, reached)
        if action == "kill":
            assert await ended(process, 10), "it was not killed"
            assert killed(process)
            if given.does in ("work", "drain"):
                await release_session(self.world.engine, given.session, crashed=True)
        return process

    async def _reached(self, process: Any, reached: Any) -> None:
        """People answer meanwhile, so that a worker gets to the later steps too."""
        async with asyncio.timeout(30):
            while not reached.is_set():
                assert process.exitcode is None, f"the child ended with {process.exitcode} before it got there"
                if self.run_id is not None and self.subject == self.run_id:
                    await self.answer_all()
                await asyncio.sleep(0.02)

    async def answer_all(self) -> None:
        for row in await self.world.database.pool.fetch("SELECT id FROM approvals WHERE status = 'pending'"):
            with contextlib.suppress(SparkOpsError):  # somebody else was quicker
                await answer_approval(self.world.engine, self.world.ben, row["id"], approve=True, comment=None)

    async def repeat(self, does: str) -> None:
        """What a client does that has not had its answer: the same again."""
        world = self.world
        if does == "accept":
            first = await world.accept("report", idem_key="same")
            self.run_id = (await world.accept("report", idem_key="same")).run_id
            assert first.run_id == self.run_id
            assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 1
        elif does == "cancel" and self.run_id is not None:
            await cancel_run(world.engine, world.ada, self.run_id)
        elif does == "budget" and self.subject is not None:
            await change_budget(world.engine, world.ada, self.subject, RAISED)
        elif does == "answer":
            await self.answer_all()
        elif does == "event":
            receipt = await receive_event(world.engine, world.ada, world.project_id, PAID)
            assert not receipt.created, "it was committed before the child was hit"

    async def finish(self) -> str:
        """Let another worker finish the run; a person says yes, and gives up what nobody can know. Returns how."""
        run_id = self.run_id
        assert run_id is not None

        async def over() -> bool:
            await reap(self.world.engine)
            await self.answer_all()
            status = await self.world.status(run_id)
            if status == "attention":
                await cancel_run(self.world.engine, self.world.ada, run_id)
            return status in FINAL

        await self.world.with_lease(seconds=LONG_LEASE_SECONDS).work(over)
        return await self.world.status(run_id)

    async def bought(self) -> dict[UUID, tuple[Any, ...]]:
        """What is on record and final: these answers are never asked for again."""
        if self.run_id is None:
            return {}
        calls = await self.world.calls(self.run_id)
        return {
            call["id"]: (call["sends"], call["response"], call["cost_micros"])
            for call in calls
            if call["status"] == "done"
        }


async def play(scene: Scene, point: str, action: str, scenario: str) -> str:
    """Hit a child there, let others go on, and return how the run ended."""
    does = await scene.prepare(scenario)
    process = await scene.hit(scene.given(point, action, does, new_id()), action)
    before = await scene.bought()
    await scene.repeat(does)
    status = await scene.finish()
    end(process)
    assert await ended(process, 20), "the child does not end"
    assert await scene.world.status(scene.run_id) == status  # type: ignore[arg-type]  # every scenario has one by now
    after = await scene.bought()
    assert {call_id: after[call_id] for call_id in before} == before, "a recorded answer was bought again"
    return status


@pytest.mark.parametrize(("point", "action"), list(cells()))
async def test_a_run_survives(world: World, clone: Clone, redis_url: str, point: str, action: str) -> None:
    await world.agent("scout", SCOUT)
    scenario = POINTS[point]
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        scene = Scene(world, clone, redis_url, sink)
        status = await play(scene, point, action, scenario)
        assert scene.run_id is not None
        calls = await world.calls(scene.run_id)
        lines = await scene.delivered() if scenario == "relay" else set()
    assert status == ("cancelled" if scenario in ("cancel", "repair") else "succeeded")
    if scenario == "relay":
        assert lines == set(range(1, len(await world.kinds(scene.run_id)) + 1))
    if scenario == "dynamic":
        assert (await world.row(scene.run_id))["output"] == DYNAMIC_OUTPUT
        assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 2, "one run below"
    for call in calls:
        assert sink.got[str(call["id"])] <= call["sends"]
    if action == "kill" and scenario in ("work", "reap", "drain", "accept"):
        assert [call["status"] for call in calls] == ["done"] * 7
        assert (await world.steps(scene.run_id))["think"]["output"]["text"] == "done"


def unsafe_cells() -> Iterator[tuple[str, str]]:
    """The points around a call that must not be repeated, and what happens at them, in this tier."""
    for number, point in enumerate(UNSAFE_POINTS):
        yield from ((point, action) for action in ("kill", *(OTHERS if WHOLE else OTHERS[number % 4 :][:1])))


@pytest.mark.parametrize(("point", "action"), list(unsafe_cells()))
async def test_what_must_not_be_repeated_leaves_once_at_most(
    world: World, clone: Clone, redis_url: str, point: str, action: str
) -> None:
    async with listening() as sink:
        world.tools["once"] = sending(sink.port, EffectClass.UNSAFE, "once")
        scene = Scene(world, clone, redis_url, sink)
        scene.run_id = scene.subject = await world.run(await world.workflow(ONCE))
        process = await scene.hit(scene.given(point, action, "work", new_id()), action)
        status = await scene.finish()
        end(process)
        assert await ended(process, 20), "the child does not end"
        calls = await world.calls(scene.run_id)
    assert all(times == 1 for times in sink.got.values()), sink.got
    assert len(calls) <= 1
    if status == "succeeded":
        assert len(sink.got) == 1, "it is done, so it has left"


def test_every_named_point_is_hit() -> None:
    named = {
        name
        for path in [*SOURCES.rglob("*.py"), Path(__file__).with_name("hit_child.py")]
        for name in re.findall(r'failpoint\("([a-z_]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert named == set(POINTS) | ELSEWHERE
    assert len(named) >= 25
