"""Sealing the audit trail: batch after batch, each chained to the one before, by whoever comes first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sparkops.core.failpoints import failpoint
from sparkops.domains.audit.seals import NOTHING_BEFORE, Anchor, SealKeys, root_of, sealed_hash
from sparkops.engine.context import Engine, call

BATCH: Final = 1_000
ANCHORS_AT_ONCE: Final = 1_000

_ANCHORS = """
SELECT number, at, lines, root, previous, mac, key_id FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2
"""


async def seal_some(engine: Engine, keys: SealKeys, limit: int = BATCH) -> Anchor | None:
    """Seal up to so many lines that have been committed; None if there were none, or somebody else sealed them.

    No lock is held: who writes the seal of a number first has it, and the others find out when they try.
    """
    pool = engine.database.pool
    found = await call(pool, "unsealed", limit)
    ids: list[int] = found["ids"]
    if not ids:
        return None
    hashes = b"".join(sealed_hash(each) for each in found["hashes"])
    number = (found["number"] or 0) + 1
    at = datetime.fromisoformat(found["at"])
    lines = (found["lines"] or 0) + len(ids)
    previous = found["mac"] or NOTHING_BEFORE
    root = root_of(ids, hashes)
    mac = keys.mac(keys.first, number=number, at=at, lines=lines, root=root, previous=previous)
    anchor = Anchor(number, at, lines, root, previous, mac, keys.first)
    failpoint("before_seal")
    written = await call(
        pool,
        "seal",
        {
            "number": number,
            "at": at.isoformat(),
            "ids": ids,
            "hashes": hashes.hex(),
            "lines": lines,
            "root": root,
            "previous": previous,
            "mac": mac,
            "key_id": keys.first,
        },
    )
    failpoint("after_seal")
    return anchor if written else None


async def anchors_after(engine: Engine, number: int, limit: int = ANCHORS_AT_ONCE) -> Sequence[Anchor]:
    """Return what is kept outside of the seals that come after this one, in the order of their numbers."""
    return [Anchor.of(row) for row in await engine.database.pool.fetch(_ANCHORS, number, limit)]
