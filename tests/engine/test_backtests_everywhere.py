"""Backtests over all projects: each decision is judged by what holds in its own project."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from sparkops.core.clock import utc_now
from sparkops.core.errors import Forbidden
from sparkops.domains.policies.decision_queries import id_at
from sparkops.engine import backtests as jobs
from sparkops.runtime import backtests as judging
from tests.engine.acts import DENY_NOOP, HOLD_NOOP
from tests.engine.conftest import World, person_of
from tests.engine.tenants import another, ask, remove
from tests.engine.test_backtests import flips, judged, many, row, start

NEVER = {**DENY_NOOP, "when": "run.cost_micros > 1000000"}
ROOT = person_of("root", is_admin=True)


async def everywhere(world: World, *rules: dict[str, Any], **more: Any) -> UUID:
    """Start a backtest of a draft of the installation, which no other policy of it stands beside."""
    found = await jobs.every_place(world.database, ROOT)
    places = [
        {
            "project_id": str(one.project_id),
            "slug": one.slug,
            "default_effect": one.default_effect,
            "time_zone": one.time_zone,
            "beside": [
                None,
                *({"id": str(y.id), "version": y.active_version, "name": y.name} for y in one.policies if y.project_id),
            ],
        }
        for one in found
    ]
    return await start(world, *rules, project_id=None, places=places, beside=(), **more)


async def sorted_flips(world: World, job_id: UUID) -> dict[UUID, set[str]]:
    found: dict[UUID, set[str]] = {}
    for flip in await flips(world, job_id):
        found.setdefault(flip["project_id"], set()).add(flip["change"])
    return found


async def test_where_no_rule_matches_the_default_of_each_project_decides(world: World) -> None:
    other = await another(world)
    await other.sql("UPDATE projects SET default_effect = 'deny' WHERE id = $1", other.project_id)
    await many(world, 3)
    await many(other, 2)
    job_id = await everywhere(world, NEVER)
    assert await judged(world) == 1
    assert (await row(world, job_id))["counts"] == {"stays": 3, "newly_denied": 2}
    assert await sorted_flips(world, job_id) == {other.project_id: {"newly_denied"}}


async def test_the_hour_of_a_decision_is_that_of_its_project_and_the_days_are_those_of_utc(world: World) -> None:
    other = await another(world)
    await other.sql("UPDATE projects SET time_zone = 'Asia/Tokyo' WHERE id = $1", other.project_id)
    await many(world, 1)
    await many(other, 1)
    moments = await world.database.pool.fetch("SELECT project_id, at FROM policy_decisions")
    at: dict[UUID, datetime] = {one["project_id"]: one["at"] for one in moments}
    hour = at[other.project_id].astimezone(ZoneInfo("Asia/Tokyo")).hour
    job_id = await everywhere(world, {**DENY_NOOP, "when": f"time.hour == {hour}"})
    await judged(world)
    assert await sorted_flips(world, job_id) == {other.project_id: {"newly_denied"}}
    assert set((await row(world, job_id))["days"]) == {one.astimezone(UTC).date().isoformat() for one in at.values()}


async def test_the_policies_of_each_project_keep_their_force_there_alone(world: World) -> None:
    other = await another(world)
    await other.rules({"name": "dear", "on": ["tool.call"], "when": "run.cost_micros > 1", "effect": "deny"})
    await many(world, 2)
    await many(other, 2)
    job_id = await everywhere(world, HOLD_NOOP)
    await judged(world)
    assert (await row(world, job_id))["counts"] == {"newly_held": 3, "newly_denied": 1}
    found = await flips(world, job_id)
    assert [one["project_id"] for one in found if one["new_rule"] == "dear"] == [other.project_id]


async def test_the_decisions_of_a_project_that_was_deleted_meanwhile_are_left_out(world: World) -> None:
    other = await another(world)
    await other.rules({"name": "dear", "on": ["tool.call"], "effect": "deny"})
    await many(world, 2)
    await many(other, 2)
    job_id = await everywhere(world, DENY_NOOP)
    await ask(other)
    await remove(other)
    await judged(world)
    found = await row(world, job_id)
    assert (found["status"], found["judged"], found["counts"]) == ("done", 2, {"newly_denied": 2})


async def test_flips_of_a_project_that_goes_while_they_are_judged_are_not_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await another(world)
    await many(world, 2)
    await many(other, 2)
    job_id = await everywhere(world, DENY_NOOP)
    costs = jobs.costs_of

    async def goes(*args: Any) -> Any:
        await ask(other)
        await remove(other)
        return await costs(*args)

    monkeypatch.setattr(jobs, "costs_of", goes)
    await judged(world)
    assert (await row(world, job_id))["status"] == "done"
    assert await sorted_flips(world, job_id) == {world.project_id: {"newly_denied"}}


async def test_it_goes_on_where_it_stood_and_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "PAGE", 40)
    other = await another(world)
    for one in (world, other):
        await many(one, 60)
    job_id = await everywhere(world, DENY_NOOP)
    first = await jobs.claim_backtest(world.database)
    assert first is not None
    await judging.run_backtest(world.database, first, stopping=lambda: True)
    found = await row(world, job_id)
    assert (found["status"], found["total"], found["judged"]) == ("queued", 120, 40)
    await world.sql("UPDATE backtests SET cancel_requested = true")
    await judged(world)
    found = await row(world, job_id)
    assert (found["status"], found["judged"]) == ("cancelled", 80)
    listed = {flip["decision_id"] for flip in await flips(world, job_id)}
    newest = await world.database.pool.fetch("SELECT id FROM policy_decisions ORDER BY id DESC LIMIT 80")
    assert listed == {one["id"] for one in newest}


async def test_money_and_approvals_are_told_by_day_over_all_projects(world: World) -> None:
    other = await another(world)
    await many(world, 3, "require_approval")
    await many(other, 4, "require_approval")
    job_id = await everywhere(world, {**DENY_NOOP, "effect": "allow"})
    await judged(world)
    days = (await row(world, job_id))["days"].values()
    told = [sum(day[key] for day in days) for key in ("approvals", "approvals_then", "allowed_micros")]
    assert told == [7, 0, 14]


async def test_only_administrators_of_the_installation_are_told_what_holds_everywhere(world: World) -> None:
    with pytest.raises(Forbidden):
        await jobs.every_place(world.database, world.ada)


async def test_the_newest_of_all_projects_are_found_without_sorting_all(world: World, owner_url: str) -> None:
    other = await another(world)
    for one in (world, other):
        await many(one, 5_000)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("ANALYZE policy_decisions")
    finally:
        await owner.close()
    where, now = [world.project_id, other.project_id], utc_now()
    window = jobs.Window(
        where, id_at(datetime(2020, 1, 1, tzinfo=UTC)), id_at(now.replace(year=now.year + 1)), None, None
    )
    plan = await world.database.pool.fetch(f"EXPLAIN {jobs._PAGE_OF_ALL}", *window.args(None), 100, False, False, False)
    text = "\n".join(one[0] for one in plan)
    assert "pk_policy_decisions" in text
    assert "Sort" not in text
