"""Projects with something of everything in them, and the time that passes over what has ended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import insert

from sparkops.core.ids import new_id
from sparkops.core.payloads import references
from sparkops.domains.identity.models import Membership
from sparkops.domains.policies.models import PolicyStamp
from sparkops.domains.projects.models import Project
from sparkops.engine.collection import Collected, Collector
from sparkops.engine.context import Engine
from sparkops.engine.removal import Removal, ask_deletion, claim_removal, end_removal, remove_some
from sparkops.engine.retention import retain
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP
from tests.engine.bulk import LARGE, making
from tests.engine.conftest import World, person_of

CANARY = "a heron stands in the reeds"
"""In a file, an input, an output and a request."""
RICH = """
version: 1
name: rich
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: large, type: tool, tool: large}
  - {id: file, type: tool, tool: files.write, with: {name: report.md, content: "${{ input.text }}"}}
  - id: each
    type: map
    with: {over: 3}
    steps:
      - {id: note, type: tool, tool: noop, with: {text: "${{ input.text }}"}}
  - {id: child, type: workflow, workflow: one}
  - {id: last, type: transform, needs: [large], with: {value: "${{ steps.large.output }}"}}
"""
RUN_TABLES = (
    "runs",
    "steps",
    "step_attempts",
    "calls",
    "events",
    "frames",
    "expansions",
    "artifacts",
    "policy_decisions",
)


async def owned(world: World) -> World:
    """Let ada own the project; its workflows and tools are there."""
    await world.sql("UPDATE memberships SET role = 'owner' WHERE user_id = $1", world.ada.user_id)
    world.tools["large"] = making(LARGE)
    await world.workflow(ONE_STEP)
    await world.workflow(RICH)
    return world


async def another(world: World, slug: str = "other") -> World:
    """A second project of ada's, over the same servers and the same object storage."""
    project_id = new_id()
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=project_id, slug=slug, name=slug))
        await session.execute(insert(Membership).values(project_id=project_id, user_id=world.ada.user_id, role="owner"))
        await session.execute(insert(PolicyStamp).values(scope_id=project_id, version=1))
    ada = person_of("ada", *world.ada.places, project_id, user_id=world.ada.user_id)
    return await owned(replace(world, project_id=project_id, ada=ada))


async def rich_run(world: World) -> UUID:
    """A run that has ended, with files, large values, items and a run below it."""
    run_id = await world.run("rich", input={"text": CANARY})
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded", await world.row(run_id)
    return run_id


async def age(owner_url: str, *run_ids: UUID, days: int) -> None:
    """Let runs, and those below them, have ended so many days earlier."""
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("ALTER TABLE runs DISABLE TRIGGER guard_final")
            await owner.execute(
                "UPDATE runs SET finished_at = finished_at - $2::interval WHERE id = ANY ($1) OR lineage && $1",
                list(run_ids),
                timedelta(days=days),
            )
            await owner.execute("ALTER TABLE runs ENABLE TRIGGER guard_final")
    finally:
        await owner.close()


async def keep(world: World, **days: int | None) -> None:
    for name, value in days.items():
        await world.sql(f"UPDATE projects SET keep_{name}_days = $2 WHERE id = $1", world.project_id, value)


async def tidied(engine: Engine) -> dict[str, int]:
    """Let retention do all there is to do."""
    found = {"runs": 0, "logs": 0, "values": 0}
    async for what, removed in retain(engine):
        found[what] += removed
    return found


async def ask(world: World, *, delay: timedelta = timedelta(0)) -> UUID:
    return await ask_deletion(
        world.engine, world.ada, project_id=world.project_id, reason="the trial is over", delay=delay
    )


async def remove(world: World) -> Removal:
    """Remove everything of the project whose deletion is due, as a worker does."""
    removal = await claim_removal(world.engine)
    assert removal is not None
    assert removal.project_id == world.project_id
    while True:
        state = await remove_some(world.engine, removal)
        if state == "waits":
            await sweep(world.engine, ("run",))
        elif state == "empty" and await end_removal(world.engine, world.engine.payloads, removal):
            return removal


async def collect(world: World, *, grace: timedelta = timedelta(0)) -> Collected:
    collector = Collector(world.engine, world.blobs, grace)
    async for _ in collector.run():
        pass
    return collector.collected


async def tables_with(owner_url: str, text: str) -> set[str]:
    """Return the tables in which this text stands anywhere, as a dump would show it."""
    owner = await asyncpg.connect(owner_url)
    try:
        names = await owner.fetch(
            "SELECT relname AS name FROM pg_class "
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        found = set()
        for row in names:
            query = f'SELECT EXISTS (SELECT 1 FROM "{row["name"]}" t WHERE position($1 IN t::text) > 0)'
            if await owner.fetchval(query, text):
                found.add(row["name"])
        return found
    finally:
        await owner.close()


async def counts(world: World, tables: Sequence[str] = RUN_TABLES) -> dict[str, int]:
    """How many rows of the project each table has."""
    return {
        table: await world.database.pool.fetchval(
            f"SELECT count(*) FROM {table} WHERE project_id = $1",
            world.project_id,
        )
        for table in tables
    }


async def digest_of_large(world: World, run_id: UUID) -> str:
    """The digest under which the large value of a run lies."""
    steps = await world.steps(run_id)
    return references(steps["large"]["output"])[0].sha256
