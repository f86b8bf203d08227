"""Objects that nothing refers to go, in two steps; no race takes one away that something refers to."""

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from sparkops.core import blobs
from sparkops.core.blobs import CONDEMNED, Blobs
from sparkops.core.errors import NotFound
from sparkops.core.ids import new_id
from sparkops.engine.collection import Collected
from tests.engine.bulk import LARGE, objects
from tests.engine.conftest import World
from tests.engine.tenants import (
    CANARY,
    age,
    another,
    ask,
    collect,
    digest_of_large,
    keep,
    owned,
    remove,
    rich_run,
    tidied,
)

HOUR = timedelta(hours=1)


def get_older(world: World) -> None:
    """Let all objects have been written two hours earlier."""
    for path in objects(world):
        before = time.time() - 7_200
        os.utime(path, (before, before))


def aside(world: World) -> list[str]:
    return [str(path.name) for path in objects(world) if CONDEMNED in str(path)]


async def wait_aside(world: World) -> None:
    """Let what lies aside have done so for two hours."""
    await world.sql("UPDATE condemned_objects SET condemned_at = condemned_at - interval '2 hours'")


async def drop_artifacts_and_runs(world: World, owner_url: str, run_id: UUID) -> None:
    await age(owner_url, run_id, days=2)
    await keep(world, runs=1)
    assert (await tidied(world.engine))["runs"] == 2


async def test_what_is_referred_to_stays_where_it_is(world: World) -> None:
    await owned(world)
    await rich_run(world)
    get_older(world)
    before = objects(world)
    assert len(before) == 2
    assert await collect(world, grace=HOUR) == Collected(looked_at=2)
    assert objects(world) == before


async def test_what_nothing_refers_to_is_set_aside_and_then_removed(world: World, owner_url: str) -> None:
    await owned(world)
    await drop_artifacts_and_runs(world, owner_url, await rich_run(world))
    get_older(world)
    assert (await collect(world, grace=HOUR)).set_aside == 2
    assert len(aside(world)) == 2
    assert await collect(world, grace=HOUR) == Collected(), "not before the grace is over"
    await wait_aside(world)
    assert (await collect(world, grace=HOUR)).removed == 2
    assert objects(world) == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM condemned_objects") == 0


async def test_what_was_written_lately_is_left_alone(world: World) -> None:
    """An upload in flight: its row is not committed yet."""
    await world.blobs.put(b"a file whose row comes in a moment")
    assert (await collect(world, grace=HOUR)).set_aside == 0
    get_older(world)
    assert (await collect(world, grace=HOUR)).set_aside == 1


async def test_a_row_that_comes_for_old_bytes_after_they_were_set_aside_gets_them_back(
    world: World, owner_url: str
) -> None:
    """Arranged: a writer finds the bytes in place and writes nothing; they are set aside; its row is committed."""
    await owned(world)
    run_id = await rich_run(world)
    digest = await digest_of_large(world, run_id)
    await drop_artifacts_and_runs(world, owner_url, run_id)
    get_older(world)
    assert await world.engine.payloads.blobs_of(world.project_id).put(f'"{LARGE}"'.encode()) == digest
    await collect(world, grace=HOUR)
    assert digest in aside(world)
    late = await rich_run(world)  # this process remembers that it wrote them just now
    assert await digest_of_large(world, late) == digest
    await wait_aside(world)
    assert (await collect(world, grace=HOUR)).put_back >= 1
    assert digest not in aside(world)
    assert await world.engine.payloads.blobs_of(world.project_id).get(digest, 1 << 20)


async def test_who_reads_what_lies_aside_gets_it(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    digest = await digest_of_large(world, run_id)
    await world.engine.payloads.blobs_of(world.project_id).set_aside(
        f"projects/{world.project_id}/blobs/{digest[:2]}/{digest}"
    )
    assert digest in aside(world)
    assert await Blobs.in_directory(world.settings.blob_dir).under(f"projects/{world.project_id}").get(digest, 1 << 20)


async def test_who_writes_what_lies_aside_writes_it_anew(world: World) -> None:
    digest = await world.blobs.put(b"rain")
    await world.blobs.set_aside(f"blobs/{digest[:2]}/{digest}")
    await world.blobs.put(b"rain")
    await world.blobs.remove_aside(f"blobs/{digest[:2]}/{digest}")
    assert await world.blobs.get(digest, 100) == b"rain"


async def test_what_is_set_aside_under_the_hands_of_a_writer_is_written_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the writer finds the bytes in place, and they are set aside before it has made sure of them."""
    digest = await world.blobs.put(b"rain")
    path = f"blobs/{digest[:2]}/{digest}"
    sync = blobs._sync
    moved: list[Path] = []

    def late_sync(file: Path) -> None:
        if not moved:
            moved.append(file.rename(world.settings.blob_dir / "moved"))
        sync(file)

    monkeypatch.setattr(blobs, "_sync", late_sync)
    await world.blobs.put(b"rain")
    assert moved
    assert (world.settings.blob_dir / path).read_bytes() == b"rain"


async def test_a_file_that_another_project_has_too_stays(world: World, owner_url: str) -> None:
    await owned(world)
    other = await another(world)
    mine, theirs = await rich_run(world), await rich_run(other)
    file = await world.database.pool.fetchval("SELECT sha256 FROM artifacts WHERE run_id = $1", theirs)
    await drop_artifacts_and_runs(world, owner_url, mine)
    get_older(world)
    done = await collect(world, grace=HOUR)
    assert done.set_aside == 1  # the large value of the one project alone
    assert await world.blobs.get(file, 1 << 20) == CANARY.encode()
    digest = await digest_of_large(other, theirs)
    assert await other.engine.payloads.blobs_of(other.project_id).get(digest, 1 << 20)


async def test_what_a_project_here_never_wrote_is_left_alone(world: World) -> None:
    """Somebody else's objects, or those of a project that the restored database does not know."""
    stranger = world.blobs.under(f"projects/{new_id()}")
    digest = await stranger.put(b"theirs")
    await world.blobs.under("projects/no-id").put(b"nor this")
    get_older(world)
    assert await collect(world, grace=HOUR) == Collected()
    assert await stranger.get(digest, 100) == b"theirs"


async def test_what_was_written_while_its_project_was_removed_goes_at_once(world: World) -> None:
    await owned(world)
    await ask(world)
    await remove(world)
    late = world.engine.payloads.blobs_of(world.project_id)
    digest = await late.put(b"too late")
    assert (await collect(world, grace=HOUR)).removed == 1
    with pytest.raises(NotFound):
        await late.get(digest, 100)
