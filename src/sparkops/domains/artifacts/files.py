"""The files of a run as its own tools write and read them. Their bytes lie in object storage already.

Over the bare pool: workers do without the ORM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg

from sparkops.core.errors import Invalid, NotFound
from sparkops.core.ids import new_id

MAX_NAME_CHARS = 200

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('artifact:' || $1::uuid::text || ':' || $2, 0))"
_WRITTEN: Final = (
    "SELECT id, name, version, media_type, size_bytes, sha256, labels FROM artifacts WHERE call_id = $1 AND name = $2"
)
_ADD: Final = """
INSERT INTO artifacts (id, project_id, run_id, step_id, call_id, name, version, media_type, size_bytes, sha256, labels)
SELECT $1, $2, $3, $4, $5, $6,
       (SELECT coalesce(max(version), 0) + 1 FROM artifacts WHERE run_id = $3 AND name = $6), $7, $8, $9, $10
RETURNING id, name, version, media_type, size_bytes, sha256, labels
"""
_FIND: Final = """
SELECT id, name, version, media_type, size_bytes, sha256, labels FROM artifacts
 WHERE project_id = $1 AND run_id = $2 AND name = $3 AND version = coalesce($4, version)
 ORDER BY version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as a call wrote it; its bytes lie in object storage under `sha256`."""

    project_id: UUID
    run_id: UUID
    step_id: UUID
    call_id: UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    labels: frozenset[str] = frozenset()
    """Of its content: all that the step had seen which wrote it."""


@dataclass(frozen=True, slots=True)
class File:
    """One version of one file of a run."""

    id: UUID
    name: str
    version: int
    media_type: str
    size_bytes: int
    sha256: str
    labels: Sequence[str]


def check_name(name: str) -> None:
    """Accept a relative path such as `report.md` or `data/rows.csv`.

    Raises:
        Invalid: it is empty or too long, leads out of the run, or holds characters that no file name should.
    """
    if not name or len(name) > MAX_NAME_CHARS:
        raise Invalid(f"A file name has 1 to {MAX_NAME_CHARS} characters.")
    if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Invalid(f"The file name {name!r} must be a relative path without '..', such as data/report.md.")
    if not name.isprintable():
        raise Invalid("A file name may not hold control characters.")


async def record_file(connection: Connection, new: NewFile) -> File:
    """Return the row of this file, its version one above the last of this name; the same call gets the same row.

    In the caller's transaction, until whose end nobody else writes a file of this name in the run.

    Raises:
        Invalid: the name cannot be used.
    """
    check_name(new.name)
    await connection.execute(_LOCK, new.run_id, new.name)
    row = await connection.fetchrow(_WRITTEN, new.call_id, new.name) or await connection.fetchrow(
        _ADD,
        new_id(),
        *(new.project_id, new.run_id, new.step_id, new.call_id),
        *(new.name, new.media_type, new.size_bytes, new.sha256, sorted(new.labels)),
    )
    assert row is not None, "an insert returns its row"
    return File(**row)


async def find_file(
    pool: "asyncpg.Pool[asyncpg.Record]", *, project_id: UUID, run_id: UUID, name: str, version: int | None = None
) -> File:
    """Return a file of the run in this version, or in its latest.

    Raises:
        NotFound: the run has no such file.
    """
    row = await pool.fetchrow(_FIND, project_id, run_id, name, version)
    if row is None:
        what = name if version is None else f"{name} in version {version}"
        raise NotFound(f"The run has no file {what}.")
    return File(**row)
