"""Checking the audit trail: every line against the seal that covers it, every seal against the one before.

Nothing of the database is taken at its word but the bytes of its rows. What is found names the line or the seal.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from sparkops.domains.audit.lines import COLUMNS, line_hash
from sparkops.domains.audit.seals import HASH_BYTES, NOTHING_BEFORE, Anchor, SealKeys, root_of

SEALS_AT_ONCE: Final = 20
LINES_AT_ONCE: Final = 200
SHOWN: Final = 100
"""Findings that are told one by one; the others are counted."""


class Kind(StrEnum):
    """What can be wrong."""

    LINE_CHANGED = "line-changed"
    LINE_MISSING = "line-missing"
    LINE_ADDED = "line-added"
    """It is in no seal, and does not wait for one."""
    LINE_TWICE = "line-twice"
    SEAL_CHANGED = "seal-changed"
    SEAL_MISSING = "seal-missing"
    SEAL_UNKNOWN_KEY = "seal-unknown-key"
    CHAIN_BROKEN = "chain-broken"
    """A seal does not follow the one before it."""
    ROOT_FORGED = "root-forged"
    """A line of the file of roots was not made with our key."""
    ROOT_MISSING = "root-missing"
    """The file has a seal that the database does not have: it was cut off, or the database restored."""
    ROOT_DIFFERS = "root-differs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one line (`subject` is its number) or one seal."""

    kind: Kind
    subject: int
    detail: str


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong: the first findings, and how many there are of each kind."""

    lines: int = 0
    """That seals cover."""
    seals: int = 0
    waiting: int = 0
    """Lines that no seal covers yet."""
    anchors: int = 0
    last: Anchor | None = None
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return not self.counts

    def add(self, kind: Kind, subject: int, detail: str) -> None:
        """Note something that is wrong."""
        self.counts[kind] += 1
        if len(self.findings) < SHOWN:
            self.findings.append(Finding(kind, subject, detail))


class Connection(Protocol):
    """What is asked of asyncpg: a connection in a transaction that sees one moment."""

    async def fetch(self, query: str, *args: object) -> list[Any]: ...


_SEALS = "SELECT * FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2"
_LINES = f"SELECT {COLUMNS} FROM audit a WHERE a.id = ANY ($1::bigint[])"  # noqa: S608 -- a constant
_WAITING = f"""
SELECT u.audit_id, {COLUMNS} FROM audit_unsealed u LEFT JOIN audit a ON a.id = u.audit_id
 WHERE u.audit_id > $1 ORDER BY u.audit_id LIMIT $2
"""  # noqa: S608 -- a constant
_MEMBERS = """
SELECT m.id, m.seals, m.waits FROM (
  SELECT l.id, count(l.number) AS seals, bool_or(l.waits) AS waits FROM (
    SELECT id, NULL::bigint AS number, false AS waits FROM audit
     UNION ALL SELECT unnest(ids), number, false FROM audit_seals
     UNION ALL SELECT audit_id, NULL, true FROM audit_unsealed) l
   GROUP BY l.id) m
 WHERE m.seals + m.waits::int <> 1 ORDER BY m.id LIMIT $1
"""


async def verify(on: Connection, keys: SealKeys, anchors: Sequence[Anchor] = ()) -> Report:
    """Check the whole trail, and that it holds every seal of which `anchors` tell.

    `on` has to see one moment throughout: a transaction at REPEATABLE READ. Lines that wait for their seal are checked
    against their own hash only, which whoever may change rows can make anew.
    """
    report = Report()
    expected = {anchor.number: anchor for anchor in anchors if _genuine(report, keys, anchor)}
    report.anchors = len(anchors)
    async for row in _seals(on):
        seal = Anchor.of(row)
        sound = _check_seal(report, keys, seal, row)
        anchor = expected.pop(seal.number, None)
        if anchor is not None and anchor != seal:
            report.add(Kind.ROOT_DIFFERS, seal.number, "The file of roots has another seal under this number.")
        await _check_lines(on, report, row, sound=sound)
        report.seals, report.last = report.seals + 1, seal
        report.lines += len(row["ids"])
    for number in sorted(expected):
        report.add(Kind.ROOT_MISSING, number, "The file of roots has this seal, the database does not.")
    await _check_waiting(on, report)
    await _check_members(on, report)
    return report


def _genuine(report: Report, keys: SealKeys, anchor: Anchor) -> bool:
    if keys.vouches_for(anchor):
        return True
    report.add(Kind.ROOT_FORGED, anchor.number, "This root was not made with a key of this installation.")
    return False


async def _seals(on: Connection) -> AsyncIterator[Mapping[str, Any]]:
    last = -(2**63)
    while rows := await on.fetch(_SEALS, last, SEALS_AT_ONCE):
        for row in rows:
            yield row
        last = rows[-1]["number"]


def _check_seal(report: Report, keys: SealKeys, seal: Anchor, row: Mapping[str, Any]) -> bool:
    """Check a seal by itself and against the one before. Returns whether its hashes can be believed."""
    before = report.last
    number = before.number + 1 if before else 1
    if seal.number != number:
        missing = "One seal is" if seal.number == number + 1 else f"Seals {number} to {seal.number - 1} are"
        report.add(Kind.SEAL_MISSING, number, f"{missing} missing.")
    elif seal.previous != (before.mac if before else NOTHING_BEFORE):
        report.add(Kind.CHAIN_BROKEN, seal.number, "It follows another seal than the one before it.")
    elif seal.lines != (before.lines if before else 0) + len(row["ids"]):
        report.add(Kind.CHAIN_BROKEN, seal.number, "It does not count the lines that were sealed up to it.")
    if not keys.knows(seal.key_id):
        report.add(Kind.SEAL_UNKNOWN_KEY, seal.number, f"It was made with the key {seal.key_id}, which is not given.")
        return True
    whole = len(row["hashes"]) == HASH_BYTES * len(row["ids"])
    if not whole or root_of(row["ids"], row["hashes"]) != seal.root or not keys.vouches_for(seal):
        report.add(Kind.SEAL_CHANGED, seal.number, "It does not say what was sealed.")
        return False
    return True


async def _check_lines(on: Connection, report: Report, row: Mapping[str, Any], *, sound: bool) -> None:
    """Compare the lines of a seal with the hashes in it; where those cannot be believed, with their own."""
    ids: Sequence[int] = row["ids"]
    hashes: bytes = row["hashes"]
    for start in range(0, len(ids), LINES_AT_ONCE):
        part = ids[start : start + LINES_AT_ONCE]
        lines = {line["id"]: line for line in await on.fetch(_LINES, part)}
        for place, line_id in enumerate(part, start):
            sealed = hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES].hex() if sound else None
            _check_line(report, line_id, lines.get(line_id), sealed)


def _check_line(report: Report, line_id: int, line: Mapping[str, Any] | None, sealed: str | None) -> None:
    if line is None:
        report.add(Kind.LINE_MISSING, line_id, "A seal covers it, and it is not there.")
        return
    found = line_hash(line)
    if found != (sealed or line["content_hash"]):
        report.add(Kind.LINE_CHANGED, line_id, "It does not say what was sealed.")
    elif found != line["content_hash"]:
        report.add(Kind.LINE_CHANGED, line_id, "Its own hash is not that of what it says.")


async def _check_waiting(on: Connection, report: Report) -> None:
    last = -(2**63)
    while rows := await on.fetch(_WAITING, last, LINES_AT_ONCE):
        for row in rows:
            if row["id"] is None:
                report.add(Kind.LINE_MISSING, row["audit_id"], "It waits for a seal, and is not there.")
            elif line_hash(row) != row["content_hash"]:
                report.add(Kind.LINE_CHANGED, row["audit_id"], "Its own hash is not that of what it says.")
        report.waiting += len(rows)
        last = rows[-1]["audit_id"]


async def _check_members(on: Connection, report: Report) -> None:
    """See that each line is in exactly one seal, or waits for one."""
    for row in await on.fetch(_MEMBERS, SHOWN):
        if row["seals"] == 0:
            report.add(Kind.LINE_ADDED, row["id"], "No seal covers it, and it does not wait for one.")
        else:
            report.add(Kind.LINE_TWICE, row["id"], "More than one seal covers it, or it waits for another.")
