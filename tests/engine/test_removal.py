"""Deleting a project: who may, what holds meanwhile, what is gone afterwards, and what stays."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
import structlog

from sparkops.core.errors import Forbidden
from sparkops.engine.errors import Fenced, Halted
from sparkops.engine.halts import HaltOrder, Kind, Scope, StoppedForDeletion, order_halt, release_halt
from sparkops.engine.invariants import audit
from sparkops.engine.removal import (
    LEASE,
    DeletionAsked,
    NoDeletion,
    Removal,
    ask_deletion,
    cancel_deletion,
    claim_removal,
    end_removal,
    remove_some,
)
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, prepared, succeed
from tests.engine.bulk import LARGE, objects
from tests.engine.conftest import World
from tests.engine.tenants import CANARY, another, ask, counts, digest_of_large, owned, remove, rich_run, tables_with
from tests.engine.test_budgets import budget, windows
from tests.tiers import WHOLE

log = structlog.get_logger()

WEEK = timedelta(days=7)
KEPT = {"audit", "project_deletions"}
"""Where a deleted project is still named: what was done with it, and its tombstone."""


async def deletion(world: World) -> asyncpg.Record:
    row = await world.database.pool.fetchrow(
        "SELECT * FROM project_deletions WHERE project_id = $1 ORDER BY id DESC LIMIT 1", world.project_id
    )
    assert row is not None
    return row


async def test_nothing_of_a_deleted_project_is_left_but_its_tombstone_and_the_audit_trail(
    world: World, owner_url: str
) -> None:
    await owned(world)
    await budget(world, limit_micros=1_000_000)
    run_id = await rich_run(world)
    await world.run("one")  # one that has not ended
    assert {"runs", "calls", "frames", "events", "ledger_entries"} <= await tables_with(owner_url, str(run_id))
    assert {"runs", "calls"} <= await tables_with(owner_url, CANARY)
    assert objects(world)

    await ask(world)
    await remove(world)

    assert await tables_with(owner_url, str(world.project_id)) == KEPT
    assert await tables_with(owner_url, CANARY) == set()
    assert await tables_with(owner_url, str(run_id)) <= {"audit"}
    assert not (world.settings.blob_dir / "projects" / str(world.project_id)).exists()
    row = await deletion(world)
    assert (row["status"], row["slug"], row["removed"]["runs"]) == ("done", "lab", 3)
    assert row["removed"]["objects"] == 1
    lines = await world.database.pool.fetch("SELECT action FROM audit WHERE action LIKE 'project.%' ORDER BY id")
    assert [line["action"] for line in lines] == [
        "project.deletion.ask",
        "project.deletion.start",
        "project.deletion.end",
    ]


async def test_another_project_with_the_same_content_keeps_it(world: World) -> None:
    await owned(world)
    other = await another(world)
    await rich_run(world)
    theirs = await rich_run(other)
    before = await counts(other)

    await ask(world)
    await remove(world)

    assert await counts(other) == before
    digest = await digest_of_large(other, theirs)
    assert await other.engine.payloads.blobs_of(other.project_id).get(digest, 1 << 20) == f'"{LARGE}"'.encode()
    file = await other.database.pool.fetchrow("SELECT sha256 FROM artifacts WHERE run_id = $1", theirs)
    assert file is not None
    assert await world.blobs.get(file["sha256"], 1 << 20) == CANARY.encode()


async def test_a_project_that_is_to_be_deleted_is_stopped_and_can_be_restored(world: World) -> None:
    await owned(world)
    run_id = await world.run("one")
    _, claim = await world.claimed(run_id)
    await ask(world, delay=WEEK)
    with pytest.raises(Halted):
        await prepared(world, claim)
    assert await claim_removal(world.engine) is None, "it is not due"

    await cancel_deletion(world.engine, world.ada, project_id=world.project_id)
    await prepared(world, claim)
    await world.sql("UPDATE reservations SET status = 'released', ended_at = clock_timestamp()")
    row = await deletion(world)
    assert (row["status"], row["cancelled_by"]) == ("cancelled", world.ada.user_id)
    assert await claim_removal(world.engine) is None
    await ask(world, delay=WEEK)  # again


async def test_its_stop_is_not_released_but_by_taking_the_deletion_back(world: World) -> None:
    await owned(world)
    await ask(world, delay=WEEK)
    halt_id = (await deletion(world))["halt_id"]
    with pytest.raises(StoppedForDeletion, match="is to be deleted"):
        await release_halt(world.engine, world.ben, halt_id)
    released = await world.database.pool.fetchval("SELECT engine.release_halt($1, $2)", halt_id, world.ben.user_id)
    assert released is False, "nor by a caller who does not look before"
    await cancel_deletion(world.engine, world.ada, project_id=world.project_id)
    assert await world.database.pool.fetchval("SELECT released_at IS NOT NULL FROM halts WHERE id = $1", halt_id)


async def test_who_had_stopped_the_project_before_finds_it_stopped_after_a_restore(world: World) -> None:
    await owned(world)
    ordered = await order_halt(
        world.engine, world.ben, HaltOrder(Kind.STOP, Scope.PROJECT, world.project_id, "it spends too much")
    )
    await ask(world, delay=WEEK)
    await cancel_deletion(world.engine, world.ada, project_id=world.project_id)
    in_force = await world.database.pool.fetchval("SELECT id FROM halts WHERE released_at IS NULL")
    assert in_force == ordered.halt_id


async def test_only_an_owner_asks_and_only_once(world: World) -> None:
    await owned(world)
    with pytest.raises(Forbidden):
        await ask_deletion(world.engine, world.ben, project_id=world.project_id, reason="no", delay=WEEK)
    await ask(world, delay=WEEK)
    with pytest.raises(DeletionAsked):
        await ask(world, delay=WEEK)
    with pytest.raises(Forbidden):
        await cancel_deletion(world.engine, world.ben, project_id=world.project_id)


async def test_what_has_begun_is_not_taken_back(world: World) -> None:
    await owned(world)
    await ask(world)
    assert await claim_removal(world.engine) is not None
    with pytest.raises(Forbidden):  # nobody is a member any more
        await cancel_deletion(world.engine, world.ada, project_id=world.project_id)


_KEY = (
    "INSERT INTO api_keys (id, public_id, user_id, name, secret_hash, scopes, expires_at)"
    " VALUES (gen_random_uuid(), $1, $2, $1, repeat('0', 64), '{run:read}', clock_timestamp() + $3::interval)"
    " RETURNING id"
)


async def _key(world: World, name: str, *project_ids: UUID, expires_in: timedelta = WEEK) -> None:
    """A key of ada's that reaches these projects."""
    key_id = await world.database.pool.fetchval(_KEY, name, world.ada.user_id, expires_in)
    for project_id in project_ids:
        await world.sql("INSERT INTO api_key_projects (key_id, project_id) VALUES ($1, $2)", key_id, project_id)


async def test_keys_that_reach_no_other_project_are_revoked_when_the_removal_begins(world: World) -> None:
    await owned(world)
    other = await another(world)
    here, there = world.project_id, other.project_id
    await _key(world, "here", here)
    await _key(world, "both", here, there)
    await _key(world, "there", there)
    await _key(world, "expired", here, expires_in=timedelta(seconds=-1))
    revoked = "SELECT array_agg(name ORDER BY name) FROM api_keys WHERE revoked_at IS NOT NULL"

    await ask(world)
    assert await world.database.pool.fetchval(revoked) is None, "it can still be taken back"
    first = await claim_removal(world.engine)
    assert first is not None
    assert await world.database.pool.fetchval(revoked) == ["here"]
    line = await world.database.pool.fetchrow("SELECT * FROM audit WHERE action = 'key.revoke'")
    assert (line["project_id"], line["actor"], line["detail"]) == (here, "worker", {"because": "deletion"})
    assert (line["before"]["name"], line["before"]["prefix"]) == ("here", "spk_here")

    await ask(other)  # while the other one is still being removed
    assert await claim_removal(world.engine) is not None
    assert await world.database.pool.fetchval(revoked) == ["both", "here", "there"]
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'key.revoke'") == 3


async def test_who_takes_it_back_while_a_worker_begins_comes_too_late(world: World) -> None:
    """They were an owner when they asked, and are none when the worker has begun."""
    await owned(world)
    await ask(world)
    async with world.transaction() as engine:
        assert await claim_removal(engine) is not None
        late = await world.blocked(cancel_deletion(world.engine, world.ada, project_id=world.project_id))
    with pytest.raises(NoDeletion):
        await late
    assert (await deletion(world))["status"] == "removing"


async def test_nobody_asked_and_nothing_is_taken_back(world: World) -> None:
    await owned(world)
    with pytest.raises(NoDeletion):
        await cancel_deletion(world.engine, world.ada, project_id=world.project_id)


async def test_a_worker_that_was_too_slow_removes_nothing_more(world: World) -> None:
    await owned(world)
    await rich_run(world)
    await ask(world)
    slow = await claim_removal(world.engine)
    assert slow is not None
    assert await claim_removal(world.engine) is None, "it is in hands"
    await _lapse(world, slow)
    quick = await claim_removal(world.engine)
    assert quick is not None
    with pytest.raises(Fenced):
        await remove_some(world.engine, slow)
    with pytest.raises(Fenced):
        await end_removal(world.engine, world.engine.payloads, slow)
    while await remove_some(world.engine, quick) != "empty":
        pass
    assert await end_removal(world.engine, world.engine.payloads, quick)


async def _lapse(world: World, removal: Removal) -> None:
    """As after five minutes without a word."""
    lease = timedelta(seconds=-1)
    await world.database.pool.execute("SELECT engine.remove_rows($1, $2, 0, $3)", removal.id, removal.token, lease)


async def test_an_attempt_that_goes_on_is_waited_for_and_then_finds_nothing(world: World) -> None:
    await owned(world)
    run_id = await world.run("one")
    worker, claim = await world.claimed(run_id)
    await ask(world)
    removal = await claim_removal(world.engine)
    assert removal is not None
    assert await remove_some(world.engine, removal) == "waits"
    await world.lapse(claim.lease.step_id)
    await _end(world, removal)
    assert not (await succeed(world, worker, claim)).closed
    assert await world.database.pool.fetchval("SELECT count(*) FROM events") == 0


async def _end(world: World, removal: Removal) -> None:
    await sweep(world.engine, ("run",))
    while await remove_some(world.engine, removal) != "empty":
        pass
    assert await end_removal(world.engine, world.engine.payloads, removal)


async def test_what_a_budget_of_the_installation_has_counted_stays_counted(world: World) -> None:
    await owned(world)
    admin = replace(world.ada, is_admin=True)
    stated = {"name": "everything", "scope": "installation", "limit_micros": 9_000_000}
    everything = await budget(world, project=False, by=admin, **stated)
    await rich_run(world)
    (before,) = await windows(world, everything)
    assert (before["calls"], before["spent_micros"]) > (0, 0)
    await ask(world)
    await remove(world)
    (after,) = await windows(world, everything)
    assert {k: after[k] for k in ("calls", "runs", "spent_micros", "reserved_micros")} == {
        k: before[k] for k in ("calls", "runs", "spent_micros", "reserved_micros")
    }


async def test_rows_go_in_bounded_batches_and_the_invariants_hold_after_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owned(world)
    await budget(world, limit_micros=1_000_000)
    for _ in range(3):
        await rich_run(world)
    await ask(world)
    removal = await claim_removal(world.engine)
    assert removal is not None
    monkeypatch.setattr("sparkops.engine.removal.BATCH", 5)
    batches = 0
    while await remove_some(world.engine, removal) != "empty":
        batches += 1
        broken = await audit(world.database.pool)
        assert not broken, broken
    assert batches > 5
    assert await end_removal(world.engine, world.engine.payloads, removal)


async def test_the_application_may_not_do_it_by_itself(world: World) -> None:
    await owned(world)
    run_id = await world.run("one")
    for statement in (
        "DELETE FROM runs",
        "UPDATE project_deletions SET status = 'removing'",
        "INSERT INTO thinned_runs (run_id, project_id) SELECT id, project_id FROM runs",
        f"SELECT engine.drop_runs('{{{run_id}}}')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql(statement)
    await ask(world, delay=WEEK)
    with pytest.raises(asyncpg.PostgresError, match="in other hands"):
        await world.sql("SELECT engine.remove_rows((SELECT id FROM project_deletions), gen_random_uuid(), 1, '1s')")


async def test_a_run_that_was_accepted_at_the_last_moment_goes_too(world: World) -> None:
    await owned(world)
    await ask(world)
    removal = await claim_removal(world.engine)
    assert removal is not None
    while await remove_some(world.engine, removal) != "empty":
        pass
    await _late_run(world)
    assert not await end_removal(world.engine, world.engine.payloads, removal)
    while await remove_some(world.engine, removal) != "empty":
        pass
    assert await end_removal(world.engine, world.engine.payloads, removal)


async def _late_run(world: World) -> None:
    """A request that was let in before nobody was a member any more."""
    await world.sql(
        "INSERT INTO memberships (project_id, user_id, role) VALUES ($1, $2, 'owner')",
        world.project_id,
        world.ada.user_id,
    )
    await world.workflow(ONE_STEP)
    await world.run("one")


MANY = 20_000 if WHOLE else 300
_WORKED = (
    "INSERT INTO calls (id, project_id, run_id, step_id, seq, kind, name, request_hash, request, effect_class, status,"
    " attempt) SELECT gen_random_uuid(), project_id, run_id, id, 1, 'tool', 'noop', 'h', '{}', 'pure', 'done', 1"
    " FROM steps WHERE project_id = $1",
    "INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, status)"
    " SELECT c.id, 1, c.project_id, c.run_id, ARRAY[b.id], 0, 'released' FROM calls c JOIN budgets b"
    " ON b.scope_id = c.run_id WHERE c.project_id = $1",
    "INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, kind)"
    " SELECT gen_random_uuid(), project_id, budget_ids[1], run_id, call_id, 1, 0, 'actual' FROM reservations"
    " WHERE project_id = $1",
    "INSERT INTO outbox (id, subscription, project_id, run_id, seq, kind, payload)"
    " SELECT gen_random_uuid(), 'gone', project_id, id, 1, 'run.accepted', '{}' FROM runs WHERE project_id = $1",
)
"""What a worker and the relay would have left: a call for each step, its reservation and its ledger line; an event."""


@pytest.mark.timeout(1_800)
async def test_a_project_of_many_runs_goes_batch_by_batch_in_time_that_grows_with_it(
    world: World, owner_url: str
) -> None:
    """Each batch is far shorter than the lease, also the last ones: what is left is found, not looked for."""
    await owned(world)
    for _ in range(MANY // 100):
        await asyncio.gather(*(world.run("one") for _ in range(100)))
    owner = await asyncpg.connect(owner_url)
    for statement in _WORKED:
        await owner.execute(statement, world.project_id)
    await owner.execute("ANALYZE")
    await owner.close()
    await ask(world)
    removal = await claim_removal(world.engine)
    assert removal is not None
    took, state = [], "more"
    while state == "more":
        began = time.perf_counter()
        state = await remove_some(world.engine, removal)
        took.append(time.perf_counter() - began)
    assert state == "empty"
    began = time.perf_counter()
    assert await end_removal(world.engine, world.engine.payloads, removal)
    ended = time.perf_counter() - began
    gone = (await deletion(world))["removed"]
    log.info(
        "removal.timed", seconds=round(sum(took), 2), batches=len(took), longest=round(max(took), 3), end=ended, **gone
    )
    assert gone["runs"] == MANY
    assert max(took) < LEASE.total_seconds() / 2
    assert set((await counts(world)).values()) == {0}
