"""`python -m sparkops.api`: serves the API and the pages from one process, on one event loop."""

import asyncio
import resource
import signal
import sys
from types import FrameType

import uvicorn

from sparkops.api.app import check_settings, create_app
from sparkops.api.connections import protocol_for
from sparkops.core import log
from sparkops.core.config import Settings, load_settings
from sparkops.core.db import check_durable
from sparkops.core.errors import ConfigError

SHUTDOWN_SECONDS = 5
WEBSOCKET_BYTES = 16_384
"""Clients only send short subscriptions."""


SPARE_FILES = 200
"""Connections to the database and Redis, the pages' files, the log."""


def server_config(settings: Settings) -> uvicorn.Config:
    """Return how the application is served."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="auto",
        http=protocol_for(settings),
        ws="websockets-sansio",
        ws_max_size=WEBSOCKET_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def _raise_open_files(connections: int) -> None:
    """Let this process hold as many connections as it may have, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave in peace. The server handles the signal itself while it runs, and raises it once more when it is done."""
    sys.exit(0)


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        settings = load_settings()
        check_settings(settings)
        log.configure(level=settings.log_level, fmt=settings.log_format, role="api")
        if settings.require_durable:
            asyncio.run(check_durable(settings.app_login[0]))
        _raise_open_files(settings.max_connections)
        server = uvicorn.Server(server_config(settings))
    except ConfigError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
