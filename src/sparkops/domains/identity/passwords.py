"""Passwords: what is stored is bcrypt over an HMAC of the password.

bcrypt reads 72 bytes and stops at a NUL; the keyed digest in base64 is 44 safe bytes for a password of any length, and
the key of our own keeps digests leaked elsewhere from being tried here.
"""

import base64
import hmac
import secrets

from pwdlib.hashers.bcrypt import BcryptHasher

MIN_LENGTH = 8
MAX_LENGTH = 1_024
"""Longer ones only cost time."""

_ROUNDS = 12
"""A quarter of a second on a common core."""
_DOMAIN = b"sparkops.password.v1"
_hasher = BcryptHasher(rounds=_ROUNDS)
_NOBODY = "$2b$12$wLnxk86x6MwbMvP9WRprKuDhV7kv3anKqnSwqxck3nj1A49QPCfl6"
"""Compared against when there is no such user, so that the answer takes as long. It has the cost of `_ROUNDS`."""


def hash_password(password: str, *, rounds: int = _ROUNDS) -> str:
    """Return what to store. Takes long on purpose: call it in a thread."""
    return BcryptHasher(rounds=rounds).hash(_prepared(password))


def verify_password(password: str, stored: str | None) -> bool:
    """Tell whether this is the password; `stored` of None (no such user) takes as long and is never true."""
    matches = _hasher.verify(_prepared(password), stored or _NOBODY)
    return matches and stored is not None


def generate_password() -> str:
    """Return a password of 120 random bits that can be typed."""
    return secrets.token_urlsafe(15)


def _prepared(password: str) -> bytes:
    return base64.b64encode(hmac.digest(_DOMAIN, password.encode(), "sha256"))
