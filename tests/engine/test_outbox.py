"""Events on their way out: written with what they tell of, delivered at least once, given up with a word."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.config import Settings
from sparkops.core.errors import Invalid, NotFound
from sparkops.core.ids import new_id
from sparkops.engine.context import Worker
from sparkops.engine.errors import WrongEpoch
from sparkops.engine.outbox import (
    Batch,
    Entry,
    NotDead,
    claim_entries,
    delivered,
    failed,
    prune,
    redrive,
    subscribe,
    unsubscribe,
)
from sparkops.worker.event_log import EventFile, event_log
from sparkops.worker.relay import Handler, Relay
from tests.engine.acts import ONE_STEP, succeed
from tests.engine.conftest import World

NAME = "watch"
LEASE = timedelta(seconds=30)
BROKEN = {"code": "not-delivered", "message": "no"}


async def finished(world: World) -> UUID:
    """A run that has come to its end."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    await succeed(world, *await world.claimed(run_id))
    return run_id


async def outbox(world: World) -> list[dict[str, Any]]:
    return [
        dict(row) for row in await world.database.pool.fetch("SELECT * FROM outbox ORDER BY run_id, seq, subscription")
    ]


async def claimed(world: World, limit: int = 100, **options: Any) -> Batch:
    return await claim_entries(world.engine, await world.worker(), NAME, limit=limit, lease=LEASE, **options)


# What is written


async def test_without_a_subscription_nothing_is_written(world: World) -> None:
    await finished(world)
    assert await outbox(world) == []


async def test_every_event_of_the_log_is_written_once_for_each_subscription(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await subscribe(world.engine, "ends", ["run.succeeded", "run.failed"])
    await subscribe(world.engine, "steps", ["step.*"])
    run_id = await finished(world)
    kinds = await world.kinds(run_id)
    rows = await outbox(world)
    by_name = {
        name: [(row["seq"], row["kind"]) for row in rows if row["subscription"] == name]
        for name in (NAME, "ends", "steps")
    }
    log = list(enumerate(kinds, start=1))
    assert by_name == {
        NAME: log,
        "ends": [(len(kinds), "run.succeeded")],
        "steps": [(seq, kind) for seq, kind in log if kind.startswith("step.")],
    }
    events = await world.database.pool.fetch("SELECT * FROM events ORDER BY seq")
    told = [row["payload"] for row in rows if row["subscription"] == NAME]
    assert [payload["data"] for payload in told] == [event["data"] for event in events]


async def test_what_is_rolled_back_was_not_told(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, claim = await world.claimed(run_id)
    before = len(await outbox(world))
    async with world.transaction(commit=False) as engine:
        await succeed(engine, worker, claim)
    assert len(await outbox(world)) == before


async def test_events_of_other_projects_are_not_written(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"], project_id=world.project_id)
    await finished(world)
    own = len(await outbox(world))
    await subscribe(world.engine, NAME, ["*"], project_id=await _another_project(world))
    await finished_again(world)
    assert own > 0
    assert len(await outbox(world)) == own


async def _another_project(world: World) -> UUID:
    project_id = new_id()
    await world.sql("INSERT INTO projects (id, slug, name) VALUES ($1, 'other', 'Other')", project_id)
    return project_id


async def finished_again(world: World) -> UUID:
    run_id = await world.run("one")
    await succeed(world, *await world.claimed(run_id))
    return run_id


async def test_a_subscription_that_ended_gets_nothing_and_hands_nothing_out_until_it_begins_again(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)
    waiting = len(await outbox(world))
    await unsubscribe(world.engine, NAME)
    await finished_again(world)
    assert len(await outbox(world)) == waiting
    assert (await claimed(world)).entries == []
    await subscribe(world.engine, NAME, ["*"])
    assert len((await claimed(world)).entries) == waiting


@pytest.mark.parametrize("kinds", [[], ["run"], ["run.*", "*.failed"], ["Run.failed"]])
async def test_a_kind_that_is_none_is_refused(world: World, kinds: list[str]) -> None:
    with pytest.raises(Invalid):
        await subscribe(world.engine, NAME, kinds)


# Claiming


async def test_entries_are_handed_out_in_order_and_to_one_at_a_time(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)
    total = len(await outbox(world))
    async with world.transaction() as engine:
        first = await claim_entries(engine, await world.worker(), NAME, limit=2, lease=LEASE)
        rest = await claimed(world)
    assert [entry.seq for entry in (*first.entries, *rest.entries)] == list(range(1, total + 1))
    assert (await claimed(world)).entries == []


async def test_what_was_delivered_does_not_come_again(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)
    batch = await claimed(world)
    assert await delivered(world.engine, batch) == len(batch.entries)
    assert await delivered(world.engine, batch) == 0
    await _lapse(world)
    assert (await claimed(world)).entries == []


async def _lapse(world: World) -> None:
    await world.sql(
        "UPDATE outbox SET lease_expires_at = '-infinity' WHERE status = 'pending' AND claim_token IS NOT NULL"
    )


async def test_who_lost_its_lease_can_no_longer_say_what_became_of_it(world: World) -> None:
    await subscribe(world.engine, NAME, ["run.succeeded"])
    await finished(world)
    late = await claimed(world)
    await _lapse(world)
    taken = await claimed(world)
    assert [entry.id for entry in taken.entries] == [entry.id for entry in late.entries]
    assert [entry.attempt for entry in taken.entries] == [2]
    assert await delivered(world.engine, late) == 0
    assert await failed(world.engine, late, BROKEN, max_attempts=1) == []
    assert await delivered(world.engine, taken) == 1


async def test_a_worker_of_another_epoch_gets_no_entries(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)
    stranger = Worker(new_id(), new_id(), ("run",))
    with pytest.raises(WrongEpoch):
        await claim_entries(world.engine, stranger, NAME, limit=1, lease=LEASE)


# Failing


async def test_what_failed_comes_again_after_a_pause_that_grows(world: World) -> None:
    await subscribe(world.engine, NAME, ["run.succeeded"])
    await finished(world)
    pauses = []
    for _ in range(4):
        batch = await claimed(world)
        await failed(world.engine, batch, BROKEN)
        assert (await claimed(world)).entries == []
        pauses.append(
            await world.database.pool.fetchval(
                "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM outbox"
            )
        )
        await world.sql("UPDATE outbox SET next_at = clock_timestamp()")
    assert all(2**n / 2 - 0.5 <= pause <= 2**n for n, pause in enumerate(pauses))


async def test_what_used_its_attempts_is_dead_and_a_person_may_send_it_again(world: World) -> None:
    await subscribe(world.engine, NAME, ["run.succeeded"])
    await finished(world)
    (entry,) = (batch := await claimed(world)).entries
    with pytest.raises(NotDead):
        await redrive(world.engine, world.ada, entry.id)
    assert list(await failed(world.engine, batch, BROKEN, max_attempts=1)) == [entry.id]
    (row,) = await outbox(world)
    assert (row["status"], row["error"]) == ("dead", BROKEN)
    await redrive(world.engine, world.ada, entry.id)
    (again,) = (await claimed(world)).entries
    assert (again.id, again.attempt) == (entry.id, 1)
    lines = await world.database.pool.fetch(
        "SELECT action, actor FROM audit WHERE object = $1 ORDER BY id", f"outbox:{entry.id}"
    )
    assert [tuple(line) for line in lines] == [
        ("outbox.dead", "system"),
        ("outbox.redrive", f"user:{world.ada.user_id}"),
    ]
    with pytest.raises(NotFound):
        await redrive(world.engine, world.ada, new_id())


async def test_an_entry_whose_process_died_at_each_attempt_is_dead(world: World) -> None:
    await subscribe(world.engine, NAME, ["run.succeeded"])
    await finished(world)
    for attempt in (1, 2):
        (entry,) = (await claimed(world, max_attempts=2)).entries
        assert entry.attempt == attempt
        await _lapse(world)
    batch = await claimed(world, max_attempts=2)
    assert (batch.entries, list(batch.dead)) == ([], [entry.id])
    (row,) = await outbox(world)
    assert (row["status"], row["error"]["code"]) == ("dead", "lost")


async def test_only_what_was_delivered_long_ago_is_removed(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)
    first, *rest = await outbox(world)
    await world.sql("UPDATE outbox SET status = 'delivered', ended_at = clock_timestamp() WHERE id = $1", first["id"])
    assert await prune(world.engine, 10) == 0
    await world.sql(
        "UPDATE outbox SET status = CASE WHEN seq = 2 THEN 'delivered' ELSE 'dead' END,"
        " ended_at = clock_timestamp() - interval '25 hours' WHERE seq IN (2, 3)"
    )
    assert await prune(world.engine, 10) == 1
    assert [row["seq"] for row in await outbox(world)] == [1, *(row["seq"] for row in rest[1:])]


# The relay


class Receiver:
    """A handler that notes what it gets and does as it is told."""

    def __init__(
        self, act: Callable[[Sequence[Entry]], Awaitable[None]], *, batch: int = 1, seconds: float = 5.0
    ) -> None:
        self.batch = batch
        self.seconds = seconds
        self.got: Counter[int] = Counter()
        self._act = act

    async def deliver(self, entries: Sequence[Entry]) -> None:
        self.got.update(entry.seq for entry in entries)
        await self._act(entries)


async def accepts(entries: Sequence[Entry]) -> None: ...


async def relayed(world: World, handler: Handler, until: str, **options: Any) -> None:
    """Run a relay until the statement says true."""
    relay = Relay(world.engine, await world.worker(), {NAME: handler}, **options)
    draining = asyncio.Event()
    running = asyncio.create_task(relay.run(draining))

    async def holds() -> bool:
        assert not running.done(), "the relay stopped"
        return bool(await world.database.pool.fetchval(until))

    try:
        await world.reaches(holds)
    finally:
        draining.set()
        await running


NONE_PENDING = "SELECT NOT EXISTS (SELECT 1 FROM outbox WHERE status = 'pending')"


async def test_the_relay_delivers_each_entry_once_and_in_order(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    run_id = await finished(world)
    receiver = Receiver(accepts, batch=2)
    await relayed(world, receiver, NONE_PENDING)
    assert list(receiver.got.items()) == [(seq, 1) for seq in range(1, len(await world.kinds(run_id)) + 1)]


async def test_a_handler_that_fails_gets_it_again_and_one_that_always_fails_is_told_of(world: World) -> None:
    await subscribe(world.engine, NAME, ["run.succeeded"])
    await finished(world)

    async def refuses(entries: Sequence[Entry]) -> None:
        raise ConnectionRefusedError("go away")

    receiver = Receiver(refuses)
    await relayed(world, receiver, NONE_PENDING, max_attempts=2)
    (row,) = await outbox(world)
    assert (row["status"], row["attempt"], row["error"]["message"]) == ("dead", 2, "ConnectionRefusedError: go away")
    assert list(receiver.got.values()) == [2]


async def test_a_handler_that_hangs_is_cut_off_and_does_not_stop_the_rest(world: World) -> None:
    await subscribe(world.engine, NAME, ["*"])
    await finished(world)

    async def hangs_at_the_second(entries: Sequence[Entry]) -> None:
        if entries[0].seq == 2:
            await asyncio.Event().wait()

    receiver = Receiver(hangs_at_the_second, seconds=0.1)
    others_done = "SELECT count(*) = 1 AND min(seq) = 2 FROM outbox WHERE status = 'pending'"
    await relayed(world, receiver, others_done)
    (stuck,) = [row for row in await outbox(world) if row["status"] == "pending"]
    assert stuck["error"]["code"] == "timeout"
    assert stuck["claim_token"] is None, "it is free again"


# The log of events


async def test_the_event_log_has_every_event_and_no_gap_when_it_comes_back(world: World, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, event_log="file")
    handlers = await event_log(world.engine, settings)
    run_id = await finished(world)
    await deliver_all(world, handlers)
    settings.event_log_file.rename(tmp_path / "rotated")
    second = await finished_again(world)  # while nobody relays
    await deliver_all(world, await event_log(world.engine, settings))
    told = read_lines(tmp_path / "rotated") + read_lines(settings.event_log_file)
    assert [(line["run_id"], line["seq"], line["kind"]) for line in told] == [
        (str(run), seq, kind) for run in (run_id, second) for seq, kind in enumerate(await world.kinds(run), start=1)
    ]
    assert all(line["project_id"] == str(world.project_id) and line["at"] for line in told)


async def test_the_event_log_is_off_by_default_and_can_be_switched_off(world: World, tmp_path: Path) -> None:
    assert await event_log(world.engine, Settings(data_dir=tmp_path)) == {}
    await event_log(world.engine, Settings(data_dir=tmp_path, event_log="file"))
    assert await event_log(world.engine, Settings(data_dir=tmp_path)) == {}
    await finished(world)
    assert await outbox(world) == []


async def deliver_all(world: World, handlers: Any) -> None:
    relay = Relay(world.engine, await world.worker(), handlers)
    draining = asyncio.Event()
    running = asyncio.create_task(relay.run(draining))

    async def done() -> bool:
        return bool(await world.database.pool.fetchval(NONE_PENDING))

    await world.reaches(done)
    draining.set()
    await running


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


async def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(new_id(), new_id(), new_id(), 1, "run.failed", {"at": "x", "step_id": None, "data": {}}, 1)
    file = EventFile(tmp_path / "events.jsonl")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: write(handle, data[:10]))
        with pytest.raises(OSError, match="only a part"):
            await file.deliver([entry])
    await file.deliver([entry])
    torn, whole = [line for line in (tmp_path / "events.jsonl").read_text().splitlines() if line]
    assert len(torn) == 10
    assert json.loads(whole)["seq"] == 1
