"""Budgets over HTTP: defined, changed, looked at; and what runs cost. What they hold is told in tests/engine."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.domains.budgets.forecast import forecast
from tests.api.conftest import SOURCE, Person
from tests.api.things import make_things

MONEY = {"project": "weather", "name": "spending", "scope": "project", "period": "month", "limit_micros": 5_000_000}


async def define(client: AsyncClient, status: int = 201, **changed: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/budgets", json={**MONEY, **changed})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_budget_is_defined_listed_changed_and_given_up(ann: Person, bob: Person) -> None:
    made = await define(ann.client, thresholds=[{"percent": 80, "action": "notify"}])
    assert (made["time_zone"], made["windows"], made["waiting"], made["may_change"]) == ("UTC", [], 0, True)
    listed = await bob.client.get("/api/v1/budgets", params={"project": "weather"})
    assert [one["name"] for one in listed.json()["items"]] == ["spending"]
    changed = await bob.client.put(f"/api/v1/budgets/{made['id']}", json={"name": "less", "limit_tokens": 7})
    assert changed.json()["limits"] == {"money_micros": None, "tokens": 7, "calls": None, "runs": None}
    for _ in range(2):
        gone = await ann.client.post(f"/api/v1/budgets/{made['id']}/archive")
        assert gone.json()["archived_at"]
    listed = await ann.client.get("/api/v1/budgets", params={"project": "weather"})
    assert listed.json()["items"] == []
    listed = await ann.client.get("/api/v1/budgets", params={"project": "weather", "archived": "true"})
    assert [one["name"] for one in listed.json()["items"]] == ["less"]
    late = await ann.client.put(f"/api/v1/budgets/{made['id']}", json={"name": "more", "limit_tokens": 7})
    assert late.status_code == 409


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"limit_micros": None}, "state a limit"),
        ({"limit_micros": -1}, "greater than or equal to 0"),
        ({"time_zone": "Mars/Olympus"}, "must be the name of a time zone"),
        ({"thresholds": [{"percent": 80, "action": "shout"}]}, "Input should be 'notify'"),
        ({"thresholds": [{"percent": 80, "action": "deny"}] * 2}, "stands there twice"),
        ({"scope": "api_key", "target": str(uuid4())}, "There is no such api_key here"),
        ({"scope": "project", "target": str(uuid4())}, "has no target"),
        ({"scope": "agent", "limit_runs": 3}, "cannot be limited for the scope agent"),
        ({"period": "run", "limit_runs": 3}, "cannot be limited for each run"),
        ({"limit_micros": None, "limit_calls": 3, "admission": "ask"}, "a forecast is of money"),
        ({"scope": "agent", "admission": "ask"}, "is not of one agent"),
        ({"scope": "workflow", "target": str(uuid4())}, "There is no such workflow here"),
        ({"scope": "installation"}, "has no scope installation"),
    ],
)
async def test_what_makes_no_sense_is_told(ann: Person, changed: dict[str, Any], says: str) -> None:
    assert says in (await define(ann.client, 422, **changed))["detail"]


async def test_a_change_is_checked_against_what_never_changes(ann: Person) -> None:
    made = await define(ann.client, scope="agent")
    answer = await ann.client.put(f"/api/v1/budgets/{made['id']}", json={"name": "x", "limit_runs": 3})
    assert (answer.status_code, "scope agent" in answer.json()["detail"]) == (422, True)


async def test_a_name_is_taken_once(ann: Person) -> None:
    await define(ann.client)
    assert (await define(ann.client, 409))["type"].endswith(":conflict")


async def test_only_administrators_define_budgets_of_the_installation(ann: Person, door: Door) -> None:
    await define(ann.client, 403, project=None, scope="installation")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    made = await define(ann.client, project=None, scope="installation")
    assert (made["project"], made["scope"]) == (None, "installation")


async def test_members_see_the_budgets_of_the_installation_and_may_not_change_them(
    ann: Person, bob: Person, door: Door
) -> None:
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    made = await define(ann.client, project=None, scope="installation")
    (seen,) = (await bob.client.get("/api/v1/budgets", params={"project": "weather"})).json()["items"]
    assert (seen["id"], seen["may_change"]) == (made["id"], False)
    refused = await bob.client.post(f"/api/v1/budgets/{made['id']}/archive")
    assert refused.status_code == 403


async def spend(door: Door, run_id: UUID, window_id: UUID, *micros: int) -> None:
    """Ledger lines on a window, as calls of a run would leave them."""
    for amount in micros:
        await door.database.pool.execute(
            "INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, tokens,"
            " kind)"
            " SELECT gen_random_uuid(), r.project_id, $2, r.id, gen_random_uuid(), 1, $3, 10, 'actual' FROM runs r"
            "  WHERE r.id = $1",
            run_id,
            window_id,
            amount,
        )
    await door.database.pool.execute(
        "UPDATE budgets SET spent_micros = spent_micros + $2, spent_tokens = spent_tokens + $3 WHERE id = $1",
        window_id,
        sum(micros),
        10 * len(micros),
    )


async def test_the_windows_of_a_budget_and_its_course_are_told(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    await spend(door, things.run_id, things.window_id, 100, 200)
    listed = (await ann.client.get(f"/api/v1/budgets/{things.budget_id}/windows")).json()
    (window,) = listed["items"]
    assert (window["spent_micros"], window["spent_tokens"], window["member"]["name"]) == (300, 20, "Weather")
    course = (await ann.client.get(f"/api/v1/budgets/{things.budget_id}/windows/{things.window_id}")).json()
    assert course["points"][-1]["micros"] == 300
    (shown,) = (await ann.client.get(f"/api/v1/budgets/{things.budget_id}")).json()["windows"]
    assert shown["id"] == window["id"]


async def test_what_was_reached_is_listed_with_its_run(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    await door.database.pool.execute(
        "SELECT engine.budget_notices($1, NULL, jsonb_build_array($2::jsonb))",
        things.run_id,
        {"id": str(things.window_id), "kind": "calls", "percent": 80, "action": "notify"},
    )
    (notice,) = (await ann.client.get(f"/api/v1/budgets/{things.budget_id}/notices")).json()["items"]
    assert (notice["kind"], notice["percent"], notice["run_id"]) == ("calls", 80, str(things.run_id))


async def test_a_run_tells_what_it_cost_and_what_it_counts_against(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    own = await door.database.pool.fetchval("SELECT id FROM budgets WHERE definition_id IS NULL")
    await spend(door, things.run_id, own, 250)
    costs = (await ann.client.get(f"/api/v1/runs/{things.run_id}/costs")).json()
    assert (costs["cost_micros"], costs["below_micros"], costs["presumed_micros"]) == (250, 0, 0)
    (line,) = costs["lines"]
    assert (line["name"], line["cost_micros"], line["input_tokens"]) == ("files.write", 250, 120)
    (budget,) = costs["budgets"]
    assert (budget["name"], budget["budget_id"], budget["by_this_run_micros"]) == ("This run", None, 250)


async def test_a_forecast_tells_by_how_many_runs_it_knows(ann: Person, door: Door) -> None:
    await make_things(ann, door)
    query = {"project": "weather", "workflow": "report"}
    told = (await ann.client.get("/api/v1/budgets/forecast", params=query)).json()
    assert (told["runs"], told["median_micros"], told["workflow"]["name"]) == (0, None, "report")


@pytest.mark.parametrize("action", ["deny", "require_approval"])
async def test_a_run_for_which_there_is_no_room_is_refused_or_people_are_asked(ann: Person, action: str) -> None:
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": SOURCE.format(name="report")})
    budget = await define(ann.client, limit_micros=None, limit_runs=0, thresholds=[{"percent": 100, "action": action}])
    answer = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    told = answer.json()
    if action == "deny":
        assert (answer.status_code, told["type"]) == (403, "urn:sparkops:problem:budget-exceeded")
        assert (told["budget_id"], told["action"]) == (budget["id"], "deny")
        return
    assert (answer.status_code, told["status"]) == (201, "awaiting_approval")
    (question,) = (await ann.client.get("/api/v1/approvals", params={"project": "weather"})).json()["items"]
    assert (question["run_id"], question["rule"], question["may_answer"]) == (told["id"], "budget", False)
    (asks,) = question["budgets"]
    assert (asks["budget_id"], asks["about"], asks["limit_runs"]) == (budget["id"], "runs", 0)


async def test_a_run_that_waits_for_a_budget_names_it_until_there_is_room(ann: Person) -> None:
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": SOURCE.format(name="report")})
    pauses = [{"percent": 100, "action": "pause"}]
    budget = await define(ann.client, limit_micros=None, limit_runs=0, thresholds=pauses)
    answer = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    told = answer.json()
    assert (answer.status_code, told["status"], told["queued_behind"]) == (201, "queued", "budget")
    (behind,) = told["queued_budgets"]
    assert (behind["id"], behind["name"]) == (budget["id"], budget["name"])
    assert (behind["limit_runs"], behind["used_runs"], behind["percent"]) == (0, 0, 100)
    await ann.client.post(f"/api/v1/budgets/{budget['id']}/archive")
    now = (await ann.client.get(f"/api/v1/runs/{told['id']}")).json()
    assert (now["status"], now["queued_behind"], now["queued_budgets"]) == ("running", None, [])


NOW = datetime(2031, 5, 11, tzinfo=UTC)
MONTH = {"since": datetime(2031, 5, 1, tzinfo=UTC), "until": datetime(2031, 5, 31, tzinfo=UTC)}


def test_a_forecast_carries_the_average_on_to_the_end() -> None:
    told = forecast(250, 100, **MONTH, now=NOW)
    assert told is not None
    assert (told.micros, told.exhausted_at) == (300, datetime(2031, 5, 26, tzinfo=UTC))


def test_a_limit_that_is_not_reached_has_no_day() -> None:
    told = forecast(301, 100, **MONTH, now=NOW)
    assert told is not None
    assert told.exhausted_at is None


def test_of_a_period_that_has_only_begun_nothing_is_told() -> None:
    assert forecast(250, 100, **MONTH, now=MONTH["since"] + timedelta(days=1)) is None
    assert forecast(250, 100, since=None, until=None, now=NOW) is None
