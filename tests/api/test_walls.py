"""Who may see what: every route of the document is tried by nobody and by a stranger."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from sparkops.api.access import FIELD, OPEN, PERSON, SIGNED_IN
from sparkops.api.deps import Door
from sparkops.core.permissions import INSTALLATION
from tests.api.conftest import SOURCE, Person, only_administrators_create_projects
from tests.api.things import AGENT, POLICY, make_things

WITH_A_MARK = {"followApprovalLink"}
"""Routes that lead nowhere without something that only this server makes."""
BODIES: dict[str, dict[str, Any]] = {
    "createServiceAccount": {"name": "spy", "role": "viewer"},
    "changeServiceAccount": {"disabled": True},
    "createAccountKey": {"name": "spy", "scopes": ["run:read"]},
    "addMember": {"email": "sam@example.com"},
    "changeMember": {"role": "viewer"},
    "inviteUser": {"email": "kim@example.com"},
    "putPolicy": {"rules": []},
    "createAgent": {"project": "weather", "name": "spy", "definition": AGENT},
    "createAgentVersion": {"definition": AGENT},
    "createWorkflow": {"project": "weather", "source": SOURCE.format(name="spy")},
    "createWorkflowVersion": {"source": SOURCE.format(name="report")},
    "validateWorkflow": {"project": "weather", "source": SOURCE.format(name="spy")},
    "createRun": {"project": "weather", "workflow": "report"},
    "updateProject": {"max_running_runs": 1},
    "askDeletion": {"slug": "weather", "reason": "the trial is over"},
    "updateWorkflow": {"max_running_runs": 1},
    "orderHalt": {"kind": "pause", "scope": "project", "project": "weather", "reason": "maintenance"},
    "sendEvent": {"project": "weather", "id": "e-1", "name": "payment.received", "data": {}},
    "approve": {},
    "reject": {"reason": "no"},
    "editAndApprove": {"arguments": {}},
    "reassignApproval": {"to": "operator"},
    "writeApprovalMessage": {"text": "which?"},
    "resolveStep": {"answer": "fail", "evidence": "asked", "call_id": str(uuid4())},
    "forkRun": {"from": "first"},
    "createPolicy": {"project": "weather", "source": POLICY.replace("publishing", "spying")},
    "createPolicyVersion": {"source": POLICY},
    "validatePolicy": {"project": "weather", "source": POLICY},
    "publishPolicy": {"version": 1},
    "withdrawPolicy": {},
    "answerViolation": {"text": "seen"},
    "startBacktest": {"project": "weather", "source": POLICY, "since": "2026-01-01T00:00:00Z"},
    "defineBudget": {
        "project": "weather",
        "name": "spending",
        "scope": "project",
        "period": "month",
        "limit_micros": 5_000_000,
    },
    "changeBudget": {"name": "spending", "limit_micros": 6_000_000},
    "createSecret": {"project": "weather", "name": "spying", "value": "of-a-spy-0123"},
    "createSecretVersion": {"value": "of-a-spy-0123"},
    "planRerunWithInput": {"kind": "fork", "from": "first"},
}
NO_VALUE = "0" * 64
QUERIES: dict[str, dict[str, str]] = {
    "getRerunPlan": {"kind": "fork", "from": "first"},
    "followApprovalLink": {"s": "mark"},
    "getRunForecast": {"workflow": "report"},
}
Operation = tuple[str, str, dict[str, Any]]


def need_of(operation: Operation) -> str:
    """What an operation declares that it needs."""
    need: str = operation[2][FIELD]
    return need


def is_of_a_project(operation: Operation) -> bool:
    return need_of(operation) not in {OPEN, SIGNED_IN, PERSON, *INSTALLATION}


def ids_of(path: str) -> set[str]:
    """The names of what stands in a path."""
    return set(re.findall(r"{(\w+)}", path))


def operations(app: FastAPI) -> Iterator[Operation]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


async def send(client: AsyncClient, operation: Operation, values: dict[str, str], project: str = "weather") -> Response:
    method, path, described = operation
    body = BODIES.get(described["operationId"])
    if body and "project" in body:
        body = body | {"project": project}
    query = dict(QUERIES.get(described["operationId"], {}))
    if any(one["name"] == "project" for one in described.get("parameters", [])):
        query["project"] = project
    return await client.request(method, path.format(**values), params=query, json=body)


async def test_every_route_but_the_open_ones_refuses_an_unauthenticated_caller(
    app: FastAPI, anonymous: AsyncClient
) -> None:
    refused = set()
    for method, path, operation in operations(app):
        if need_of((method, path, operation)) == OPEN:
            continue
        answer = await send(anonymous, (method, path, operation), nowhere(path))
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        refused.add(operation["operationId"])
    assert len(refused) > 30


async def test_what_belongs_to_others_looks_as_if_it_did_not_exist(
    app: FastAPI, door: Door, ann: Person, eve: Person
) -> None:
    things = await make_things(ann, door)
    theirs = {name: str(getattr(things, name)) for name in things.__dataclass_fields__} | {
        "slug": "weather",
        "version": "1",
    }
    tried = 0
    for operation in operations(app):
        name = operation[2]["operationId"]
        if not is_of_a_project(operation):
            continue
        foreign = await send(eve.client, operation, nowhere(operation[1]) | theirs)
        missing = await send(eve.client, operation, nowhere(operation[1]), project="nowhere")
        assert foreign.status_code == 404, (name, foreign.text)
        assert told(foreign) == told(missing), name
        tried += 1
    assert tried > 30


def nowhere(path: str) -> dict[str, str]:
    """Values for a path that lead to nothing."""
    return {name: str(uuid4()) for name in ids_of(path)} | {"slug": "nowhere", "version": "1", "sha256": NO_VALUE}


def told(answer: Response) -> dict[str, Any]:
    """What an answer says, without what echoes the request."""
    return {key: value for key, value in answer.json().items() if key not in ("instance", "request_id")}


async def test_what_concerns_the_installation_is_refused_to_all_but_its_administrators(
    app: FastAPI, ann: Person
) -> None:
    only_administrators_create_projects(app)
    tried = set()
    for operation in operations(app):
        if need_of(operation) in INSTALLATION:
            answer = await send(ann.client, operation, nowhere(operation[1]))
            assert answer.status_code == 403, answer.text
            tried.add(operation[2]["operationId"])
    assert tried >= {"listOutbox", "redriveOutboxEntry", "listUsers"}


async def test_a_member_sees_what_the_owner_sees(app: FastAPI, door: Door, ann: Person, bob: Person) -> None:
    things = await make_things(ann, door)
    values = {name: str(getattr(things, name)) for name in things.__dataclass_fields__} | {
        "slug": "weather",
        "version": "1",
    }
    for method, path, operation in operations(app):
        one = (method, path, operation)
        if method != "get" or operation["operationId"] in WITH_A_MARK or need_of(one) in {OPEN, *INSTALLATION}:
            continue
        answer = await send(bob.client, (method, path, operation), values)
        assert answer.status_code == 200, (path, answer.text)


async def test_a_nested_step_of_another_run_is_not_found(door: Door, ann: Person) -> None:
    things = await make_things(ann, door)
    other = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    answer = await ann.client.get(f"/api/v1/runs/{other.json()['id']}/steps/{things.step_id}")
    assert answer.status_code == 404


async def test_unknown_fields_are_refused_by_every_route_that_takes_a_body(
    app: FastAPI, door: Door, ann: Person
) -> None:
    things = await make_things(ann, door)
    theirs = {name: str(getattr(things, name)) for name in things.__dataclass_fields__} | {"slug": "weather"}
    for method, path, operation in operations(app):
        if "requestBody" not in operation:
            continue
        body = BODIES.get(operation["operationId"], {}) | {"is_admin": True}
        if need_of((method, path, operation)) in INSTALLATION:
            continue
        values = nowhere(path) | theirs
        answer = await ann.client.request(method, path.format(**values), json=body)
        assert answer.status_code == 422, path
        assert {"path": "is_admin", "message": "Extra inputs are not permitted"} in answer.json()["errors"], path
