"""Whether this process lives, and whether the installation can do its work."""

import asyncio

import asyncpg
import structlog
from fastapi import APIRouter, Response
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from sparkops.api.access import open_to_all
from sparkops.api.deps import Door, DoorDep
from sparkops.api.views.health import Liveness, Part, Parts, Readiness
from sparkops.domains.runs.queries import workers_seen

router = APIRouter(prefix="/health", tags=["health"])
log = structlog.get_logger(__name__)

WORKER_SILENCE_SECONDS = 10.0
"""Workers give a sign of life every few seconds."""
ANSWER_SECONDS = 2.0
"""A part that takes longer counts as missing."""

OK = Part(status="ok")


@router.get("/live", openapi_extra=open_to_all())
async def live() -> Liveness:
    """Say that this process answers."""
    return Liveness(status="ok")


@router.get("/ready", responses={503: {"model": Readiness}}, openapi_extra=open_to_all())
async def ready(response: Response, door: DoorDep) -> Readiness:
    """Ask every part. Without the database or workers nothing can be done (503); without Redis it is only slower."""
    (database, workers), redis = await asyncio.gather(_database_and_workers(door), _redis(door))
    parts = Parts(database=database, redis=redis, workers=workers)
    statuses = {part.status for part in (database, redis, workers)}
    if "missing" in statuses:
        response.status_code = 503
        return Readiness(status="unavailable", parts=parts)
    return Readiness(status="degraded" if "degraded" in statuses else "ok", parts=parts)


async def _database_and_workers(door: Door) -> tuple[Part, Part]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS), door.database.sessions.begin() as session:
            seen = await workers_seen(session, within_seconds=WORKER_SILENCE_SECONDS)
    except (SQLAlchemyError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        log.warning("health.database_missing", error=type(error).__name__)
        away = Part(status="missing", detail="PostgreSQL does not answer.")
        return away, Part(status="missing", detail="Unknown while PostgreSQL does not answer.")
    if seen:
        return OK, OK
    return OK, Part(status="missing", detail="No worker has given a sign of life in the last ten seconds.")


async def _redis(door: Door) -> Part:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await door.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return Part(status="degraded", detail="Redis does not answer: everything works, some of it a second later.")
    return OK
