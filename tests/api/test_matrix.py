"""Who may do what: every operation of the document, tried by everybody there is, on what is theirs and what is not.

What should happen is read from the permission table (`core/permissions.py`) and from what each route declares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from sparkops.api import tokens
from sparkops.api.access import OPEN, PERSON, SIGNED_IN
from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.permissions import INSTALLATION, ROLES, Permission, Role
from sparkops.domains.identity.keys import GRANTABLE
from sparkops.domains.identity.queries import principal_of
from tests.api.conftest import MakePerson, Person, client_of, only_administrators_create_projects
from tests.api.test_walls import (
    BODIES,
    QUERIES,
    WITH_A_MARK,
    Operation,
    ids_of,
    need_of,
    nowhere,
    operations,
    send,
    told,
)
from tests.api.things import Things, make_things

OWN_REASONS = {"own-request", "not-an-approver", "owners-only", "edit-refused"}
"""Refusals that have nothing to do with roles: who is let through to them has passed the wall."""
ENDS_THE_SESSION = {"signOut"}
MADE_FOR_IT = {"user_id": "a member", "entry_id": "an entry of the outbox", "session_id": "a session of one's own"}
"""Ids in paths that do not come from `make_things`."""


@dataclass(frozen=True)
class Cast:
    """Everybody, and what they act on."""

    things: Things
    members: Mapping[Role, Person]
    elsewhere: Person
    """Administrator of another project."""
    root: Person
    """Administrator of the installation, and in no project."""
    spare: Person
    """Whom members are added, changed and removed with."""


@pytest.fixture
async def everybody(ann: Person, person: MakePerson, door: Door) -> Cast:
    things = await make_things(ann, door)
    members = {Role.OWNER: ann}
    for role in Role:
        if role is not Role.OWNER:
            members[role] = await person(str(role))
            await join(ann, members[role], role)
    elsewhere = await person("zoe")
    made = await elsewhere.client.post("/api/v1/projects", json={"slug": "elsewhere", "name": "Elsewhere"})
    assert made.status_code == 201, made.text
    root = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", root.id)
    return Cast(things, members, elsewhere, root, await person("sam"))


async def join(owner: Person, somebody: Person, role: Role, project: str = "weather") -> None:
    body = {"email": somebody.email, "role": role}
    answer = await owner.client.post(f"/api/v1/projects/{project}/members", json=body)
    assert answer.status_code == 201, answer.text


def own(cast: Cast, path: str) -> dict[str, str]:
    things = {name: str(getattr(cast.things, name)) for name in cast.things.__dataclass_fields__}
    return nowhere(path) | things | {"slug": "weather", "user_id": str(cast.spare.id)}


def code_of(answer: Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2] if answer.status_code >= 400 else ""


def passed(answer: Response) -> bool:
    """Whether somebody was let through to the operation, whatever came of it."""
    if answer.status_code == 403:
        return code_of(answer) in OWN_REASONS
    return answer.status_code not in (401, 404) and answer.status_code < 500


def of_projects(app: FastAPI) -> Iterator[tuple[Operation, Permission]]:
    for operation in operations(app):
        if need_of(operation) not in {OPEN, SIGNED_IN, PERSON, *INSTALLATION}:
            yield operation, Permission(need_of(operation))


@pytest.mark.parametrize("role", list(Role)[::-1])
async def test_each_role_is_let_through_to_what_it_may_and_to_nothing_else(
    app: FastAPI, everybody: Cast, role: Role
) -> None:
    """The least first: what it must not do leaves everything as it is. Each role has an installation of its own."""
    wrong, tried = [], 0
    actor = everybody.members[role]
    for operation, permission in of_projects(app):
        name = operation[2]["operationId"]
        if permission in ROLES[role] and name in ("changeMember", "removeMember"):
            await join(everybody.members[Role.OWNER], everybody.spare, Role.VIEWER)
        answer = await send(actor.client, operation, own(everybody, operation[1]))
        if permission in ROLES[role]:
            right = passed(answer) or name in WITH_A_MARK
        else:
            right = answer.status_code == 403 and str(permission) in answer.json()["detail"]
        if not right:
            wrong.append((name, str(permission), answer.status_code, answer.text[:200]))
        tried += 1
    assert not wrong
    assert tried > 60


async def test_what_a_matrix_needs_is_there(app: FastAPI, everybody: Cast) -> None:
    """A new operation is tried on something that exists: make it in `tests/api/things.py`."""
    known = {*everybody.things.__dataclass_fields__, *MADE_FOR_IT, "slug", "version"}
    assert not {(path, name) for _, path, _ in operations(app) for name in ids_of(path) - known}


async def test_who_does_not_belong_to_a_project_finds_nothing_of_it(app: FastAPI, everybody: Cast) -> None:
    for operation, _ in of_projects(app):
        for actor in (everybody.elsewhere, everybody.root):
            foreign = await send(actor.client, operation, own(everybody, operation[1]))
            missing = await send(actor.client, operation, nowhere(operation[1]), project="nowhere")
            assert foreign.status_code == 404, (operation[2]["operationId"], foreign.text)
            assert told(foreign) == told(missing), operation[2]["operationId"]


async def test_what_does_not_exist_is_not_found_whatever_the_role(app: FastAPI, everybody: Cast) -> None:
    for operation, _ in of_projects(app):
        for actor in everybody.members.values():
            answer = await send(actor.client, operation, nowhere(operation[1]), project="nowhere")
            assert answer.status_code == 404, (operation[2]["operationId"], answer.text)


async def test_the_installation_is_for_its_administrators(app: FastAPI, everybody: Cast) -> None:
    only_administrators_create_projects(app)
    tried = set()
    for operation in operations(app):
        name = operation[2]["operationId"]
        if need_of(operation) not in INSTALLATION:
            continue
        for actor in (*everybody.members.values(), everybody.elsewhere):
            refused = await send(actor.client, operation, nowhere(operation[1]))
            assert refused.status_code == 403, (name, refused.text)
        answer = await send(everybody.root.client, operation, nowhere(operation[1]))
        assert answer.status_code not in (401, 403), (name, answer.text)
        assert answer.status_code < 500, (name, answer.text)
        tried.add(name)
    assert {"listUsers", "createProject"} <= tried


async def test_who_is_nobody_any_more_is_refused_everything(
    app: FastAPI, everybody: Cast, door: Door, person: MakePerson
) -> None:
    strangers = await nobodies(app, door, person, everybody)
    for operation in operations(app):
        if need_of(operation) == OPEN:
            continue
        for why, client in strangers.items():
            answer = await send(client, operation, own(everybody, operation[1]))
            assert answer.status_code == 401, (operation[2]["operationId"], why, answer.text)


async def nobodies(app: FastAPI, door: Door, person: MakePerson, everybody: Cast) -> dict[str, AsyncClient]:
    """Clients that are nobody, each in another way; all of them have been, or could be, owners."""
    disabled, revoked, owner = await person("dis"), await person("rev"), everybody.members[Role.OWNER]
    for one in (disabled, revoked):
        await join(owner, one, Role.OWNER)
    await door.database.pool.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled.id)
    await door.database.pool.execute("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", revoked.id)
    claims = door.signer.read(owner.token)
    ids = {"user_id": claims.user_id, "session_id": claims.session_id}
    before = utc_now() - timedelta(hours=1)
    secret = cast(Any, door.settings.secret_key).get_secret_value()
    body = jwt.decode(owner.token, options={"verify_signature": False})
    forged = {
        "wrong audience": jwt.encode(body | {"aud": "elsewhere"}, secret, algorithm=tokens.ALGORITHM),
        "wrong key": jwt.encode(body, "w" * 32, algorithm=tokens.ALGORITHM),
        "expired": door.signer.issue(**ids, now=before),
        "disabled": disabled.token,
        "revoked": revoked.token,
        "no token": "",
    }
    return {why: client_of(app, Authorization=f"Bearer {token}") for why, token in forged.items()}


async def test_people_who_are_signed_in_may_use_what_is_for_all_of_them(app: FastAPI, everybody: Cast) -> None:
    for operation in operations(app):
        name = operation[2]["operationId"]
        if need_of(operation) not in {SIGNED_IN, PERSON} or name in ENDS_THE_SESSION:
            continue
        answer = await send(everybody.elsewhere.client, operation, nowhere(operation[1]))
        assert answer.status_code not in (401, 403), (name, answer.text)


async def key_of(owner: Person, scopes: list[Permission], project: str) -> str:
    body = {"name": f"for {project}", "scopes": scopes, "projects": [project]}
    made = await owner.client.post("/api/v1/api-keys", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


async def test_a_key_of_an_owner_may_what_its_scopes_say_and_nothing_else(app: FastAPI, everybody: Cast) -> None:
    owner = everybody.members[Role.OWNER]
    key = await key_of(owner, [Permission.RUN_READ, Permission.WORKFLOW_READ], "weather")
    tried = {"through": 0, "refused": 0}
    async with client_of(app, Authorization=f"Bearer {key}") as client:
        for operation in operations(app):
            name, need = operation[2]["operationId"], need_of(operation)
            if need in {OPEN, SIGNED_IN}:
                continue
            answer = await send(client, operation, own(everybody, operation[1]))
            if need in {Permission.RUN_READ, Permission.WORKFLOW_READ}:
                assert passed(answer), (name, answer.text)
                tried["through"] += 1
            else:
                assert answer.status_code == 403, (name, answer.text)
                tried["refused"] += 1
    assert min(tried.values()) > 10


async def test_for_a_key_the_other_projects_of_its_owner_do_not_exist(app: FastAPI, everybody: Cast) -> None:
    """Its owner owns both; it was made for one of them, with every scope that there is."""
    zoe = everybody.elsewhere
    await join(everybody.members[Role.OWNER], zoe, Role.OWNER)
    scopes = [one for one in Permission if one in GRANTABLE]
    async with client_of(app, Authorization=f"Bearer {await key_of(zoe, scopes, 'elsewhere')}") as client:
        for operation, permission in of_projects(app):
            if permission not in GRANTABLE:
                continue
            answer = await send(client, operation, own(everybody, operation[1]))
            assert answer.status_code == 404, (operation[2]["operationId"], answer.text)
        projects = (await client.get("/api/v1/projects")).json()["items"]
        assert [one["slug"] for one in projects] == ["elsewhere"]


# What a path, a query or a body names besides its project: each belongs to the same project, or does not exist.


@pytest.fixture
async def both(everybody: Cast, door: Door) -> tuple[Cast, Person, Things]:
    """Somebody who owns two projects, so that only what they name together can be wrong; and the things of the other
    one, `elsewhere`."""
    zoe, ann = everybody.elsewhere, everybody.members[Role.OWNER]
    await join(ann, zoe, Role.OWNER)
    things = await make_things(zoe, door, project="elsewhere")
    return everybody, zoe, things


NESTED_IN_PATHS = [
    ("run_id", "step_id"),
    ("run_id", "sha256"),
    ("budget_id", "window_id"),
    ("slug", "user_id"),
    ("slug", "account_id"),
    ("slug", "account_id", "key_id"),
    ("policy_id", "version"),
    ("agent_id", "version"),
    ("workflow_id", "version"),
]
"""What lies below something else in a path. A version is a number that says nothing without what is before it."""


async def test_what_lies_below_belongs_to_what_stands_before_it(
    app: FastAPI, both: tuple[Cast, Person, Things], person: MakePerson
) -> None:
    everybody, zoe, others = both
    stranger = str((await person("eve")).id)
    tried = set()
    for operation, _ in of_projects(app):
        if len(ids_of(operation[1])) < 2:
            continue
        names = next((one for one in NESTED_IN_PATHS if set(one) == ids_of(operation[1])), None)
        assert names is not None, (operation[1], "say in NESTED_IN_PATHS what lies below what")
        special = {"user_id": stranger, "sha256": "f" * 64}
        for name in names[1:]:
            if name == "version":
                continue
            theirs = {name: special.get(name) or str(getattr(others, name))}
            answer = await send(zoe.client, operation, own(everybody, operation[1]) | theirs)
            assert answer.status_code == 404, (operation[2]["operationId"], name, answer.text)
            tried.add(name)
    assert tried >= {"step_id", "window_id", "user_id", "account_id", "key_id"}


NESTED_IN_BODIES: dict[tuple[str, str], tuple[str, int, dict[str, Any]]] = {
    ("orderHalt", "workflow_id"): ("workflow_id", 404, {"kind": "pause", "scope": "workflow", "reason": "why not"}),
    ("defineBudget", "target"): (
        "workflow_id",
        422,
        {"project": "weather", "name": "b", "scope": "workflow", "period": "month", "limit_calls": 5},
    ),
    ("publishPolicy", "backtest_id"): ("backtest_id", 404, {"version": 1}),
    ("startBacktest", "policy_id"): (
        "policy_id",
        404,
        {"project": "weather", "version": 1, "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
    ),
    ("resolveStep", "call_id"): ("call_id", 409, {"answer": "fail", "evidence": "asked"}),
}
"""By operation and field: which thing of another project is named there, the answer, and the rest of the body."""


def id_fields(app: FastAPI, where: str) -> set[tuple[str, str]]:
    """The fields of bodies, or the parameters of queries, that take an id, by operation."""
    found = set()
    for _, _, operation in operations(app):
        name = operation["operationId"]
        if where == "query":
            for one in operation.get("parameters", []):
                if one["in"] == "query" and takes_an_id(app, one["schema"]):
                    found.add((name, one["name"]))
            continue
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for field, schema in fields_of(app, content["schema"]):
                if takes_an_id(app, schema):
                    found.add((name, field))
    return found


def fields_of(app: FastAPI, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from resolved(app, schema).get("properties", {}).items()


def resolved(app: FastAPI, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = app.openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def takes_an_id(app: FastAPI, schema: Mapping[str, Any]) -> bool:
    schema = resolved(app, schema)
    if schema.get("format") == "uuid":
        return True
    parts = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    parts += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    parts += list(schema.get("properties", {}).values())
    return any(takes_an_id(app, part) for part in parts)


async def test_what_a_body_names_belongs_to_the_same_project(
    app: FastAPI, both: tuple[Cast, Person, Things], person: MakePerson
) -> None:
    """Tried with what belongs to nobody here (as an owner of this project alone) and with what belongs to the other
    project of the same person."""
    everybody, zoe, others = both
    assert id_fields(app, "body") == set(NESTED_IN_BODIES), "say in NESTED_IN_BODIES what happens to foreign ids"
    by_name = {operation[2]["operationId"]: operation for operation in operations(app)}
    ann = everybody.members[Role.OWNER]
    for (name, field), (thing, status, rest) in NESTED_IN_BODIES.items():
        method, path, _ = by_name[name]
        for foreign in (getattr(others, thing), uuid4()):
            address = path.format(**own(everybody, path))
            answer = await ann.client.request(method, address, json=rest | {field: str(foreign)})
            assert answer.status_code == status, (name, field, answer.text)
    # The workflow of the other project may be halted by its owner: the halt is then one of that project.
    assert (await zoe.client.get("/api/v1/halts", params={"project": "weather"})).status_code == 200


NESTED_IN_QUERIES = {
    ("listRuns", "source"): "run_id",
    ("listDecisions", "policy"): "policy_id",
    ("listDecisions", "run"): "run_id",
    ("listViolations", "policy"): "policy_id",
    ("listViolations", "run"): "run_id",
    ("listBacktests", "policy"): "policy_id",
    ("listSteps", "parent"): "step_id",
    ("listCalls", "step"): "step_id",
}


async def test_what_a_query_names_belongs_to_the_same_project(app: FastAPI, both: tuple[Cast, Person, Things]) -> None:
    """A list that is narrowed to something of another project is empty."""
    everybody, _, others = both
    assert id_fields(app, "query") == set(NESTED_IN_QUERIES), "say in NESTED_IN_QUERIES what is asked for"
    by_name = {operation[2]["operationId"]: operation for operation in operations(app)}
    for (name, parameter), thing in NESTED_IN_QUERIES.items():
        _, path, operation = by_name[name]
        query = {parameter: str(getattr(others, thing))}
        if any(one["name"] == "project" for one in operation["parameters"]):
            query["project"] = "weather"
        answer = await everybody.members[Role.OWNER].client.get(path.format(**own(everybody, path)), params=query)
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["items"] == [], name


async def test_a_halt_of_a_workflow_takes_the_role_in_its_project(everybody: Cast) -> None:
    """A body that names no project, only something in one."""
    order = {"kind": "pause", "scope": "workflow", "workflow_id": str(everybody.things.workflow_id), "reason": "rest"}
    answers = {
        role: (await one.client.post("/api/v1/halts", json=order)).status_code
        for role, one in everybody.members.items()
    }
    assert {role for role, status in answers.items() if status < 300} == {
        role for role, allowed in ROLES.items() if Permission.HALT_ORDER in allowed
    }
    assert answers[Role.VIEWER] == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/halts", {"kind": "pause", "scope": "installation", "reason": "rest"}),
        ("/policies", BODIES["createPolicy"] | {"project": None}),
        ("/policies/validate", BODIES["validatePolicy"] | {"project": None}),
        ("/budgets", BODIES["defineBudget"] | {"project": None, "scope": "installation"}),
    ],
)
async def test_what_is_for_all_projects_is_changed_by_administrators(
    everybody: Cast, path: str, body: dict[str, Any]
) -> None:
    for one in (*everybody.members.values(), everybody.elsewhere):
        assert (await one.client.post(f"/api/v1{path}", json=body)).status_code == 403
    answer = await everybody.root.client.post(f"/api/v1{path}", json=body)
    assert answer.status_code in (200, 201), answer.text


def test_every_body_and_query_of_these_tests_belongs_to_an_operation(app: FastAPI) -> None:
    names = {operation["operationId"] for _, _, operation in operations(app)}
    assert {*BODIES, *QUERIES} <= names


async def test_a_key_is_narrowed_by_its_scopes_and_its_projects(everybody: Cast, door: Door) -> None:
    """Keys act as a principal with scopes, and with fewer places."""
    claims = door.signer.read(everybody.members[Role.OWNER].token)
    whole = await principal_of(door.database.pool, session_id=claims.session_id, user_id=claims.user_id)
    assert whole is not None
    (project,) = whole.places
    narrowed = replace(whole, scopes=frozenset({Permission.RUN_READ}))
    assert whole.may(Permission.RUN_CREATE, project)
    assert narrowed.may(Permission.RUN_READ, project)
    assert not narrowed.may(Permission.RUN_CREATE, project)
    assert not replace(whole, places={}).may(Permission.RUN_READ, project)
    assert not whole.may(Permission.USER_MANAGE, None)
    assert not whole.may(Permission.RUN_READ, UUID(int=1))


async def test_what_a_key_is_told_without_naming_a_project_is_of_its_own_projects(
    app: FastAPI, both: tuple[Cast, Person, Things]
) -> None:
    """Its owner owns both projects, and is told of both."""
    everybody, zoe, others = both
    foreign = {str(getattr(everybody.things, name)) for name in everybody.things.__dataclass_fields__}
    foreign = {one for one in foreign if len(one) > 30}  # ids, not numbers
    foreign -= {str(getattr(others, name)) for name in others.__dataclass_fields__}
    tried = set()
    async with client_of(app, Authorization=f"Bearer {await key_of(zoe, sorted(GRANTABLE), 'elsewhere')}") as client:
        for method, path, operation in operations(app):
            required = {one["name"] for one in operation.get("parameters", []) if one["required"]}
            if method != "get" or ids_of(path) or required or need_of((method, path, operation)) == OPEN:
                continue
            answer = await client.get(path)
            assert answer.status_code in (200, 403), (path, answer.text)
            assert not [one for one in foreign if one in answer.text], path
            assert '"weather"' not in answer.text, path
            tried.add((path, answer.status_code))
    assert {path for path, status in tried if status == 200} >= {"/api/v1/me", "/api/v1/projects"}
    assert '"weather"' in (await zoe.client.get("/api/v1/projects")).text
