"""Seals: each covers a batch of audit lines and the seal before, by a keyed hash that the database cannot make."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from pydantic import SecretStr

from sparkops.core.errors import ConfigError
from sparkops.core.json import canonical, dumps, loads

NOTHING_BEFORE: Final = "0" * 64
"""`previous` of the first seal."""
HASH_BYTES: Final = 32
MIN_KEY_CHARACTERS: Final = 32

_FORM: Final = "sparkops audit seal 1"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Anchor:
    """What of a seal is kept outside of the database: enough to notice that it or one before it has changed."""

    number: int
    at: datetime
    lines: int
    root: str
    previous: str
    mac: str
    key_id: str

    def as_line(self) -> bytes:
        """Return it as one line of a file."""
        return dumps(
            {
                "number": self.number,
                "at": self.at.isoformat(),
                "lines": self.lines,
                "root": self.root,
                "previous": self.previous,
                "mac": self.mac,
                "key_id": self.key_id,
            }
        )

    @classmethod
    def from_line(cls, line: str | bytes) -> Self:
        """Read what `as_line` wrote.

        Raises:
            ValueError: it is something else.
        """
        value = loads(line)
        if not isinstance(value, dict):
            raise ValueError("not an object")
        try:
            found = cls(**{**value, "at": datetime.fromisoformat(value["at"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a root: {error}") from None
        if not isinstance(found.number, int) or found.at.tzinfo is None:
            raise ValueError("not a root")
        return found

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return what is kept of a row of `audit_seals`."""
        return cls(row["number"], row["at"], row["lines"], row["root"], row["previous"], row["mac"], row["key_id"])


class SealKeys:
    """The first key seals; the others are those that sealed before, and still check."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take the keys.

        Raises:
            ConfigError: there is none, or one is too short to be safe.
        """
        if not keys or any(len(key) < MIN_KEY_CHARACTERS for key in keys):
            raise ConfigError(
                f"SPARKOPS_AUDIT_KEY must have {MIN_KEY_CHARACTERS} characters at least; several are separated by "
                "commas, and the first one seals."
            )
        self._keys = {_key_id(key): key.encode() for key in keys}
        self.first = _key_id(keys[0])

    @classmethod
    def of(cls, setting: SecretStr | None) -> Self | None:
        """Return the keys of the setting, None where it is not set.

        Raises:
            ConfigError: one is too short to be safe.
        """
        if setting is None:
            return None
        return cls([key.strip() for key in setting.get_secret_value().split(",") if key.strip()])

    def knows(self, key_id: str) -> bool:
        """Say whether seals under this key can be checked."""
        return key_id in self._keys

    def mac(self, key_id: str, *, number: int, at: datetime, lines: int, root: str, previous: str) -> str:
        """Return what a seal that says this has as its `mac`, in hexadecimal digits.

        Raises:
            KeyError: there is no such key.
        """
        said = canonical([_FORM, number, _microseconds(at), lines, root, previous])
        return hmac.new(self._keys[key_id], said, hashlib.sha256).hexdigest()

    def vouches_for(self, anchor: Anchor) -> bool:
        """Say whether the mac of a seal is one of ours, for what it says."""
        if not self.knows(anchor.key_id):
            return False
        expected = self.mac(
            anchor.key_id,
            number=anchor.number,
            at=anchor.at,
            lines=anchor.lines,
            root=anchor.root,
            previous=anchor.previous,
        )
        return hmac.compare_digest(expected.encode(), anchor.mac.encode())


def root_of(ids: Iterable[int], hashes: bytes) -> str:
    """Return the root of a batch: a hash over each line's number and hash, in their order."""
    whole = hashlib.sha256()
    for place, line_id in enumerate(ids):
        whole.update(line_id.to_bytes(8, "big", signed=True))
        whole.update(hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES])
    return whole.hexdigest()


def sealed_hash(content_hash: str) -> bytes:
    """Return the bytes by which a line is sealed. What is no hash was written by nobody of ours: it is sealed all the
    same, so that it holds up nothing, and found when the trail is checked."""
    try:
        found = bytes.fromhex(content_hash)
    except ValueError:
        found = b""
    return found if len(found) == HASH_BYTES else hashlib.sha256(content_hash.encode()).digest()


def _key_id(key: str) -> str:
    """Return the name of a key, which says nothing about it."""
    return hashlib.sha256(b"sparkops audit key " + key.encode()).hexdigest()[:16]


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
