"""Events from outside over HTTP: once per id, bounded, and only into projects of the sender."""

from typing import Any

import pytest
from httpx2 import Response

from tests.api.conftest import Person

URL = "/api/v1/events"


async def send(person: Person, **changed: Any) -> Response:
    body = {"project": "weather", "id": "e-1", "name": "payment.received", "data": {"order": 7}, **changed}
    return await person.client.post(URL, json=body)


async def test_an_event_is_received_once(ann: Person) -> None:
    first, again = await send(ann), await send(ann)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["id"], first.json()["data"]) == ("e-1", {"order": 7})


@pytest.mark.parametrize("changed", [{"data": {"order": 8}}, {"name": "payment.refused"}])
async def test_an_id_that_was_used_for_another_event_conflicts(ann: Person, changed: dict[str, Any]) -> None:
    await send(ann)
    answer = await send(ann, **changed)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sparkops:problem:event-mismatch")


async def test_a_number_that_cannot_be_kept_is_refused_with_its_place(ann: Person) -> None:
    answer = await send(ann, data={"orders": [{"number": -(2**70)}]})
    assert answer.status_code == 422, answer.text
    assert "orders[0].number is not between" in answer.json()["errors"][0]["message"]


async def test_data_that_cannot_be_told_apart_is_the_same(ann: Person) -> None:
    assert (await send(ann, data={"a": 1, "b": 2.0})).status_code == 201
    assert (await send(ann, data={"b": 2.0, "a": 1})).status_code == 200


async def test_a_stranger_sends_nothing_and_sees_nothing(ann: Person, eve: Person) -> None:
    assert (await send(eve)).status_code == 404
    await send(ann)
    assert (await eve.client.get(URL, params={"project": "weather"})).status_code == 404


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"name": "Payment"}, 422),
        ({"name": ""}, 422),
        ({"id": ""}, 422),
        ({"id": "x" * 201}, 422),
        ({"data": "x" * (256 * 1024)}, 413),
        ({"data": "a\0b"}, 422),
        ({"more": 1}, 422),
    ],
)
async def test_what_an_event_may_be_is_bounded(ann: Person, changed: dict[str, Any], status: int) -> None:
    assert (await send(ann, **changed)).status_code == status


async def test_events_are_listed_newest_first_in_pages_and_by_name(ann: Person) -> None:
    for number in range(3):
        await send(ann, id=f"e-{number}", name=f"n{number % 2}")
    page = (await ann.client.get(URL, params={"project": "weather", "limit": 2})).json()
    rest = (await ann.client.get(URL, params={"project": "weather", "cursor": page["next_cursor"]})).json()
    named = (await ann.client.get(URL, params={"project": "weather", "name": "n1"})).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == ["e-2", "e-1", "e-0"]
    assert rest["next_cursor"] is None
    assert [one["id"] for one in named["items"]] == ["e-1"]
