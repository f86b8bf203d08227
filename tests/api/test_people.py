"""People as administrators of the installation invite, reset, disable and enable them."""

import asyncio

import pytest
from httpx2 import AsyncClient
from sqlalchemy import update

from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.ids import new_id
from sparkops.domains.identity import service
from sparkops.domains.identity.models import User
from tests.api.conftest import PASSWORD, MakePerson, Person

USERS = "/api/v1/users"
NEW = "three kettles on the shore"
SIGN_IN = "/api/v1/auth/sign-in"


async def become_admin(door: Door, person: Person) -> Person:
    async with door.database.sessions.begin() as session:
        await session.execute(update(User).where(User.id == person.id).values(is_admin=True))
    return person


@pytest.fixture
async def root(door: Door, person: MakePerson) -> Person:
    """An administrator of the installation."""
    return await become_admin(door, await person("root"))


async def actions(door: Door) -> list[tuple[str, str]]:
    return [tuple(row) for row in await door.database.pool.fetch("SELECT action, actor FROM audit ORDER BY id")]


async def test_somebody_is_invited_chooses_a_password_and_is_in(
    anonymous: AsyncClient, door: Door, root: Person
) -> None:
    answer = await root.client.post(USERS, json={"email": "Kim@example.com", "name": "Kim"})
    assert answer.status_code == 201, answer.text
    invited = answer.json()
    assert (invited["purpose"], invited["mailed"], invited["user"]["email"]) == ("invite", False, "kim@example.com")
    path, _, token = invited["link"].partition("#")
    assert path == "/reset"

    assert (await anonymous.post(SIGN_IN, json={"email": "kim@example.com", "password": ""})).status_code == 422
    assert (await anonymous.post(SIGN_IN, json={"email": "kim@example.com", "password": NEW})).status_code == 401
    shown = (await anonymous.post("/api/v1/auth/link", json={"token": token})).json()
    assert (shown["purpose"], shown["name"]) == ("invite", "Kim")
    used = await anonymous.post("/api/v1/auth/password", json={"token": token, "password": NEW})
    assert used.status_code == 204
    assert (await anonymous.post(SIGN_IN, json={"email": "kim@example.com", "password": NEW})).status_code == 200
    assert await actions(door) == [
        ("user.invite", f"user:{root.id}"),
        ("password.set", f"user:{invited['user']['id']}"),
    ]


async def test_an_address_is_invited_once_and_has_to_be_one(root: Person) -> None:
    assert (await root.client.post(USERS, json={"email": "kim@example.com"})).status_code == 201
    assert (await root.client.post(USERS, json={"email": " KIM@example.com"})).status_code == 409
    for email in (
        "kim",
        "kim@",
        "kim@example.com,eve@example.com",
        "kim@example.com\r\nBcc: eve@example.com",
        "<kim@a>",
    ):
        answer = await root.client.post(USERS, json={"email": email})
        assert answer.status_code == 422, email


async def test_an_administrator_makes_a_link_for_who_forgot_the_password(
    anonymous: AsyncClient, door: Door, root: Person, person: MakePerson
) -> None:
    kim = await person("kim")
    link = (await root.client.post(f"{USERS}/{kim.id}/link")).json()
    assert link["purpose"] == "reset"
    assert (await kim.client.get("/api/v1/me")).status_code == 200, "nothing ends before a password is chosen"
    token = link["link"].partition("#")[2]
    assert (await anonymous.post("/api/v1/auth/password", json={"token": token, "password": NEW})).status_code == 204
    assert (await kim.client.get("/api/v1/me")).status_code == 401
    assert (await root.client.post(f"{USERS}/{new_id()}/link")).status_code == 404


async def test_who_is_disabled_is_out_at_once_and_comes_back_with_the_same_password(
    anonymous: AsyncClient, door: Door, root: Person, person: MakePerson
) -> None:
    kim = await person("kim")
    token = (await root.client.post(f"{USERS}/{kim.id}/link")).json()["link"].partition("#")[2]

    for _ in range(2):
        assert (await root.client.post(f"{USERS}/{kim.id}/disable")).status_code == 200

    assert (await kim.client.get("/api/v1/me")).status_code == 401
    login = {"email": kim.email, "password": PASSWORD}
    assert (await anonymous.post(SIGN_IN, json=login)).status_code == 401
    assert (await anonymous.post("/api/v1/auth/link", json={"token": token})).status_code == 404
    assert (await root.client.post(f"{USERS}/{kim.id}/link")).status_code == 409

    assert (await root.client.post(f"{USERS}/{kim.id}/enable")).status_code == 200
    assert (await kim.client.get("/api/v1/me")).status_code == 401, "sessions from before stay ended"
    assert (await anonymous.post(SIGN_IN, json=login)).status_code == 200
    assert [action for action, _ in await actions(door)] == ["user.link", "user.disable", "user.enable"]


async def test_nobody_disables_themselves_and_somebody_else_can(door: Door, root: Person, person: MakePerson) -> None:
    assert (await root.client.post(f"{USERS}/{root.id}/disable")).status_code == 409
    assert (await root.client.get("/api/v1/me")).status_code == 200
    other = await become_admin(door, await person("other"))
    assert (await other.client.post(f"{USERS}/{root.id}/disable")).status_code == 200
    assert (await root.client.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize("path", ["", "/{id}/link", "/{id}/disable", "/{id}/enable"])
async def test_whoever_owns_a_project_is_no_administrator_of_people(ann: Person, bob: Person, path: str) -> None:
    body = {"email": "kim@example.com"} if not path else None
    answer = await ann.client.post(USERS + path.format(id=bob.id), json=body)
    assert answer.status_code == 403
    assert (await bob.client.get("/api/v1/me")).status_code == 200


async def owner_of(door: Door, slug: str) -> set[str]:
    rows = await door.database.pool.fetch(
        "SELECT u.name FROM memberships m JOIN users u ON u.id = m.user_id JOIN projects p ON p.id = m.project_id"
        " WHERE m.role = 'owner' AND u.disabled_at IS NULL AND p.slug = $1",
        slug,
    )
    return {row["name"] for row in rows}


async def test_the_only_owner_of_projects_is_not_disabled_until_they_have_another(
    door: Door, root: Person, ann: Person, bob: Person
) -> None:
    await ann.client.post("/api/v1/projects", json={"slug": "garden", "name": "Garden"})
    refused = await root.client.post(f"{USERS}/{ann.id}/disable")
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "last-owner"), refused.text
    assert refused.json()["projects"] == ["garden", "weather"]
    assert "garden, weather" in refused.json()["detail"]
    assert (await ann.client.get("/api/v1/me")).status_code == 200, "nothing was done"

    for slug in ("weather", "garden"):
        made = await ann.client.post(f"/api/v1/projects/{slug}/members", json={"email": bob.email, "role": "owner"})
        assert made.status_code in (200, 201), made.text
    assert (await root.client.post(f"{USERS}/{ann.id}/disable")).status_code == 200
    refused = await root.client.post(f"{USERS}/{bob.id}/disable")
    assert refused.json()["projects"] == ["garden", "weather"], "ann is an owner who may not sign in"
    assert await owner_of(door, "weather") == {"bob"}


async def test_of_two_owners_who_are_disabled_at_once_one_stays(
    door: Door, root: Person, ann: Person, bob: Person
) -> None:
    """Arranged: the first is disabled and not committed yet when the second is, from the command line and the API; the
    second waits, and is found to be the only one."""
    await ann.client.post("/api/v1/projects/weather/members", json={"email": bob.email, "role": "owner"})
    async with door.database.sessions.begin() as session:
        first = await session.get_one(User, ann.id)
        await service.disable(session, user=first, now=utc_now())
        second = asyncio.create_task(root.client.post(f"{USERS}/{bob.id}/disable"))
        third = asyncio.create_task(bob.client.delete(f"/api/v1/projects/weather/members/{bob.id}"))
        async with asyncio.timeout(20):
            while await door.database.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < 2:
                await asyncio.sleep(0.01)
        assert not second.done()
        assert not third.done()
    assert [(await one).status_code for one in (second, third)] == [409, 409]
    assert await owner_of(door, "weather") == {"bob"}
