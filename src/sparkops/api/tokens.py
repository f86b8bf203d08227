"""Access tokens: JWT, HS256 only, fifteen minutes. They name a session, which is looked up at every request.

With the same secret, but other keys made of it, links to questions and browsers that were signed in are marked.
"""

import base64
import binascii
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from sparkops.core.errors import ConfigError, Unauthenticated
from sparkops.core.ids import new_id

LIFETIME = timedelta(minutes=15)
ALGORITHM = "HS256"
ISSUER = "sparkops"
AUDIENCE = "sparkops-api"
TYPE = "at+jwt"
MIN_KEY_BYTES = 32
LINKS = b"sparkops links to approvals"
MARK_BYTES = 18
DEVICES = b"sparkops browsers that were signed in"
DEVICE_BYTES = 16
DEVICE_TIME_BYTES = 4
DEVICE_LIFETIME = timedelta(days=90)
MAX_TOKEN_CHARS = 2_000
CAPACITY = 1_000
"""So many tokens that were found valid are remembered until they run out: what they say never changes."""
HEADER = {"alg": ALGORITHM, "typ": TYPE}
"""All that the head of a token of ours says: nothing in it names a key, or an address where one would be."""
_TEXTS = ("iss", "aud", "sub", "sid", "jti", "typ")
_TIMES = ("iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a valid token names."""

    user_id: UUID
    session_id: UUID


class Signer:
    """Signs and reads access tokens with one key."""

    def __init__(self, key: str) -> None:
        if len(key.encode()) < MIN_KEY_BYTES:
            raise ConfigError(f"SPARKOPS_SECRET_KEY needs at least {MIN_KEY_BYTES} bytes.")
        self._key = key
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._read: OrderedDict[str, tuple[Claims, float]] = OrderedDict()

    def issue(self, *, user_id: UUID, session_id: UUID, now: datetime) -> str:
        """Return a token for this session."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(new_id()),
            "typ": TYPE,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
        }
        return self._jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=HEADER)

    def read(self, token: str) -> Claims:
        """Return whom the token names.

        Raises:
            Unauthenticated: it was not signed by us for this use, is not complete, or has run out.
        """
        claims, until = self._read.get(token, (None, 0.0))
        if claims is not None and time.time() < until:
            return claims
        claims, until = self._decode(token)
        self._read[token] = claims, until
        if len(self._read) > CAPACITY:
            self._read.popitem(last=False)
        return claims

    def derive(self, purpose: bytes) -> bytes:
        """Return another key, made of this one for one purpose; neither it nor this one tells the other."""
        return hmac.digest(self._key.encode(), purpose, "sha256")

    def mark(self, approval_id: UUID) -> str:
        """Return what the link to a question carries, so that nobody finds questions by trying ids."""
        mark = hmac.digest(self.derive(LINKS), approval_id.bytes, "sha256")
        return base64.urlsafe_b64encode(mark[:MARK_BYTES]).decode().rstrip("=")

    def is_marked(self, approval_id: UUID, mark: str) -> bool:
        """Say whether the link to this question was made by us."""
        return hmac.compare_digest(self.mark(approval_id).encode(), mark.encode())

    def device(self, generation: str, *, now: datetime) -> str:
        """Return what a browser keeps in which somebody signed in, whose password and factor are of this generation."""
        until = int((now + DEVICE_LIFETIME).timestamp()).to_bytes(DEVICE_TIME_BYTES)
        named = secrets.token_bytes(DEVICE_BYTES) + until
        return base64.urlsafe_b64encode(named + self._device_mark(named, generation)).decode()

    def read_device(self, device: str, generation: str, *, now: datetime) -> str | None:
        """Return which browser kept this, if somebody signed in with it whose password and second factor are still
        those of this generation, and not too long ago; else None."""
        try:
            raw = base64.b64decode(device.encode(), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        named, mark = raw[:-DEVICE_BYTES], raw[-DEVICE_BYTES:]
        if not hmac.compare_digest(mark, self._device_mark(named, generation)):
            return None
        nonce, until = named[:DEVICE_BYTES], int.from_bytes(named[DEVICE_BYTES:])
        return nonce.hex() if now.timestamp() < until else None

    def _device_mark(self, named: bytes, generation: str) -> bytes:
        key = hmac.digest(self._key.encode(), DEVICES, "sha256")
        return hmac.digest(key, named + generation.encode(), "sha256")[:DEVICE_BYTES]

    def _decode(self, token: str) -> tuple[Claims, float]:
        """Return whom the token names, and until when in seconds of the system's clock."""
        try:
            if len(token) > MAX_TOKEN_CHARS or jwt.get_unverified_header(token) != HEADER:
                raise Unauthenticated("The access token is not valid.")
            claims = self._jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": [*_TEXTS, *_TIMES]},
            )
            _check_claims(claims)
            if claims["typ"] != TYPE:
                raise Unauthenticated("This token was made for another use.")
            return Claims(UUID(claims["sub"]), UUID(claims["sid"])), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The access token has run out; refresh it.") from None
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError):
            raise Unauthenticated("The access token is not valid.") from None


def _check_claims(claims: dict[str, Any]) -> None:
    """Refuse what the library would be content with: a number as a text, a list of audiences, years of validity.

    Raises:
        Unauthenticated: a claim is of another type than we write it, or the token counts for longer than ours do.
    """
    if not all(isinstance(claims[name], str) for name in _TEXTS):
        raise Unauthenticated("The access token is not valid.")
    if not all(type(claims[name]) is int for name in _TIMES):
        raise Unauthenticated("The access token is not valid.")
    if claims["exp"] - claims["iat"] > LIFETIME.total_seconds():
        raise Unauthenticated("The access token is not valid.")
