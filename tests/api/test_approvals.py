"""Questions over HTTP: who may answer, what an approver changes, what helps to decide, links, what is asked back."""

from typing import Any
from uuid import UUID

from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.core.json import digest
from sparkops.core.permissions import Permission
from sparkops.domains.identity.keys import GRANTABLE
from sparkops.engine.governing import remind
from tests.api.conftest import MakePerson, Person, client_of
from tests.api.things import Things, make_things

REQUEST = {"tool": "files.write", "arguments": {"name": "report.md", "content": "# Report"}}
PATH = "/api/v1/approvals"
ACCOUNTS = "/api/v1/projects/weather/service-accounts"


async def question(ann: Person, door: Door, **demands: Any) -> tuple[Things, str]:
    """A call of `files.write` that waits, as the gate would ask about it, and the path of the question."""
    things = await make_things(ann, door)
    await door.database.pool.execute(
        "UPDATE approvals a SET name = 'files.write', tool_hash = t.digest, request_hash = $2, proposed_request = $3,"
        " decision_id = c.decision_id, demands = a.demands || $4, escalate_at = clock_timestamp() + interval '1 hour'"
        " FROM tools t, calls c WHERE a.id = $1 AND t.project_id = a.project_id AND t.name = 'files.write'"
        " AND c.id = a.subject_id",
        things.approval_id,
        digest(REQUEST),
        REQUEST,
        demands,
    )
    return things, f"{PATH}/{things.approval_id}"


async def test_a_question_says_what_consent_takes_and_how_far_it_is(ann: Person, bob: Person, door: Door) -> None:
    _, path = await question(ann, door, quorum=2, approvers=[["owner", "admin"]])
    before = (await bob.client.get(path)).json()
    assert before["demands"] == {
        "approvers": [["owner", "admin"]],
        "quorum": 2,
        "escalate_to": [],
        "may_edit": False,
    }
    assert (before["may_answer"], before["missing"], before["reminder"]) == (True, [["owner", "admin"]], False)
    assert (await ann.client.get(path)).json()["may_answer"] is False
    answer = await bob.client.post(f"{path}/approve", json={"comment": "Fine.", "request_hash": before["request_hash"]})
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    after = answer.json()
    assert (after["agreed"], after["missing"]) == (1, [])
    (vote,) = after["votes"]
    assert (vote["by"]["name"], vote["vote"], vote["comment"], vote["current"]) == ("bob", "approve", "Fine.", True)
    again = await bob.client.post(f"{path}/approve", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:sparkops:problem:already-answered")


async def test_who_is_not_named_is_told_that_others_have_to_answer(ann: Person, bob: Person, door: Door) -> None:
    _, path = await question(ann, door, approvers=[["owner"]])
    answer = await bob.client.post(f"{path}/approve", json={})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:sparkops:problem:not-an-approver")


async def test_an_approver_lets_somebody_else_answer(ann: Person, bob: Person, person: MakePerson, door: Door) -> None:
    cyd = await person("cyd")
    _, path = await question(ann, door, approvers=[["bob@example.com"]])
    await ann.client.post("/api/v1/projects/weather/members", json={"email": cyd.email, "role": "operator"})
    assert (await cyd.client.get(path)).json()["may_answer"] is False
    refused = await cyd.client.post(f"{path}/reassign", json={"to": "operator"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:sparkops:problem:not-an-approver")
    nobody = await bob.client.post(f"{path}/reassign", json={"to": "ann@example.com"})
    assert (nobody.status_code, nobody.json()["type"]) == (422, "urn:sparkops:problem:nobody-to-answer")
    answer = await bob.client.post(f"{path}/reassign", json={"to": "cyd@example.com", "comment": "Your field."})
    assert answer.status_code == 200, answer.text
    (given,) = answer.json()["reassigned"]
    assert (given["by"]["name"], given["to"], given["comment"]) == ("bob", "cyd@example.com", "Your field.")
    assert answer.json()["may_answer"] is False
    assert (await cyd.client.get(path)).json()["may_answer"] is True
    assert (await cyd.client.post(f"{path}/approve", json={})).json()["status"] == "approved"


async def test_an_approver_changes_the_arguments_and_the_record_keeps_both(
    ann: Person, bob: Person, door: Door
) -> None:
    _, path = await question(ann, door, may_edit=True)
    shown = (await bob.client.get(path)).json()["request_hash"]
    wanted = {"name": "report.md", "content": "# Report, shorter"}
    body = {"arguments": wanted, "comment": "Shorter.", "request_hash": shown}
    answer = await bob.client.post(f"{path}/edit", json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["status"], said["proposed_request"]) == ("approved", REQUEST)
    assert said["edited_request"] == {"tool": "files.write", "arguments": wanted}
    assert (said["edited_by"]["name"], said["request_hash"] == shown) == ("bob", False)


async def test_a_run_shows_what_an_approver_made_of_a_call_once_it_may_go_out(
    ann: Person, bob: Person, door: Door
) -> None:
    things, path = await question(ann, door, may_edit=True, quorum=2)

    async def edit() -> Any:
        (call,) = (await ann.client.get(f"/api/v1/runs/{things.run_id}/calls")).json()["items"]
        assert call["request"] == REQUEST
        return call["edit"]

    assert await edit() is None
    wanted = {"name": "report.md", "content": "# Report, shorter"}
    said = (await bob.client.post(f"{path}/edit", json={"arguments": wanted})).json()
    assert (said["status"], await edit()) == ("pending", None), "others have to agree"
    await door.database.pool.execute("UPDATE approvals SET status = 'approved' WHERE id = $1", things.approval_id)
    assert await edit() == {
        "request": {"tool": "files.write", "arguments": wanted},
        "by": {"id": str(bob.id), "name": "bob"},
        "at": said["edited_at"],
    }


async def test_a_change_must_fit_the_tool_and_the_rules_and_be_of_what_was_shown(
    ann: Person, bob: Person, door: Door
) -> None:
    _, path = await question(ann, door)
    wanted = {"name": "report.md", "content": "x"}
    wrong = await bob.client.post(f"{path}/edit", json={"arguments": {"name": 7}})
    assert (wrong.status_code, {error["path"] for error in wrong.json()["errors"]}) == (422, {"arguments"})
    fixed = await bob.client.post(f"{path}/edit", json={"arguments": wanted})
    assert (fixed.status_code, fixed.json()["type"]) == (403, "urn:sparkops:problem:edit-refused")
    stale = await bob.client.post(f"{path}/approve", json={"request_hash": "of something else"})
    assert (stale.status_code, stale.json()["type"]) == (409, "urn:sparkops:problem:approval-changed")
    await door.database.pool.execute("UPDATE approvals SET tool_hash = NULL")
    no_tool = await bob.client.post(f"{path}/edit", json={"arguments": wanted})
    assert no_tool.json()["type"] == "urn:sparkops:problem:edit-refused"


async def test_a_preview_shows_what_goes_out_and_why_and_what_was_approved_before(
    ann: Person, bob: Person, door: Door
) -> None:
    things, path = await question(ann, door)
    preview = (await bob.client.get(f"{path}/preview")).json()
    assert (preview["kind"], preview["name"], preview["effect_class"]) == ("tool", "files.write", "txn")
    assert (preview["request"], preview["tool_changed"]) == (REQUEST, False)
    assert "content" in preview["parameters"]["properties"]
    assert (preview["last_approved"], preview["earlier"]) == (None, [])
    await _answered_before(door, things.approval_id, "consumed", REQUEST | {"arguments": {"name": "old.md"}})
    await _answered_before(door, things.approval_id, "rejected", REQUEST)
    preview = (await bob.client.get(f"{path}/preview")).json()
    assert preview["last_approved"]["request"]["arguments"] == {"name": "old.md"}
    assert sorted(one["status"] for one in preview["earlier"]) == ["consumed", "rejected"]
    await door.database.pool.execute("UPDATE tools SET digest = 'another' WHERE name = 'files.write'")
    assert (await bob.client.get(f"{path}/preview")).json()["tool_changed"] is True


async def _answered_before(door: Door, approval_id: UUID, status: str, request: dict[str, Any]) -> None:
    """Add a question of the same kind, which was asked and answered earlier."""
    await door.database.pool.execute(
        "INSERT INTO approvals (id, project_id, run_id, step_id, subject_kind, subject_id, request_hash, title, name,"
        " rule, proposed_request, status, expires_at, decided_by, decided_at, consumed_at)"
        " SELECT ('00000000-0000-7000-8000-' || right(md5($2), 12))::uuid, project_id, run_id, step_id, subject_kind,"
        " gen_random_uuid(), 'h', title, name, rule, $3, $2, expires_at, requested_by, clock_timestamp(),"
        " CASE $2 WHEN 'consumed' THEN clock_timestamp() END FROM approvals WHERE id = $1",
        approval_id,
        status,
        request,
    )


async def test_a_workflows_own_question_has_a_preview_too(ann: Person, bob: Person, door: Door) -> None:
    things = await make_things(ann, door)
    await door.database.pool.execute("UPDATE approvals SET subject_kind = 'step', subject_id = step_id")
    preview = (await bob.client.get(f"{PATH}/{things.approval_id}/preview")).json()
    assert (preview["kind"], preview["facts"], preview["earlier"]) == (None, {}, [])


async def test_a_link_leads_members_to_the_question_and_a_wrong_one_nowhere(
    ann: Person, bob: Person, eve: Person, door: Door
) -> None:
    _, path = await question(ann, door)
    link = (await bob.client.get(path)).json()["link"]
    mark = link.partition("?s=")[2]
    assert link == f"/a/{path.rsplit('/', 1)[1]}?s={mark}"
    found = await bob.client.get(f"{path}/link", params={"s": mark})
    assert (found.status_code, found.json()["project"]) == (200, "weather")
    wrong = ("A" if mark[0] != "A" else "B") + mark[1:]
    nowhere = await bob.client.get(f"{path}/link", params={"s": wrong})
    missing = await bob.client.get(f"{PATH}/{UUID(int=1)}/link", params={"s": mark})
    stranger = await eve.client.get(f"{path}/link", params={"s": mark})
    assert [one.status_code for one in (nowhere, missing, stranger)] == [404, 404, 404]
    assert nowhere.json()["detail"] == missing.json()["detail"] == stranger.json()["detail"]


async def test_people_ask_back_until_it_is_answered(ann: Person, bob: Person, door: Door) -> None:
    _, path = await question(ann, door)
    asked = await bob.client.post(f"{path}/messages", json={"text": "Which report?"})
    told = await ann.client.post(f"{path}/messages", json={"text": "The short one."})
    assert (asked.status_code, told.status_code, told.json()["by"]["name"]) == (201, 201, "ann")
    said = (await bob.client.get(f"{path}/messages")).json()["items"]
    assert [(one["by"]["name"], one["text"]) for one in said] == [("bob", "Which report?"), ("ann", "The short one.")]
    assert (await bob.client.post(f"{path}/messages", json={"text": " "})).status_code == 422
    await bob.client.post(f"{path}/reject", json={"reason": "No."})
    assert (await bob.client.post(f"{path}/messages", json={"text": "But"})).status_code == 409


async def test_half_of_its_time_makes_a_reminder(ann: Person, bob: Person, door: Door) -> None:
    _, path = await question(ann, door)
    await door.database.pool.execute("UPDATE approvals SET requested_at = clock_timestamp() - interval '2 hours'")
    assert (await bob.client.get(path)).json()["reminder"] is True
    assert (await bob.client.get(path)).json()["reminded_at"] is None
    await remind(door.engine)
    assert (await bob.client.get(path)).json()["reminded_at"] is not None
    await bob.client.post(f"{path}/approve", json={"request_hash": digest(REQUEST)})
    assert (await bob.client.get(path)).json()["reminder"] is False


# Questions about a run itself


async def holding(ann: Person, *subjects: str) -> str:
    """Rules that ask people about runs on these subjects, and the name of a workflow."""
    rules = [
        {"name": f"ask-{subject}", "on": [subject], "effect": "require_approval", "reason": "Somebody looks first."}
        for subject in subjects
    ]
    answer = await ann.client.put("/api/v1/projects/weather/policy", json={"rules": rules})
    assert answer.status_code == 200, answer.text
    source = """
version: 1
name: held
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: a, type: transform, with: {value: "${{ input.n }}"}}
"""
    made = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert made.status_code == 201, made.text
    return "held"


async def started(ann: Person, workflow: str, key: str = "one") -> dict[str, Any]:
    body = {"project": "weather", "workflow": workflow, "input": {"n": 7}}
    answer = await ann.client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": key})
    assert answer.status_code in (200, 201), answer.text
    run: dict[str, Any] = answer.json()
    return run


async def asked_about(person: Person) -> dict[str, Any]:
    (one,) = (await person.client.get(PATH, params={"project": "weather", "state": "open"})).json()["items"]
    found: dict[str, Any] = one
    return found


async def test_a_run_waits_for_a_second_person_who_sees_what_it_is_to_do(ann: Person, bob: Person) -> None:
    workflow = await holding(ann, "run.create")
    run = await started(ann, workflow)
    assert (run["status"], run["started_at"], run["steps_by_status"]) == ("awaiting_approval", None, {"pending": 1})
    assert (await started(ann, workflow))["id"] == run["id"]
    question = await asked_about(bob)
    assert (question["subject_kind"], question["step_id"], question["step_key"]) == ("run", None, None)
    assert (question["run_id"], question["rule"], question["may_answer"]) == (run["id"], "ask-run.create", True)
    assert question["proposed_request"]["input"] == {"n": 7}
    preview = (await bob.client.get(f"{PATH}/{question['id']}/preview")).json()
    assert (preview["kind"], preview["policy"]["name"]) == (None, "project")
    own = await ann.client.post(f"{PATH}/{question['id']}/approve", json={})
    assert (own.status_code, own.json()["type"]) == (403, "urn:sparkops:problem:own-request")
    assert (
        await bob.client.get(f"/api/v1{question['link'].replace('/a/', '/approvals/').replace('?', '/link?')}")
    ).status_code == 200
    body = {"request_hash": question["request_hash"]}
    answer = await bob.client.post(f"{PATH}/{question['id']}/approve", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "consumed")
    ended = (await ann.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert (ended["status"], ended["output"]) == ("succeeded", {"a": 7})


async def test_a_rejected_run_is_denied_and_says_why(ann: Person, bob: Person) -> None:
    run = await started(ann, await holding(ann, "run.create"))
    question = await asked_about(bob)
    await bob.client.post(f"{PATH}/{question['id']}/reject", json={"reason": "Not on a Friday."})
    ended = (await ann.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert (ended["status"], ended["error"]["code"]) == ("denied", "rejected")
    assert "Not on a Friday." in ended["error"]["message"]


async def test_an_output_is_not_read_as_one_before_people_let_it_out(ann: Person, bob: Person) -> None:
    run = await started(ann, await holding(ann, "output"))
    assert (run["status"], run["output"]) == ("awaiting_approval", None)
    question = await asked_about(bob)
    assert (question["subject_kind"], question["proposed_request"]) == (
        "output",
        {"workflow": "held", "output": {"a": 7}},
    )
    assert (await bob.client.post(f"{PATH}/{question['id']}/approve", json={})).status_code == 200
    ended = (await ann.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert (ended["status"], ended["output"]) == ("succeeded", {"a": 7})


async def key_of_account(client: AsyncClient, name: str, *scopes: str) -> str:
    """A key of a new service account of the project."""
    made = await client.post(ACCOUNTS, json={"name": name, "role": "developer"})
    assert made.status_code == 201, made.text
    key = await client.post(f"{ACCOUNTS}/{made.json()['id']}/keys", json={"name": name, "scopes": [*scopes]})
    assert key.status_code == 201, key.text
    return str(key.json()["key"])


async def agreed_by_another(app: FastAPI, key: str, maker: Person, another: Person) -> None:
    """Start a run with a key; its maker neither agrees nor lets somebody else do so, another person does."""
    async with client_of(app, Authorization=f"Bearer {key}") as machine:
        body = {"project": "weather", "workflow": "held", "input": {"n": 7}}
        run = await machine.post("/api/v1/runs", json=body)
        assert (run.status_code, run.json()["status"]) == (201, "awaiting_approval"), run.text
    question = await asked_about(maker)
    assert question["may_answer"] is False
    attempts: dict[str, dict[str, str]] = {
        "approve": {},
        "reject": {"reason": "no"},
        "reassign": {"to": another.email, "comment": "please"},
    }
    for what, said in attempts.items():
        answer = await maker.client.post(f"{PATH}/{question['id']}/{what}", json=said)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:sparkops:problem:own-request"), answer.text
    answer = await another.client.post(f"{PATH}/{question['id']}/approve", json={})
    assert (answer.status_code, answer.json()["status"]) == (200, "consumed"), answer.text


async def test_whoever_made_the_key_of_a_run_does_not_agree_to_it(app: FastAPI, ann: Person, bob: Person) -> None:
    await holding(ann, "run.create")
    await agreed_by_another(app, await key_of_account(bob.client, "deployer", "run:create"), bob, ann)


async def test_whoever_made_the_key_that_made_the_key_of_a_run_does_not_agree_to_it(
    app: FastAPI, ann: Person, bob: Person
) -> None:
    await holding(ann, "run.create")
    made = await bob.client.post(ACCOUNTS, json={"name": "first", "role": "admin"})
    body = {"name": "first", "scopes": sorted(GRANTABLE - {Permission.PROJECT_DELETE})}
    first = (await bob.client.post(f"{ACCOUNTS}/{made.json()['id']}/keys", json=body)).json()["key"]
    async with client_of(app, Authorization=f"Bearer {first}") as machine:
        second = await key_of_account(machine, "second", "run:create")
    await agreed_by_another(app, second, bob, ann)
