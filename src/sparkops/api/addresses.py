"""Where requests come from, and under which name this server was asked."""

import ipaddress
from functools import lru_cache

from starlette.types import Scope

from sparkops.api.errors import Malformed, Misdirected

_REMEMBERED = 10_000


def address_of(scope: Scope) -> str:
    """Return where a request comes from, an IPv6 address cut to the network that one customer gets."""
    client = scope.get("client")
    return _network(client[0]) if client else "unknown"


@lru_cache(_REMEMBERED)
def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def check_host(scope: Scope, allowed: frozenset[str]) -> None:
    """Do nothing if the request names this server once: by an address, as `localhost`, or by a name that is allowed.

    A page elsewhere whose name was made to point here would else be of the same origin as this server.

    Raises:
        Malformed: it names none, or several.
        Misdirected: it names another one.
    """
    named = [value for name, value in scope["headers"] if name == b"host"]
    if len(named) != 1:
        raise Malformed("A request has exactly one Host header.")
    name = _name(named[0])
    if name is None or not (name == "localhost" or name in allowed or _is_address(name)):
        raise Misdirected("Ask for a name of this server; SPARKOPS_ALLOWED_HOSTS lists them.")


@lru_cache(_REMEMBERED)
def _name(header: bytes) -> str | None:
    """Return the name without port and brackets, None if there is none."""
    try:
        text = header.decode("ascii").strip().lower()
    except UnicodeDecodeError:
        return None
    name, colon, port = text.partition("]:" if text.startswith("[") else ":")
    if colon and not (port.isascii() and port.isdigit()):
        return None
    return name.strip("[]") or None


@lru_cache(_REMEMBERED)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
