"""Live updates over real sockets: every event once and in order, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import update
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sparkops.api import live, subscriber
from sparkops.api.deps import Door
from sparkops.core import json
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.principal import Principal
from sparkops.domains.identity.models import Session
from sparkops.domains.runs.queries import events_after, watched_run
from sparkops.messenger.bell import LIVE_CHANNEL, TEXT_KEY
from tests.api.conftest import SOURCE, Person, running
from tests.api.sockets import listening, ticket_of, watching
from tests.api.things import add_model_call, add_rows


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[str]:
    async with listening(app) as address:
        yield address


@pytest.fixture
async def run_id(ann: Person) -> UUID:
    source = SOURCE.format(name="report")
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    return await start_run(ann)


async def start_run(ann: Person) -> UUID:
    answer = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    return UUID(answer.json()["id"])


APPEND = """
    WITH grown AS (UPDATE run_counters SET last_seq = last_seq + $2 WHERE run_id = $1 RETURNING last_seq, project_id)
    INSERT INTO events (run_id, seq, project_id, kind, data)
    SELECT $1, n, project_id, 'call.done', '{}' FROM grown, generate_series(last_seq - $2 + 1, last_seq) n
    RETURNING seq
"""


async def append(database: Database, run_id: UUID, count: int = 1) -> int:
    """Commit events as a worker would, without ringing; return the last number."""
    rows = await database.pool.fetch(APPEND, run_id, count)
    return max(int(row["seq"]) for row in rows)


async def ring(redis: Redis, run_id: UUID, project_id: UUID | None = None) -> None:
    await redis.publish(LIVE_CHANNEL, json.dumps([{"run_id": run_id, "project_id": project_id or run_id, "seq": 0}]))


async def test_a_watcher_gets_the_log_so_far_and_then_what_happens(
    address: str, ann: Person, run_id: UUID, door: Door
) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=0)
        first = await watcher.receive()
        assert first == {"topic": f"run:{run_id}", "subscribed": True, "seq": 3}
        assert await watcher.seqs_up_to(3) == [1, 2, 3]
        last = await append(door.database, run_id)
        await ring(door.redis, run_id)
        assert await watcher.seqs_up_to(last) == [1, 2, 3, 4]
        event = watcher.frames[-1]["events"][-1]
        assert (event["kind"], event["step_id"], event["data"]) == ("call.done", None, {})


async def test_cancelling_over_http_reaches_the_watcher_at_once(address: str, ann: Person, run_id: UUID) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        await watcher.receive()
        await ann.client.post(f"/api/v1/runs/{run_id}/cancel")
        frame = await watcher.until(lambda frame: any(e["kind"] == "run.cancelled" for e in frame.get("events", [])))
        assert watcher.seqs == list(range(4, frame["seq"] + 1))


async def test_a_lost_ring_costs_one_poll(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        await watcher.receive()
        last = await append(door.database, run_id)
        async with asyncio.timeout(live.POLL_SECONDS + 2):
            assert await watcher.seqs_up_to(last) == [last]


async def test_an_event_between_looking_and_joining_is_not_lost(
    address: str, ann: Person, run_id: UUID, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the event is committed, and its ring heard, after the subscriber has read how far the log goes."""
    monkeypatch.setattr(door.hub, "_poll", 3600)

    async def then_something_happens(
        pool: object, principal: Principal, *, run_id: UUID
    ) -> tuple[UUID, int, bool] | None:
        found = await watched_run(door.database.pool, principal, run_id=run_id)
        await append(door.database, run_id)
        await ring(door.redis, run_id)
        await asyncio.sleep(0.3)
        return found

    monkeypatch.setattr(subscriber, "watched_run", then_something_happens)
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        assert (await watcher.receive())["seq"] == 3
        assert await watcher.seqs_up_to(4) == [4]


async def test_events_that_arrive_while_a_newcomer_catches_up_come_once(
    address: str, ann: Person, run_id: UUID, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: somebody is live already, and at each page that the newcomer reads another event is committed."""
    monkeypatch.setattr(live, "PAGE", 2)
    monkeypatch.setattr(door.hub, "_poll", 3600)
    appended = 0

    async def then_something_happens(pool: object, *, run_id: UUID, since: int, limit: int) -> "list[asyncpg.Record]":
        nonlocal appended
        found = await events_after(door.database.pool, run_id=run_id, since=since, limit=limit)
        if appended < 20:
            appended += 1
            await append(door.database, run_id)
            await ring(door.redis, run_id)
        return list(found)

    await append(door.database, run_id, 10)
    async with watching(address, ann) as old, watching(address, ann) as new:
        await old.send(sub=f"run:{run_id}", since=13)
        await old.receive()
        monkeypatch.setattr(live, "events_after", then_something_happens)
        await new.send(sub=f"run:{run_id}", since=0)
        await new.seqs_up_to(33)
        await old.seqs_up_to(33)
        assert new.seqs == list(range(1, 34))
        assert old.seqs == list(range(14, 34))


async def test_who_comes_back_goes_on_where_the_socket_broke(
    address: str, ann: Person, run_id: UUID, door: Door
) -> None:
    async with watching(address, ann) as before:
        await before.send(sub=f"run:{run_id}", since=0)
        await before.seqs_up_to(3)
    last = await append(door.database, run_id, 5)
    async with watching(address, ann) as after:
        await after.send(sub=f"run:{run_id}", since=before.seqs[-1])
        await after.seqs_up_to(last)
    assert before.seqs + after.seqs == list(range(1, last + 1))


async def test_a_since_beyond_the_log_is_taken_as_its_end(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=10_000)
        await watcher.receive()
        last = await append(door.database, run_id)
        await ring(door.redis, run_id)
        assert await watcher.seqs_up_to(last) == [last]


async def test_two_processes_show_the_same_log(
    address: str, settings: Settings, tmp_path: Path, ann: Person, run_id: UUID, door: Door
) -> None:
    async with (
        running(settings, tmp_path) as other,
        listening(other) as other_address,
        watching(address, ann) as here,
        watching(other_address, ann) as there,
    ):
        for watcher in (here, there):
            await watcher.send(sub=f"run:{run_id}", since=0)
            await watcher.seqs_up_to(3)
        for _ in range(20):
            last = await append(door.database, run_id, 3)
            await ring(door.redis, run_id)
        assert await here.seqs_up_to(last) == await there.seqs_up_to(last) == list(range(1, last + 1))


async def test_a_storm_is_coalesced_into_few_frames(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        await watcher.receive()
        started = asyncio.get_running_loop().time()
        for _ in range(200):
            last = await append(door.database, run_id)
            await ring(door.redis, run_id)
        await watcher.seqs_up_to(last)
        seconds = asyncio.get_running_loop().time() - started
        frames = [frame for frame in watcher.frames if "events" in frame]
        assert watcher.seqs == list(range(4, last + 1))
        assert len(frames) <= seconds * 10 + 2


async def test_a_reader_that_is_too_slow_is_let_go_and_may_resume(
    app: FastAPI, ann: Person, run_id: UUID, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "QUEUE_FRAMES", 3)
    monkeypatch.setattr(live, "FRAME_SECONDS", 0)
    blocked = asyncio.Event()

    async def stuck(self: subscriber.SocketSubscriber) -> None:
        await blocked.wait()

    async with listening(app) as address:
        with monkeypatch.context() as patched:
            patched.setattr(subscriber.SocketSubscriber, "_send", stuck)
            async with watching(address, ann) as watcher:
                await watcher.send(sub=f"run:{run_id}", since=3)
                await asyncio.sleep(0.2)
                for _ in range(6):
                    await append(door.database, run_id)
                    await ring(door.redis, run_id)
                    await asyncio.sleep(0.1)
                with pytest.raises(ConnectionClosed) as closed:
                    await watcher.receive()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == subscriber.SLOW_READER
        async with watching(address, ann) as again:
            await again.send(sub=f"run:{run_id}", since=3)
            assert await again.seqs_up_to(9) == list(range(4, 10))


async def test_unsubscribing_stops_the_frames(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    other = await start_run(ann)
    async with watching(address, ann) as watcher:
        for topic in (run_id, other):
            await watcher.send(sub=f"run:{topic}", since=3)
            await watcher.receive()
        await watcher.send(unsub=f"run:{run_id}")
        await asyncio.sleep(0.2)
        for topic in (run_id, other):
            await append(door.database, topic)
            await ring(door.redis, topic)
        frame = await watcher.receive()
        assert frame["topic"] == f"run:{other}"
        assert run_id not in door.hub._runs


async def test_leaving_ends_every_feed(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}")
        await watcher.send(sub="project:weather")
        await watcher.until(lambda frame: frame["topic"] == "project:weather")
        assert len(door.hub._tasks) == 2
    async with asyncio.timeout(5):
        while door.hub._tasks:
            await asyncio.sleep(0.02)


async def test_a_project_says_what_has_changed(address: str, ann: Person, run_id: UUID, door: Door) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub="project:weather")
        assert (await watcher.receive())["subscribed"] is True
        await start_run(ann)
        assert await watcher.receive() == {"topic": "project:weather", "changed": ["runs", "approvals"]}
        await start_run(ann)
        assert await watcher.receive() == {"topic": "project:weather", "changed": ["runs"]}
        step = (await ann.client.get(f"/api/v1/runs/{run_id}/steps")).json()["items"][0]["id"]
        await add_rows(ann, door, run_id, UUID(step))
        await start_run(ann)
        assert await watcher.receive() == {"topic": "project:weather", "changed": ["runs", "approvals"]}


async def test_what_a_model_says_is_forwarded_and_can_be_picked_up_later(
    address: str, ann: Person, run_id: UUID, door: Door
) -> None:
    step = UUID((await ann.client.get(f"/api/v1/runs/{run_id}/steps")).json()["items"][0]["id"])
    call_id = await add_model_call(door, run_id, step)
    await door.redis.set(TEXT_KEY.format(call_id=call_id), "It rai")
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        kept = await watcher.until(lambda frame: "stream" in frame)
        piece = {"call_id": str(call_id), "step_id": str(step), "offset": 6, "text": "ned."}
        await door.redis.publish(f"sparkops:stream:{run_id}", json.dumps(piece))
        new = await watcher.receive()
    assert kept["stream"] == {"call_id": str(call_id), "step_id": str(step), "offset": 0, "text": "It rai"}
    assert new == {"topic": f"run:{run_id}", "stream": piece}


async def test_nothing_that_a_model_says_is_heard_by_who_is_not_let_in_yet(
    address: str, ann: Person, bob: Person, eve: Person, run_id: UUID, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the model speaks while it is being looked up whether the run is theirs; ann is let in already."""
    let_go, asked = asyncio.Event(), {bob.id: asyncio.Event(), eve.id: asyncio.Event()}

    async def held(pool: object, principal: Principal, *, run_id: UUID) -> tuple[UUID, int, bool] | None:
        if at := asked.get(principal.user_id):
            at.set()
            await let_go.wait()
        return await watched_run(door.database.pool, principal, run_id=run_id)

    step = UUID((await ann.client.get(f"/api/v1/runs/{run_id}/steps")).json()["items"][0]["id"])
    call_id = await add_model_call(door, run_id, step)
    monkeypatch.setattr(subscriber, "watched_run", held)
    async with watching(address, ann) as within, watching(address, bob) as member, watching(address, eve) as stranger:
        for watcher in (within, member, stranger):
            await watcher.send(sub=f"run:{run_id}", since=3)
        assert (await within.receive())["subscribed"]
        for at in asked.values():
            await at.wait()
        async with asyncio.timeout(5):
            while not any(one.live for feed in door.hub._runs.values() for one in feed.subscriptions):
                await asyncio.sleep(0.01)
        await door.redis.set(TEXT_KEY.format(call_id=call_id), "It rained.")
        piece = {"call_id": str(call_id), "step_id": str(step), "offset": 0, "text": "It rained."}
        await door.redis.publish(f"sparkops:stream:{run_id}", json.dumps(piece))
        await within.until(lambda frame: frame.get("stream") == piece)
        let_go.set()
        assert (await stranger.receive())["error"]["code"] == "not-found"
        assert (await member.receive())["subscribed"]
        assert await member.until(lambda frame: "stream" in frame) == {"topic": f"run:{run_id}", "stream": piece}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"sub": "run:nothing"}', "not-found"),
        ('{"sub": "run:01a204d1-6b66-70f7-88b9-613bd60bd39f"}', "not-found"),
        ('{"sub": "project:nowhere"}', "not-found"),
        ('{"sub": "other:x"}', "malformed"),
        ('{"sub": "run:x", "since": -1}', "malformed"),
        ('{"sub": "run:x", "extra": 1}', "malformed"),
        ("[]", "malformed"),
        ("}", "malformed"),
    ],
)
async def test_what_cannot_be_subscribed_is_said(address: str, ann: Person, message: str, code: str) -> None:
    async with watching(address, ann) as watcher:
        await watcher.connection.send(message)
        assert (await watcher.receive())["error"]["code"] == code
        await watcher.send(sub="project:weather")
        assert (await watcher.receive())["subscribed"] is True


async def test_a_stranger_cannot_watch(address: str, run_id: UUID, eve: Person, door: Door) -> None:
    async with watching(address, eve) as watcher:
        for topic in (f"run:{run_id}", "project:weather"):
            await watcher.send(sub=topic)
            assert (await watcher.receive())["error"]["code"] == "not-found"
        assert not door.hub._tasks


async def test_one_socket_may_watch_fifty_topics(address: str, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "MAX_SUBSCRIPTIONS", 2)
    await ann.client.post("/api/v1/projects", json={"slug": "second", "name": "Second"})
    await ann.client.post("/api/v1/projects", json={"slug": "third", "name": "Third"})
    async with watching(address, ann) as watcher:
        for slug in ("weather", "second", "weather"):
            await watcher.send(sub=f"project:{slug}")
            assert (await watcher.receive())["subscribed"] is True
        await watcher.send(sub="project:third")
        assert (await watcher.receive())["error"]["code"] == "too-many-subscriptions"


async def test_a_ticket_opens_one_socket(address: str, ann: Person) -> None:
    url = f"ws://{address}/api/v1/ws?ticket={await ticket_of(ann)}"
    async with connect(url):
        with pytest.raises(InvalidStatus):
            await connect(url)
    with pytest.raises(InvalidStatus):
        await connect(f"ws://{address}/api/v1/ws?ticket=made-up")
    with pytest.raises(InvalidStatus):
        await connect(f"ws://{address}/api/v1/ws")


async def test_a_page_of_another_origin_cannot_open_a_socket(address: str, ann: Person) -> None:
    here = f"http://{address}"
    url = f"ws://{address}/api/v1/ws?ticket={await ticket_of(ann, here)}"
    with pytest.raises(InvalidStatus):
        await connect(url, additional_headers={"Origin": "https://evil.example.com"})
    async with connect(url, additional_headers={"Origin": here}):
        pass


async def test_a_ticket_is_of_the_origin_that_asked_for_it(address: str, ann: Person) -> None:
    """Both origins may open sockets; a ticket that leaked from one is of no use in the other, nor outside of pages."""
    listed = "https://ops.example.com"
    for asked, used in ((f"http://{address}", listed), (listed, f"http://{address}"), (listed, None), (None, listed)):
        url = f"ws://{address}/api/v1/ws?ticket={await ticket_of(ann, asked)}"
        with pytest.raises(InvalidStatus):
            await connect(url, additional_headers={"Origin": used} if used else None)


async def test_a_ticket_of_a_session_that_has_ended_opens_nothing(address: str, ann: Person, door: Door) -> None:
    url = f"ws://{address}/api/v1/ws?ticket={await ticket_of(ann)}"
    async with door.database.sessions.begin() as session:
        await session.execute(update(Session).values(revoked_at=utc_now()))
    with pytest.raises(InvalidStatus):
        await connect(url)


async def test_no_ticket_can_be_read_in_redis(address: str, ann: Person, door: Door) -> None:
    ticket = await ticket_of(ann)
    assert all(ticket not in str(key) for key in await door.redis.keys("*"))


async def test_a_socket_does_not_outlive_its_session(
    address: str, ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(address, ann) as watcher:
        await watcher.send(sub="project:weather")
        await watcher.receive()
        async with door.database.sessions.begin() as session:
            await session.execute(update(Session).values(revoked_at=utc_now()))
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(1):
                await watcher.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == subscriber.SESSION_ENDED


async def test_who_leaves_a_project_hears_no_more_of_it_within_a_second(
    address: str, ann: Person, bob: Person, run_id: UUID, door: Door, owner_url: str
) -> None:
    async with watching(address, bob) as watcher:
        for topic in ("project:weather", f"run:{run_id}"):
            await watcher.send(sub=topic, since=3)
            await watcher.receive()
        owner = await asyncpg.connect(owner_url)
        await owner.execute("DELETE FROM memberships WHERE user_id = $1", bob.id)
        await owner.close()
        async with asyncio.timeout(1):
            told = [await watcher.until(lambda frame: "error" in frame) for _ in range(2)]
        assert {frame["topic"] for frame in told} == {"project:weather", f"run:{run_id}"}
        assert {frame["error"]["code"] for frame in told} == {"not-found"}
        await append(door.database, run_id)
        await ring(door.redis, run_id)
        await watcher.send(sub=f"run:{run_id}", since=0)
        assert (await watcher.receive())["error"]["code"] == "not-found", "and nothing came before that"
    assert not door.hub._runs


async def test_a_user_has_so_many_sockets_and_no_more(
    address: str, ann: Person, bob: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_SOCKETS_OF_USER", 2)
    async with watching(address, ann) as one, watching(address, ann):
        await one.send(sub="project:weather")
        await one.receive()
        async with watching(address, ann) as third:
            with pytest.raises(ConnectionClosed) as closed:
                await third.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == subscriber.TOO_MANY
        async with watching(address, bob) as other:
            await other.send(sub="project:weather")
            assert (await other.receive())["subscribed"]
    async with asyncio.timeout(5):
        while door.hub._sockets:
            await asyncio.sleep(0.02)


async def test_who_floods_a_socket_is_let_go(address: str, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "MAX_MESSAGES", 20)
    async with watching(address, ann) as watcher:
        for _ in range(40):
            await watcher.send(unsub="project:weather")
        with pytest.raises(ConnectionClosed) as closed:
            await watcher.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == subscriber.TOO_MANY


async def test_rings_missed_while_redis_was_away_are_made_up_for(
    address: str, ann: Person, run_id: UUID, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.hub, "_poll", 3600)
    async with watching(address, ann) as watcher:
        await watcher.send(sub=f"run:{run_id}", since=3)
        await watcher.receive()
        last = await append(door.database, run_id)
        await asyncio.sleep(0.3)
        await door.redis.client_kill_filter(_type="pubsub")
        assert await watcher.seqs_up_to(last) == [last]


async def test_a_message_that_is_no_text_closes_the_socket_with_the_code_for_that(address: str, ann: Person) -> None:
    async with watching(address, ann) as watcher:
        await watcher.connection.send(b"\x00\x01")
        with pytest.raises(ConnectionClosed) as closed:
            await watcher.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == subscriber.NOT_TEXT
