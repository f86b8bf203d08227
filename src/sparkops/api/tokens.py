"""Access tokens: JWT, HS256 only, fifteen minutes. They name a session, which is looked up at every request.

With the same secret, but another key made of it, links to questions are marked.
"""

import base64
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
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
CAPACITY = 1_000
"""So many tokens that were found valid are remembered until they run out: what they say never changes."""
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "typ", "iat", "exp"]


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
            "exp": now + LIFETIME,
        }
        return self._jwt.encode(claims, self._key, algorithm=ALGORITHM)

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

    def _decode(self, token: str) -> tuple[Claims, float]:
        """Return whom the token names, and until when in seconds of the system's clock."""
        try:
            claims = self._jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": _REQUIRED},
            )
            if claims["typ"] != TYPE:
                raise Unauthenticated("This token was made for another use.")
            return Claims(UUID(claims["sub"]), UUID(claims["sid"])), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The access token has run out; refresh it.") from None
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            raise Unauthenticated("The access token is not valid.") from None
