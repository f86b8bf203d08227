"""The guard of outgoing connections: a name is looked up once, every answer is checked, and the checked address is
the one connected to, so that a name cannot change between check and use. Redirects and retries pass it again.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore2
import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_CONNECTIONS = 200
_KEEPALIVE_SECONDS = 30.0


class EgressRefused(httpcore2.ConnectError):
    """The address may not be reached from here; the text says why and what an operator could do."""


def host_port(url: str) -> tuple[str, int]:
    """Return the host and port that a URL leads to.

    Raises:
        ValueError: it is no http or https URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url} is not an http or https address")
    return parts.hostname.lower(), parts.port or _DEFAULT_PORTS[parts.scheme]


def parse_allowed(entries: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Return the `host:port` pairs of the operator's list.

    Raises:
        ValueError: an entry is not of this form.
    """
    return frozenset(_pair(entry) for entry in entries)


def _pair(entry: str) -> tuple[str, int]:
    parts = urlsplit(f"//{entry}")
    if not parts.hostname or parts.port is None or parts.netloc != entry:
        raise ValueError(f"{entry} is not of the form host:port")
    return parts.hostname, parts.port


def is_public(address: Address) -> bool:
    """True for an address on the open internet, also when it is wrapped in an IPv6 form of IPv4."""
    inner = _wrapped(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


@dataclass(frozen=True, slots=True)
class Egress:
    """Who may be reached: the open internet, and what the operator listed as `host:port`."""

    allowed: Collection[tuple[str, int]] = frozenset()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Look the host up once and return its addresses, all of them checked.

        Raises:
            EgressRefused: one of them is not on the open internet, and host and port are not on the operator's list.
            httpcore2.ConnectError: the name is not known.
        """
        name = host.strip("[]").lower()
        found = await _look_up(name, port)
        if (name, port) in self.allowed:
            return found
        hidden = next((text for text in found if not is_public(ipaddress.ip_address(text.partition("%")[0]))), None)
        if hidden is not None:
            raise EgressRefused(
                f"{host}:{port} leads to {hidden}, which is a private or local address. "
                f"An operator may allow it by adding {name}:{port} to SPARKOPS_EGRESS_ALLOW."
            )
        return found


async def _look_up(host: str, port: int) -> list[str]:
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"The name {host} is not known.") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses only, in the order of the lookup."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: httpcore2.ConnectError | None = None
        for address in await self._egress.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure or httpcore2.ConnectError(f"The name {host} has no address.")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- the signature is httpcore's
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise EgressRefused("Unix sockets may not be reached from here.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, egress: Egress) -> None:
        super().__init__()
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=_GuardedBackend(egress),
        )


def guarded_client(egress: Egress) -> httpx2.AsyncClient:
    """Return an HTTP client all of whose connections pass the guard. It uses no proxy, which would hide the target."""
    return httpx2.AsyncClient(transport=_GuardedTransport(egress), trust_env=False)
