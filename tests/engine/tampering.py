"""What somebody may do to the audit trail who may write every row and does not have the key.

Each act is random, changes something that was sealed, and is made as consistent as can be without the key.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

from sparkops.domains.audit.seals import root_of

Connection = Any
"""An asyncpg connection as the owner of the tables, whose triggers are switched off."""

TEXTS = ("actor", "via", "address", "request_id", "action", "object")
SEAL_TEXTS = ("root", "previous", "mac", "key_id")


async def sealed_lines(on: Connection) -> list[int]:
    return [row["id"] for row in await on.fetch("SELECT unnest(ids) AS id FROM audit_seals ORDER BY number")]


async def rehash(on: Connection, ids: Sequence[int]) -> None:
    """Give lines the hash of what they say now."""
    await on.execute("UPDATE audit a SET content_hash = engine.audit_hash(a) WHERE id = ANY ($1)", ids)


async def reseal(on: Connection, ids: Sequence[int], *, root: bool = True) -> None:
    """Give the seals of these lines the hashes that the lines have now. `root`: and roots that fit, for which nobody
    has a mac without the key; else they keep the root of before, whose mac is right."""
    for seal in await on.fetch("SELECT number, ids, root FROM audit_seals WHERE ids && $1::bigint[]", ids):
        hashes = await on.fetch("SELECT id, content_hash FROM audit WHERE id = ANY ($1)", seal["ids"])
        by_id = {row["id"]: bytes.fromhex(row["content_hash"]) for row in hashes}
        kept = [one for one in seal["ids"] if one in by_id]
        whole = b"".join(by_id[one] for one in kept)
        await on.execute(
            "UPDATE audit_seals SET ids = $2, hashes = $3, root = $4, lines = lines - $5 WHERE number = $1",
            seal["number"],
            kept,
            whole,
            root_of(kept, whole) if root else seal["root"],
            len(seal["ids"]) - len(kept),
        )


async def cover(on: Connection, dice: Random, ids: Sequence[int]) -> None:
    """Hide what was done to lines: not at all, in their own hashes, or in the seals as well, with or without a root."""
    effort = dice.randrange(4)
    if effort >= 1:
        await rehash(on, ids)
    if effort >= 2:
        await reseal(on, ids, root=effort == 2)


async def change_text(on: Connection, dice: Random) -> str:
    line_id, column = dice.choice(await sealed_lines(on)), dice.choice(TEXTS)
    old = await on.fetchval(f"SELECT {column} FROM audit WHERE id = $1", line_id)
    values = [f"{old}x", (old or "user:nobody")[:-1], dice.randbytes(4).hex()]
    if old is not None and column in ("via", "address", "request_id"):
        values.append(None)
    await on.execute(f"UPDATE audit SET {column} = $2 WHERE id = $1", line_id, dice.choice(values))
    await cover(on, dice, [line_id])
    return f"{column} of line {line_id}"


async def change_document(on: Connection, dice: Random) -> str:
    line_id, column = dice.choice(await sealed_lines(on)), dice.choice(("detail", "before", "after"))
    old = await on.fetchval(f"SELECT {column} FROM audit WHERE id = $1", line_id)
    await on.execute(f"UPDATE audit SET {column} = $2 WHERE id = $1", line_id, {**(old or {}), "n": dice.random()})
    await cover(on, dice, [line_id])
    return f"{column} of line {line_id}"


async def change_time(on: Connection, dice: Random) -> str:
    line_id = dice.choice(await sealed_lines(on))
    microseconds = dice.choice([1.0, -1.0, 1e6, -1e9])
    await on.execute("UPDATE audit SET at = at + $2 * interval '1 microsecond' WHERE id = $1", line_id, microseconds)
    await cover(on, dice, [line_id])
    return f"time of line {line_id}"


async def change_project(on: Connection, dice: Random) -> str:
    line_id = dice.choice(await sealed_lines(on))
    await on.execute("UPDATE audit SET project_id = gen_random_uuid() WHERE id = $1", line_id)
    await cover(on, dice, [line_id])
    return f"project of line {line_id}"


async def change_hash(on: Connection, dice: Random) -> str:
    line_id = dice.choice(await sealed_lines(on))
    forged = hashlib.sha256(dice.randbytes(8)).hexdigest()
    await on.execute("UPDATE audit SET content_hash = $2 WHERE id = $1", line_id, forged)
    if dice.random() < 0.5:
        await reseal(on, [line_id])
    return f"hash of line {line_id}"


async def delete_lines(on: Connection, dice: Random) -> str:
    ids = dice.sample(await sealed_lines(on), dice.randint(1, 4))
    await on.execute("DELETE FROM audit WHERE id = ANY ($1)", ids)
    if dice.random() < 0.5:
        await reseal(on, ids)
    return f"deleted {ids}"


async def swap_lines(on: Connection, dice: Random) -> str:
    """Let two lines change places: their numbers, or all that they say but their numbers."""
    one, other = dice.sample(await sealed_lines(on), 2)
    if dice.random() < 0.5:
        await on.execute("ALTER TABLE audit ALTER id DROP IDENTITY IF EXISTS")
        await on.execute("UPDATE audit SET id = -1 WHERE id = $1", one)
        await on.execute("UPDATE audit SET id = $1 WHERE id = $2", one, other)
        await on.execute("UPDATE audit SET id = $1 WHERE id = -1", other)
    else:
        for column in ("at", "detail", *TEXTS):
            await on.execute(
                f"UPDATE audit a SET {column} = b.{column} FROM audit b "
                "WHERE a.id = ANY ($1) AND b.id = ANY ($1) AND a.id <> b.id",
                [one, other],
            )
    await cover(on, dice, [one, other])
    return f"swapped {one} and {other}"


async def add_line(on: Connection, dice: Random) -> str:
    """Add a line that says that it was always there: with a free number, or behind the last one."""
    ids = await sealed_lines(on)
    line_id = max(ids) + 1_000 + dice.randrange(1_000)
    await on.execute(
        "INSERT INTO audit (id, at, actor, action, object, detail, content_hash) OVERRIDING SYSTEM VALUE "
        "SELECT $1, at, actor, action, object, detail, content_hash FROM audit WHERE id = $2",
        line_id,
        dice.choice(ids),
    )
    await rehash(on, [line_id])
    if dice.random() < 0.5:
        number = dice.choice(await on.fetch("SELECT number FROM audit_seals"))["number"]
        await on.execute("UPDATE audit_seals SET ids = ids || $2, hashes = hashes || $3 WHERE number = $1",
                         number, [line_id], bytes(32))  # fmt: skip
        await reseal(on, [line_id])
    return f"added {line_id}"


async def change_seal(on: Connection, dice: Random) -> str:
    number = dice.choice(await on.fetch("SELECT number FROM audit_seals"))["number"]
    column = dice.choice([*SEAL_TEXTS, "at", "lines", "hashes", "ids"])
    values = {
        "at": "at - interval '1 second'",
        "lines": "lines + 1",
        "hashes": "set_byte(hashes, 0, (get_byte(hashes, 0) + 1) % 256)",
        "ids": "ids[2:] || ids[1:1]",
    }
    value = values.get(column, "repeat(chr(97 + ascii(mac) % 6), 64)")
    await on.execute(f"UPDATE audit_seals SET {column} = {value} WHERE number = $1", number)
    return f"{column} of seal {number}"


async def delete_seal(on: Connection, dice: Random) -> str:
    """Take a seal away, with or without its lines, and perhaps close the gap."""
    seals = await on.fetch("SELECT number, ids FROM audit_seals ORDER BY number")
    gone = dice.choice(seals)
    await on.execute("DELETE FROM audit_seals WHERE number = $1", gone["number"])
    after = dice.randrange(3)
    if after == 0:
        await on.execute("DELETE FROM audit WHERE id = ANY ($1)", gone["ids"])
    elif after == 1:
        await on.execute("INSERT INTO audit_unsealed SELECT unnest($1::bigint[])", gone["ids"])
    if dice.random() < 0.5:
        for seal in seals:
            if seal["number"] > gone["number"]:
                await on.execute(
                    "UPDATE audit_seals SET number = $2 WHERE number = $1", seal["number"], seal["number"] - 1
                )
    return f"deleted seal {gone['number']}"


async def swap_seals(on: Connection, dice: Random) -> str:
    one, other = dice.sample([row["number"] for row in await on.fetch("SELECT number FROM audit_seals")], 2)
    await on.execute("UPDATE audit_seals SET number = 1000000 WHERE number = $1", one)
    await on.execute("UPDATE audit_seals SET number = $1 WHERE number = $2", one, other)
    await on.execute("UPDATE audit_seals SET number = $1 WHERE number = 1000000", other)
    return f"swapped seals {one} and {other}"


async def cut_off(on: Connection, dice: Random) -> str:
    """Take the end of the trail away: the last seals, with their lines or with these to be sealed once more."""
    last = await on.fetchval("SELECT max(number) FROM audit_seals")
    first = dice.randint(1, last)
    rows = await on.fetch("DELETE FROM audit_seals WHERE number >= $1 RETURNING ids", first)
    ids = [one for row in rows for one in row["ids"]]
    if dice.random() < 0.5:
        await on.execute("DELETE FROM audit WHERE id = ANY ($1)", ids)
        if dice.random() < 0.5:
            await on.execute("DELETE FROM audit WHERE id > $1", min(ids))
            await on.execute("DELETE FROM audit_unsealed")
    else:
        await on.execute("INSERT INTO audit_unsealed SELECT unnest($1::bigint[])", ids)
    return f"cut off from seal {first}"


async def drop_waiting(on: Connection, dice: Random) -> str:
    """Take a line away that was not yet sealed, or off the list of those to be sealed."""
    waiting = [row["audit_id"] for row in await on.fetch("SELECT audit_id FROM audit_unsealed")]
    line_id = dice.choice(waiting)
    table, column = dice.choice([("audit", "id"), ("audit_unsealed", "audit_id")])
    await on.execute(f"DELETE FROM {table} WHERE {column} = $1", line_id)
    return f"deleted waiting {line_id} of {table}"


ACTS: Sequence[Callable[[Connection, Random], Awaitable[str]]] = (
    change_text,
    change_document,
    change_time,
    change_project,
    change_hash,
    delete_lines,
    swap_lines,
    add_line,
    change_seal,
    delete_seal,
    swap_seals,
    cut_off,
    drop_waiting,
)

ENDINGS = frozenset({cut_off, delete_seal})
"""Acts that may only take away the end of the trail, which nobody can see who has nothing to compare it with."""
