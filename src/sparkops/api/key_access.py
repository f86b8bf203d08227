"""Being let in by an API key."""

import ipaddress
from typing import Final
from uuid import UUID

import asyncpg

from sparkops.core.errors import Unauthenticated
from sparkops.core.principal import Principal
from sparkops.domains.audit.security import note
from sparkops.domains.identity.key_queries import holder_of, note_refusal, note_use
from sparkops.domains.identity.keys import read_key

V4_NETWORK: Final = 24
V6_NETWORK: Final = 48
"""What an office, a household or a data centre keeps, while single addresses come and go."""


async def principal_of_key(
    pool: "asyncpg.Pool[asyncpg.Record]",
    token: str,
    *,
    host: str,
    request_id: str,
    table: str | None = None,
    subject: UUID | None = None,
) -> tuple[Principal, UUID | None]:
    """Return whom a key acts for, with the project of a row of a table (nil: it is of the installation).

    That it was used is noted once a minute, and that it came from a network it never came from before.

    Raises:
        Unauthenticated: it was never given out, was revoked, has run out, or its user is disabled.
    """
    presented = read_key(token)
    if presented is None:
        raise Unauthenticated("This is no API key of ours: it is mistyped or cut off.")
    network = network_of(host)
    holder = await holder_of(pool, presented, network=network, table=table, subject=subject)
    if holder is None:
        refused = await note_refusal(pool, public_id=presented.public_id)
        if refused is not None:
            key_id, user_id = refused
            await note(
                pool,
                "key.refused",
                severity="warning",
                user_id=user_id,
                address=host,
                request_id=request_id,
                key_id=str(key_id),
            )
        raise Unauthenticated("This API key is unknown, was revoked, or has run out.")
    principal = holder.principal
    assert principal.key_id is not None
    if holder.unnoted and await note_use(pool, key_id=principal.key_id, network=network):
        await note(
            pool,
            "key.new-network",
            severity="warning",
            user_id=principal.user_id,
            address=host,
            request_id=request_id,
            key_id=str(principal.key_id),
            network=network,
        )
    return principal, holder.subject


def network_of(host: str) -> str:
    """Return the network of an address; of what is none, itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = V4_NETWORK if address.version == 4 else V6_NETWORK
    return str(ipaddress.ip_network((address, bits), strict=False))
