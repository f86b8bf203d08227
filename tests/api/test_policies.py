"""Policies over HTTP: saved with their tests, published, withdrawn; decisions, violations, backtests."""

import asyncio
from typing import Any

from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.core.ids import new_id
from sparkops.core.json import dumps
from sparkops.engine.governing import follow_up
from sparkops.worker.backtester import judge_all
from tests.api.conftest import MakePerson, Person
from tests.api.things import POLICY, make_things

WRONG = """\
version: 1
name: mail
rules:
  - name: strangers
    on: [tool.call]
    when: tool.nam == "mail.send"
    effect: deny
"""
FAILING = POLICY.replace("expect: require_approval", "expect: allow")


async def saved(client: AsyncClient, source: str = POLICY, project: str | None = "weather") -> dict[str, Any]:
    answer = await client.post("/api/v1/policies", json={"project": project, "source": source})
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def posted(client: AsyncClient, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def read(client: AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def rules_in_force(door: Door) -> int:
    found: int = await door.database.pool.fetchval(
        "SELECT engine.policy_stamp(id) FROM projects WHERE slug = 'weather'"
    )
    return found


async def test_a_policy_is_saved_with_its_tests_and_judges_nothing_yet(ann: Person, door: Door) -> None:
    before = await rules_in_force(door)
    answer = await saved(ann.client)
    assert answer["policy"]["active_version"] is None
    assert (answer["tests"]["passed"], answer["tests"]["failed"]) == (1, 0)
    assert answer["tests"]["coverage"] == [{"rule": "publish", "tests": ["a report"]}]
    assert answer["version"]["rules"][0] | {"on": ["tool.call"], "effect": "require_approval"} == {
        **answer["version"]["rules"][0]
    }
    assert await rules_in_force(door) == before
    listed = (await read(ann.client, "/policies", project="weather"))["items"]
    own = [(one["name"], one["rules_total"], one["tests_total"]) for one in listed if one["project"]]
    assert own == [("publishing", 1, 1)]


async def test_the_outline_of_a_rule_says_all_by_which_it_chooses(ann: Person) -> None:
    names = {"agents": ["intern"], "workflows": ["pay-*"], "tools": ["mail.*"], "capabilities": ["outward"]}
    listed = ", ".join(f"{kind}: ['{each[0]}']" for kind, each in names.items())
    rules = f"  - {{name: out, on: [tool.call], effect: deny, {listed}}}\n"
    source = (
        f"version: 1\nname: outline\nrules:\n{rules}  - {{name: big, on: [llm.call], models: [big], effect: deny}}\n"
    )
    shown = (await saved(ann.client, source))["version"]["rules"]
    assert [rule["scope"] for rule in shown] == [names, {"models": ["big"]}]


async def test_a_second_policy_of_the_same_name_is_refused(ann: Person) -> None:
    await saved(ann.client)
    answer = await ann.client.post("/api/v1/policies", json={"project": "weather", "source": POLICY})
    assert answer.status_code == 409


async def test_mistakes_are_told_with_line_and_column(ann: Person) -> None:
    for path, status in (("/policies", 422), ("/policies/validate", 200)):
        answer = await ann.client.post(f"/api/v1{path}", json={"project": "weather", "source": WRONG})
        assert answer.status_code == status
        [error] = answer.json()["errors"]
        assert (error["line"], error["column"]) == (6, 11)
        assert "tool.name" in error["hint"]


async def test_a_changed_text_is_the_next_version_and_an_unchanged_one_is_not(ann: Person) -> None:
    policy = (await saved(ann.client))["policy"]
    path = f"/policies/{policy['id']}/versions"
    assert (await posted(ann.client, path, {"source": POLICY}))["version"]["version"] == 1
    changed = POLICY.replace("Somebody reads it first.", "Ann reads it first.").replace(
        "rules:", "rules:\n  - {name: never, on: [llm.call], models: [big], effect: deny}"
    )
    assert (await posted(ann.client, path, {"source": changed}, 201))["version"]["version"] == 2
    found = await read(ann.client, f"{path}/2/changes")
    assert (found["since"], found["whole"], found["tests"]) == (1, [], [])
    assert found["rules"] == [
        {"rule": "never", "kind": "added", "keys": []},
        {"rule": "publish", "kind": "changed", "keys": ["reason"]},
    ]
    page = await read(ann.client, path, limit=1)
    assert ([one["version"] for one in page["items"]], page["next_cursor"]) == ([2], "2")
    assert [one["version"] for one in (await read(ann.client, path, cursor=2))["items"]] == [1]
    renamed = await ann.client.post(f"/api/v1{path}", json={"source": POLICY.replace("publishing", "other")})
    assert renamed.status_code == 422


async def test_publishing_changes_what_is_in_force_and_says_who_and_why(ann: Person, bob: Person, door: Door) -> None:
    policy = (await saved(ann.client))["policy"]
    before = await rules_in_force(door)
    answer = await posted(bob.client, f"/policies/{policy['id']}/publish", {"version": 1, "note": "It was time."})
    assert answer["active_version"] == 1
    assert await rules_in_force(door) == before + 1
    withdrawn = await posted(ann.client, f"/policies/{policy['id']}/withdraw", {"note": "Too strict."})
    assert withdrawn["active_version"] is None
    assert await rules_in_force(door) == before + 2
    await posted(ann.client, f"/policies/{policy['id']}/withdraw", {})
    assert await rules_in_force(door) == before + 2
    history = (await read(ann.client, f"/policies/{policy['id']}/publications"))["items"]
    assert [(one["version"], one["note"], one["published_by"]["name"]) for one in history] == [
        (None, "Too strict.", "ann"),
        (1, "It was time.", "bob"),
    ]


async def test_a_version_whose_tests_fail_is_saved_and_not_published(ann: Person, door: Door) -> None:
    answer = await saved(ann.client, FAILING)
    assert answer["tests"]["failed"] == 1
    assert "expected allow, got require_approval" in answer["tests"]["results"][0]["problem"]
    before = await rules_in_force(door)
    refused = await ann.client.post(f"/api/v1/policies/{answer['policy']['id']}/publish", json={"version": 1})
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "tests-fail")
    assert refused.json()["errors"][0]["path"] == "a report"
    assert await rules_in_force(door) == before


async def test_a_policy_of_the_installation_is_read_by_all_and_changed_by_administrators(
    ann: Person, person: MakePerson, door: Door
) -> None:
    source = POLICY.replace("publishing", "house")
    refused = await ann.client.post("/api/v1/policies", json={"project": None, "source": source})
    assert refused.status_code == 403
    root = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", root.id)
    policy = (await saved(root.client, source, project=None))["policy"]
    before = await rules_in_force(door)
    assert policy["project"] is None
    assert (await ann.client.post(f"/api/v1/policies/{policy['id']}/publish", json={"version": 1})).status_code == 403
    await posted(root.client, f"/policies/{policy['id']}/publish", {"version": 1})
    assert await rules_in_force(door) == before + 1
    listed = (await read(ann.client, "/policies", project="weather"))["items"]
    assert "house" in {one["name"] for one in listed}
    assert (await read(ann.client, f"/policies/{policy['id']}"))["active_version"] == 1


async def test_the_default_and_the_zone_of_a_project_are_changed_and_count_as_a_change_of_the_rules(
    ann: Person, door: Door
) -> None:
    before = await rules_in_force(door)
    answer = await ann.client.patch(
        "/api/v1/projects/weather", json={"default_effect": "deny", "time_zone": "Europe/Berlin"}
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["default_effect"], answer.json()["time_zone"]) == ("deny", "Europe/Berlin")
    assert await rules_in_force(door) == before + 1
    for wrong in ({"time_zone": "Mars/Olympus"}, {"default_effect": "require_approval"}, {}):
        assert (await ann.client.patch("/api/v1/projects/weather", json=wrong)).status_code == 422
    limited = (await ann.client.patch("/api/v1/projects/weather", json={"max_running_runs": 3})).json()
    assert (limited["max_running_runs"], limited["default_effect"]) == (3, "deny")
    assert await rules_in_force(door) == before + 1


async def test_decisions_are_browsed_and_become_tests(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    found_by: list[dict[str, Any]] = [
        {"outcome": "require_approval"},
        {"run": str(things.run_id)},
        {"name": "files.write"},
        {},
    ]
    for query in found_by:
        listed = (await read(ann.client, "/decisions", project="weather", **query))["items"]
        assert [one["id"] for one in listed] == [str(things.decision_id)], query
    empty: list[dict[str, Any]] = [
        {"outcome": "deny"},
        {"subject": "llm.call"},
        {"until": "2020-01-01T00:00:00Z"},
        {"monitored": True},
    ]
    for query in empty:
        assert (await read(ann.client, "/decisions", project="weather", **query))["items"] == [], query
    found = await read(ann.client, f"/decisions/{things.decision_id}")
    assert found["facts"]["args"] == {"name": "report.md", "content": "# Report"}
    assert found["case"]["facts"]["args"]["name"] == "report.md"
    tests = POLICY[POLICY.index("tests:") :]
    draft = POLICY.replace(tests, "tests:\n" + found["case_source"])
    verdict = await posted(ann.client, "/policies/validate", {"project": "weather", "source": draft})
    assert verdict["valid"], verdict


ON_RUNS = """\
version: 1
name: {name}
mode: {mode}
rules:
  - {{name: no-runs-{name}, on: [run.create], effect: deny}}
"""


async def in_force(client: AsyncClient, name: str, mode: str = "enforce") -> str:
    policy_id: str = (await saved(client, ON_RUNS.format(name=name, mode=mode)))["policy"]["id"]
    await posted(client, f"/policies/{policy_id}/publish", {"version": 1})
    return policy_id


async def test_the_decisions_of_a_policy_include_those_that_it_only_watched(ann: Person, door: Door) -> None:
    await make_things(ann, door)
    watching = await in_force(ann.client, "watching", "monitor")
    run = await posted(ann.client, "/runs", {"project": "weather", "workflow": "report"}, 201)
    other = await in_force(ann.client, "denying")
    for query in ({"policy": watching}, {"rule": "no-runs-watching"}, {"policy": watching, "rule": "no-runs-watching"}):
        (decision,) = (await read(ann.client, "/decisions", project="weather", **query))["items"]
        assert (decision["run_id"], decision["outcome"], decision["policy"]) == (run["id"], "allow", None), query
    nothing = ({"policy": other}, {"policy": watching, "rule": "no-runs-denying"}, {"rule": "no-runs"})
    for query in nothing:
        assert (await read(ann.client, "/decisions", project="weather", **query))["items"] == [], query
    refused = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    assert refused.status_code == 403
    (denied,) = (await read(ann.client, "/decisions", project="weather", policy=other))["items"]
    both = (await read(ann.client, "/decisions", project="weather", policy=watching))["items"]
    assert [one["id"] for one in both] == [denied["id"], decision["id"]]
    first = await read(ann.client, "/decisions", project="weather", policy=watching, limit=1)
    rest = await read(
        ann.client, "/decisions", project="weather", policy=watching, limit=1, cursor=first["next_cursor"]
    )
    assert [one["id"] for one in first["items"] + rest["items"]] == [denied["id"], decision["id"]]


async def test_a_decision_says_whether_its_run_was_refused_before_it_was_there(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    denying = await in_force(ann.client, "denying")
    assert (await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})).status_code == 403
    (denied,) = (await read(ann.client, "/decisions", project="weather", policy=denying))["items"]
    assert (await ann.client.get(f"/api/v1/runs/{denied['run_id']}")).status_code == 404
    assert (await read(ann.client, f"/decisions/{denied['id']}"))["run_exists"] is False
    assert (await read(ann.client, f"/decisions/{things.decision_id}"))["run_exists"] is True


async def test_a_decision_on_what_an_approver_made_of_a_call_shows_that(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    pool, decision_id, arguments = door.database.pool, new_id(), {"name": "report.md", "content": "short"}
    await pool.execute(
        "UPDATE approvals SET edited_request = $2, edited_hash = 'e', edited_by = $3, edited_at = clock_timestamp()"
        " WHERE id = $1",
        things.approval_id,
        {"tool": "files.write", "arguments": arguments},
        ann.id,
    )
    await pool.execute(
        "INSERT INTO policy_decisions (id, project_id, run_id, step_id, subject, subject_kind, subject_id, name,"
        " request_hash, policy_version, outcome, facts)"
        " SELECT $2, project_id, run_id, step_id, subject, subject_kind, subject_id, name, 'e', 1, 'allow', $3"
        " FROM policy_decisions WHERE id = $1",
        things.decision_id,
        decision_id,
        {"tool.capability": "write", "labels": []},
    )
    found = await read(ann.client, f"/decisions/{decision_id}")
    assert (found["facts"]["args"], found["case"]["facts"]["args"]) == (arguments, arguments)
    first = await read(ann.client, f"/decisions/{things.decision_id}")
    assert first["facts"]["args"]["content"] == "# Report"
    short = POLICY.replace("tools: [files.write],", 'tools: [files.write], when: args.content == "short",')
    assert short != POLICY
    tests = short[short.index("tests:") :]
    draft = await saved(ann.client, short.replace(tests, "").replace("publishing", "short"))
    await posted(ann.client, f"/policies/{draft['policy']['id']}/publish", {"version": 1, "note": "now"})
    today = await read(ann.client, f"/decisions/{decision_id}/today")
    assert (today["outcome"], today["rule"]) == ("require_approval", "publish")


async def test_a_violation_is_acknowledged_resolved_and_opened_again(ann: Person, bob: Person, door: Door) -> None:
    things = await make_things(ann, door)
    path = f"/violations/{things.violation_id}"
    listed = (await read(ann.client, "/violations", project="weather", status="open", severity="high"))["items"]
    assert [one["id"] for one in listed] == [str(things.violation_id)]
    await posted(bob.client, f"{path}/notes", {"status": "acknowledged", "text": "I look after it."})
    await posted(ann.client, f"{path}/notes", {"text": "Thanks."})
    done = await posted(bob.client, f"{path}/notes", {"status": "resolved"})
    assert (done["status"], done["changed_by"]["name"]) == ("resolved", "bob")
    assert [(one["author"]["name"], one["text"], one["status"]) for one in done["notes"]] == [
        ("bob", "I look after it.", "acknowledged"),
        ("ann", "Thanks.", None),
        ("bob", None, "resolved"),
    ]
    refused = await ann.client.post(f"/api/v1{path}/notes", json={"status": "acknowledged"})
    assert refused.status_code == 409
    assert (await ann.client.post(f"/api/v1{path}/notes", json={})).status_code == 422
    assert (await posted(ann.client, f"{path}/notes", {"status": "open"}))["status"] == "open"
    assert (await read(ann.client, "/violations", project="weather", status="resolved"))["items"] == []


async def test_violations_that_were_open_for_too_long_are_listed_by_themselves(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)

    async def listed(overdue: bool) -> list[str]:
        found = await read(ann.client, "/violations", project="weather", overdue=overdue)
        return [one["id"] for one in found["items"] if (one["overdue_at"] is not None) == overdue]

    assert (await listed(True), await listed(False)) == ([], [str(things.violation_id)])
    await door.database.pool.execute("UPDATE violations SET at = clock_timestamp() - interval '1 day'")
    await follow_up(door.engine)
    assert (await listed(True), await listed(False)) == ([str(things.violation_id)], [])


async def test_a_backtest_that_waits_is_cancelled_at_once(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    found = await read(ann.client, f"/backtests/{things.backtest_id}")
    assert (found["status"], found["judged"], found["policy_name"]) == ("queued", 0, "publishing")
    ended = await posted(ann.client, f"/backtests/{things.backtest_id}/cancel", {})
    assert ended["status"] == "cancelled"
    assert (await posted(ann.client, f"/backtests/{things.backtest_id}/cancel", {}))["status"] == "cancelled"


async def test_a_version_is_published_only_with_a_backtest_of_it_that_is_done(ann: Person, door: Door) -> None:
    draft = {"project": "weather", "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    policy = (await saved(ann.client))["policy"]
    path = f"/policies/{policy['id']}/publish"

    async def refused(backtest: dict[str, Any], saying: str) -> None:
        answer = await posted(ann.client, path, {"version": 1, "backtest_id": backtest["id"]}, 409)
        assert answer["type"].endswith("backtest-unfit")
        assert saying in answer["detail"]

    of_it = {"policy_id": policy["id"], "version": 1}
    waits = await posted(ann.client, "/backtests", draft | of_it, 201)
    await refused(waits, "is queued")
    await posted(ann.client, f"/backtests/{waits['id']}/cancel", {})
    await refused(waits, "is cancelled")
    other = (await saved(ann.client, POLICY.replace("name: publishing", "name: other")))["policy"]
    changed = POLICY.replace("Somebody reads it first.", "Ann reads it first.")
    foreign, edited, done, early = [
        await posted(ann.client, "/backtests", draft | one, 201)
        for one in (
            {"policy_id": other["id"], "version": 1},
            {"policy_id": policy["id"], "source": changed},
            of_it,
            {"source": POLICY},
        )
    ]
    await judge_all(door.database, asyncio.Event())
    await refused(foreign, "judged a draft of other")
    await refused(edited, "another text than that of version 1")
    for backtest in (done, early):
        assert (await posted(ann.client, path, {"version": 1, "backtest_id": backtest["id"]}))["active_version"] == 1
    beside_itself = await posted(ann.client, "/backtests", draft | {"source": POLICY}, 201)
    await judge_all(door.database, asyncio.Event())
    await refused(beside_itself, "not of this policy")
    await posted(ann.client, path, {"version": 1, "backtest_id": None})


async def test_a_rule_asks_only_for_arguments_that_its_tools_take(ann: Person) -> None:
    rule = {"name": "r", "on": ["tool.call"], "tools": ["files.write"], "when": "has(args.contents)", "effect": "deny"}
    source = dumps({"version": 1, "name": "typo", "rules": [rule]}).decode()
    told = "files.write takes no argument contents"
    saved_not = await posted(ann.client, "/policies", {"project": "weather", "source": source}, 422)
    assert saved_not["errors"][0]["message"] == told
    verdict = await posted(ann.client, "/policies/validate", {"project": "weather", "source": source})
    assert verdict["errors"][0]["message"] == told
    listed = await ann.client.put("/api/v1/projects/weather/policy", json={"rules": [rule]})
    assert (listed.status_code, told in listed.text) == (422, True)
    policy = (await saved(ann.client))["policy"]
    typo = {"source": source.replace("typo", policy["name"])}
    next_not = await posted(ann.client, f"/policies/{policy['id']}/versions", typo, 422)
    assert next_not["errors"][0]["message"] == told


async def test_a_backtest_says_where_there_was_nothing_to_judge(ann: Person, door: Door) -> None:
    rules = "version: 1\nname: draft\nrules: [{name: never, on: [tool.call, run.create], effect: deny}]\n"
    draft = {"project": "weather", "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "source": rules}
    waits = await posted(ann.client, "/backtests", draft, 201)
    assert waits["warnings"] == []
    await judge_all(door.database, asyncio.Event())
    found = await read(ann.client, f"/backtests/{waits['id']}")
    assert found["on_record"] == [{"subject": on, "decisions": 0} for on in ("run.create", "tool.call")]
    words = "Nothing on record about {} in this time: what these rules would have done is not known."
    assert found["warnings"] == [words.format(on) for on in ("run.create", "tool.call")]


async def test_a_backtest_needs_one_draft_and_a_window(ann: Person) -> None:
    since = "2026-01-01T00:00:00Z"
    for wrong in (
        {"since": since},
        {"since": since, "version": 1},
        {"since": since, "source": WRONG},
        {"since": since, "source": POLICY, "until": "2025-01-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z", "source": POLICY},
    ):
        answer = await ann.client.post("/api/v1/backtests", json={"project": "weather", **wrong})
        assert answer.status_code == 422, wrong


async def test_what_conditions_may_ask_for_is_told_to_editors(ann: Person) -> None:
    found = await read(ann.client, "/schemas/policy-facts")
    facts = {one["name"]: one for one in found["facts"]}
    assert facts["args"]["subjects"] == ["tool.call"]
    assert {one["name"] for one in found["history"]} >= {'history.saw("label")'}
    assert "rules" in (await read(ann.client, "/schemas/policy"))["properties"]
