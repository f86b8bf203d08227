"""`Idempotency-Key`: the same request with the same key creates one thing, whatever happens in between."""

import asyncio
import gzip
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import Response as Answer
from sqlalchemy import func, select, update

from sparkops.api import once
from sparkops.api.app import create_app
from sparkops.api.deps import Door
from sparkops.api.once import HEADER, REPLAYED
from sparkops.api.schema import document
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.domains.approvals.models import ApprovalMessage
from sparkops.domains.idempotency import queries
from sparkops.domains.idempotency.models import IdempotencyKey
from sparkops.domains.projects.models import Project
from tests.api.conftest import SOURCE, MakePerson, Person
from tests.api.things import make_things

NEW = {"slug": "second", "name": "Second"}
WORKFLOW = {"project": "weather", "source": SOURCE.format(name="report")}


async def create(person: Person, key: str = "k-1", path: str = "/projects", body: Any = NEW) -> Answer:
    return await person.client.post(f"/api/v1{path}", json=body, headers={HEADER: key})


def test_every_creating_route_takes_a_key() -> None:
    without = set()
    for methods in document(create_app(Settings()))["paths"].values():
        for method, operation in methods.items():
            names = {one["name"].lower() for one in operation.get("parameters", [])}
            if method == "post" and "201" in operation["responses"] and HEADER.lower() not in names:
                without.add(operation["operationId"])
    assert without <= {"setUp"}, "only who is nobody yet creates without one"


async def test_the_same_request_is_answered_alike_and_done_once(ann: Person, door: Door) -> None:
    first, again = await create(ann), await create(ann)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert again.headers["content-type"] == "application/json"
    async with door.database.sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Project)) == 2


async def test_without_a_key_nothing_is_kept(ann: Person, door: Door) -> None:
    assert (await ann.client.post("/api/v1/projects", json=NEW)).status_code == 201
    assert (await ann.client.post("/api/v1/projects", json=NEW)).status_code == 409
    assert await kept(door) == []


async def test_another_request_with_the_same_key_is_refused(ann: Person) -> None:
    await create(ann)
    answer = await create(ann, body={"slug": "third", "name": "Third"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:idempotency-key-reused")


async def test_keys_are_of_one_caller_and_one_route(ann: Person, person: MakePerson) -> None:
    zoe = await person("zoe")
    assert (await create(ann)).status_code == 201
    theirs = await create(zoe, body={"slug": "zoes", "name": "Zoe's"})
    assert (theirs.status_code, REPLAYED in theirs.headers) == (201, False)
    assert (await create(ann, path="/workflows", body=WORKFLOW)).status_code == 201


async def test_a_refused_request_leaves_its_key_free(ann: Person) -> None:
    assert (await create(ann, body={"slug": "weather", "name": "Taken"})).status_code == 409
    assert (await create(ann, body={"slug": "No Slug"})).status_code == 422
    assert (await create(ann)).status_code == 201


async def test_a_hundred_at_once_create_one(ann: Person, door: Door) -> None:
    answers = await asyncio.gather(*[create(ann) for _ in range(100)])

    statuses = {answer.status_code for answer in answers}
    assert 201 in statuses
    assert statuses <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "urn:sparkops:problem:idempotency-key-in-use"
            assert answer.headers["retry-after"] == "1"
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1


async def test_the_answer_and_the_work_are_kept_together_or_not_at_all(
    ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the answer cannot be written, after the project was."""

    async def broken(*_: object, **__: object) -> bool:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr(queries, "answer_with", broken)
        assert (await create(ann)).status_code == 500
    assert (await ann.client.get("/api/v1/projects/second")).status_code == 404
    assert (await create(ann)).status_code == 201


async def test_who_died_holds_the_key_for_a_minute_and_the_next_one_does_the_work(ann: Person, door: Door) -> None:
    """Arranged: a key was taken, and nothing more was heard."""
    await create(ann)
    async with door.database.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(status=None, answer=None))
        await session.execute(update(Project).where(Project.slug == "second").values(slug="gone"))
    assert (await create(ann)).status_code == 409

    async with door.database.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(expires_at=utc_now()))
    answer = await create(ann)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)


async def test_who_took_too_long_does_not_overwrite_the_next_one(
    ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arranged: the claim lapses while the route runs, and somebody else takes the key."""
    true = queries.answer_with

    async def late(session: Any, key: Any, claim: Any, **given: Any) -> bool:
        await door.database.pool.execute("UPDATE idempotency_keys SET claim = $1", uuid4())
        return await true(session, key, claim, **given)

    monkeypatch.setattr(queries, "answer_with", late)
    assert (await create(ann)).status_code == 409
    assert (await ann.client.get("/api/v1/projects/second")).status_code == 404, "its work was rolled back"


async def test_after_a_day_a_key_is_new(ann: Person, door: Door) -> None:
    await create(ann)
    async with door.database.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert (await create(ann)).status_code == 409, "it is done, and the name is taken"


async def test_work_that_commits_by_itself_is_answered_alike_too(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    path = f"/approvals/{things.approval_id}/messages"
    first = await create(ann, path=path, body={"text": "which?"})
    again = await create(ann, path=path, body={"text": "which?"})
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    async with door.database.sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(ApprovalMessage)) == 1


async def test_nothing_of_the_answer_can_be_read_in_the_database(ann: Person, door: Door) -> None:
    await create(ann, key="a key of ann", body={"slug": "second", "name": "Canary 4711"})
    [row] = await kept(door)
    stored = b"".join(bytes(one) for one in (row.key_hash, row.request_hash, row.answer or b""))
    assert b"Canary" not in stored
    assert b"ann" not in stored
    assert b"second" not in stored
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(row.answer or b"")


async def test_an_answer_of_another_row_is_not_given(ann: Person, door: Door) -> None:
    """Somebody who may write the table swaps two answers."""
    await create(ann, "k-1")
    await create(ann, "k-2", body={"slug": "third", "name": "Third"})
    await door.database.pool.execute(
        "UPDATE idempotency_keys k SET answer = o.answer FROM idempotency_keys o WHERE o.key_hash <> k.key_hash"
    )
    assert (await create(ann, "k-1")).status_code == 409


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "ü", "tab\there"])
async def test_a_key_is_a_short_printable_text(ann: Person, key: str) -> None:
    answer = await ann.client.post("/api/v1/projects", json=NEW, headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 422, answer.text


async def test_who_may_not_create_learns_nothing_by_a_key(ann: Person, eve: Person) -> None:
    body = {"email": "eve@example.com"}
    path = "/projects/weather/members"
    assert (await create(ann, path=path, body=body)).status_code == 201
    await ann.client.request("DELETE", f"/api/v1/projects/weather/members/{eve.id}")
    stranger = await create(eve, path=path, body=body)
    assert stranger.status_code in (403, 404)


async def test_a_key_changes_nothing_for_nobody(app: FastAPI, anonymous: Any, door: Door) -> None:
    answer = await anonymous.post("/api/v1/projects", json=NEW, headers={HEADER: "k-1"})
    assert answer.status_code == 401
    assert await kept(door) == []


async def test_keys_that_have_run_out_are_deleted_on_the_way(
    ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "PURGE_EVERY", 1)
    await create(ann)
    async with door.database.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    await create(ann, "k-2", body={"slug": "third", "name": "Third"})
    assert len(await kept(door)) == 1


async def kept(door: Door) -> list[IdempotencyKey]:
    async with door.database.sessions.begin() as session:
        return list(await session.scalars(select(IdempotencyKey)))
