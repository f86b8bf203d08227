"""Encryption of secrets in an envelope: each value by a key of its own, and that key by one that no database holds.

A value is encrypted with AES-256-GCM under a fresh data key, the data key likewise under the *key-encryption key* (KEK)
of the installation. Both are bound to their place: project, name and version are authenticated with them, so that a row
moved to another place does not open. Changing the KEK wraps data keys anew and leaves the values as they are.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparkops.core.errors import ConfigError, SparkOpsError

KEY_BYTES = 32
MAX_VALUE_BYTES = 32_768
"""Of one secret, wherever it lies."""
_NONCE_BYTES = 12
_FORMAT: Final = b"sparkops secret 1"
_KEY = re.compile("[0-9a-fA-F]{64}")
_NO_PROJECT: Final = bytes(16)


class SecretLost(SparkOpsError):
    """A secret cannot be opened: its key is not there, or it was changed or moved. Nobody can tell what it was."""

    code, title = "secret-lost", "A secret cannot be opened"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value belongs. `project_id` None: to the installation."""

    project_id: UUID | None
    name: str
    version: int

    def bound(self, what: bytes) -> bytes:
        """Return what is authenticated with the value or its data key: fields of fixed length, then the name."""
        project = _NO_PROJECT if self.project_id is None else self.project_id.bytes
        return b"\0".join((_FORMAT, what, project + self.version.to_bytes(8, "big") + self.name.encode()))


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value, its encrypted data key, and the id of the KEK that opens that."""

    kek_id: str
    wrapped_key: bytes
    ciphertext: bytes


class Keyring:
    """The KEKs of an installation. The first one wraps; all of them open. An id is made from its key."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._keys: Mapping[str, AESGCM] = {key_id(key): AESGCM(key) for key in keys}
        self.active = key_id(keys[0])

    def __contains__(self, kek_id: str) -> bool:
        """Say whether this key is there."""
        return kek_id in self._keys

    def seal(self, place: Place, value: str) -> Sealed:
        """Encrypt a value for its place."""
        key = AESGCM.generate_key(8 * KEY_BYTES)
        ciphertext = _encrypt(AESGCM(key), value.encode(), place.bound(b"value"))
        return Sealed(self.active, _encrypt(self._keys[self.active], key, place.bound(b"key")), ciphertext)

    def open(self, place: Place, sealed: Sealed) -> str:
        """Return the value.

        Raises:
            SecretLost: it was changed or belongs elsewhere, or its KEK is not there.
        """
        key = self._unwrap(place, sealed)
        return _decrypt(AESGCM(key), sealed.ciphertext, place.bound(b"value"), place).decode()

    def rewrap(self, place: Place, sealed: Sealed) -> Sealed:
        """Return the same value with its data key under the first KEK. Raises SecretLost as `open` does."""
        key = self._unwrap(place, sealed)
        wrapped = _encrypt(self._keys[self.active], key, place.bound(b"key"))
        return replace(sealed, kek_id=self.active, wrapped_key=wrapped)

    def _unwrap(self, place: Place, sealed: Sealed) -> bytes:
        kek = self._keys.get(sealed.kek_id)
        if kek is None:
            raise SecretLost(
                f"The secret {place.name} is encrypted under the key {sealed.kek_id}, which SPARKOPS_SECRETS_KEY does "
                "not have; add that key behind the first one."
            )
        return _decrypt(kek, sealed.wrapped_key, place.bound(b"key"), place)


def key_id(key: bytes) -> str:
    """Return the id of a KEK, which tells nothing about it."""
    return sha256(b"sparkops key id\0" + key).hexdigest()[:16]


def parse_keys(text: str) -> Sequence[bytes]:
    """Return the keys of a setting: 64 hexadecimal digits each, separated by space or commas, the first in use.

    Raises:
        ConfigError: one of them is no key, or there is none. It is not quoted.
    """
    words = text.replace(",", " ").split()
    if not words or not all(_KEY.fullmatch(word) for word in words):
        raise ConfigError(
            "SPARKOPS_SECRETS_KEY needs keys of 64 hexadecimal digits, as `openssl rand -hex 32` makes them, separated "
            "by space, the one in use first."
        )
    return [bytes.fromhex(word) for word in words]


def put_new_key(file: Path) -> Keyring:
    """Put a new key before those of a file, which is replaced whole or not at all, and return all of them.

    Raises:
        ConfigError: the file cannot be read or written, or holds something else.
    """
    keys = [os.urandom(KEY_BYTES), *_read_file(file)]
    _write(file, keys)
    return Keyring(keys)


def keep_only_first(file: Path) -> int:
    """Remove all keys of a file but the first, and return how many those were. Raises ConfigError as `put_new_key`."""
    first, *others = _read_file(file)
    _write(file, [first])
    return len(others)


def _read_file(file: Path) -> Sequence[bytes]:
    try:
        return parse_keys(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"The keys of secrets in {file} cannot be read.") from None


def _write(file: Path, keys: Sequence[bytes]) -> None:
    fresh = file.with_name(file.name + ".new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write("".join(key.hex() + "\n" for key in keys))
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"The keys of secrets in {file} cannot be written: {error.strerror}.") from None


class Keys:
    """The KEKs that the settings state, or a file that they name, which is read again whenever it has changed."""

    def __init__(self, stated: str | None = None, file: Path | None = None) -> None:
        self._file = file
        self._ring = None if stated is None else Keyring(parse_keys(stated))
        self._stamp: tuple[int, int, int] | None = None

    def ring(self) -> Keyring:
        """Return the keys as they are now.

        Raises:
            ConfigError: there are none, or the file cannot be read or holds something else.
        """
        if self._file is not None:
            self._read(self._file)
        if self._ring is None:
            raise ConfigError(
                "SPARKOPS_SECRETS_KEY is missing, so no secret can be kept; `sparkops up` makes a key of its own."
            )
        return self._ring

    def _read(self, file: Path) -> None:
        try:
            about = file.stat()
        except OSError:
            raise ConfigError(f"The keys of secrets in {file} cannot be read.") from None
        stamp = about.st_ino, about.st_mtime_ns, about.st_size
        if stamp != self._stamp:
            self._ring = Keyring(_read_file(file))
            self._stamp = stamp


def _encrypt(cipher: AESGCM, data: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, bound)


def _decrypt(cipher: AESGCM, data: bytes, bound: bytes, place: Place) -> bytes:
    try:
        return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise SecretLost(
            f"Version {place.version} of the secret {place.name} was changed, or belongs elsewhere; put a new version."
        ) from None
