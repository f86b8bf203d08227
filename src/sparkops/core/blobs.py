"""Object storage by content: bytes lie under their SHA-256, so that writing twice is writing once.

Bytes go in before any row names them; a row that names a digest can always be read.
"""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from sparkops.core.errors import NotFound, TooLarge, Unavailable


def _path(sha256: str) -> str:
    """Spread objects over 256 folders; one folder with a million files is slow on most disks."""
    return f"blobs/{sha256[:2]}/{sha256}"


def _sync(file: Path) -> None:
    """Make sure that a file survives a power cut: a row that is durable will name it."""
    for path in (file, file.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Blobs:
    """A store of immutable bytes. Safe to share between tasks."""

    def __init__(self, store: ObjectStore, *, directory: Path | None = None) -> None:
        """`directory` is where the store keeps its files, if it is a local one: they are then synced to disk."""
        self._store = store
        self._directory = directory

    @classmethod
    def in_directory(cls, directory: Path) -> "Blobs":
        """Return a store in a local directory, which is made if it is missing."""
        return cls(LocalStore(prefix=directory, mkdir=True), directory=directory)

    @classmethod
    def at_url(cls, url: str) -> "Blobs":
        """Return a store at an object storage URL such as `s3://bucket/prefix` or `file:///var/lib/sparkops`."""
        return cls(from_url(url))

    async def put(self, data: bytes) -> str:
        """Store the bytes and return their SHA-256 in hexadecimal; bytes that are there already are left alone.

        Raises:
            Unavailable: the store did not take them.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            with contextlib.suppress(AlreadyExistsError):
                await obstore.put_async(self._store, _path(sha256), data, mode="create")
            if self._directory is not None:
                await asyncio.to_thread(_sync, self._directory / _path(sha256))
        except (obstore.exceptions.BaseError, OSError) as error:
            raise Unavailable("The object storage did not take a file; check its disk or its address.") from error
        return sha256

    async def get(self, sha256: str, max_bytes: int) -> bytes:
        """Return the bytes, checked against their digest.

        Raises:
            NotFound: no such bytes.
            TooLarge: there are more than `max_bytes`; nothing was read.
            Unavailable: the store does not answer, or gave back other bytes than were stored.
        """
        try:
            found = await obstore.get_async(self._store, _path(sha256))
            size = found.meta["size"]
            if size > max_bytes:
                raise TooLarge(f"The file has {size} bytes; at most {max_bytes} can be read here.")
            data = bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            raise NotFound("The bytes of this file are not in the object storage.") from None
        except (obstore.exceptions.BaseError, OSError) as error:
            raise Unavailable("The object storage does not answer.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Unavailable("The object storage gave back other bytes than were stored; restore it from a backup.")
        return data
