"""What goes from an object storage on another machine: the same as from a directory, over a socket and in pages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from sparkops.core import blobs as storage
from sparkops.core.errors import Unavailable
from sparkops.core.payloads import Payloads
from sparkops.engine.collection import Collected
from tests.bucket import Bucket, serving
from tests.engine.conftest import World
from tests.engine.tenants import CANARY, age, another, ask, collect, digest_of_large, keep, owned, remove, rich_run
from tests.engine.tenants import tidied as retained
from tests.engine.test_collection import wait_aside

HOUR = timedelta(hours=1)
PAGE = 4
NOBODYS = 15


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An S3 whose lists come in pages of four, of which we look at six objects at once."""
    monkeypatch.setattr(storage, "LIST_PAGE", 6)
    with serving(page=PAGE) as bucket:
        yield bucket


@pytest.fixture
def remote(world: World, bucket: Bucket) -> World:
    """The world over that S3."""
    blobs = bucket.blobs()
    return replace(world, blobs=blobs, engine=replace(world.engine, payloads=Payloads(blobs)))


async def add_nobodys(world: World) -> set[str]:
    """Files that a crash left without a row. Returns their digests."""
    return {await world.blobs.put(f"nobody's {number}".encode()) for number in range(NOBODYS)}


def digests(bucket: Bucket, prefix: str) -> set[str]:
    return {key.rpartition("/")[2] for key in bucket.under(prefix)}


def pages_of(bucket: Bucket) -> int:
    """How many pages were asked for that go on with a list."""
    return sum("list-type=2" in one and "continuation-token=" in one for one in bucket.asked)


async def test_what_nothing_refers_to_goes_after_the_grace_and_the_rest_stays(remote: World, bucket: Bucket) -> None:
    await owned(remote)
    run_id = await rich_run(remote)
    kept = dict(bucket.objects)
    assert len(kept) == 2
    nobodys = await add_nobodys(remote)
    assert (await collect(remote, grace=HOUR)).set_aside == 0, "all of it was written just now"

    bucket.get_older(2 * HOUR)
    bucket.asked.clear()
    done = await collect(remote, grace=HOUR)

    assert (done.looked_at, done.set_aside, done.removed) == (NOBODYS + 2, NOBODYS, 0)
    assert pages_of(bucket) >= NOBODYS // PAGE, "the list went on over its pages"
    assert digests(bucket, "deep/condemned/") == nobodys
    assert {key: bucket.objects[key] for key in kept} == kept
    assert await remote.blobs.get(min(nobodys), 100), "who reads what lies aside gets it"

    assert await collect(remote, grace=HOUR) == Collected(looked_at=2), "not before the grace is over"
    await wait_aside(remote)
    assert (await collect(remote, grace=HOUR)).removed == NOBODYS
    assert bucket.objects == kept
    digest = await digest_of_large(remote, run_id)
    assert await remote.engine.payloads.blobs_of(remote.project_id).get(digest, 1 << 20)


async def test_what_something_refers_to_by_then_is_put_back(remote: World, bucket: Bucket, owner_url: str) -> None:
    await owned(remote)
    run_id = await rich_run(remote)
    await age(owner_url, run_id, days=2)
    await keep(remote, runs=1)
    await retained(remote.engine)
    bucket.get_older(2 * HOUR)
    assert (await collect(remote, grace=HOUR)).set_aside == 2
    assert bucket.under("deep/condemned/") == sorted(bucket.objects)

    await rich_run(remote)  # the same bytes: the file is written anew, the large value as this process has it in mind
    await wait_aside(remote)
    done = await collect(remote, grace=HOUR)

    assert (done.put_back, done.removed) == (2, 0)
    assert bucket.under("deep/condemned/") == []
    assert CANARY.encode() in bucket.objects.values()


async def test_the_objects_of_a_deleted_project_go_and_those_of_others_stay(remote: World, bucket: Bucket) -> None:
    await owned(remote)
    other = await another(remote)
    await rich_run(remote)
    theirs = await rich_run(other)
    mine = remote.engine.payloads.blobs_of(remote.project_id)
    for number in range(NOBODYS):
        digest = await mine.put(f"value {number}".encode())
    await mine.set_aside(f"projects/{remote.project_id}/blobs/{digest[:2]}/{digest}")
    assert len(bucket.under(f"deep/projects/{remote.project_id}/")) == NOBODYS
    assert len(bucket.under(f"deep/condemned/projects/{remote.project_id}/")) == 1

    await ask(remote)
    await remove(remote)

    assert [key for key in bucket.objects if str(remote.project_id) in key] == []
    gone = await remote.database.pool.fetchval("SELECT removed ->> 'objects' FROM project_deletions")
    assert int(gone) == NOBODYS + 1
    digest = await digest_of_large(other, theirs)
    assert await other.engine.payloads.blobs_of(other.project_id).get(digest, 1 << 20)

    late = await mine.put(b"too late")
    assert (await collect(remote, grace=HOUR)).removed == 1
    assert late not in digests(bucket, "deep/")


async def test_a_storage_that_does_not_answer_loses_nothing_and_the_next_pass_goes_on(
    remote: World, bucket: Bucket
) -> None:
    await owned(remote)
    await rich_run(remote)
    nobodys = await add_nobodys(remote)
    bucket.get_older(2 * HOUR)
    before = dict(bucket.objects)
    bucket.refuses = True
    with pytest.raises(Unavailable):
        await collect(remote, grace=HOUR)
    assert bucket.objects == before
    bucket.refuses = False
    assert (await collect(remote, grace=HOUR)).set_aside == NOBODYS
    assert digests(bucket, "deep/condemned/") == nobodys
