"""API keys over HTTP: what they open, what they never do, and when they stop."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from sparkops.api.deps import Door
from sparkops.core.permissions import ROLES, Permission, Role
from sparkops.domains.identity.keys import GRANTABLE, make_key
from tests.api.conftest import ORIGIN, SOURCE, MakePerson, Person, client_of
from tests.api.things import make_things

KEYS = "/api/v1/api-keys"
RUN = {"project": "weather", "workflow": "report"}


async def make(person: Person, *scopes: Permission, status: int = 201, **more: Any) -> dict[str, Any]:
    body = {"name": "ci", "scopes": list(scopes or [Permission.RUN_READ]), "projects": ["weather"]} | more
    answer = await person.client.post(KEYS, json=body)
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def of_key(app: FastAPI, made: dict[str, Any]) -> AsyncClient:
    return client_of(app, Authorization=f"Bearer {made['key']}")


@asynccontextmanager
async def coming_from(app: FastAPI, address: str, key: str) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, client=(address, 4711))
    async with AsyncClient(transport=transport, base_url=ORIGIN, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


async def events(door: Door, kind: str) -> list[dict[str, Any]]:
    rows = await door.database.pool.fetch("SELECT * FROM security_events WHERE kind = $1 ORDER BY id", kind)
    return [dict(row) for row in rows]


@pytest.fixture
async def report(ann: Person) -> None:
    source = SOURCE.format(name="report")
    answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert answer.status_code == 201, answer.text


async def test_a_key_is_shown_once_and_only_its_digest_is_kept(app: FastAPI, ann: Person, door: Door) -> None:
    made = await make(ann, Permission.RUN_READ, Permission.PROJECT_READ)
    assert made["key"].startswith(made["prefix"] + "_")
    assert (made["status"], made["projects"], made["last_used_at"]) == ("active", ["weather"], None)
    assert made["scopes"] == ["project:read", "run:read"]

    listed = (await ann.client.get(KEYS)).json()["items"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    secret = made["key"].removeprefix(made["prefix"])
    for table in ("api_keys", "audit", "security_events"):
        kept = await door.database.pool.fetchval(f"SELECT coalesce(jsonb_agg(to_jsonb(t))::text, '') FROM {table} t")
        assert secret not in kept, table
        assert secret[1:44] not in kept, table


async def test_a_key_does_what_it_was_given_and_nothing_else(app: FastAPI, ann: Person, report: None) -> None:
    made = await make(ann, Permission.RUN_CREATE, Permission.RUN_READ)
    async with of_key(app, made) as machine:
        run = await machine.post("/api/v1/runs", json=RUN)
        assert run.status_code == 201, run.text
        assert (await machine.get(f"/api/v1/runs/{run.json()['id']}")).status_code == 200
        refused = await machine.post(f"/api/v1/runs/{run.json()['id']}/cancel")
        assert refused.status_code == 403
        assert "was not given run:control" in refused.json()["detail"]
        assert (await machine.get("/api/v1/workflows", params={"project": "weather"})).status_code == 403


async def test_every_operation_is_refused_to_a_key_without_its_scope(app: FastAPI, ann: Person, door: Door) -> None:
    """Of each permission: all scopes but this one open no route that needs it."""
    things = await make_things(ann, door)
    values = defaultdict(
        lambda: str(uuid4()), {name: str(getattr(things, name)) for name in things.__dataclass_fields__}
    )
    values |= {"slug": "weather", "version": "1"}
    clients = {
        lacking: of_key(app, await make(ann, *(GRANTABLE - {lacking}), name=lacking)) for lacking in sorted(GRANTABLE)
    }
    none = of_key(app, await make(ann, *GRANTABLE))
    tried = 0
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            need = operation["x-permission"]
            if need in ("open", "signed-in"):
                continue
            asked = [one["name"] for one in operation.get("parameters", [])]
            query = {"project": "weather"} if "project" in asked else {}
            machine = clients.get(need, none)
            answer = await machine.request(method, path.format_map(values), params=query, json={})
            in_body = "requestBody" in operation and "{" not in path and not query
            assert answer.status_code == 403 or (in_body and answer.status_code == 422), (method, path, answer.text)
            tried += 1
    assert tried > 60
    for client in [*clients.values(), none]:
        await client.aclose()


async def test_a_key_reaches_no_project_but_its_own(app: FastAPI, ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    made = await ann.client.post("/api/v1/projects", json={"slug": "garden", "name": "Garden"})
    assert made.status_code == 201
    async with of_key(app, await make(ann, *GRANTABLE, projects=["garden"])) as machine:
        for path in (f"runs/{things.run_id}", f"agents/{things.agent_id}", "projects/weather", "runs?project=weather"):
            answer = await machine.get(f"/api/v1/{path}")
            assert answer.status_code == 404, (path, answer.text)
        answer = await machine.post("/api/v1/runs", json=RUN)
        assert answer.status_code == 404
        assert [one["slug"] for one in (await machine.get("/api/v1/projects")).json()["items"]] == ["garden"]
        assert [one["slug"] for one in (await machine.get("/api/v1/me")).json()["projects"]] == ["garden"]


async def test_a_key_never_may_more_than_its_owner_may_now(
    app: FastAPI, ann: Person, bob: Person, report: None
) -> None:
    made = await make(bob, Permission.RUN_CREATE, Permission.WORKFLOW_READ, Permission.PROJECT_READ)
    members = "/api/v1/projects/weather/members"
    async with of_key(app, made) as machine:
        assert (await machine.post("/api/v1/runs", json=RUN)).status_code == 201
        await ann.client.post(members, json={"email": bob.email, "role": "viewer"})
        assert (await machine.post("/api/v1/runs", json=RUN)).status_code == 403
        assert (await machine.get("/api/v1/projects/weather")).status_code == 200
        await door_of(app).database.pool.execute("DELETE FROM memberships WHERE user_id = $1", bob.id)
        assert (await machine.get("/api/v1/projects/weather")).status_code == 404
        assert (await machine.post("/api/v1/runs", json=RUN)).status_code == 404
        await ann.client.post(members, json={"email": bob.email, "role": "operator"})
        assert (await machine.post("/api/v1/runs", json=RUN)).status_code == 201


def door_of(app: FastAPI) -> Door:
    door: Door = app.state.door
    return door


async def test_nobody_gives_a_key_what_they_may_not_do(ann: Person, bob: Person) -> None:
    await ann.client.post("/api/v1/projects/weather/members", json={"email": bob.email, "role": "viewer"})
    refused = await make(bob, Permission.RUN_READ, Permission.RUN_CREATE, status=403)
    assert "run:create" in refused["detail"]
    assert "run:read" not in refused["detail"]
    for never in (Permission.APPROVAL_ANSWER, Permission.USER_MANAGE, Permission.INSTALLATION_MANAGE):
        refused = await make(ann, never, status=422)
        assert refused["errors"] == [{"path": "scopes", "message": f"{never} is for people"}]
    assert (await bob.client.get(KEYS)).json()["items"] == []


async def test_what_an_administrator_may_do_to_the_installation_no_key_of_theirs_may(
    app: FastAPI, ann: Person, door: Door
) -> None:
    made = await make(ann, *GRANTABLE)
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    budget = {"name": "all", "scope": "installation", "period": "month", "limit_calls": 1}
    async with of_key(app, made) as machine:
        assert (await machine.get("/api/v1/outbox")).status_code == 403
        assert (await machine.post("/api/v1/budgets", json=budget)).status_code == 403
        assert (await machine.get("/api/v1/me")).json()["user"]["is_admin"] is False


async def test_no_key_makes_keys_of_a_person_or_ends_their_session(app: FastAPI, ann: Person) -> None:
    made = await make(ann, *GRANTABLE)
    async with of_key(app, made) as machine:
        again = {"name": "more", "scopes": ["run:read"], "projects": ["weather"]}
        for method, path, body in (
            ("POST", KEYS, again),
            ("GET", KEYS, None),
            ("POST", f"{KEYS}/{made['id']}/revoke", None),
            ("POST", "/api/v1/auth/sign-out", None),
            ("POST", "/api/v1/live/tickets", None),
            ("POST", "/api/v1/projects", {"slug": "new", "name": "New"}),
        ):
            answer = await machine.request(method, path, json=body)
            assert answer.status_code == 403, (path, answer.text)
            assert "for people who have signed in" in answer.json()["detail"], path


async def test_a_revoked_key_is_refused_from_the_next_request_on(app: FastAPI, ann: Person, bob: Person) -> None:
    made = await make(ann)
    async with of_key(app, made) as machine:
        assert (await machine.get("/api/v1/me")).status_code == 200
        assert (await bob.client.post(f"{KEYS}/{made['id']}/revoke")).status_code == 404
        assert (await machine.get("/api/v1/me")).status_code == 200
        first = await ann.client.post(f"{KEYS}/{made['id']}/revoke")
        assert (first.status_code, first.json()["status"]) == (200, "revoked")
        refused = await machine.get("/api/v1/me")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        again = await ann.client.post(f"{KEYS}/{made['id']}/revoke")
        assert again.json()["revoked_at"] == first.json()["revoked_at"]


async def test_a_key_that_has_run_out_is_refused(app: FastAPI, ann: Person, door: Door) -> None:
    made = await make(ann, expires_in_days=1)
    async with of_key(app, made) as machine:
        assert (await machine.get("/api/v1/me")).status_code == 200
        await door.database.pool.execute("UPDATE api_keys SET expires_at = now()")
        assert (await machine.get("/api/v1/me")).status_code == 401
        assert (await ann.client.get(KEYS)).json()["items"][0]["status"] == "expired"


async def test_a_key_of_somebody_who_was_disabled_is_refused(app: FastAPI, ann: Person, door: Door) -> None:
    made = await make(ann)
    async with of_key(app, made) as machine:
        await door.database.pool.execute("UPDATE users SET disabled_at = now() WHERE id = $1", ann.id)
        assert (await machine.get("/api/v1/me")).status_code == 401
        await door.database.pool.execute("UPDATE users SET disabled_at = NULL WHERE id = $1", ann.id)
        assert (await machine.get("/api/v1/me")).status_code == 200


async def test_what_was_never_given_out_is_refused_without_asking_the_database(
    app: FastAPI, ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(ann)

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr("sparkops.api.key_access.holder_of", never)
    typo = made["key"][:-1] + ("0" if made["key"][-1] != "0" else "1")
    for text in (typo, made["key"][:-1], made["key"] + "0", made["prefix"], "spk_", "spk_" + "A" * 62):
        async with client_of(app, Authorization=f"Bearer {text}") as machine:
            answer = await machine.get("/api/v1/me")
            assert answer.status_code == 401, text
            assert made["key"] not in answer.text


async def test_the_id_of_a_key_with_another_secret_is_refused_and_noted_once_a_minute(
    app: FastAPI, ann: Person, door: Door
) -> None:
    made = await make(ann)
    wrong = with_secret_of_another(made["prefix"])
    async with client_of(app, Authorization=f"Bearer {wrong}") as thief:
        for _ in range(5):
            assert (await thief.get("/api/v1/me")).status_code == 401
    (event,) = await events(door, "key.refused")
    assert (event["severity"], event["user_id"]) == ("warning", ann.id)
    assert event["detail"] == {"key_id": made["id"]}
    async with client_of(app, Authorization=f"Bearer {make_key().text}") as stranger:
        assert (await stranger.get("/api/v1/me")).status_code == 401
    assert len(await events(door, "key.refused")) == 1


def with_secret_of_another(prefix: str) -> str:
    """A whole key with a right check that begins as this one does."""
    from sparkops.domains.identity.keys import _check_of  # noqa: PLC0415 -- as whoever read the source would

    body = f"{prefix}_{make_key().text[17:60]}"
    return body + _check_of(body)


async def test_its_use_is_noted_once_a_minute_with_the_network(app: FastAPI, ann: Person, door: Door) -> None:
    made = await make(ann)
    async with coming_from(app, "203.0.113.7", made["key"]) as machine:
        await machine.get("/api/v1/me")
        (before,) = (await ann.client.get(KEYS)).json()["items"]
        assert (before["last_used_from"], before["last_used_at"] is not None) == ("203.0.113.0/24", True)
        await machine.get("/api/v1/me")
        assert (await ann.client.get(KEYS)).json()["items"] == [before]
        await door.database.pool.execute("UPDATE api_keys SET last_used_at = now() - interval '61 seconds'")
        await machine.get("/api/v1/me")
        (after,) = (await ann.client.get(KEYS)).json()["items"]
        assert after["last_used_at"] > before["last_used_at"]


async def test_the_first_use_from_another_network_is_a_security_event(app: FastAPI, ann: Person, door: Door) -> None:
    made = await make(ann)
    for address in (
        "203.0.113.7",
        "203.0.113.99",
        "2001:db8:1:2::1",
        "2001:db8:1:9::2",
        "203.0.113.7",
        "2001:db8:1::7",
    ):
        async with coming_from(app, address, made["key"]) as machine:
            await asyncio.gather(*(machine.get("/api/v1/me") for _ in range(5)))
    (event,) = await events(door, "key.new-network")
    assert event["detail"] == {"key_id": made["id"], "network": "2001:db8:1::/48"}
    assert (event["user_id"], event["severity"]) == (ann.id, "warning")


async def test_what_foreign_projects_are_called_is_not_told(ann: Person, eve: Person) -> None:
    foreign = await make(eve, status=404)
    missing = await make(eve, status=404, projects=["nowhere"])
    assert foreign["detail"].replace("weather", "nowhere") == missing["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"scopes": []},
        {"scopes": ["run:fly"]},
        {"projects": []},
        {"expires_in_days": 0},
        {"expires_in_days": 3_651},
        {"name": ""},
        {"user_id": str(uuid4())},
        {"secret_hash": "0" * 64},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(ann: Person, body: dict[str, Any]) -> None:
    await make(ann, status=422, **body)


async def test_making_and_revoking_is_on_record_in_each_project(ann: Person, door: Door) -> None:
    await ann.client.post("/api/v1/projects", json={"slug": "garden", "name": "Garden"})
    made = await make(ann, projects=["weather", "garden"])
    await ann.client.post(f"{KEYS}/{made['id']}/revoke")
    rows = await door.database.pool.fetch(
        "SELECT a.action, p.slug, a.object, a.detail FROM audit a JOIN projects p ON p.id = a.project_id"
        " WHERE a.action LIKE 'key.%' ORDER BY a.id"
    )
    assert [(row["action"], row["slug"]) for row in rows] == [
        *(("key.create", slug) for slug in ("weather", "garden")),
        *(("key.revoke", slug) for slug in after(rows)),
    ]
    assert all(row["object"] == f"key:{made['id']}" for row in rows)


def after(rows: Iterable[Any]) -> list[str]:
    """The projects of the second half, which comes in the order of ids."""
    found = [row["slug"] for row in rows if row["action"] == "key.revoke"]
    assert sorted(found) == ["garden", "weather"]
    return found


async def test_nobody_has_more_keys_than_they_can_keep_an_eye_on(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkops.domains.identity.api_keys.MAX_LIVE_KEYS", 2)
    first, _ = await make(ann), await make(ann)
    await make(ann, status=409)
    await ann.client.post(f"{KEYS}/{first['id']}/revoke")
    await make(ann)


async def test_the_list_has_pages_and_scopes_are_told_with_their_roles(ann: Person) -> None:
    made = [(await make(ann, name=f"key {number}"))["id"] for number in range(3)]
    page = (await ann.client.get(KEYS, params={"limit": "2"})).json()
    rest = (await ann.client.get(KEYS, params={"limit": "2", "cursor": page["next_cursor"]})).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == made[::-1]
    scopes = {one["scope"]: one["roles"] for one in (await ann.client.get(f"{KEYS}/scopes")).json()["items"]}
    assert scopes.keys() == GRANTABLE
    assert scopes["budget:manage"] == ["owner", "admin"]


async def test_a_run_knows_the_key_that_started_it_and_a_budget_holds_for_each_key(
    app: FastAPI, ann: Person, door: Door, report: None
) -> None:
    first, second = await make(ann, *GRANTABLE, name="first"), await make(ann, *GRANTABLE, name="second")
    budget = {"project": "weather", "name": "keys", "scope": "api_key", "period": "month", "limit_runs": 1}
    defined = await ann.client.post("/api/v1/budgets", json=budget)
    assert defined.status_code == 201, defined.text
    for made in (first, second):
        async with of_key(app, made) as machine:
            run = await machine.post("/api/v1/runs", json=RUN)
            assert run.status_code == 201, run.text
            by = await door.database.pool.fetchval(
                "SELECT created_by_key FROM runs WHERE id = $1", UUID(run.json()["id"])
            )
            assert str(by) == made["id"]
            refused = await machine.post("/api/v1/runs", json=RUN)
            assert (refused.status_code, refused.json()["name"]) == (403, "keys"), refused.text
    for _ in range(3):
        assert (await ann.client.post("/api/v1/runs", json=RUN)).status_code == 201
    windows = (await ann.client.get(f"/api/v1/budgets/{defined.json()['id']}/windows")).json()["items"]
    assert sorted(one["member"]["name"] for one in windows) == ["first", "second"]


async def test_a_budget_can_be_for_one_key_alone(app: FastAPI, ann: Person, eve: Person, report: None) -> None:
    one, other = await make(ann, *GRANTABLE), await make(ann, *GRANTABLE)
    budget = {"project": "weather", "name": "one", "scope": "api_key", "period": "month", "limit_runs": 0}
    defined = await ann.client.post("/api/v1/budgets", json=budget | {"target": one["id"]})
    assert (defined.status_code, defined.json()["target"]["name"]) == (201, "ci"), defined.text
    async with of_key(app, one) as first, of_key(app, other) as second:
        assert (await first.post("/api/v1/runs", json=RUN)).status_code == 403
        assert (await second.post("/api/v1/runs", json=RUN)).status_code == 201
    await eve.client.post("/api/v1/projects", json={"slug": "elsewhere", "name": "Elsewhere"})
    foreign = await eve.client.post("/api/v1/budgets", json=budget | {"project": "elsewhere", "target": one["id"]})
    assert foreign.status_code == 422


async def test_approvals_are_answered_by_people_whatever_a_key_was_given(
    app: FastAPI, ann: Person, person: MakePerson, door: Door
) -> None:
    things = await make_things(ann, door)
    assert all(Permission.APPROVAL_ANSWER in ROLES[role] for role in (Role.OPERATOR, Role.OWNER))
    async with of_key(app, await make(ann, *GRANTABLE)) as machine:
        answer = await machine.post(f"/api/v1/approvals/{things.approval_id}/approve", json={})
        assert answer.status_code == 403


async def test_no_key_says_who_belongs_to_a_project_not_even_one_that_was_given_that(
    app: FastAPI, ann: Person, bob: Person, eve: Person, door: Door
) -> None:
    """Whoever got hold of a key would keep a way in. Keys that were made when it could be given do not count for it."""
    refused = await ann.client.post(KEYS, json={"name": "m", "scopes": ["member:manage"], "projects": ["weather"]})
    assert refused.status_code == 422, refused.text
    made = await make(ann, Permission.MEMBER_READ)
    await door.database.pool.execute("UPDATE api_keys SET scopes = '{member:manage,member:read}'")
    members = "/api/v1/projects/weather/members"
    async with of_key(app, made) as machine:
        assert (await machine.get(members)).status_code == 200
        for attempt in (
            machine.post(members, json={"email": eve.email, "role": "owner"}),
            machine.post(members, json={"email": eve.email, "role": "viewer"}),
            machine.put(f"{members}/{bob.id}", json={"role": "owner"}),
            machine.delete(f"{members}/{bob.id}"),
        ):
            answer = await attempt
            assert answer.status_code == 403, answer.text
            assert "was not given member:manage" in answer.json()["detail"]
    listed = (await ann.client.get(KEYS)).json()["items"]
    assert [one["scopes"] for one in listed] == [["member:read"]]
