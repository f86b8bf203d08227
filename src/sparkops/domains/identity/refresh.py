"""Refresh tokens: what one is made of, and what is kept of it. Nothing here asks a database.

A token names its session, carries a secret of 256 random bits, and ends in a mark by which the session knows every
token that it ever gave out. Kept are a hash of the newest and of the one before, and the newest's secret under a pad
that only the one before yields: who lost the answer to a refresh and asks again gets the same successor, while a copy
of the database yields no token at all.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

SECRET_BYTES = 32
MARK_BYTES = 15
_SIZE = 16 + SECRET_BYTES + MARK_BYTES
"""A multiple of three: its base64 has no padding and so one form only."""
_CHARS = _SIZE * 4 // 3
_PAD = b"sparkops refresh successor"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One token of a session."""

    session_id: UUID
    secret: bytes
    mark: bytes

    @property
    def text(self) -> str:
        """What the client holds."""
        return base64.urlsafe_b64encode(self._bytes).decode()

    @property
    def hash(self) -> str:
        """What is stored."""
        return hashlib.sha256(self._bytes).hexdigest()

    @property
    def _bytes(self) -> bytes:
        return self.session_id.bytes + self.secret + self.mark

    def is_of(self, family_key: bytes) -> bool:
        """Say whether the session with this key gave the token out, now or before."""
        return hmac.compare_digest(self.mark, _mark(self.session_id, self.secret, family_key))

    def seal(self, successor: "RefreshToken") -> bytes:
        """Return the successor's secret in a form that only this token opens. Do so once with one token."""
        return _xor(successor.secret, hmac.digest(self.secret, _PAD, "sha256"))

    def unseal(self, sealed: bytes, family_key: bytes) -> "RefreshToken":
        """Return the successor that was sealed with this token; another token yields one that was never given out."""
        return _token(self.session_id, _xor(sealed, hmac.digest(self.secret, _PAD, "sha256")), family_key)


def new_family_key() -> bytes:
    """Return the key of a new session."""
    return secrets.token_bytes(SECRET_BYTES)


def new_token(session_id: UUID, family_key: bytes) -> RefreshToken:
    """Return a fresh token of a session."""
    return _token(session_id, secrets.token_bytes(SECRET_BYTES), family_key)


def read_token(text: str) -> RefreshToken | None:
    """Read what a client presents; None if it cannot be a token."""
    try:
        raw = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(raw) != _SIZE or len(text) != _CHARS:
        return None
    return RefreshToken(UUID(bytes=raw[:16]), raw[16:-MARK_BYTES], raw[-MARK_BYTES:])


def _token(session_id: UUID, secret: bytes, family_key: bytes) -> RefreshToken:
    return RefreshToken(session_id, secret, _mark(session_id, secret, family_key))


def _mark(session_id: UUID, secret: bytes, family_key: bytes) -> bytes:
    return hmac.digest(family_key, session_id.bytes + secret, "sha256")[:MARK_BYTES]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
