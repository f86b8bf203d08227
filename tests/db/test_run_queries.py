"""The list of runs walks an index whatever it is narrowed to."""

from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from sparkops.api.run_rows import runs_statement
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import Role
from sparkops.core.principal import Place, Principal
from sparkops.core.tenancy import sight_of
from sparkops.domains.runs.pages import RunFilter
from sparkops.domains.runs.state import RunStatus

RUNS = 20_000
PAGE = PageRequest(50)
FILL = """
    WITH p AS (INSERT INTO projects (id, slug, name) VALUES ($1, 'many', 'Many') RETURNING id),
         w AS (INSERT INTO workflows (id, project_id, name, latest_version)
               SELECT $2, id, 'often', 1 FROM p RETURNING id, project_id),
         v AS (INSERT INTO workflow_versions (id, project_id, workflow_id, version, source, definition, digest)
               SELECT $3, project_id, id, 1, '', '{}', '' FROM w RETURNING id, project_id, workflow_id)
    INSERT INTO runs (id, project_id, workflow_id, workflow_version_id, status, input, finished_at)
    SELECT overlay(gen_random_uuid()::text placing to_char(n, 'FM00000000') from 1 for 8)::uuid, project_id,
           CASE WHEN n % 1000 = 0 THEN $4 ELSE workflow_id END, id,
           CASE WHEN n % 1000 = 1 THEN 'failed' ELSE 'succeeded' END, '{}', now()
      FROM v, generate_series(1, $5::int) n
"""


@pytest.mark.parametrize(
    "where",
    [
        RunFilter(),
        RunFilter(statuses={RunStatus.FAILED}),
        RunFilter(statuses={RunStatus.FAILED, RunStatus.RUNNING, RunStatus.CANCELLED}),
        RunFilter(workflow_ids=[UUID(int=7)]),
        RunFilter(workflow_ids=[UUID(int=7)], statuses={RunStatus.FAILED}),
        RunFilter(workflow_ids=[UUID(int=6)], statuses={RunStatus.FAILED}),
        RunFilter(workflow_ids=[UUID(int=6)]),
        RunFilter(id_from=UUID("00000900" + "0" * 24), id_to=UUID("00000900" + "f" * 24)),
        RunFilter(source_run_id=UUID(int=9)),
    ],
    ids=[
        "all",
        "rare status",
        "rare statuses",
        "rare workflow",
        "rare both",
        "rare status of a common workflow",
        "common workflow",
        "id prefix",
        "source",
    ],
)
async def test_a_page_reads_no_more_rows_than_it_shows(database: Database, owner_url: str, where: RunFilter) -> None:
    project = new_id()
    places = {project: Place(project, "many", Role.OPERATOR)}
    user = Principal(uuid4(), "ann@example.com", "Ann", is_admin=False, places=places)
    await database.pool.execute(FILL, project, UUID(int=6), uuid4(), UUID(int=7), RUNS)
    owner = await asyncpg.connect(owner_url)
    await owner.execute("ANALYZE")
    await owner.close()

    statement, arguments = runs_statement(user, "many", where, PAGE)
    on = database.walled.rows(sight_of(user))
    plan = await on.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)

    assert rows_read(orjson.loads(plan)[0]["Plan"]) <= 4 * PAGE.limit


def rows_read(node: dict[str, object]) -> int:
    """Rows of `runs` that the plan touched, those thrown away included."""
    own = 0
    if node.get("Relation Name") == "runs":
        loops = int(str(node["Actual Loops"]))
        own = round((float(str(node["Actual Rows"])) + int(str(node.get("Rows Removed by Filter", 0)))) * loops)
    children = node.get("Plans", [])
    assert isinstance(children, list)
    return own + sum(rows_read(child) for child in children)
