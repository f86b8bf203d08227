"""`python -m sparkops.api`: serves the API and the pages from one process, on one event loop."""

import sys

import uvicorn

from sparkops.api.app import create_app
from sparkops.core import log
from sparkops.core.config import Settings, load_settings
from sparkops.core.errors import ConfigError

SHUTDOWN_SECONDS = 5
WEBSOCKET_BYTES = 16_384
"""Clients only send short subscriptions."""


def server_config(settings: Settings) -> uvicorn.Config:
    """Return how the application is served."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="auto",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=WEBSOCKET_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = load_settings()
        log.configure(level=settings.log_level, fmt=settings.log_format, role="api")
        server = uvicorn.Server(server_config(settings))
    except ConfigError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
