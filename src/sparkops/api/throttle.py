"""The brake on guessing passwords: attempts are counted in PostgreSQL, by account and by address.

A browser in which somebody signed in to the account before, with the password and second factor that it has now, is
counted by itself: what strangers try elsewhere makes its owner wait no longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sparkops.api.tokens import Signer
from sparkops.core.clock import utc_now
from sparkops.core.db import Database
from sparkops.core.errors import TooMany
from sparkops.domains.audit import security
from sparkops.domains.identity import attempts, factor_queries
from sparkops.domains.identity.attempts import Rule, Verdict
from sparkops.domains.identity.models import User

Count = tuple[Rule, str]
"""A rule, and what is counted by it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as far as that can be seen from outside."""

    address: str
    device: str | None
    """What the browser says of itself."""
    request_id: str
    known: str | None = None
    """What it kept from an earlier sign-in; see `Signer.device`."""


class SignInThrottle:
    """Each attempt takes a place before the password is looked at, so that parallel ones count."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._pool = database.pool
        self._signer = signer

    async def take(self, *, email: str, caller: Caller) -> None:
        """Count one attempt.

        Raises:
            TooMany: this account or this address has used its attempts for now.
        """
        for rule, what in await self._counts(email, caller):
            await self.take_one(rule, what, caller=caller, email=email)

    async def take_one(self, rule: Rule, what: str, *, caller: Caller, email: str | None = None) -> None:
        """Count one attempt by one rule; the first refusal of each wait is a security event.

        Raises:
            TooMany: there were too many.
        """
        verdict = await self.count(rule, what)
        if verdict.wait is None:
            return
        if verdict.first:
            await security.note(
                self._pool,
                "sign-in.locked",
                severity="warning",
                email=email,
                address=caller.address,
                request_id=caller.request_id,
                counted_by=rule.name,
                seconds=verdict.seconds,
            )
        raise TooMany(f"Too many attempts. Try again in {_told(verdict.seconds)}.", retry_after_seconds=verdict.seconds)

    async def count(self, rule: Rule, what: str) -> Verdict:
        """Count one attempt by one rule, and say whether it may go on."""
        async with self._pool.acquire() as connection, connection.transaction():
            verdict = await attempts.take(connection, rule, what)
        await attempts.prune(self._pool)
        return verdict

    async def give_back(self, *, email: str, caller: Caller) -> None:
        """Forget the attempts on the account, and this one from the address: the password was right."""
        await self.forgive(await self._counts(email, caller))

    async def forgive(self, counted: Iterable[Count]) -> None:
        """Forget what was counted by one browser or account, and take this attempt from what others share."""
        for rule, what in counted:
            if rule in (attempts.ADDRESS, attempts.FACTOR_ALL):
                await attempts.give_back(self._pool, rule, what)
            else:
                await attempts.forget(self._pool, rule, what)

    async def take_code(self, *, user: User, caller: Caller) -> tuple[Count, ...]:
        """Count one attempt at the second factor of a user, and return what it was counted by.

        Raises:
            TooMany: there were too many.
        """
        device, who = await self._device(user.email, caller), str(user.id)
        counts = (
            (attempts.ADDRESS, caller.address),
            (attempts.FACTOR, who) if device is None else (attempts.FACTOR_DEVICE, device),
            (attempts.FACTOR_ALL, who),
        )
        for rule, what in counts:
            await self.take_one(rule, what, caller=caller, email=user.email)
        return counts

    async def _counts(self, email: str, caller: Caller) -> tuple[Count, ...]:
        """Return by which rules an attempt counts, the one that spares the others first."""
        device = await self._device(email, caller)
        account = (attempts.ACCOUNT, email) if device is None else (attempts.DEVICE, device)
        return (attempts.ADDRESS, caller.address), account

    async def _device(self, email: str, caller: Caller) -> str | None:
        """Return which browser this is, if somebody signed in to the account with it, as the account is now."""
        if caller.known is None:
            return None
        async with self._database.reads.begin() as session:
            generation = await factor_queries.generation_of(session, email=email)
        if generation is None:
            return None
        return self._signer.read_device(caller.known, generation, now=utc_now())


def _told(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
