"""Counting attempts at what only its owner should know, in PostgreSQL: no restart and no lost Redis forgets them.

An attempt takes its place before the secret is looked at, so that parallel ones count; who was right gives it back.
Over the limit there is a wait. Waits grow and end: nobody can lock somebody else out for good.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg


@dataclass(frozen=True, slots=True)
class Rule:
    """How many attempts are free, and what comes then.

    With `wait` each further attempt waits twice as long as the one before, up to `longest`; the count is forgotten
    once there was none for `forget`. With `wait` of None so many are free in each `forget`.
    """

    name: str
    free: int
    forget: timedelta
    wait: timedelta | None = None
    longest: timedelta = timedelta(minutes=15)


ACCOUNT = Rule("account", 10, timedelta(hours=1), timedelta(seconds=15))
"""By whoever was never signed in to this account from the same browser."""
DEVICE = Rule("device", 10, timedelta(hours=1), timedelta(seconds=15))
"""By a browser that was, since password and second factor are what they are: what strangers try elsewhere does not make
its owner wait."""
ADDRESS = Rule("address", 50, timedelta(minutes=5))
"""Passwords and codes, from whichever browser. Many people may share an address; nobody mistypes fifty times in five
minutes."""
OWN_PASSWORD = Rule("own-password", 5, timedelta(hours=1), timedelta(seconds=15))
"""Of who is signed in and asked for the password once more."""
FACTOR = Rule("factor", 5, timedelta(hours=1), timedelta(seconds=15))
"""Codes for somebody whose password was right, by a browser that was never signed in to the account."""
FACTOR_DEVICE = Rule("factor-device", 5, timedelta(hours=1), timedelta(seconds=15))
"""The same by a browser that was."""
FACTOR_ALL = Rule("factor-all", 50, timedelta(hours=1))
"""The same by all browsers together: somebody may hold many that were. Those that never were do not get so far."""
OWN_FACTOR = Rule("own-factor", 5, timedelta(hours=1), timedelta(seconds=15))
"""Codes of who is signed in."""
STRANGERS = Rule("strangers", 20, timedelta(hours=1), timedelta(seconds=15))
"""By somebody who adds members: addresses that nobody has, so that none can try which ones somebody has."""
FORGOTTEN = Rule("forgotten", 3, timedelta(minutes=30))
"""Mails to one address."""
FORGOTTEN_FROM = Rule("forgotten-from", 20, timedelta(minutes=30))
LINK_FROM = Rule("link-from", 100, timedelta(minutes=5))
"""One-time links cannot be guessed; this only keeps anybody from trying."""


@dataclass(frozen=True, slots=True)
class Count:
    """Where a count stands. `refused` attempts came since the last one that was let in."""

    used: int
    forget_at: datetime
    blocked_until: datetime | None
    refused: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said to one attempt: `wait` of None lets it in. `first` of the refused ones of this wait."""

    wait: timedelta | None
    first: bool = False

    @property
    def seconds(self) -> int:
        """The wait in whole seconds, at least one."""
        return max(1, round(self.wait.total_seconds())) if self.wait else 0


def judge(count: Count, rule: Rule, now: datetime) -> tuple[Count, Verdict]:
    """Return the count after one more attempt, and what to say to it. Refused attempts do not count."""
    if count.blocked_until is not None and count.blocked_until > now:
        refused = Count(count.used, count.forget_at, count.blocked_until, count.refused + 1)
        return refused, Verdict(count.blocked_until - now, first=count.refused == 0)
    fresh = count.used == 0 or count.forget_at <= now
    used = 1 if fresh else count.used + 1
    if rule.wait is None:
        forget_at = now + rule.forget if fresh else count.forget_at
        return Count(used, forget_at, forget_at if used >= rule.free else None, 0), Verdict(None)
    blocked_until = None
    if used >= rule.free:
        blocked_until = now + min(rule.longest, rule.wait * 2 ** min(used - rule.free, 30))
    return Count(used, now + rule.forget, blocked_until, 0), Verdict(None)


_LOCK = """
INSERT INTO attempts AS a (key, used, forget_at) VALUES ($1, 0, clock_timestamp())
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING a.used, a.forget_at, a.blocked_until, a.refused, clock_timestamp() AS now
"""
"""Also keeps others from the same count until the transaction ends; the clock is read once it is ours."""
_SAVE = "UPDATE attempts SET used = $2, forget_at = $3, blocked_until = $4, refused = $5 WHERE key = $1"
_GIVE_BACK = """
UPDATE attempts SET used = used - 1, refused = 0,
  blocked_until = CASE WHEN used - 1 < $2 THEN NULL ELSE blocked_until END
 WHERE key = $1 AND used > 0
"""
_FORGET = "UPDATE attempts SET used = 0, blocked_until = NULL, refused = 0 WHERE key = $1"
_PRUNE = """
DELETE FROM attempts WHERE key IN (
  SELECT key FROM attempts WHERE forget_at < clock_timestamp() - interval '1 minute'
   ORDER BY forget_at LIMIT 10 FOR UPDATE SKIP LOCKED)
"""
"""Each count adds one row at most and takes away ten that count no more."""


def key_of(rule: Rule, what: str) -> str:
    """Return under which name a count is kept: nobody reads from the table which addresses were tried."""
    return f"{rule.name}:{hashlib.sha256(what.strip().casefold().encode()).hexdigest()}"


async def take(connection: "asyncpg.Connection[asyncpg.Record]", rule: Rule, what: str) -> Verdict:
    """Count one attempt at something, in the caller's transaction, and say whether it may go on once that commits."""
    key = key_of(rule, what)
    row = await connection.fetchrow(_LOCK, key)
    assert row is not None
    before = Count(row["used"], row["forget_at"], row["blocked_until"], row["refused"])
    after, verdict = judge(before, rule, row["now"])
    await connection.execute(_SAVE, key, after.used, after.forget_at, after.blocked_until, after.refused)
    return verdict


async def prune(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Take a few counts away that count no more."""
    await pool.execute(_PRUNE)


async def give_back(pool: "asyncpg.Pool[asyncpg.Record]", rule: Rule, what: str) -> None:
    """Take one attempt back: it was none at guessing."""
    await pool.execute(_GIVE_BACK, key_of(rule, what), rule.free)


async def forget(pool: "asyncpg.Pool[asyncpg.Record]", rule: Rule, what: str) -> None:
    """Forget all attempts at something: its owner was there."""
    await pool.execute(_FORGET, key_of(rule, what))
