"""Deleting a project: asked for by an owner, stopped at once, removed by a worker when the delay is over.

The removal goes in small transactions, each of which can be the last before a crash: whoever finds the lease lapsed
goes on with what is left. Nothing but the counters of the tombstone remembers how far it got.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.db import PLANNED_FOR_MANY, SILENCE_SECONDS
from sparkops.core.errors import Conflict, Forbidden, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.payloads import Payloads
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.engine.context import Engine, call
from sparkops.engine.halts import TRIES

log = structlog.get_logger()

BATCH: Final = 2_000
"""Rows that one transaction removes, about; a run is removed as a whole, however many steps it has."""
STATEMENT_SECONDS: Final = 120
"""What a batch may take: a run of 100,000 steps takes tens of seconds."""
LEASE: Final = timedelta(minutes=5)


class DeletionAsked(Conflict):
    code, title = "deletion-asked", "The project is to be deleted already"


class NoDeletion(Conflict):
    code, title = "no-deletion", "Nobody has asked to delete the project"


@dataclass(frozen=True, slots=True)
class Removal:
    """A deletion in the hands of this process, until the lease ends; `token` fences who comes too late."""

    id: UUID
    project_id: UUID
    token: UUID


async def ask_deletion(
    engine: Engine, principal: Principal, *, project_id: UUID, reason: str, delay: timedelta
) -> UUID:
    """Stop a project at once and have it deleted after the delay. Returns the id of the deletion.

    Raises:
        Forbidden: they do not own the project.
        DeletionAsked: somebody has asked before.
        Unavailable: it is NOT to be deleted, because calls in flight did not let go; ask again.
    """
    if project_id not in principal.reach(Permission.PROJECT_DELETE):
        raise _not_owner()
    deletion_id = new_id()
    document = {
        "id": str(deletion_id),
        "halt_id": str(new_id()),
        "project_id": str(project_id),
        "user_id": str(principal.user_id),
        "reason": reason,
        "delay_seconds": delay.total_seconds(),
    }
    for _ in range(TRIES):
        try:
            result = (await call(engine.database.pool, "ask_deletion", document))["result"]
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
            log.warning("deletion.waits", project_id=str(project_id), error=str(error))
            continue
        except asyncpg.UniqueViolationError:
            result = "open"
        if result == "refused":
            raise _not_owner()
        if result == "open":
            raise DeletionAsked("The project is to be deleted already; an owner can take that back.")
        if result == "asked":
            log.warning("deletion.asked", project_id=str(project_id), delay_seconds=delay.total_seconds())
            return deletion_id
    raise Unavailable(
        "The project is NOT to be deleted: calls that are being prepared there did not let go. Ask again.",
        retry_after_seconds=1,
    )


async def cancel_deletion(engine: Engine, principal: Principal, *, project_id: UUID) -> None:
    """Take back that a project is to be deleted: what its stop held back goes on, unless it was stopped before.

    Raises:
        Forbidden: they do not own the project.
        NoDeletion: nobody has asked, or it has begun.
    """
    if project_id not in principal.reach(Permission.PROJECT_DELETE):
        raise _not_owner()
    result = (await call(engine.database.pool, "cancel_deletion", project_id, principal.user_id))["result"]
    if result == "refused":
        raise _not_owner()
    if result == "none":
        raise NoDeletion("The project is not to be deleted, or that can no longer be taken back.")
    log.warning("deletion.cancelled", project_id=str(project_id))
    engine.bell.work("run")


def _not_owner() -> Forbidden:
    return Forbidden("Only an owner deletes a project, or takes that back.")


async def claim_removal(engine: Engine) -> Removal | None:
    """Take a deletion that is due, or whose worker died; None: there is none."""
    token = new_id()
    row = await call(engine.database.pool, "claim_deletion", token, LEASE)
    return None if row is None else Removal(UUID(row["id"]), UUID(row["project_id"]), token)


async def remove_some(engine: Engine, removal: Removal) -> str:
    """Remove a batch of rows. Returns `more`, `waits` (an attempt has to end first) or `empty`.

    Raises:
        Fenced: another worker has taken it.
    """
    answer = await in_long_transaction(engine, "remove_rows", removal.id, removal.token, BATCH, LEASE)
    failpoint("after_removal_batch")
    return str(answer["state"])


async def end_removal(engine: Engine, payloads: Payloads, removal: Removal) -> bool:
    """Remove the objects of a project whose rows are gone, then the project itself. False: there are rows again.

    Raises:
        Fenced: another worker has taken it.
        Unavailable: the object storage does not answer; the next try goes on.
    """
    objects = await payloads.blobs_of(removal.project_id).remove_all()
    failpoint("after_removal_objects")
    done: bool = await in_long_transaction(engine, "end_deletion", removal.id, removal.token, objects, LEASE)
    if done:
        log.warning("deletion.done", project_id=str(removal.project_id), objects=objects)
    return done


async def in_long_transaction(engine: Engine, function: str, *args: object) -> Any:
    """Call a database function that may take longer than what people wait for, planned for many rows."""
    async with engine.database.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; {PLANNED_FOR_MANY}")
        return await call(_Patient(connection), function, *args)


@dataclass(frozen=True, slots=True)
class _Patient:
    """A connection that waits for a long statement."""

    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

    async def fetchval(self, query: str, *args: object) -> Any:
        return await self.connection.fetchval(query, *args, timeout=STATEMENT_SECONDS + SILENCE_SECONDS)

    async def fetchrow(self, query: str, *args: object) -> Any:
        return await self.connection.fetchrow(query, *args, timeout=STATEMENT_SECONDS + SILENCE_SECONDS)

    async def fetch(self, query: str, *args: object) -> list[Any]:
        rows: list[Any] = await self.connection.fetch(query, *args, timeout=STATEMENT_SECONDS + SILENCE_SECONDS)
        return rows
