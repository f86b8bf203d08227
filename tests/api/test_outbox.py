"""Administrators see what could not be delivered, and send it again."""

from uuid import UUID

from sparkops.api.deps import Door
from sparkops.core.ids import new_id
from tests.api.conftest import Person

DEAD = """
INSERT INTO outbox (id, subscription, project_id, run_id, seq, kind, payload, status, attempt, ended_at, error)
VALUES ($1, 'watch', $2, $3, 4, 'run.failed', '{"data": "private"}', $4, 20, clock_timestamp(),
        '{"code": "timeout", "message": "The handler took longer than 5 s."}')
"""


async def add_entry(door: Door, status: str = "dead") -> UUID:
    entry_id = new_id()
    await door.database.pool.execute(DEAD, entry_id, new_id(), new_id(), status)
    return entry_id


async def made_administrator(door: Door, person: Person) -> None:
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", person.id)


async def test_dead_letters_are_listed_in_pages_newest_first(door: Door, ann: Person) -> None:
    await made_administrator(door, ann)
    entries = [await add_entry(door) for _ in range(3)]
    await add_entry(door, "delivered")
    first = (await ann.client.get("/api/v1/outbox", params={"status": "dead", "limit": 2})).json()
    rest = (await ann.client.get("/api/v1/outbox", params={"cursor": first["next_cursor"]})).json()
    items = first["items"] + rest["items"]
    assert [UUID(item["id"]) for item in items] == entries[::-1]
    assert rest["next_cursor"] is None
    assert items[0]["error"] == {"code": "timeout", "message": "The handler took longer than 5 s."}
    assert "payload" not in items[0]


async def test_a_dead_letter_is_sent_again_once(door: Door, ann: Person) -> None:
    await made_administrator(door, ann)
    entry_id = await add_entry(door)
    answer = await ann.client.post(f"/api/v1/outbox/{entry_id}/redrive")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["attempt"]) == ("pending", 0)
    again = await ann.client.post(f"/api/v1/outbox/{entry_id}/redrive")
    assert (again.status_code, again.json()["type"]) == (409, "urn:sparkops:problem:not-dead")
    missing = await ann.client.post(f"/api/v1/outbox/{new_id()}/redrive")
    assert missing.status_code == 404
    assert (await ann.client.get("/api/v1/outbox")).json()["items"] == []
    line = await door.database.pool.fetchrow("SELECT actor, object FROM audit WHERE action = 'outbox.redrive'")
    assert tuple(line or ()) == (f"user:{ann.id}", f"outbox:{entry_id}")


async def test_another_status_is_refused(door: Door, ann: Person) -> None:
    await made_administrator(door, ann)
    assert (await ann.client.get("/api/v1/outbox", params={"status": "delivered"})).status_code == 422
