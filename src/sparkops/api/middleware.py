"""What happens around every request: its id, its log line, headers, the gate, limits on body and time, the last resort.

`app.py` has the order. What is refused here has cost neither a look at the body nor a statement.
"""

import asyncio
import re
import time
from collections.abc import Collection, Iterator
from typing import cast

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from sparkops.api import bodies, problems
from sparkops.api.addresses import address_of, check_host
from sparkops.api.deps import Door
from sparkops.api.errors import Overdue, TooLong
from sparkops.api.rates import RouteClass, class_of
from sparkops.api.texts import refuse_unstorable
from sparkops.core.errors import SparkOpsError
from sparkops.core.ids import new_id
from sparkops.core.origin import coming_from

log = structlog.get_logger(__name__)

REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")

MAX_ADDRESS_BYTES = 8_192
"""Of path and query, as they were sent."""
REQUEST_SECONDS = 30.0
"""From the last byte of the body to the first of the answer. A statement may take five, and a lock two."""
HEALTH = "/health/"
POLICY_VIOLATION = 1008

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}
API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HSTS = "max-age=31536000; includeSubDomains"


class RequestMiddleware:
    """The outermost line of the door: nothing gets past it without an id, headers and a log line."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._hsts = hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(scope, self._hsts).run(self._app, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, hsts: bool) -> None:
        given = Headers(scope=scope).get(REQUEST_ID, "")
        self._id = given if _SANE_ID.fullmatch(given) else str(new_id())
        self._scope = scope
        self._hsts = hsts
        self._status = 0

    async def run(self, app: ASGIApp, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                self._add_headers(message)
            await send(message)

        self._scope.setdefault("state", {})["request_id"] = self._id
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=self._id), coming_from(self._id, self._address()):
            try:
                await app(self._scope, receive, send_on)
            except Exception:
                log.exception("request.failed", path=self._scope["path"])
                if not self._status:
                    await problems.unexpected(self._scope)(self._scope, receive, send_on)
            finally:
                self._log(time.perf_counter() - started)

    def _address(self) -> str | None:
        client = self._scope.get("client")
        return client[0] if client else None

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers[REQUEST_ID] = self._id
        for name, value in self._standing_headers():
            headers.setdefault(name, value)

    def _standing_headers(self) -> Iterator[tuple[str, str]]:
        yield from HEADERS.items()
        if self._scope["path"].startswith(("/api/", "/health/")):
            yield from API_HEADERS.items()
        if self._hsts:
            yield "Strict-Transport-Security", HSTS
        if standing := self._scope["state"].get("standing"):
            yield from standing.headers()

    def _log(self, seconds: float) -> None:
        principal = self._scope["state"].get("principal")
        log.info(
            "request",
            method=self._scope["method"],
            route=_template(self._scope),
            status=self._status or 499,
            ms=round(seconds * 1000, 1),
            principal=str(principal.user_id) if principal else None,
        )


def _template(scope: Scope) -> str:
    """Return the path with names in place of ids, so that log lines of one route look the same."""
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in scope["path"].split("/"))


class GateMiddleware:
    """Turns away, before anything of a request is read, what is not for this server or comes too often."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except SparkOpsError as error:
            await _refuse(scope, receive, send, error)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
            raise TooLong(f"An address may have {MAX_ADDRESS_BYTES} bytes.")
        if not scope["path"].startswith(HEALTH):
            check_host(scope, self._hosts)
        route_class = RouteClass.READ if scope["type"] == "websocket" else class_of(scope)
        rates = cast(Door, scope["app"].state.door).rates
        standing = rates.take_address(address_of(scope), route_class)
        scope.setdefault("state", {})["standing"] = standing
        standing.check()


async def _refuse(scope: Scope, receive: Receive, send: Send, error: SparkOpsError) -> None:
    """Answer a problem, or end the handshake of a WebSocket."""
    if scope["type"] == "websocket":
        await WebSocketClose(POLICY_VIOLATION)(scope, receive, send)
    else:
        await problems.response(scope, error)(scope, receive, send)


class BodyMiddleware:
    """Reads a body whole before anything looks at it, refuses what is no JSON or no text, and limits the time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_body = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        try:
            body = await bodies.read(scope, receive) if has_body else b""
            refuse_unstorable(scope, body)
            if body:
                bodies.check(scope, body)
        except SparkOpsError as error:
            await problems.response(scope, error)(scope, receive, send)
            return
        await _in_time(self._app, scope, bodies.replay(body, receive) if has_body else receive, send)


async def _in_time(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that has not begun to be answered in time as overdue. An answer that has begun may take long."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS) as limit:

            async def send_on(message: Message) -> None:
                limit.reschedule(None)
                await send(message)

            await app(scope, receive, send_on)
    except TimeoutError:
        if not limit.expired():
            raise
        log.warning("request.overdue", path=scope["path"])
        error = Overdue("Nobody knows yet whether it was carried out; ask again with the same Idempotency-Key.")
        await problems.response(scope, error)(scope, receive, send)
