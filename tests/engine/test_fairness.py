"""One project's flood does not delay another's first step."""

from dataclasses import replace
from uuid import UUID

import asyncpg
from sqlalchemy import insert

from sparkops.core.ids import new_id
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.identity.models import Membership
from sparkops.domains.policies.models import PolicyStamp
from sparkops.domains.projects.models import Project
from sparkops.engine.claim import claim
from tests.engine.conftest import World, person_of
from tests.engine.sink import listening, sending
from tests.engine.test_cancel import SLOW

FLOOD = 100_000

_FLOOD = """
INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, effect_class, status, ready_at)
SELECT gen_random_uuid(), run_id, project_id, node_key, node_key || n, type, position, effect_class, 'ready', ready_at
  FROM steps, generate_series(1, $2::int) n WHERE run_id = $1
"""


async def flood(world: World, owner_url: str, count: int) -> UUID:
    """Give the project a run with this many more ready steps, and let the planner know of them."""
    run_id = await world.run(await world.workflow(SLOW))
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute(_FLOOD, run_id, count)
        await owner.execute("VACUUM ANALYZE steps")
    finally:
        await owner.close()
    return run_id


async def another_project(world: World, slug: str = "other") -> World:
    """Another project of ada's, in the same installation."""
    project_id = new_id()
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=project_id, slug=slug, name=slug.title()))
        await session.execute(
            insert(Membership).values(project_id=project_id, user_id=world.ada.user_id, role="operator")
        )
        await session.execute(insert(PolicyStamp).values(scope_id=project_id, version=1))
    return replace(world, project_id=project_id, ada=person_of("ada", project_id, user_id=world.ada.user_id))


_READ = """
SELECT coalesce(sum(seq_tup_read), 0) AS scanned, coalesce(sum(idx_tup_fetch), 0) AS fetched
  FROM pg_stat_xact_user_tables WHERE relname = 'steps'
"""


async def test_a_claim_reads_the_heads_of_the_projects_not_what_queues_behind_them(
    world: World, owner_url: str
) -> None:
    await flood(world, owner_url, FLOOD)
    other = await another_project(world)
    first = await other.run(await other.workflow(SLOW))
    worker = await world.worker()
    async with world.transaction() as engine:
        before = await engine.database.pool.fetchrow(_READ)
        claims = await claim(engine, worker, limit=16)
        after = await engine.database.pool.fetchrow(_READ)
    assert (len(claims), first in {each.run_id for each in claims}) == (16, True)
    assert after["scanned"] == before["scanned"]
    assert after["fetched"] - before["fetched"] < 500


async def test_a_claim_takes_nothing_of_the_projects_that_hold_their_share(world: World, owner_url: str) -> None:
    await flood(world, owner_url, 50)
    other = await another_project(world)
    run_id = await other.run(await other.workflow(SLOW))
    worker = await world.worker()
    claims = await claim(world.engine, worker, limit=9, full=[world.project_id])
    assert [each.run_id for each in claims] == [run_id]
    assert await claim(world.engine, worker, limit=9, full=[world.project_id]) == []


async def test_two_floods_that_hold_all_they_may_leave_a_slot_for_a_thirds_first_step(
    world: World, owner_url: str
) -> None:
    """Nothing ends here: a step that starts beside the floods has found a slot that was free."""
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.PURE)
        projects = [world, await another_project(world, "second"), await another_project(world, "third")]
        runs = [await flood(world, owner_url, FLOOD)]

        async def running() -> list[int]:
            held = "SELECT count(*) FROM steps WHERE run_id = $1 AND status = 'running'"
            return [await world.database.pool.fetchval(held, run_id) for run_id in runs]

        async def each_came_and_found_a_slot() -> bool:
            match await running():
                case [8]:
                    runs.append(await flood(projects[1], owner_url, 50))
                case [8, 1]:
                    runs.append(await projects[2].run(await projects[2].workflow(SLOW)))
                case [8, 1, 1]:
                    return True
            return False

        await world.work(each_came_and_found_a_slot, slots=10)
        assert sink.got.total() == 10


async def test_a_project_that_is_alone_may_hold_every_slot(world: World, owner_url: str) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.PURE)
        run_id = await flood(world, owner_url, 50)

        async def all_run() -> bool:
            count: int = await world.database.pool.fetchval(
                "SELECT count(*) FROM steps WHERE run_id = $1 AND status = 'running'", run_id
            )
            return count == 10

        await world.work(all_run, slots=10)
