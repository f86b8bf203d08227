"""The audit trail: written with the change, sealed once it is committed; what is done to it afterwards is found."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from sparkops.core.db import _set_codecs
from sparkops.core.errors import ConfigError
from sparkops.core.origin import acting_via, coming_from
from sparkops.domains.audit.lines import COLUMNS, line_hash
from sparkops.domains.audit.roots import add_roots, read_roots
from sparkops.domains.audit.seals import Anchor, SealKeys
from sparkops.domains.audit.verify import Kind, Report, verify
from sparkops.engine.cancel import cancel_run
from sparkops.engine.context import call
from sparkops.engine.seals import anchors_after, seal_some
from sparkops.worker.sealer import Sealer
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World, on_connection
from tests.engine.tampering import ACTS, ENDINGS, rehash

KEYS = SealKeys(["a" * 32])
OTHER_KEYS = SealKeys(["b" * 32])

TAMPERINGS = 10_000
PARTS = 4
"""Tests that share them: one to an audit trail of its own."""

_WRITE = "SELECT engine.write_audit($1, $2, $3, $4, $5, $6, $7)"


async def line(world: World, text: str = "thing", on: Any = None, **documents: Any) -> int:
    """Write a line and return its number."""
    connection = on or world.database.pool
    await connection.execute(
        _WRITE,
        world.project_id,
        f"user:{world.ada.user_id}",
        "policy.publish",
        f"policy:{text}",
        documents.get("detail", {"text": text}),
        documents.get("before"),
        documents.get("after"),
    )
    return int(await connection.fetchval("SELECT max(id) FROM audit"))


async def checked(world: World, anchors: list[Anchor] | None = None, keys: SealKeys = KEYS) -> Report:
    return await verify(world.database.pool, keys, anchors or [])


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Any]:
    """A connection of the owner of the tables, as the application reads JSON."""
    connection = await asyncpg.connect(url)
    await _set_codecs(connection)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_line_knows_the_request_that_it_belongs_to_and_forgets_it_with_the_transaction(world: World) -> None:
    with coming_from("request-1", "192.0.2.7"):
        acting_via("session:s")
        run_id = await world.run(await world.workflow(ONE_STEP))
        await cancel_run(world.engine, world.ada, run_id)
    await world.run(await world.workflow(ONE_STEP.replace("name: one", "name: other")))
    rows = await world.database.pool.fetch(
        "SELECT action, request_id, address, via, before, after FROM audit ORDER BY id"
    )
    assert [(row["action"], row["request_id"], row["address"], row["via"]) for row in rows] == [
        ("run.create", "request-1", "192.0.2.7", "session:s"),
        ("run.cancel", "request-1", "192.0.2.7", "session:s"),
        ("run.create", None, None, None),
    ]
    assert (rows[1]["before"], rows[1]["after"]) == ({"status": "running"}, {"status": "cancelling"})


async def test_runs_that_share_a_transaction_keep_their_own_requests(world: World) -> None:
    workflow = await world.workflow(ONE_STEP)

    async def asked(number: int) -> None:
        with coming_from(f"request-{number}", None):
            await world.run(workflow)

    await asyncio.gather(*(asked(number) for number in range(20)))
    rows = await world.database.pool.fetch("SELECT request_id FROM audit WHERE action = 'run.create'")
    assert {row["request_id"] for row in rows} == {f"request-{number}" for number in range(20)}
    shared = await world.database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM audit")
    assert shared < 20, "no two runs shared a transaction"


async def test_the_hash_of_a_line_is_the_same_said_in_sql_and_in_python(world: World) -> None:
    """Whatever text can be stored: quotes, control characters, characters beyond the first plane, nested documents."""
    dice = Random(1)
    letters = [
        '"',
        "\\",
        "/",
        "\n",
        "\r",
        "\t",
        "\b",
        "\f",
        "\x01",
        "\x1f",
        "\x7f",
        "é",
        "\u2028",
        "😀",
        "a",
        " ",
        "{",
        "null",
    ]

    def word() -> str:
        return "".join(dice.choice(letters) for _ in range(dice.randrange(8)))

    for number in range(100):
        document = {word(): [word(), dice.random(), dice.randrange(10**15), None, True, {word(): word()}]}
        with coming_from(word(), dice.choice([None, word()])):
            acting_via(word())
            await call(
                world.database.pool,
                "write_audit",
                dice.choice([None, world.project_id]),
                word(),
                word(),
                word(),
                document,
                dice.choice([None, document]),
                dice.choice([None, {word(): number}]),
            )
    rows = await world.database.pool.fetch(f"SELECT {COLUMNS}, engine.audit_hash(a) AS again FROM audit a")
    assert len(rows) == 100
    assert all(line_hash(row) == row["content_hash"] == row["again"] for row in rows)


async def test_what_is_sealed_is_whole_and_what_was_not_yet_waits(world: World) -> None:
    for number in range(5):
        await line(world, str(number))
    first = await seal_some(world.engine, KEYS, 3)
    second = await seal_some(world.engine, KEYS, 3)
    assert first is not None
    assert second is not None
    assert (first.number, first.lines, second.number, second.lines) == (1, 3, 2, 5)
    assert second.previous == first.mac
    assert await seal_some(world.engine, KEYS, 3) is None
    await line(world, "late")
    report = await checked(world)
    assert report.ok, report.findings
    assert (report.lines, report.seals, report.waiting, report.last) == (5, 2, 1, second)


async def test_a_line_that_is_committed_after_later_ones_were_sealed_is_sealed_then(world: World) -> None:
    async with world.transaction() as engine:
        slow = await line(world, "slow", engine.database.pool)
        quick = await line(world, "quick")
        assert slow < quick
        sealed = await seal_some(world.engine, KEYS)
        assert sealed is not None
        assert sealed.lines == 1
    assert await seal_some(world.engine, KEYS) is not None
    report = await checked(world)
    assert report.ok, report.findings
    assert (report.lines, report.waiting) == (2, 0)


async def test_of_two_who_seal_at_once_one_has_the_number_and_the_other_nothing(world: World) -> None:
    await line(world)
    async with world.transaction() as engine:
        assert await seal_some(engine, KEYS) is not None
        late = await world.blocked(seal_some(world.engine, KEYS))
    assert await late is None
    report = await checked(world)
    assert report.ok
    assert report.seals == 1


async def test_nobody_changes_or_removes_what_is_written(world: World, owner_url: str) -> None:
    await line(world)
    await seal_some(world.engine, KEYS)
    changes = (
        "UPDATE audit SET actor = 'system'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit_seals SET mac = ''",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
    )
    for change in changes:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql(change)
    async with owner(owner_url) as connection:
        for change in changes:
            with pytest.raises(asyncpg.PostgresError) as refused:
                await connection.execute(change)
            assert refused.value.sqlstate == "SF002", change


async def test_nobody_dates_a_line_back(world: World) -> None:
    await world.sql(
        "INSERT INTO audit (at, actor, action, object, detail, content_hash) "
        "VALUES ('2020-01-01T00:00:00Z', 'system', 'x', 'y', '{}', '')"
    )
    assert await world.database.pool.fetchval("SELECT at > clock_timestamp() - interval '1 minute' FROM audit")


async def test_a_line_whose_hash_is_none_holds_up_nothing_and_is_found(world: World, owner_url: str) -> None:
    forged = await line(world, "forged")
    async with owner(owner_url) as connection:
        await connection.execute("ALTER TABLE audit DISABLE TRIGGER USER")
        await connection.execute("UPDATE audit SET content_hash = 'zz'")
        assert await seal_some(world.engine, KEYS) is not None
        report = await checked(world)
        assert [(one.kind, one.subject) for one in report.findings] == [(Kind.LINE_CHANGED, forged)]
        await connection.execute("UPDATE audit a SET content_hash = engine.audit_hash(a)")
        await connection.execute("ALTER TABLE audit ENABLE TRIGGER USER")


async def trail(world: World) -> list[Anchor]:
    """A trail of 20 lines under four seals, and two lines that wait; returns the roots that were kept elsewhere."""
    for number in range(20):
        with coming_from(f"request-{number}", "192.0.2.7"):
            acting_via("session:s")
            await call(
                world.database.pool,
                "write_audit",
                world.project_id,
                f"user:{number}",
                "policy.publish",
                f"policy:{number}",
                {"number": number},
                {"limit": number} if number % 2 else None,
                {"limit": number + 1},
            )
    while await seal_some(world.engine, KEYS, 5) is not None:
        pass
    await line(world, "waits")
    await line(world, "waits, too")
    return list(await anchors_after(world.engine, 0))


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_tampering_is_found(world: World, owner_url: str, part: int) -> None:
    anchors = await trail(world)
    before = await checked(world, anchors)
    assert before.ok, before.findings
    missed, done = [], Counter[str]()
    async with owner(owner_url) as connection:
        await connection.execute("ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_seals DISABLE TRIGGER USER")
        for number in range(part, TAMPERINGS, PARTS):
            dice = Random(number)
            act = ACTS[number % len(ACTS)]
            transaction = connection.transaction()
            await transaction.start()
            said = await act(connection, dice)
            # Every second time nothing was kept elsewhere, so that the seals have to show it by themselves.
            kept = anchors if act in ENDINGS or number // len(ACTS) % 2 else []
            report = await verify(connection, KEYS, kept)
            await transaction.rollback()
            done[act.__name__] += 1
            if report.ok:
                missed.append((number, said))
        await connection.execute("ALTER TABLE audit ENABLE TRIGGER USER; ALTER TABLE audit_seals ENABLE TRIGGER USER")
    assert missed == []
    assert min(done[act.__name__] for act in ACTS) >= TAMPERINGS // PARTS // len(ACTS)
    after = await checked(world, anchors)
    assert after.ok


async def test_a_genuine_seal_of_another_past_does_not_fit_into_the_chain(world: World, owner_url: str) -> None:
    """As somebody has it who kept a backup: made with the key, of the same number, over the same line."""
    await line(world)
    async with world.transaction(commit=False) as engine:
        await seal_some(engine, KEYS)
        other = tuple(await engine.database.pool.fetchrow("SELECT * FROM audit_seals"))
    await seal_some(world.engine, KEYS)
    await line(world)
    await seal_some(world.engine, KEYS)
    async with owner(owner_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "ALTER TABLE audit_seals DISABLE TRIGGER USER; DELETE FROM audit_seals WHERE number = 1"
        )
        await connection.execute("INSERT INTO audit_seals VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", *other)
        report = await verify(connection, KEYS)
        await transaction.rollback()
    assert [(one.kind, one.subject) for one in report.findings] == [(Kind.CHAIN_BROKEN, 2)]


async def test_a_seal_that_is_missing_is_told_by_its_number(world: World, owner_url: str) -> None:
    await trail(world)
    async with owner(owner_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "ALTER TABLE audit_seals DISABLE TRIGGER USER; DELETE FROM audit_seals WHERE number = 2"
        )
        report = await verify(connection, KEYS)
        await transaction.rollback()
    assert [one.subject for one in report.findings if one.kind is Kind.SEAL_MISSING] == [2]
    assert report.counts == {Kind.SEAL_MISSING: 1, Kind.LINE_ADDED: 5}


async def test_an_end_that_was_cut_off_and_sealed_anew_is_found_by_its_root(world: World, owner_url: str) -> None:
    """As by somebody who writes every row and lets the sealer, who has the key, do the rest."""
    anchors = await trail(world)
    async with owner(owner_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_seals DISABLE TRIGGER USER")
        ids = await connection.fetchval("DELETE FROM audit_seals WHERE number = 4 RETURNING ids")
        await connection.execute("UPDATE audit SET actor = 'user:nobody' WHERE id = ANY ($1)", ids)
        await rehash(connection, ids)
        await connection.execute("INSERT INTO audit_unsealed SELECT unnest($1::bigint[])", ids)
        assert await seal_some(on_connection(world.engine, connection), KEYS, 5) is not None
        alone, kept = await verify(connection, KEYS), await verify(connection, KEYS, anchors)
        await transaction.rollback()
    assert alone.ok, "the trail itself cannot show it"
    assert [(one.kind, one.subject) for one in kept.findings] == [(Kind.ROOT_DIFFERS, 4)]


async def test_a_trail_that_was_sealed_anew_with_another_key_is_found(world: World) -> None:
    anchors = await trail(world)
    report = await checked(world, [], OTHER_KEYS)
    assert report.counts == {Kind.SEAL_UNKNOWN_KEY: 4}
    report = await checked(world, anchors, OTHER_KEYS)
    assert report.counts[Kind.ROOT_FORGED] == 4


async def test_seals_of_a_former_key_are_checked_while_it_is_given(world: World) -> None:
    await line(world, "old")
    await seal_some(world.engine, KEYS)
    both = SealKeys(["b" * 32, "a" * 32])
    await line(world, "new")
    newest = await seal_some(world.engine, both)
    assert newest is not None
    assert newest.key_id == OTHER_KEYS.first
    assert (await checked(world, [], both)).ok
    assert not (await checked(world, [], OTHER_KEYS)).ok


async def test_the_sealer_seals_what_comes_and_keeps_the_roots_also_those_that_another_could_not(
    world: World, tmp_path: Path
) -> None:
    roots = tmp_path / "kept" / "roots.jsonl"
    await line(world, "by another")
    await seal_some(world.engine, KEYS)
    draining = asyncio.Event()
    sealer = asyncio.create_task(Sealer(world.engine, KEYS, roots).run(draining))
    await line(world, "now")

    async def kept() -> bool:
        return roots.exists() and len(read_roots(roots)) == 2

    await world.reaches(kept)
    draining.set()
    await sealer
    report = await checked(world, read_roots(roots))
    assert report.ok, report.findings
    assert (report.seals, report.waiting, report.anchors) == (2, 0, 2)


def test_a_key_that_is_too_short_seals_nothing() -> None:
    with pytest.raises(ConfigError):
        SealKeys(["a" * 31])


async def test_without_a_key_nothing_is_sealed_and_the_worker_goes_on(world: World) -> None:
    await line(world)
    await Sealer(world.engine, None, None).run(asyncio.Event())
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit_unsealed") == 1


def anchor(number: int) -> Anchor:
    at = "2026-11-23T10:00:00.000001+00:00"
    said = {"number": number, "at": at, "lines": number, "root": "r", "previous": "p", "mac": "m", "key_id": "k"}
    return Anchor.from_line(json.dumps(said))


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_a_crash_has_cut_comes_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "roots.jsonl"
    assert add_roots(path, [anchor(1), anchor(2)]) == 2
    path.write_bytes(path.read_bytes()[:-cut])
    assert add_roots(path, [anchor(1), anchor(2), anchor(3)]) in (1, 2)
    assert [one.number for one in read_roots(path)] == [1, 2, 3]
