"""Passwords: which may be chosen, and what is stored of them: bcrypt over an HMAC of the password.

bcrypt reads 72 bytes and stops at a NUL; the keyed digest in base64 is 44 safe bytes for a password of any length, and
the key of our own keeps digests leaked elsewhere from being tried here.
"""

import asyncio
import base64
import hmac
import re
import secrets
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from pwdlib.hashers.bcrypt import BcryptHasher

from sparkops.core.errors import Invalid

MIN_LENGTH = 8
MAX_LENGTH = 1_024
"""Longer ones only cost time."""
MIN_GUESSES = 1_000_000
"""A password that is found sooner by whoever tries common ones first is refused: it is on the lists, or close to it."""
PRODUCT = ("sparkops", "spark-ops", "spark ops")

_ESTIMATED = 72
"""So many characters are looked at: the estimate takes time that grows with the square, and more only add to it."""
_MIN_WORD = 4
_ROUNDS = 12
"""A quarter of a second on a common core."""
_DOMAIN = b"sparkops.password.v1"
_hasher = BcryptHasher(rounds=_ROUNDS)
_NOBODY = "$2b$12$wLnxk86x6MwbMvP9WRprKuDhV7kv3anKqnSwqxck3nj1A49QPCfl6"
"""Compared against when there is no such user, so that the answer takes as long. It has the cost of `_ROUNDS`."""
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
"""Hashing has threads of its own, and few: many sign-ins at once wait for each other and leave the rest its cores."""
_estimating = threading.Lock()
"""The estimator keeps the words of the person it was last asked about in one place."""


def hash_password(password: str, *, rounds: int = _ROUNDS) -> str:
    """Return what to store. Takes long on purpose: call `hashed` from a coroutine."""
    return BcryptHasher(rounds=rounds).hash(_prepared(password))


async def hashed(password: str) -> str:
    """Return what to store, made in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, password)


def verify_password(password: str, stored: str | None) -> bool:
    """Tell whether this is the password; `stored` of None (no such user) takes as long and is never true."""
    matches = _hasher.verify(_prepared(password), stored or _NOBODY)
    return matches and stored is not None


async def verified(password: str, stored: str | None) -> bool:
    """Tell the same, found out in a thread; no longer password than may be chosen is looked at."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, verify_password, password[:MAX_LENGTH], stored)


def generate_password() -> str:
    """Return a password of 128 random bits that can be typed."""
    return secrets.token_urlsafe(16)


async def check_acceptable(password: str, *, email: str, name: str = "") -> None:
    """Do nothing if this person may choose this password.

    Raises:
        Invalid: it is too short or too long, or whoever knows the person and tries common ones would soon find it.
    """
    reason = await asyncio.get_running_loop().run_in_executor(_hashing, why_not, password, email, name)
    if reason is not None:
        raise Invalid(f"This password cannot be taken: {reason}.", errors=[{"path": "password", "message": reason}])


def why_not(password: str, email: str, name: str = "") -> str | None:
    """Return why this person may not choose this password, or None. The first call takes a quarter second."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"a password needs {MIN_LENGTH} to {MAX_LENGTH:,} characters"
    words = {word for word in _own_words(email, name) if len(word) >= _MIN_WORD}
    if len(_without(password, words)) < MIN_LENGTH:
        return "it is little more than your address, your name or the name of this product"
    if _guesses(password[:_ESTIMATED], words) < MIN_GUESSES:
        return "it is a common one, or close to one; several words together are easy to keep and hard to guess"
    return None


def _own_words(email: str, name: str) -> Iterator[str]:
    address = email.strip().casefold()
    local, _, domain = address.partition("@")
    yield from (address, local, domain, *PRODUCT, name.strip().casefold())
    yield from re.split(r"[^\w]+|_", f"{local} {domain.rpartition('.')[0]} {name.casefold()}")


def _without(password: str, words: Collection[str]) -> str:
    """Return what is left of a password when these words are taken from it, the longest first."""
    left = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return left


def _guesses(password: str, words: Collection[str]) -> int:
    """Return about how many tries it takes whoever begins with 30,000 common passwords, words, names and dates."""
    # Its lists take 15 MB, which workers and most processes never need.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    with _estimating:
        return int(zxcvbn(password, user_inputs=sorted(words))["guesses"])


def _prepared(password: str) -> bytes:
    return base64.b64encode(hmac.digest(_DOMAIN, password.encode(), "sha256"))
