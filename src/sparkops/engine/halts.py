"""Halts: what holds work back, from one workflow to the whole installation, until somebody releases it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from sparkops.core.ids import new_id
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.engine.admission import admit_project
from sparkops.engine.context import Engine, call
from sparkops.engine.pause import hold_workflows, release_workflows

log = structlog.get_logger()

INSTALLATION = UUID(int=0)
"""The scope id of a halt of the whole installation."""
TRIES = 3
"""Each waits for the PREPAREs in flight as long as a lock may be waited for; these take milliseconds."""
RUNS_SECONDS = 3.0
"""How long a request pauses or resumes the runs of a workflow; the sweep does the rest."""


class Scope(StrEnum):
    INSTALLATION = "installation"
    PROJECT = "project"
    WORKFLOW = "workflow"


class Kind(StrEnum):
    PAUSE = "pause"
    """Nothing new starts there; what runs goes on."""
    STOP = "stop"
    """The kill switch: nothing new starts, and no effect is prepared any more."""


class StoppedForDeletion(Conflict):
    code, title = "stopped-for-deletion", "The project is to be deleted and stays stopped"


@dataclass(frozen=True, slots=True)
class HaltOrder:
    """What to halt: `scope_id` is the project or the workflow, None the installation."""

    kind: Kind
    scope: Scope
    scope_id: UUID | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Ordered:
    """`created` is False where such a halt was in force already: it is that one."""

    halt_id: UUID
    created: bool


_PROJECT = "SELECT project_id FROM memberships WHERE project_id = $1 AND user_id = $2 AND project_id = ANY ($3)"
_WORKFLOW = """
SELECT w.project_id FROM workflows w JOIN memberships m ON m.project_id = w.project_id AND m.user_id = $2
 WHERE w.id = $1 AND w.project_id = ANY ($3)
"""
_HALT = """
SELECT h.id, h.scope, h.kind, h.project_id,
       h.kind = 'stop' AND h.scope = 'project' AND h.released_at IS NULL AND EXISTS (
         SELECT 1 FROM project_deletions d WHERE d.project_id = h.project_id AND d.status IN ('asked', 'removing')
       ) AS is_kept
  FROM halts h
 WHERE h.id = $1 AND (h.project_id IS NULL OR EXISTS (
   SELECT 1 FROM memberships m WHERE m.project_id = h.project_id AND m.user_id = $2 AND m.project_id = ANY ($3)))
"""


def check_order(order: HaltOrder) -> None:
    """Do nothing if such a halt can be ordered at all.

    Raises:
        Invalid: a workflow can be paused, not stopped.
    """
    if order.scope is Scope.WORKFLOW and order.kind is Kind.STOP:
        raise Invalid("A workflow can be paused; the kill switch is for a project or the installation.")


async def order_halt(engine: Engine, principal: Principal, order: HaltOrder) -> Ordered:
    """Put a halt in force. After a stop has been ordered, no call is PREPARED in its scope until it is released.

    Pausing a workflow pauses its running runs too, one by one; of very many the last follow within seconds.

    Raises:
        NotFound: no such project or workflow of theirs.
        Forbidden: only administrators halt the installation.
        Invalid: a workflow can be paused, not stopped.
        Unavailable: the stop is NOT in force, because calls in flight did not let go; try again.
    """
    project_id = await _owner(engine, principal, order)
    document = {
        "id": str(new_id()),
        "scope": order.scope,
        "scope_id": str(order.scope_id or INSTALLATION),
        "project_id": str(project_id) if project_id else None,
        "kind": order.kind,
        "reason": order.reason,
        "user_id": str(principal.user_id),
    }
    ordered = await _order(engine, document)
    log.warning("halt.ordered", halt_id=str(ordered.halt_id), scope=order.scope, kind=order.kind)
    if order.scope is Scope.WORKFLOW:
        until = time.monotonic() + RUNS_SECONDS
        while await hold_workflows(engine) and time.monotonic() < until:
            pass
    return ordered


async def release_halt(engine: Engine, principal: Principal, halt_id: UUID) -> None:
    """End a halt: what it held back goes on. Releasing it again changes nothing.

    Raises:
        NotFound: there is no such halt in a project of theirs.
        Forbidden: only administrators release a halt of the installation.
        StoppedForDeletion: the project is to be deleted, and stays stopped until that is taken back.
    """
    halt = await engine.database.pool.fetchrow(
        _HALT, halt_id, principal.user_id, principal.reach(Permission.HALT_ORDER)
    )
    if halt is None:
        raise NotFound("There is no such halt here.")
    if halt["scope"] == Scope.INSTALLATION:
        _check_admin(principal)
    if halt["is_kept"]:
        raise StoppedForDeletion(
            "The project is to be deleted and stays stopped; an owner can take the deletion back on the page Settings."
        )
    if not await call(engine.database.pool, "release_halt", halt_id, principal.user_id):
        return
    log.warning("halt.released", halt_id=str(halt_id))
    if halt["scope"] == Scope.WORKFLOW:
        until = time.monotonic() + RUNS_SECONDS
        while await release_workflows(engine) and time.monotonic() < until:
            pass
        await admit_project(engine, halt["project_id"])
    engine.bell.work("run")


async def _owner(engine: Engine, principal: Principal, order: HaltOrder) -> UUID | None:
    """Return the project of what is to be halted, None for the installation."""
    if order.scope is Scope.INSTALLATION:
        _check_admin(principal)
        return None
    check_order(order)
    query = _PROJECT if order.scope is Scope.PROJECT else _WORKFLOW
    project_id: UUID | None = await engine.database.pool.fetchval(
        query, order.scope_id, principal.user_id, principal.reach(Permission.HALT_ORDER)
    )
    if project_id is None:
        raise NotFound(f"There is no such {order.scope} here.")
    return project_id


def _check_admin(principal: Principal) -> None:
    if not principal.is_admin:
        raise Forbidden("Only an administrator halts the whole installation, or releases such a halt.")


async def _order(engine: Engine, document: Mapping[str, str | None]) -> Ordered:
    """Write the halt. Who prepares at that moment is waited for, a few times as long as a lock may be waited for."""
    for _ in range(TRIES):
        try:
            answer = await call(engine.database.pool, "order_halt", document)
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
            log.warning("halt.waits", scope=document["scope"], error=str(error))
            continue
        if answer["id"] is not None:  # else another was released between two statements
            return Ordered(UUID(answer["id"]), answer["created"])
    raise Unavailable(
        f"The {document['kind']} is NOT in force: calls that are being prepared there did not let go. Order it again.",
        retry_after_seconds=1,
    )
