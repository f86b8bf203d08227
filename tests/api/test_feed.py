"""One run's feed and a newcomer, in the two orders that could lose or repeat an event."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import orjson
import pytest

from sparkops.api import live
from sparkops.api.live import RunFeed, Subscription
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.domains.runs.queries import events_after


class Recorder:
    """A subscriber that takes everything."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def offer(self, frame: bytes) -> bool:
        self.seqs += [event["seq"] for event in orjson.loads(frame)["events"]]
        return True

    def offer_ephemeral(self, frame: bytes) -> None:
        self.offer(frame)

    async def deliver(self, frame: bytes) -> None:
        self.offer(frame)


async def append(database: Database, run_id: UUID, seq: int) -> None:
    await database.pool.execute(
        "INSERT INTO events (run_id, seq, project_id, kind, data) VALUES ($1, $2, $1, 'call.done', '{}')", run_id, seq
    )


def join(feed: RunFeed, seq: int) -> tuple[Recorder, Subscription]:
    recorder = Recorder()
    subscription = Subscription(recorder, feed.topic, seq)
    feed.subscriptions.add(subscription)
    return recorder, subscription


@pytest.fixture
async def feed(database: Database) -> RunFeed:
    """The feed of a run with one event, polled by nobody."""
    feed = RunFeed(database, new_id(), poll_seconds=3600)
    await append(database, feed.run_id, 1)
    return feed


async def test_a_newcomer_who_was_ahead_of_the_feed_gets_nothing_twice(database: Database, feed: RunFeed) -> None:
    old, subscription = join(feed, 0)
    await feed.catch_up(subscription)
    await append(database, feed.run_id, 2)

    new, subscription = join(feed, 0)
    await feed.catch_up(subscription)
    assert (old.seqs, new.seqs) == ([1], [1, 2])
    await feed._forward()

    assert (old.seqs, new.seqs) == ([1, 2], [1, 2])


async def test_what_the_feed_sends_while_a_newcomer_reads_reaches_the_newcomer(
    database: Database, feed: RunFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the newcomer's statement has found nothing new; before it is told, the feed sends another event."""
    old, subscription = join(feed, 0)
    await feed.catch_up(subscription)
    told = asyncio.Event()

    async def slow(pool: object, *, run_id: UUID, since: int, limit: int) -> Sequence[asyncpg.Record]:
        found = await events_after(database.pool, run_id=run_id, since=since, limit=limit)
        if not found and not told.is_set():
            told.set()
            await append(database, run_id, 2)
            await feed._forward()
        return found

    new, subscription = join(feed, 0)
    monkeypatch.setattr(live, "events_after", slow)
    await feed.catch_up(subscription)

    assert told.is_set()
    assert (old.seqs, new.seqs) == ([1, 2], [1, 2])


async def test_a_feed_goes_on_where_its_only_watcher_is(database: Database, feed: RunFeed) -> None:
    first, gone = join(feed, 0)
    await feed.catch_up(gone)
    feed.subscriptions.discard(gone)
    for seq in (2, 3):
        await append(database, feed.run_id, seq)

    second, subscription = join(feed, 2)
    await feed.catch_up(subscription)
    await append(database, feed.run_id, 4)
    await feed._forward()

    assert (first.seqs, second.seqs) == ([1], [3, 4])
