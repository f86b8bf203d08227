"""Service accounts: users of one project that only keys act for."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.core.permissions import Permission
from sparkops.domains.identity.keys import GRANTABLE
from tests.api.conftest import MakePerson, Person
from tests.api.test_api_keys import RUN, make, of_key
from tests.api.things import make_things

ACCOUNTS = "/api/v1/projects/weather/service-accounts"


async def add(person: Person, name: str = "deployer", role: str = "developer", status: int = 201) -> dict[str, Any]:
    answer = await person.client.post(ACCOUNTS, json={"name": name, "role": role})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def key_for(
    client: AsyncClient, account: dict[str, Any], *scopes: Permission, status: int = 201
) -> dict[str, Any]:
    body = {"name": "ci", "scopes": sorted(scopes or GRANTABLE)}
    answer = await client.post(f"{ACCOUNTS}/{account['id']}/keys", json=body)
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def change(person: Person, account: dict[str, Any], status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await person.client.patch(f"{ACCOUNTS}/{account['id']}", json=body)
    assert answer.status_code == status, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def admin(ann: Person, person: MakePerson, role: str = "admin") -> Person:
    made = await person("carl")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": made.email, "role": role})
    return made


async def test_an_account_acts_by_its_keys_in_its_role(app: FastAPI, ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    account = await add(ann, name="watcher", role="viewer")
    made = await key_for(ann.client, account)
    async with of_key(app, made) as machine:
        assert (await machine.get(f"/api/v1/runs/{things.run_id}")).status_code == 200
        assert (await machine.post("/api/v1/runs", json=RUN)).status_code == 403
        await change(ann, account, role="developer")
        run = await machine.post("/api/v1/runs", json=RUN)
        assert run.status_code == 201
        me = (await machine.get("/api/v1/me")).json()
        assert (me["user"]["name"], me["user"]["is_admin"]) == ("watcher", False)
        assert [one["slug"] for one in me["projects"]] == ["weather"]
    listed = (await ann.client.get(ACCOUNTS)).json()["items"]
    assert [(one["name"], one["role"], one["disabled_at"]) for one in listed] == [
        ("watcher", "developer", None),
        ("deployer", "developer", None),
    ]
    keys = (await ann.client.get(f"{ACCOUNTS}/{account['id']}/keys")).json()["items"]
    assert [(one["id"], one["projects"]) for one in keys] == [(made["id"], ["weather"])]


async def test_a_disabled_account_is_refused_until_it_is_enabled_again(app: FastAPI, ann: Person) -> None:
    account = await add(ann)
    async with of_key(app, await key_for(ann.client, account)) as machine:
        assert (await change(ann, account, disabled=True))["disabled_at"] is not None
        assert (await machine.get("/api/v1/me")).status_code == 401
        await change(ann, account, disabled=False)
        assert (await machine.get("/api/v1/me")).status_code == 200


async def test_a_key_of_an_account_is_revoked(app: FastAPI, ann: Person) -> None:
    account, other = await add(ann), await add(ann, name="other")
    made = await key_for(ann.client, account)
    async with of_key(app, made) as machine:
        wrong = await ann.client.post(f"{ACCOUNTS}/{other['id']}/keys/{made['id']}/revoke")
        assert wrong.status_code == 404
        assert (await machine.get("/api/v1/me")).status_code == 200
        answer = await ann.client.post(f"{ACCOUNTS}/{account['id']}/keys/{made['id']}/revoke")
        assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
        assert (await machine.get("/api/v1/me")).status_code == 401


async def test_nobody_makes_an_account_mightier_than_themselves(app: FastAPI, ann: Person, person: MakePerson) -> None:
    await add(ann, role="owner", status=403)
    carl = await admin(ann, person)
    account = await add(carl, name="of-carl", role="admin")
    await change(carl, account, role="owner", status=403)
    weak = await make(ann, Permission.ACCOUNT_MANAGE, Permission.ACCOUNT_READ, Permission.RUN_READ)
    async with of_key(app, weak) as machine:
        body = {"name": "puppet", "role": "developer"}
        assert (await machine.post(ACCOUNTS, json=body)).status_code == 403
        assert (await machine.patch(f"{ACCOUNTS}/{account['id']}", json={"role": "admin"})).status_code == 403
        await key_for(machine, account, Permission.RUN_READ, status=403)


@pytest.mark.parametrize("role", ["developer", "operator", "viewer"])
async def test_accounts_are_managed_by_administrators_of_the_project(
    ann: Person, person: MakePerson, role: str
) -> None:
    account = await add(ann)
    carl = await admin(ann, person, role)
    await add(carl, name="puppet", role="viewer", status=403)
    await key_for(carl.client, account, Permission.RUN_READ, status=403)
    await change(carl, account, role="admin", status=403)
    seen = await carl.client.get(ACCOUNTS)
    assert seen.status_code == (200 if role == "developer" else 403)


async def test_an_account_never_signs_in_and_belongs_to_one_project(ann: Person, door: Door) -> None:
    account = await add(ann)
    pool = door.database.pool
    garden = await ann.client.post("/api/v1/projects", json={"slug": "garden", "name": "Garden"})
    for statement in (
        "UPDATE users SET password_hash = 'x' WHERE id = $1",
        "UPDATE users SET is_admin = true WHERE id = $1",
        "UPDATE users SET kind = 'person' WHERE id = $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(statement, UUID(account["id"]))
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(
            "INSERT INTO memberships (project_id, user_id, role) VALUES ($1, $2, 'viewer')",
            UUID(garden.json()["id"]),
            UUID(account["id"]),
        )


async def test_an_account_of_another_project_looks_like_none(ann: Person, eve: Person) -> None:
    account = await add(ann)
    made = await key_for(ann.client, account)
    await eve.client.post("/api/v1/projects", json={"slug": "elsewhere", "name": "Elsewhere"})
    theirs = "/api/v1/projects/elsewhere/service-accounts"
    for method, path, body in (
        ("PATCH", f"{theirs}/{account['id']}", {"disabled": True}),
        ("GET", f"{theirs}/{account['id']}/keys", None),
        ("POST", f"{theirs}/{account['id']}/keys", {"name": "mine", "scopes": ["run:read"]}),
        ("POST", f"{theirs}/{account['id']}/keys/{made['id']}/revoke", None),
    ):
        answer = await eve.client.request(method, path, json=body)
        assert answer.status_code == 404, (path, answer.text)
    assert (await ann.client.get(f"{ACCOUNTS}/{account['id']}/keys")).json()["items"][0]["status"] == "active"
    mine = await ann.client.post(f"/api/v1/api-keys/{made['id']}/revoke")
    assert mine.status_code == 404, "it belongs to the account, not to who made it"


async def test_a_person_is_no_service_account(ann: Person, bob: Person) -> None:
    await change(ann, {"id": str(bob.id)}, status=404, disabled=True)
    await key_for(ann.client, {"id": str(bob.id)}, Permission.RUN_READ, status=404)


async def test_a_name_is_taken_once_and_changes_are_on_record(ann: Person, door: Door) -> None:
    account = await add(ann)
    await add(ann, status=409)
    await change(ann, account, role="viewer", disabled=True)
    await change(ann, account, status=422)
    made = await key_for(ann.client, account, Permission.RUN_READ)
    await ann.client.post(f"{ACCOUNTS}/{account['id']}/keys/{made['id']}/revoke")
    rows = await door.database.pool.fetch(
        "SELECT action, before, after FROM audit WHERE action ~ '^(account|key)[.]' ORDER BY id"
    )
    assert [row["action"] for row in rows] == ["account.create", "account.change", "key.create", "key.revoke"]
    assert rows[1]["before"] == {"role": "developer", "disabled": False}
    assert rows[1]["after"] == {"role": "viewer", "disabled": True}


async def test_the_rules_know_that_a_service_account_acts(app: FastAPI, ann: Person) -> None:
    source = """\
version: 1
name: people-only
rules:
  - {name: machines, on: [run.create], when: 'principal.kind == "service"', effect: deny, reason: People start runs.}
"""
    await ann.client.post(
        "/api/v1/workflows",
        json={"project": "weather", "source": "version: 1\nname: report\nsteps: [{id: a, type: tool, tool: noop}]\n"},
    )
    saved = await ann.client.post("/api/v1/policies", json={"project": "weather", "source": source})
    assert saved.status_code == 201, saved.text
    published = await ann.client.post(f"/api/v1/policies/{saved.json()['policy']['id']}/publish", json={"version": 1})
    assert published.status_code == 200, published.text
    async with of_key(app, await key_for(ann.client, await add(ann))) as machine:
        refused = await machine.post("/api/v1/runs", json=RUN)
        assert (refused.status_code, refused.json()["type"].endswith("denied-by-policy")) == (403, True), refused.text
    assert (await ann.client.post("/api/v1/runs", json=RUN)).status_code == 201
