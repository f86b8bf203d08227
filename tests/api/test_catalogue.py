"""Projects, members, policies, agents, tools and workflows over HTTP."""

import pytest
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from tests.api.conftest import SOURCE, MakePerson, Person
from tests.api.things import AGENT


async def test_a_new_project_is_ready_to_use(ann: Person) -> None:
    me = (await ann.client.get("/api/v1/me")).json()
    tools = (await ann.client.get("/api/v1/tools?project=weather")).json()["items"]
    policy = (await ann.client.get("/api/v1/projects/weather/policy")).json()
    members = (await ann.client.get("/api/v1/projects/weather/members")).json()["items"]

    assert [(one["slug"], one["role"]) for one in me["projects"]] == [("weather", "owner")]
    assert {tool["name"] for tool in tools} == {"noop", "sql.query", "sql.execute", "files.read", "files.write"}
    assert all(len(tool["digest"]) == 64 and tool["parameters"]["type"] == "object" for tool in tools)
    assert (policy["version"], policy["rules"]) == (1, [])
    assert [(one["email"], one["role"]) for one in members] == [(ann.email, "owner")]


async def test_a_taken_project_name_conflicts_also_for_who_cannot_see_it(ann: Person, eve: Person) -> None:
    for person in (ann, eve):
        answer = await person.client.post("/api/v1/projects", json={"slug": "weather", "name": "Mine"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sparkops:problem:conflict")


async def test_a_member_is_added_by_address_and_the_role_can_change(ann: Person, eve: Person) -> None:
    for role in ("operator", "owner"):
        body = {"email": eve.email.upper(), "role": role}
        answer = await ann.client.post("/api/v1/projects/weather/members", json=body)
        assert (answer.status_code, answer.json()["role"]) == (201, role)
    assert (await eve.client.get("/api/v1/projects/weather")).json()["role"] == "owner"
    assert len((await ann.client.get("/api/v1/projects/weather/members")).json()["items"]) == 2


async def test_an_unknown_address_cannot_become_a_member(ann: Person) -> None:
    answer = await ann.client.post("/api/v1/projects/weather/members", json={"email": "no@example.com"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "email")


async def test_changing_the_policy_counts_its_version_up(ann: Person) -> None:
    rule = {"name": "no-writes", "on": ["tool.call"], "tools": ["files.write"], "effect": "deny", "reason": "x"}
    answer = await ann.client.put("/api/v1/projects/weather/policy", json={"rules": [rule]})
    assert (answer.status_code, answer.json()["version"], answer.json()["rules"]) == (200, 2, [rule])
    assert (await ann.client.get("/api/v1/projects/weather/policy")).json() == answer.json()


async def test_a_policy_that_cannot_be_evaluated_is_refused_with_its_place(ann: Person) -> None:
    rule = {"name": "broken", "on": ["tool.call"], "when": "tol == 'x'", "effect": "deny", "reason": "x"}
    answer = await ann.client.put("/api/v1/projects/weather/policy", json={"rules": [rule]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "rules[0].when"
    assert (await ann.client.get("/api/v1/projects/weather/policy")).json()["version"] == 1


async def test_lists_page_by_cursor_newest_first(ann: Person) -> None:
    names = [f"agent-{number}" for number in range(5)]
    for name in names:
        await ann.client.post("/api/v1/agents", json={"project": "weather", "name": name, "definition": AGENT})
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        query = {"project": "weather", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await ann.client.get("/api/v1/agents", params=query)).json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == names[::-1]
    assert cursor is None


async def test_an_agent_keeps_its_version_until_the_definition_changes(ann: Person) -> None:
    new = {"project": "weather", "name": "analyst", "definition": AGENT}
    agent = (await ann.client.post("/api/v1/agents", json=new)).json()
    versions = f"/api/v1/agents/{agent['id']}/versions"

    same = await ann.client.post(versions, json={"definition": dict(reversed(AGENT.items()))})
    changed = await ann.client.post(versions, json={"definition": AGENT | {"max_turns": 3}})

    assert (same.status_code, same.json()["version"]) == (200, 1)
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    assert [one["version"] for one in (await ann.client.get(versions)).json()["items"]] == [2, 1]
    assert (await ann.client.get(f"/api/v1/agents/{agent['id']}")).json()["latest"]["definition"]["max_turns"] == 3
    assert (await ann.client.post("/api/v1/agents", json=new)).status_code == 409


@pytest.mark.parametrize(
    ("change", "path"), [({"tools": ["nope"]}, "tools.0"), ({"model": "unknown", "script": None}, "model")]
)
async def test_an_agent_may_only_name_what_there_is(ann: Person, change: dict[str, object], path: str) -> None:
    definition = {key: value for key, value in (AGENT | change).items() if value is not None}
    body = {"project": "weather", "name": "analyst", "definition": definition}
    answer = await ann.client.post("/api/v1/agents", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


async def create(client: AsyncClient, source: str) -> dict[str, object]:
    answer = await client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert answer.status_code == 201, answer.text
    created: dict[str, object] = answer.json()
    return created


async def test_a_workflow_is_kept_as_text_and_as_graph(ann: Person) -> None:
    source = SOURCE.format(name="report")
    created = await create(ann.client, source)
    got = (await ann.client.get(f"/api/v1/workflows/{created['id']}")).json()

    assert got == created
    assert got["latest"]["source"] == source
    assert got["latest"]["input_schema"]["properties"] == {"year": {"type": "integer", "default": 2014}}
    assert got["latest"]["steps"] == [
        {"id": "first", "type": "tool", "needs": [], "name": "noop"},
        {"id": "second", "type": "transform", "needs": ["first"], "name": None},
    ]
    listed = (await ann.client.get("/api/v1/workflows?project=weather")).json()["items"]
    assert [(one["name"], one["latest_version"], one["steps_total"]) for one in listed] == [("report", 1, 2)]


async def test_a_workflow_keeps_its_version_until_the_text_changes(ann: Person) -> None:
    source = SOURCE.format(name="report")
    workflow = await create(ann.client, source)
    versions = f"/api/v1/workflows/{workflow['id']}/versions"

    same = await ann.client.post(versions, json={"source": source})
    changed = await ann.client.post(versions, json={"source": source + "# a comment\n"})
    renamed = await ann.client.post(versions, json={"source": SOURCE.format(name="other")})

    assert (same.status_code, same.json()["version"]) == (200, 1)
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    assert (renamed.status_code, renamed.json()["errors"][0]["path"]) == (422, "name")
    assert (await ann.client.get(f"{versions}/1")).json()["source"] == source
    assert (await ann.client.get(f"{versions}/9")).status_code == 404


async def test_a_workflow_name_is_taken_once_in_a_project(ann: Person, person: MakePerson) -> None:
    source = SOURCE.format(name="report")
    await create(ann.client, source)
    again = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    await ann.client.post("/api/v1/projects", json={"slug": "second", "name": "Second"})
    elsewhere = await ann.client.post("/api/v1/workflows", json={"project": "second", "source": source})
    assert (again.status_code, elsewhere.status_code) == (409, 201)


async def test_a_broken_workflow_says_where_and_what_would_be_right(ann: Person) -> None:
    source = SOURCE.format(name="report").replace("tool: noop", "tool: nop")
    refused = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    verdict = await ann.client.post("/api/v1/workflows/validate", json={"project": "weather", "source": source})

    assert refused.status_code == 422
    error = refused.json()["errors"][0]
    assert (error["path"], error["line"]) == ("steps[0].tool", 7)
    assert verdict.json() == {"valid": False, "errors": refused.json()["errors"]}


async def test_a_model_that_no_setting_names_is_found_when_the_workflow_is_saved(ann: Person) -> None:
    step = "{id: a, type: llm, with: {model: nowhere, prompt: hello, max_output_tokens: 9}}"
    source = f"version: 1\nname: ask\nsteps:\n  - {step}\n"
    answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["steps[0].with.model"]


async def test_a_sub_workflow_has_to_be_there_when_the_workflow_is_saved(ann: Person) -> None:
    source = "version: 1\nname: outer\nsteps:\n  - {id: a, type: workflow, workflow: inner}\n"
    body = {"project": "weather", "source": source}
    refused = await ann.client.post("/api/v1/workflows", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "steps[0].workflow")
    inner = source.replace("outer", "inner").replace("type: workflow, workflow: inner", "type: tool, tool: noop")
    assert (await ann.client.post("/api/v1/workflows", json={**body, "source": inner})).status_code == 201
    saved = await ann.client.post("/api/v1/workflows", json=body)
    assert saved.status_code == 201
    assert saved.json()["latest"]["steps"][0]["name"] == "inner"


async def test_validating_stores_nothing(ann: Person, door: Door) -> None:
    body = {"project": "weather", "source": SOURCE.format(name="report")}
    answer = await ann.client.post("/api/v1/workflows/validate", json=body)
    assert answer.json() == {"valid": True, "errors": []}
    assert await door.database.pool.fetchval("SELECT count(*) FROM workflows") == 0


async def test_what_changes_a_project_is_audited_under_the_request(ann: Person, door: Door) -> None:
    await ann.client.put(
        "/api/v1/projects/weather/policy", json={"rules": []}, headers={"X-Request-Id": "request-12345"}
    )
    lines = await door.database.pool.fetch("SELECT actor, action, request_id, content_hash FROM audit ORDER BY id")
    assert [line["action"] for line in lines] == ["project.create", "policy.change"]
    assert lines[1]["actor"] == f"user:{ann.id}"
    assert lines[1]["request_id"] == "request-12345"
    assert all(len(line["content_hash"]) == 64 for line in lines)
