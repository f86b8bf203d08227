"""Backtests over all projects, over HTTP: who may have them, and what is shown of them."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from sparkops.api.deps import Door
from sparkops.api.routes import backtests as route
from sparkops.worker.backtester import judge_all
from tests.api.conftest import MakePerson, Person
from tests.api.test_policies import posted, read, saved
from tests.engine.test_backtests import MANY

SINCE = "2026-01-01T00:00:00Z"
DRAFT = """\
version: 1
name: no-tools
rules: [{name: none, on: [tool.call], effect: deny, reason: Not today.}]
"""
OTHER = DRAFT.replace("no-tools", "also")
OVER_ALL = {"project": None, "since": SINCE}


async def administrator(door: Door, somebody: Person) -> Person:
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", somebody.id)
    return somebody


async def decided(door: Door, slug: str, count: int) -> None:
    project_id = await door.database.pool.fetchval("SELECT id FROM projects WHERE slug = $1", slug)
    await door.database.pool.execute(MANY, project_id, count, "allow")


@pytest.fixture
async def root(ann: Person, person: MakePerson, door: Door) -> Person:
    """An administrator who owns the project `lab`, and does not belong to ann's."""
    made = await administrator(door, await person("root"))
    await posted(made.client, "/projects", {"slug": "lab", "name": "Lab"}, 201)
    await decided(door, "weather", 2)
    await decided(door, "lab", 3)
    return made


async def judged(root: Person, door: Door, **draft: Any) -> dict[str, Any]:
    started = await posted(root.client, "/backtests", OVER_ALL | draft, 201)
    await judge_all(door.database, asyncio.Event())
    return await read(root.client, f"/backtests/{started['id']}")


async def test_an_administrator_sees_what_it_comes_to_in_all_projects_and_flips_of_their_own(
    root: Person, door: Door
) -> None:
    found = await judged(root, door, source=DRAFT)
    assert (found["status"], found["project"], found["counts"]) == ("done", None, {"newly_denied": 5})
    assert (found["time_zone"], found["flips_listed"]) == ("UTC", 5)
    listed = (await read(root.client, f"/backtests/{found['id']}/flips"))["items"]
    assert [one["project"] for one in listed] == ["lab"] * 3
    mine = await read(root.client, "/backtests", project="lab")
    assert [one["id"] for one in mine["items"]] == [found["id"]]


async def test_who_is_no_administrator_is_refused_and_sees_none_of_it(root: Person, ann: Person, door: Door) -> None:
    refused = await ann.client.post("/api/v1/backtests", json=OVER_ALL | {"source": DRAFT})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "Only administrators of the installation may do this.",
    )
    found = await judged(root, door, source=DRAFT)
    for path in ("", "/flips"):
        assert (await ann.client.get(f"/api/v1/backtests/{found['id']}{path}")).status_code == 404
    assert (await ann.client.post(f"/api/v1/backtests/{found['id']}/cancel", json={})).status_code == 403
    assert (await read(ann.client, "/backtests", project="weather"))["items"] == []


async def test_only_drafts_of_the_installation_are_looked_at_everywhere(root: Person) -> None:
    policy = (await saved(root.client, DRAFT, "lab"))["policy"]
    answer = await posted(root.client, "/backtests", OVER_ALL | {"policy_id": policy["id"], "version": 1}, 422)
    assert answer["detail"] == "A policy of a project says nothing in others: name its project."


async def test_the_draft_stands_among_the_policies_of_the_installation(root: Person, door: Door) -> None:
    for source, project in ((OTHER, None), (DRAFT.replace("no-tools", "above"), "lab")):
        policy = (await saved(root.client, source, project))["policy"]
        await posted(root.client, f"/policies/{policy['id']}/publish", {"version": 1, "note": None})
    started = await posted(root.client, "/backtests", OVER_ALL | {"source": DRAFT}, 201)
    places = await door.database.pool.fetchval("SELECT places FROM backtests WHERE id = $1", UUID(started["id"]))
    stand = {place["slug"]: [one and one["name"] for one in place["beside"]] for place in places}
    assert stand == {"weather": ["also", None, "outward"], "lab": ["also", None, "outward", "above"]}


async def test_a_policy_of_the_installation_is_published_with_a_backtest_over_all(root: Person, door: Door) -> None:
    policy = (await saved(root.client, DRAFT, None))["policy"]
    path = f"/policies/{policy['id']}/publish"
    done = await judged(root, door, policy_id=policy["id"], version=1)
    published = await posted(root.client, path, {"version": 1, "note": None, "backtest_id": done["id"]})
    assert published["active_version"] == 1
    beside_itself = await judged(root, door, source=DRAFT)
    answer = await posted(root.client, path, {"version": 1, "note": None, "backtest_id": beside_itself["id"]}, 409)
    assert "not of this policy" in answer["detail"]
    own = (await saved(root.client, DRAFT, "lab"))["policy"]
    await posted(root.client, f"/policies/{own['id']}/publish", {"version": 1, "backtest_id": done["id"]}, 404)


async def test_so_many_wait_over_all_projects_at_once_and_one_is_cancelled(
    root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "MAX_OPEN", 1)
    first = await posted(root.client, "/backtests", OVER_ALL | {"source": DRAFT}, 201)
    refused = await posted(root.client, "/backtests", OVER_ALL | {"source": DRAFT}, 409)
    assert refused["detail"] == "1 backtests over all projects wait already; cancel one, or wait."
    await posted(root.client, "/backtests", {"project": "lab", "since": SINCE, "source": DRAFT}, 201)
    assert (await posted(root.client, f"/backtests/{first['id']}/cancel", {}))["status"] == "cancelled"
    await posted(root.client, "/backtests", OVER_ALL | {"source": DRAFT}, 201)
