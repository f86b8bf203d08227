"""API keys: what a machine sends in the place of an access token.

    spk_<id: 12>_<secret: 43><check: 6>

in the digits and letters of base62. The id finds the row, the secret of 256 bits proves that it was given out, and the
check (CRC-32 of all before it) lets a typo, or a string that only looks like a key, be refused without asking the
database. The fixed beginning and the check let scanners find keys that got lost, with hardly a false alarm. Stored is
the SHA-256 of the whole: nobody guesses 256 random bits, so a slow hash would only cost each request its time.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from typing import Final

from sparkops.core.permissions import INSTALLATION, Permission

PREFIX: Final = "spk_"
ID_CHARS: Final = 12
SECRET_CHARS: Final = 43
CHECK_CHARS: Final = 6
GRANTABLE: Final = frozenset(Permission) - INSTALLATION - {Permission.APPROVAL_ANSWER, Permission.MEMBER_MANAGE}
"""What a key may be given, and what counts of what it was given before. Questions to people are answered by people, who
belongs to a project is said by people, and no key administers the installation."""

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE: Final = re.compile(
    rf"{PREFIX}(?P<id>[0-9A-Za-z]{{{ID_CHARS}}})_[0-9A-Za-z]{{{SECRET_CHARS}}}(?P<check>[0-9A-Za-z]{{{CHECK_CHARS}}})"
)
_NOBODY: Final = "0" * 64
"""Compared with where there is no such key. No text that has this digest is known."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A key that is whole: what finds its row, and the digest to compare with what is stored there."""

    public_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class FreshKey:
    """A key that was just made; `text` is shown once and kept nowhere."""

    text: str
    public_id: str
    digest: str


def make_key() -> FreshKey:
    """Return a new key."""
    public_id, secret = _random(ID_CHARS), _random(SECRET_CHARS)
    body = f"{PREFIX}{public_id}_{secret}"
    text = body + _check_of(body)
    return FreshKey(text, public_id, _digest(text))


def looks_like_key(token: str) -> bool:
    """Say whether a bearer token claims to be a key rather than an access token."""
    return token.startswith(PREFIX)


def read_key(text: str) -> Presented | None:
    """Take a key apart; None for what was never given out: the wrong shape, or a check that does not fit."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["check"] != _check_of(text[:-CHECK_CHARS]):
        return None
    return Presented(found["id"], _digest(text))


def matches(presented: Presented, stored: str | None) -> bool:
    """Say whether the stored digest is that of the presented key, in a time that tells nothing; None: there is none."""
    return hmac.compare_digest(presented.digest, stored or _NOBODY) and stored is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(count))


def _check_of(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECK_CHARS):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
