"""The only file that knows the HTTP status of an error. Every failure is answered as an RFC 9457 problem."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import Scope

from sparkops.api.errors import KeyInUse, Malformed, Misdirected, TooLong, TooSlow, UnsupportedMediaType
from sparkops.core import json
from sparkops.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    SparkOpsError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:sparkops:problem:"

STATUS: Mapping[type[SparkOpsError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    Invalid: 422,
    UnsupportedMediaType: 415,
    Malformed: 400,
    TooSlow: 408,
    TooLong: 414,
    Misdirected: 421,
    TooMany: 429,
    Unavailable: 503,
}
_HTTP_CODES = {
    400: ("malformed", "The request is malformed"),
    404: (NotFound.code, NotFound.title),
    405: ("method-not-allowed", "This address does not take this method"),
}
DATABASE_IS_AWAY = (
    PoolTimeout,
    OperationalError,
    InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InterfaceError,  # the connection was closed in the midst of a transaction
    asyncpg.InternalClientError,  # of a connection that the server ended while nobody was looking
    ConnectionError,
    TimeoutError,
)
"""It does not answer, shuts down, is out of connections, or a statement or a lock took longer than it may."""


def status_of(error: SparkOpsError) -> int:
    """Return the status of an error's family; an error of no family is a bug and answers 500."""
    return next((status for family, status in STATUS.items() if isinstance(error, family)), 500)


def document(scope: Scope, *, status: int, code: str, title: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return the body of a problem."""
    return {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": scope["path"],
        "request_id": scope.get("state", {}).get("request_id"),
        **members,
    }


def response(scope: Scope, error: SparkOpsError) -> Response:
    """Answer an expected failure."""
    status = status_of(error)
    body = document(scope, status=status, code=error.code, title=error.title, detail=error.detail, **error.members)
    return Response(json.dumps(body), status, _headers(error), MEDIA_TYPE)


def unexpected(scope: Scope) -> Response:
    """Answer a bug: nothing of the inside, only the request id under which the trace was logged."""
    body = document(
        scope,
        status=500,
        code="internal",
        title="Something went wrong on our side",
        detail="The request could not be carried out. The log has the details under this request id.",
    )
    return Response(json.dumps(body), 500, media_type=MEDIA_TYPE)


def _headers(error: SparkOpsError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooMany | KeyInUse):
        return {"Retry-After": str(error.members.get("retry_after_seconds", 1))}
    if isinstance(error, TooSlow | Malformed):
        return {"Connection": "close"}
    if isinstance(error, UnsupportedMediaType):
        return {"Accept-Encoding": "identity", "Accept-Post": "application/json"}
    return {"Retry-After": "1"} if isinstance(error, Unavailable) else {}


def _path(location: Sequence[int | str]) -> str:
    """Write where in the request something is: `input.items[2]`; the body itself needs no name."""
    parts = location[1:] if location[:1] == ("body",) else location
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, SparkOpsError)
    if isinstance(error, Forbidden):
        await request.app.state.door.denials.seen(request, error)
    return response(request.scope, error)


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{"path": _path(one["loc"]), "message": one["msg"].removeprefix("Value error, ")} for one in error.errors()]
    first = found[0]
    detail = f"{first['path']}: {first['message']}" if first["path"] else first["message"]
    return response(request.scope, Invalid(detail, errors=found))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, title = _HTTP_CODES.get(error.status_code, ("http", "The request failed"))
    body = document(request.scope, status=error.status_code, code=code, title=title, detail=title)
    return Response(json.dumps(body), error.status_code, dict(error.headers or {}), MEDIA_TYPE)


async def _database(request: Request, error: Exception) -> Response:
    """Tell a database that is away, which the ORM wraps once more, from a statement that is wrong."""
    assert isinstance(error, DBAPIError)
    if error.connection_invalidated or isinstance(_cause(error), DATABASE_IS_AWAY):
        return await _database_is_away(request, error)
    raise error


def _cause(error: DBAPIError) -> BaseException | None:
    return error.orig.__cause__ if error.orig else None


async def _database_is_away(request: Request, error: Exception) -> Response:
    log.warning("database.away", error=type(error).__name__, message=str(error))
    return response(request.scope, Unavailable("The database did not answer; try again in a moment."))


def install(app: FastAPI) -> None:
    """Make the application answer every expected failure as a problem; bugs are left to the outermost line."""
    app.add_exception_handler(SparkOpsError, _expected)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    for kind in DATABASE_IS_AWAY:
        app.add_exception_handler(kind, _database_is_away)
