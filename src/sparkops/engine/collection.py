"""Collecting objects that nothing refers to any more.

Nobody may be asked whether they are about to refer to an object: writers find bytes in their place and write only the
row. So an object goes in two steps. What no row names, and was not written lately, is moved aside; who writes the same
bytes then writes them anew, and who reads them finds them there. After the grace, which is far longer than any
transaction, it is looked for again: what a row names by then goes back to its place, the rest is removed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from sparkops.core.blobs import Blobs, Found
from sparkops.core.clock import utc_now
from sparkops.core.db import PLANNED_FOR_MANY
from sparkops.core.failpoints import failpoint
from sparkops.engine.context import Connection, Engine

Named: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Answers which of these digests something refers to."""

RUNS_PAGE: Final = 200
PAGE: Final = 1_000

_FILES = "SELECT DISTINCT sha256 FROM artifacts WHERE sha256 = ANY ($1)"
_RUNS = "SELECT id FROM runs WHERE project_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"
_REFERENCES = """
SELECT DISTINCT d #>> '{}' AS sha256 FROM (
  SELECT unnest(ARRAY[input, output]) AS value FROM runs WHERE id = ANY ($1)
  UNION ALL SELECT output FROM steps WHERE run_id = ANY ($1)
  UNION ALL SELECT unnest(ARRAY[value, output]) FROM frames
             WHERE parent_id IN (SELECT id FROM steps WHERE run_id = ANY ($1))
  UNION ALL SELECT unnest(ARRAY[request, response]) FROM calls WHERE run_id = ANY ($1)
  UNION ALL SELECT unnest(ARRAY[proposed_request, edited_request]) FROM approvals WHERE run_id = ANY ($1)) v
 CROSS JOIN LATERAL jsonb_path_query(v.value, '$.**."$blob".sha256') d
"""
"""Looks into every column that holds stored values."""
_CONDEMN = """
INSERT INTO condemned_objects (path, project_id) VALUES ($1, $2)
ON CONFLICT (path) DO UPDATE SET condemned_at = clock_timestamp()
"""
_CONDEMNED = """
SELECT path FROM condemned_objects
 WHERE project_id IS NOT DISTINCT FROM $1 AND condemned_at < $2 AND path > $3 ORDER BY path LIMIT $4
"""
_FORGET = "DELETE FROM condemned_objects WHERE path = $1"
_EXISTS = "SELECT EXISTS (SELECT 1 FROM projects WHERE id = $1)"
_GONE = "SELECT EXISTS (SELECT 1 FROM project_deletions WHERE project_id = $1 AND status = 'done')"


@dataclass(slots=True)
class Collected:
    """What one pass did, in objects."""

    looked_at: int = 0
    set_aside: int = 0
    put_back: int = 0
    removed: int = 0


class Collector:
    """One pass over the object storage. `grace`: how long an object is left alone, and then lies aside."""

    def __init__(self, engine: Engine, blobs: Blobs, grace: timedelta) -> None:
        self._engine = engine
        self._blobs = blobs
        self._grace = grace
        self.collected = Collected()

    async def run(self) -> AsyncIterator[Collected]:
        """Collect the files of all projects, then the values of one project after the other; tell between two pages.

        Raises:
            Unavailable: the object storage does not answer. What was done is done; the next pass goes on.
        """
        async for _ in self._judge_condemned(None, self._named_files):
            yield self.collected
        async for page in self._blobs.pages():
            await self._condemn(page, None, await self._named_files([each.sha256 for each in page]))
            yield self.collected
        for name in await self._blobs.projects():
            project_id = _id_of(name)
            if project_id is not None:
                async for _ in self._collect_project(project_id):
                    yield self.collected

    async def _collect_project(self, project_id: UUID) -> AsyncIterator[None]:
        blobs = self._engine.payloads.blobs_of(project_id)
        pool = self._engine.database.pool
        if not await pool.fetchval(_EXISTS, project_id):
            # Something was written while the project was removed. What nobody here has ever deleted is left alone.
            if await pool.fetchval(_GONE, project_id):
                self.collected.removed += await blobs.remove_all()
            return
        named = await self._named_values(project_id)

        async def in_named(asked: Collection[str]) -> Collection[str]:
            return {each for each in asked if each in named}

        async for _ in self._judge_condemned(project_id, in_named):
            yield
        async for page in blobs.pages():
            await self._condemn(page, project_id, named)
            yield

    async def _condemn(self, page: Sequence[Found], project_id: UUID | None, named: Collection[str]) -> None:
        """Move aside what nothing names and nobody has written lately."""
        before = utc_now() - self._grace
        self.collected.looked_at += len(page)
        for each in page:
            if each.written_at < before and each.sha256 not in named:
                await self._engine.database.pool.execute(_CONDEMN, each.path, project_id)
                failpoint("after_condemned")
                await self._blobs.set_aside(each.path)
                self.collected.set_aside += 1

    async def _judge_condemned(self, project_id: UUID | None, named_of: Named) -> AsyncIterator[None]:
        """Remove what has lain aside for the grace, or put it back if it is named by now."""
        before: datetime = await self._engine.database.pool.fetchval(
            "SELECT clock_timestamp() - $1::interval", self._grace
        )
        last = ""
        while paths := await self._condemned(project_id, before, last):
            named = await named_of([_digest_of(path) for path in paths])
            for path in paths:
                if _digest_of(path) in named:
                    await self._blobs.put_back(path)
                    self.collected.put_back += 1
                else:
                    await self._blobs.remove_aside(path)
                    self.collected.removed += 1
                await self._engine.database.pool.execute(_FORGET, path)
            last = paths[-1]
            yield

    async def _condemned(self, project_id: UUID | None, before: datetime, last: str) -> Sequence[str]:
        rows = await self._engine.database.pool.fetch(_CONDEMNED, project_id, before, last, PAGE)
        return [row["path"] for row in rows]

    async def _named_files(self, asked: Collection[str]) -> Collection[str]:
        rows = await self._engine.database.pool.fetch(_FILES, list(asked))
        return {row["sha256"] for row in rows}

    async def _named_values(self, project_id: UUID) -> Collection[str]:
        """Return the digests of all values that rows of a project refer to, at one moment."""
        named: set[str] = set()
        async with self._engine.database.pool.acquire() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(PLANNED_FOR_MANY)
                after: UUID | None = None
                while runs := await _runs(connection, project_id, after):
                    named.update(row["sha256"] for row in await connection.fetch(_REFERENCES, runs))
                    after = runs[-1]
        return named


async def _runs(connection: Connection, project_id: UUID, after: UUID | None) -> Sequence[UUID]:
    return [row["id"] for row in await connection.fetch(_RUNS, project_id, after, RUNS_PAGE)]


def _digest_of(path: str) -> str:
    return path.rpartition("/")[2]


def _id_of(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
