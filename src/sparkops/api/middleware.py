"""What happens around every request: its id, its log line, headers, the limit on bodies, and the last resort."""

import re
import time
from collections.abc import Iterator

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkops.api import problems
from sparkops.api.errors import UnsupportedMediaType
from sparkops.api.texts import UnstorableText, refuse_unstorable
from sparkops.core.errors import TooLarge
from sparkops.core.ids import new_id
from sparkops.core.origin import coming_from

log = structlog.get_logger(__name__)

REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")

MAX_BODY_BYTES = 1 << 20
MAX_RUN_BODY_BYTES = 16 << 20
"""An input of 10 MiB, with room for the spaces and escapes that clients write."""
MAX_WORKFLOW_BODY_BYTES = 3 << 20
"""A definition of 1 MiB, likewise."""
_INPUT_PATHS = re.compile(r"/api/v1/runs(/[^/]+/(fork|rerun))?")
_WORKFLOWS_PATH = "/api/v1/workflows"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
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


class BodyMiddleware:
    """Reads a body whole, up to its limit, before anything looks at it; what is no JSON or no text is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_body = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        try:
            body = await _read(scope, receive) if has_body else b""
            refuse_unstorable(scope, body)
        except (TooLarge, UnstorableText) as error:
            await problems.response(scope, error)(scope, receive, send)
            return
        if body and not _is_json(scope):
            await problems.response(scope, UnsupportedMediaType())(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive) if has_body else receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives the body once and then what the server has to say."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def _limit(path: str) -> int:
    if _INPUT_PATHS.fullmatch(path):
        return MAX_RUN_BODY_BYTES
    return MAX_WORKFLOW_BODY_BYTES if path.startswith(_WORKFLOWS_PATH) else MAX_BODY_BYTES


async def _read(scope: Scope, receive: Receive) -> bytes:
    limit = _limit(scope["path"])
    declared = Headers(scope=scope).get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"The body may have {limit} bytes, not {declared}.", limit_bytes=limit)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body may have {limit} bytes; this one has more.", limit_bytes=limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _is_json(scope: Scope) -> bool:
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"
