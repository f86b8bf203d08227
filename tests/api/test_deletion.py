"""A project that had one of everything is deleted: no row of it is left in any table, whichever tables there are."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
from fastapi import FastAPI

from sparkops.api.deps import Door
from sparkops.engine.invariants import audit
from sparkops.engine.removal import claim_removal, end_removal, remove_some
from tests.api.conftest import MakePerson, Person
from tests.api.things import Things, make_things

KEPT = {
    "audit": "the trail of what was done stays",
    "security_events": "so does what happened to the safety of the installation",
    "project_deletions": "the tombstone",
    "idempotency_keys": "an answer, sealed with the key that the sender has; gone after a day",
}
"""Where something of a deleted project may still stand, and why (docs/retention.md)."""
EMPTY = {
    "condemned_objects": "of the collector: tests/engine/test_collection.py",
    "thinned_runs": "of retention: tests/engine/test_retention.py",
    "expansions": "of maps and loops: tests/engine/test_removal.py",
    "step_attempts": "of workers, as above",
    "project_deletions": "made by the deletion",
}
"""Tables that know of projects and have nothing of this one."""

_TABLES = """
SELECT c.relname AS name,
       EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'project_id'
                  AND NOT a.attisdropped) AS owned,
       EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped
                  AND a.atttypid = 'uuid'::regtype) AS has_id
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
_REACHED = """
WITH RECURSIVE reached AS (
  SELECT 'projects'::regclass::oid AS oid
  UNION SELECT c.conrelid FROM pg_constraint c JOIN reached r ON c.confrelid = r.oid
   WHERE c.contype = 'f' AND c.conparentid = 0)
SELECT relname AS name FROM pg_class JOIN reached USING (oid) WHERE NOT relispartition
"""
"""Tables whose rows belong to a project by foreign keys, over however many others."""


async def fill(ann: Person, door: Door, project: str, things: Things) -> None:
    """Add to a project what `make_things` leaves out."""
    pool, run_id = door.database.pool, things.run_id
    project_id = await pool.fetchval("SELECT id FROM projects WHERE slug = $1", project)
    said = await ann.client.post(f"/api/v1/approvals/{things.approval_id}/messages", json={"text": "which?"})
    assert said.status_code == 201, said.text
    event = {"project": project, "id": "e-1", "name": "payment.received", "data": {}}
    assert (await ann.client.post("/api/v1/events", json=event)).status_code == 201
    note = await ann.client.post(f"/api/v1/violations/{things.violation_id}/notes", json={"text": "seen"})
    assert note.status_code < 300, note.text
    refs = (project_id, run_id, things.step_id, things.call_id, ann.id)
    for statement in (
        "INSERT INTO secret_uses (id, project_id, scope, source, name, run_id, step_id, call_id)"
        " VALUES (gen_random_uuid(), $1, 'project', 'database', 'stripe-key', $2, $3, $4)",
        "INSERT INTO approval_votes (id, approval_id, project_id, user_id, vote, request_hash)"
        " SELECT gen_random_uuid(), id, project_id, $5, 'approve', request_hash FROM approvals WHERE project_id = $1",
        "INSERT INTO backtest_flips (id, backtest_id, project_id, decision_id, run_id, subject, at, change, was)"
        " SELECT gen_random_uuid(), id, $1, gen_random_uuid(), $2, 'tool.call', now(), 'stricter', 'allow'"
        " FROM backtests WHERE project_id = $1",
        "INSERT INTO budget_notices (id, project_id, definition_id, budget_id, kind, percent, action, run_id)"
        " SELECT gen_random_uuid(), $1, definition_id, id, 'calls', 80, 'notify', $2 FROM budgets"
        " WHERE project_id = $1 AND definition_id IS NOT NULL",
        "INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, status)"
        " SELECT $4, 1, $1, $2, array_agg(id), 0, 'released' FROM budgets WHERE project_id = $1",
        "INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, kind)"
        " SELECT gen_random_uuid(), $1, id, $2, $4, 1, 0, 'actual' FROM budgets WHERE project_id = $1",
        "INSERT INTO subscriptions (name, kinds, project_id) VALUES (gen_random_uuid()::text, '{}', $1)",
        "INSERT INTO outbox (id, subscription, project_id, run_id, seq, kind, payload)"
        " VALUES (gen_random_uuid(), 'event-log', $1, $2, 1, 'run.accepted', '{}')",
        "INSERT INTO security_events (kind, severity, project_id, detail)"
        " VALUES ('permission.denied', 'info', $1, '{}')",
        "INSERT INTO api_key_networks (key_id, network) SELECT k.id, '203.0.113.0/24' FROM api_keys k"
        " JOIN users u ON u.id = k.user_id WHERE u.project_id = $1",
    ):
        used = [one for number, one in enumerate(refs, 1) if f"${number}" in statement]
        renumbered = statement
        for new, number in enumerate((n for n in range(1, 6) if f"${n}" in statement), 1):
            renumbered = renumbered.replace(f"${number}", f"${new}")
        await pool.execute(renumbered, *used)


async def rows_of(owner: asyncpg.Connection, project_id: UUID) -> tuple[Mapping[str, int], set[str]]:
    """How many rows name a project in each table that can, and their ids."""
    counted, ids = {}, {str(project_id)}
    for table in await owner.fetch(_TABLES):
        if not table["owned"]:
            continue
        rows = await owner.fetch(
            f'SELECT to_jsonb(t) AS row FROM "{table["name"]}" t WHERE project_id = $1', project_id
        )
        counted[table["name"]] = len(rows)
        if table["has_id"] and table["name"] not in KEPT:
            found = await owner.fetch(f'SELECT id FROM "{table["name"]}" WHERE project_id = $1', project_id)
            ids |= {str(row["id"]) for row in found}
    return counted, ids


async def places_of(owner: asyncpg.Connection, ids: set[str]) -> dict[str, list[str]]:
    """In which tables any of these ids stands, in whatever column, as a dump would show it."""
    found = {}
    for table in await owner.fetch(_TABLES):
        query = f'SELECT t::text FROM "{table["name"]}" t WHERE t::text ~ $1 LIMIT 3'
        if rows := await owner.fetch(query, "|".join(ids)):
            found[table["name"]] = [row[0] for row in rows]
    return found


async def removed(door: Door) -> None:
    removal = await claim_removal(door.engine)
    assert removal is not None
    while True:
        state = await remove_some(door.engine, removal)
        assert state != "waits"
        if state == "empty" and await end_removal(door.engine, door.engine.payloads, removal):
            return


async def test_nothing_of_a_project_that_had_one_of_everything_is_left_in_any_table(
    app: FastAPI, ann: Person, person: MakePerson, door: Door, owner_url: str
) -> None:
    things = await make_things(ann, door)
    await fill(ann, door, "weather", things)
    own_key = {"name": "ci", "scopes": ["run:read"], "projects": ["weather"]}
    assert (await ann.client.post("/api/v1/api-keys", json=own_key)).status_code == 201
    zoe = await person("zoe")
    await zoe.client.post("/api/v1/projects", json={"slug": "elsewhere", "name": "Elsewhere"})
    others = await make_things(zoe, door, project="elsewhere")
    await fill(zoe, door, "elsewhere", others)

    owner = await asyncpg.connect(owner_url)
    try:
        project_id, other_id = [
            await owner.fetchval("SELECT id FROM projects WHERE slug = $1", slug) for slug in ("weather", "elsewhere")
        ]
        before, ids = await rows_of(owner, project_id)
        untouched, _ = await rows_of(owner, other_id)
        assert {name for name, rows in before.items() if not rows} == EMPTY.keys(), "say why, or make one"
        assert len(ids) > 25
        broken = {each.invariant.name for each in await audit(door.database.pool)}

        body = {"slug": "weather", "reason": "the trial is over"}
        assert (await ann.client.post("/api/v1/projects/weather/deletion", json=body)).status_code == 201
        await owner.execute("UPDATE project_deletions SET due_at = clock_timestamp()")
        await removed(door)

        after, _ = await rows_of(owner, project_id)
        assert {name for name, rows in after.items() if rows} <= KEPT.keys()
        places = await places_of(owner, ids)
        assert places.keys() <= KEPT.keys(), places
        reached = {row["name"] for row in await owner.fetch(_REACHED)}
        assert reached - before.keys(), "tables that no project_id tells of, over which ids were looked for too"
        kept, _ = await rows_of(owner, other_id)
        assert kept == untouched
        assert {each.invariant.name for each in await audit(door.database.pool)} <= broken, "sparkops doctor"
    finally:
        await owner.close()
    keys = (await ann.client.get("/api/v1/api-keys")).json()["items"]
    assert [(one["projects"], one["status"]) for one in keys] == [([], "revoked")], "her own key leads nowhere"
