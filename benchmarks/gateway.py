"""What everything in front of a route costs a request, in processor time. Pure: no servers, no network."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, Final, cast

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from benchmarks.report import Report, machine
from benchmarks.stack import UNHURRIED
from sparkops.api.app import add_middleware
from sparkops.api.rates import Rates, RouteClass
from sparkops.core import log
from sparkops.core.config import Settings
from sparkops.core.json import dumps

ROUNDS: Final = 9
PER_ROUND: Final = 2_000
CALLER: Final = "01a204d1-6b66-70f7-88b9-613bd60bd39f"
BODY: Final = dumps({"project": "weather", "workflow": "report", "input": {"rows": [{"n": n} for n in range(80)]}})


async def gateway() -> None:
    """Print what the chain of middleware adds to a request that does nothing, without and with a body."""
    log.configure(level="warning", fmt="json", role="bench")
    report = Report(machine())
    settings = Settings(cors_origins=("https://ops.example.com",), rate_limits=UNHURRIED)
    for name, method, body in (("get", "GET", b""), ("post", "POST", BODY)):
        bare, guarded = _app(settings, guarded=False), _app(settings, guarded=True)
        spent = [(await _spent(bare, method, body), await _spent(guarded, method, body)) for _ in range(ROUNDS)]
        added = sorted(with_it - without for without, with_it in spent)
        report.line("gateway", f"{name}_added_p50", added[len(added) // 2], "us", body_bytes=len(body))
        report.line("gateway", f"{name}_added_worst", added[-1], "us", body_bytes=len(body))


def _app(settings: Settings, *, guarded: bool) -> Starlette:
    async def nothing(request: Any) -> JSONResponse:
        await request.body()
        if guarded:
            standing = request.app.state.door.rates.take_caller(CALLER, RouteClass.WRITE)
            request.state.standing = standing
        return JSONResponse({})

    app = Starlette(routes=[Route("/api/v1/runs", nothing, methods=["GET", "POST"])])
    app.state.door = SimpleNamespace(rates=Rates(settings.rate_limits, cast(Redis, None)))
    if guarded:
        add_middleware(app, settings)
    return app


async def _spent(app: Starlette, method: str, body: bytes) -> float:
    """Return the processor time of one request, in microseconds."""
    begun = time.process_time()
    for _ in range(PER_ROUND):
        await _ask(app, method, body)
    return (time.process_time() - begun) / PER_ROUND * 1_000_000


async def _ask(app: Starlette, method: str, body: bytes) -> None:
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/api/v1/runs",
        "raw_path": b"/api/v1/runs",
        "query_string": b"project=weather&limit=50",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"authorization", b"Bearer " + b"x" * 300),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"origin", b"https://ops.example.com"),
            (b"accept-encoding", b"gzip"),
        ],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
        "state": {},
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200

    await app(scope, receive, send)


if __name__ == "__main__":
    asyncio.run(gateway())
