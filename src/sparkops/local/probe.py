"""Asking the API, as a load balancer would, whether it is there."""

import asyncio
from contextlib import suppress

PROBE_SECONDS = 2.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- addresses to listen on, turned into ones to call


def callable_host(host: str) -> str:
    """Return the address under which this machine reaches a server that listens on `host`."""
    return _ANY.get(host, host)


def base_url(host: str, port: int) -> str:
    """Return the URL that a person on this machine opens."""
    name = callable_host(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


async def http_status(host: str, port: int, path: str) -> int | None:
    """Return the status of a GET, or None if there was no answer."""
    with suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(PROBE_SECONDS):
            return await _get(callable_host(host), port, path)
    return None


async def _get(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
