"""Who is what in a project, and the people of the installation."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sparkops.api.deps import Door
from sparkops.core.permissions import ROLES, Permission, Role
from sparkops.core.tenancy import sight_of
from sparkops.domains.identity.members import remove_member
from sparkops.domains.identity.queries import principal_of
from tests.api.conftest import MakePerson, Person

MEMBERS = "/api/v1/projects/weather/members"

Join = Callable[[str, Role], Awaitable[Person]]


@pytest.fixture
def join(ann: Person, person: MakePerson) -> Join:
    async def join(name: str, role: Role) -> Person:
        made = await person(name)
        answer = await ann.client.post(MEMBERS, json={"email": made.email, "role": role})
        assert answer.status_code == 201, answer.text
        return made

    return join


async def roles(who: Person) -> dict[str, str]:
    listed = (await who.client.get(MEMBERS)).json()["items"]
    return {one["name"]: one["role"] for one in listed}


async def test_another_role_acts_with_the_next_request_and_is_on_record(ann: Person, join: Join, door: Door) -> None:
    vic = await join("vic", Role.VIEWER)
    assert (await vic.client.post("/api/v1/projects/weather/members", json={"email": "a@b"})).status_code == 403
    changed = await ann.client.put(f"{MEMBERS}/{vic.id}", json={"role": "admin"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["role"] == "admin"
    assert (await vic.client.put(f"{MEMBERS}/{vic.id}", json={"role": "operator"})).status_code == 200
    lines = await door.database.pool.fetch(
        "SELECT action, before, after FROM audit WHERE object = $1 ORDER BY id", f"user:{vic.id}"
    )
    assert [tuple(line) for line in lines] == [
        ("member.put", None, {"role": "viewer"}),
        ("member.put", {"role": "viewer"}, {"role": "admin"}),
        ("member.put", {"role": "admin"}, {"role": "operator"}),
    ]


async def test_for_who_was_removed_the_project_does_not_exist(ann: Person, join: Join) -> None:
    vic = await join("vic", Role.ADMIN)
    assert (await ann.client.delete(f"{MEMBERS}/{vic.id}")).status_code == 204
    assert (await vic.client.get("/api/v1/projects/weather")).status_code == 404
    assert (await vic.client.get("/api/v1/me")).json()["projects"] == []
    assert await roles(ann) == {"ann": "owner"}
    again = await ann.client.delete(f"{MEMBERS}/{vic.id}")
    assert (again.status_code, again.json()["detail"]) == (404, "There is no such member here.")


async def test_a_project_keeps_an_owner_who_may_sign_in(ann: Person, join: Join, door: Door) -> None:
    for attempt in (
        ann.client.delete(f"{MEMBERS}/{ann.id}"),
        ann.client.put(f"{MEMBERS}/{ann.id}", json={"role": "admin"}),
        ann.client.post(MEMBERS, json={"email": ann.email, "role": "viewer"}),
    ):
        answer = await attempt
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "last-owner"), answer.text
    bob = await join("bob", Role.OWNER)
    await door.database.pool.execute("UPDATE users SET disabled_at = now() WHERE id = $1", bob.id)
    assert (await ann.client.delete(f"{MEMBERS}/{ann.id}")).status_code == 409
    await door.database.pool.execute("UPDATE users SET disabled_at = NULL WHERE id = $1", bob.id)
    assert (await ann.client.delete(f"{MEMBERS}/{ann.id}")).status_code == 204
    assert await roles(bob) == {"bob": "owner"}


async def test_of_two_owners_who_remove_each_other_at_once_one_stays(ann: Person, join: Join, door: Door) -> None:
    """Arranged: the first removal is not committed yet when the second begins; it waits, and finds itself alone."""
    bob = await join("bob", Role.OWNER)
    claims = door.signer.read(ann.token)
    actor = await principal_of(door.database.pool, session_id=claims.session_id, user_id=claims.user_id)
    assert actor is not None
    (project,) = actor.places
    async with door.database.walled.begin(sight_of(actor), "write") as session:
        await remove_member(session, actor, project_id=project, user_id=bob.id)
        second = asyncio.create_task(bob.client.delete(f"{MEMBERS}/{ann.id}"))
        async with asyncio.timeout(10):
            while not await door.database.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        assert not second.done()
    answer = await second
    assert answer.status_code == 409, answer.text
    assert await roles(ann) == {"ann": "owner"}


async def test_owners_alone_make_and_unmake_owners(ann: Person, join: Join) -> None:
    admin, dev = await join("adm", Role.ADMIN), await join("dev", Role.DEVELOPER)
    for attempt in (
        admin.client.put(f"{MEMBERS}/{dev.id}", json={"role": "owner"}),
        admin.client.put(f"{MEMBERS}/{admin.id}", json={"role": "owner"}),
        admin.client.post(MEMBERS, json={"email": admin.email, "role": "owner"}),
        admin.client.put(f"{MEMBERS}/{ann.id}", json={"role": "viewer"}),
        admin.client.delete(f"{MEMBERS}/{ann.id}"),
    ):
        answer = await attempt
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "owners-only"), answer.text
    assert (await admin.client.put(f"{MEMBERS}/{dev.id}", json={"role": "admin"})).status_code == 200
    assert (await ann.client.put(f"{MEMBERS}/{dev.id}", json={"role": "owner"})).status_code == 200


async def test_administrators_list_and_find_people(ann: Person, bob: Person, person: MakePerson, door: Door) -> None:
    root = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", root.id)
    await door.database.pool.execute("UPDATE users SET disabled_at = now() WHERE id = $1", bob.id)
    listed = (await root.client.get("/api/v1/users")).json()["items"]
    assert {one["name"]: (one["projects"], one["is_admin"], one["disabled_at"] is None) for one in listed} == {
        "root": (0, True, True),
        "bob": (1, False, False),
        "ann": (1, False, True),
    }
    found = (await root.client.get("/api/v1/users", params={"q": "BOB@"})).json()["items"]
    assert [one["id"] for one in found] == [str(bob.id)]
    assert (await root.client.get("/api/v1/users", params={"q": "%"})).json()["items"] == []
    page = (await root.client.get("/api/v1/users", params={"limit": 2})).json()
    rest = (await root.client.get("/api/v1/users", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [one["name"] for one in (*page["items"], *rest["items"])] == ["root", "bob", "ann"]
    assert "password_hash" not in listed[0]


async def test_the_table_of_permissions_is_what_is_enforced(ann: Person) -> None:
    table = (await ann.client.get("/api/v1/permissions")).json()
    assert {row["role"]: {*row["permissions"]} for row in table["roles"]} == {
        role.value: {one.value for one in allowed} for role, allowed in ROLES.items()
    }
    by_name = {row["permission"]: row for row in table["permissions"]}
    assert set(by_name) == {one.value for one in Permission}
    assert "removeMember" in by_name["member:manage"]["operations"]
    assert by_name["user:manage"]["scope"] == "installation"
    assert "signIn" in table["open"]
    assert "getMe" in table["signed_in"]


async def test_the_database_lets_those_roles_answer_that_the_table_does(ann: Person, join: Join, door: Door) -> None:
    speaks = """SELECT engine.speaks_for(jsonb_populate_record(NULL::approvals, jsonb_build_object(
                  'project_id', p.id, 'demands', '{"approvers": [], "escalate_to": []}'::jsonb)), $1) IS NOT NULL
                  FROM projects p WHERE p.slug = 'weather'"""
    for role, allowed in ROLES.items():
        made = await join(str(role), role)
        may = await door.database.pool.fetchval(speaks, made.id)
        assert may == (Permission.APPROVAL_ANSWER in allowed), role


async def test_who_adds_members_cannot_try_which_addresses_somebody_has(
    ann: Person, eve: Person, person: MakePerson, door: Door
) -> None:
    """Addresses that somebody has are not counted; after twenty of the others there are waits, whoever has the next."""

    async def add(email: str) -> int:
        return (await ann.client.post(MEMBERS, json={"email": email, "role": "viewer"})).status_code

    assert [await add(eve.email) for _ in range(25)] == [201] * 25
    assert [await add(f"nobody-{n}@example.com") for n in range(20)] == [422] * 20
    assert [await add(f"nobody-{n}@example.com") for n in range(5)] == [429] * 5
    assert await add(eve.email) == 429
    noted = await door.database.pool.fetch("SELECT detail FROM security_events WHERE kind = 'sign-in.locked'")
    assert [row["detail"]["counted_by"] for row in noted] == ["strangers"]
