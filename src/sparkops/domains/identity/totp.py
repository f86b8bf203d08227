"""One-time passwords by the clock (RFC 6238), as authenticator apps make them, and recovery codes. All of it pure.

Apps agree on six digits, steps of thirty seconds and HMAC-SHA-1 only, whatever else a key's address asks for. HMAC does
not need the hash to be free of collisions, which is what SHA-1 lacks.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

DIGITS = 6
STEP_SECONDS = 30
WINDOW = 1
"""So many steps a clock may be behind or ahead of ours."""
KEY_BYTES = 20
"""160 bits, as the RFC recommends for this hash."""
ISSUER = "Spark-Ops"
RECOVERY_CODES = 10
RECOVERY_CHARS = 26
"""Of five bits each: 130 in all, too many to be found from a hash, however fast that is computed."""
_EARLIER_CHARS = 24
"""Of codes that were given out before; they count until they are used."""
GROUP_CHARS = 4
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""No I, O, 0 or 1, which are mistaken for each other."""
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")
_RECOVERY_CODE = re.compile(
    rf"[{_ALPHABET}]{{{_EARLIER_CHARS}}}(?:[{_ALPHABET}]{{{RECOVERY_CHARS - _EARLIER_CHARS}}})?"
)


def new_key() -> str:
    """Return a fresh key as people type it into an app: 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()


def address_of(key: str, *, account: str) -> str:
    """Return the address that apps read from a picture: whose key it is, and the key."""
    label = f"{quote(ISSUER)}:{quote(account)}"
    return f"otpauth://totp/{label}?{urlencode({'secret': key, 'issuer': ISSUER})}"


def step_at(now: datetime) -> int:
    """Return the number of the step that a moment lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def code_of(key: str, step: int) -> str:
    """Return the code that an app shows in a step."""
    hotp = HOTP(base64.b32decode(key), DIGITS, SHA1())  # noqa: S303 -- what apps compute
    return hotp.generate(step).decode()


def matching_step(key: str, code: str, *, now: datetime) -> int | None:
    """Return which step the code is of, the newest if of several; None: of none that counts at this moment.

    It takes as long whichever it is.
    """
    given, found = _digits(code).encode(), None
    for step in range(step_at(now) - WINDOW, step_at(now) + WINDOW + 1):
        if hmac.compare_digest(code_of(key, step).encode(), given):
            found = step
    return found


def looks_like_code(text: str) -> bool:
    """Say whether an app may have shown this."""
    return _CODE.fullmatch(_digits(text)) is not None


def _digits(text: str) -> str:
    """Leave out the spaces with which apps show codes."""
    return "".join(text.split())


def new_recovery_codes() -> Sequence[str]:
    """Return as many codes as a person is given at once."""
    return [_grouped("".join(secrets.choice(_ALPHABET) for _ in range(RECOVERY_CHARS))) for _ in range(RECOVERY_CODES)]


def _grouped(code: str) -> str:
    return "-".join(code[start : start + GROUP_CHARS] for start in range(0, len(code), GROUP_CHARS))


def recovery_hash(code: str) -> str | None:
    """Return what is stored of a recovery code, however it was typed; None if it cannot be one."""
    plain = "".join(code.split()).replace("-", "").upper()
    if _RECOVERY_CODE.fullmatch(plain) is None:
        return None
    return hashlib.sha256(b"sparkops recovery code " + plain.encode()).hexdigest()
