"""Object storage by content: bytes lie under their SHA-256, so that writing twice is writing once.

Bytes go in before any row names them; a row that names a digest can always be read. What no row names is moved aside
for some time before it is removed, because a row may be about to name it: see `engine/collection.py`.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from sparkops.core.config import Settings
from sparkops.core.errors import ConfigError, NotFound, TooLarge, Unavailable

CHUNK_BYTES = 1 << 20
CONDEMNED = "condemned/"
"""What lies aside lies under its path below this one."""
PROJECTS = "projects/"
LIST_PAGE = 1_000
_SILENT_TIMEOUT = timedelta(seconds=15)
"""How long a remote store may say nothing."""
_WHOLE_TIMEOUT = timedelta(minutes=10)
"""How long one object may take: a download is read no faster than its reader takes it."""
_RETRY_TIMEOUT = timedelta(seconds=15)
"""Well below the library's three minutes: a step holds its lease meanwhile, and its retry policy tries again."""


class Damaged(Unavailable):
    code, title = "object-damaged", "The object storage gave back other bytes than were stored"


def _sync(file: Path) -> None:
    """Make sure that a file survives a power cut: a row that is durable will name it."""
    for path in (file, file.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a list tells of it: `path` is where it lies in the whole store."""

    path: str
    sha256: str
    written_at: datetime


class Blobs:
    """A store of immutable bytes. Safe to share between tasks."""

    def __init__(self, store: ObjectStore, *, directory: Path | None = None, prefix: str = "") -> None:
        """`directory` is where the store keeps its files, if it is a local one: they are then synced to disk.

        `prefix` is what all paths begin with: empty, or a path that ends in a slash.
        """
        self._store = store
        self._directory = directory
        self._prefix = prefix

    @classmethod
    def in_directory(cls, directory: Path) -> "Blobs":
        """Return a store in a local directory, which is made if it is missing."""
        return cls(LocalStore(prefix=directory, mkdir=True), directory=directory)

    @classmethod
    def at_url(cls, url: str, options: Mapping[str, str] | None = None) -> "Blobs":
        """Return a store at an object storage URL such as `s3://bucket/prefix` or `file:///var/lib/sparkops`.

        `options` are those of the kind of storage: for S3 `endpoint`, `region`, `access_key_id`, `secret_access_key`.

        Raises:
            ConfigError: the URL or an option is none that is known.
        """
        if url.startswith("file://"):
            return cls.in_directory(Path(unquote(urlsplit(url).path)))
        given: Any = dict(options or {})  # each kind of storage has its own
        try:
            store = from_url(
                url,
                config=given,
                client_options={
                    "timeout": _WHOLE_TIMEOUT,
                    "read_timeout": _SILENT_TIMEOUT,
                    "allow_http": given.get("endpoint", "").startswith("http://"),
                },
                retry_config={"max_retries": 3, "retry_timeout": _RETRY_TIMEOUT},
            )
        except (BaseError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(f"The object storage at {url} cannot be used: {reason}") from None
        return cls(store)

    def under(self, prefix: str) -> "Blobs":
        """Return the part of this store whose paths begin with this prefix, such as a project's."""
        return Blobs(self._store, directory=self._directory, prefix=f"{self._prefix}{prefix}/")

    def _path(self, sha256: str) -> str:
        """Spread objects over 256 folders; one folder with a million files is slow on most disks."""
        return f"{self._prefix}blobs/{sha256[:2]}/{sha256}"

    async def put(self, data: bytes) -> str:
        """Store the bytes and return their SHA-256 in hexadecimal; bytes that are there already are left alone.

        A local file whose bytes are not what its name says, as a power cut may leave it, is written anew.

        Raises:
            Unavailable: the store did not take them.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        try:
            try:
                await obstore.put_async(self._store, path, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if self._directory is not None and not await self._is_whole(path, sha256):
                    await obstore.put_async(self._store, path, data, use_multipart=False)
            if self._directory is not None:
                try:
                    await asyncio.to_thread(_sync, self._directory / path)
                except FileNotFoundError:  # it was moved aside meanwhile
                    await obstore.put_async(self._store, path, data, use_multipart=False)
                    await asyncio.to_thread(_sync, self._directory / path)
        except (BaseError, OSError) as error:
            raise Unavailable("The object storage did not take a file; check its disk or its address.") from error
        return sha256

    async def _is_whole(self, path: str, sha256: str) -> bool:
        try:
            found = await obstore.get_async(self._store, path)
        except (NotFoundError, FileNotFoundError):  # it was moved aside meanwhile
            return False
        return hashlib.sha256(bytes(await found.bytes_async())).hexdigest() == sha256

    async def get(self, sha256: str, max_bytes: int) -> bytes:
        """Return the bytes, checked against their digest.

        Raises:
            NotFound: no such bytes.
            TooLarge: there are more than `max_bytes`; nothing was read.
            Damaged: the store gave back other bytes than were stored.
            Unavailable: the store does not answer.
        """
        return b"".join([chunk async for chunk in await self.stream(sha256, max_bytes)])

    async def stream(self, sha256: str, max_bytes: int) -> AsyncIterator[bytes]:
        """Return the bytes in pieces; the last one comes only after the whole has been checked against its digest.

        Raises:
            NotFound: no such bytes.
            TooLarge: there are more than `max_bytes`; nothing was read.
            Unavailable: the store does not answer.
            Damaged: while reading: the store gave back other bytes than were stored.
        """
        path = self._path(sha256)
        # It may lie aside, and it may be moved back between two looks.
        for place in (path, CONDEMNED + path, path):
            try:
                found = await obstore.get_async(self._store, place)
                break
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise Unavailable("The object storage does not answer.") from error
        else:
            raise NotFound("The bytes of this file are not in the object storage.")
        size = found.meta["size"]
        if size > max_bytes:
            raise TooLarge(f"The file has {size} bytes; at most {max_bytes} can be read here.")
        return _checked(found, sha256)

    # -- what the collector does. It alone moves and removes, and nothing that was written lately.

    async def pages(self) -> AsyncIterator[Sequence[Found]]:
        """List what lies under this prefix, page by page, in no particular order.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            async for page in obstore.list(self._store, f"{self._prefix}blobs/", chunk_size=LIST_PAGE):
                yield [Found(one["path"], one["path"].rpartition("/")[2], one["last_modified"]) for one in page]
        except (BaseError, OSError) as error:
            raise Unavailable("The object storage does not answer.") from error

    async def projects(self) -> Sequence[str]:
        """Return the names below the projects' prefix, also where all there is lies aside.

        Raises:
            Unavailable: as `pages`.
        """
        names: set[str] = set()
        for place in (PROJECTS, CONDEMNED + PROJECTS):
            try:
                found = await obstore.list_with_delimiter_async(self._store, place)
            except (BaseError, OSError) as error:
                raise Unavailable("The object storage does not answer.") from error
            names.update(prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])
        return sorted(names)

    async def set_aside(self, path: str) -> None:
        """Move an object aside: who writes it writes it anew, and who reads it finds it there."""
        await self._move(path, CONDEMNED + path)

    async def put_back(self, path: str) -> None:
        """Move an object that lies aside to its place; nothing happens if it is there already."""
        await self._move(CONDEMNED + path, path)

    async def _move(self, source: str, target: str) -> None:
        try:
            await obstore.rename_async(self._store, source, target)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise Unavailable("The object storage does not answer.") from error

    async def remove_aside(self, path: str) -> None:
        """Remove an object that lies aside, for good."""
        await self._remove([CONDEMNED + path])

    async def remove_all(self) -> int:
        """Remove everything under this prefix, for good, what lies aside too. Returns how many objects there were.

        Raises:
            Unavailable: the store does not answer; some may be gone.
        """
        assert self._prefix, "the whole store is never removed"
        removed = 0
        for prefix in (self._prefix, CONDEMNED + self._prefix):
            try:
                async for page in obstore.list(self._store, prefix, chunk_size=LIST_PAGE):
                    await self._remove([one["path"] for one in page])
                    removed += len(page)
            except (BaseError, OSError) as error:
                raise Unavailable("The object storage does not answer.") from error
            if self._directory is not None:
                await asyncio.to_thread(_remove_empty, self._directory / prefix)
        return removed

    async def _remove(self, paths: Sequence[str]) -> None:
        for path in paths:  # what is gone already is an error with some kinds of storage, for a whole batch
            try:
                await obstore.delete_async(self._store, path)
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise Unavailable("The object storage does not answer.") from error


def _remove_empty(directory: Path) -> None:
    """Remove the folders that hold nothing any more; one that somebody writes into stays."""
    for folder, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


async def _checked(found: "obstore.GetResult", sha256: str) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    held: bytes | None = None
    try:
        async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
            if held is not None:
                yield held
            held = bytes(chunk)
            digest.update(held)
    except (BaseError, OSError) as error:
        raise Unavailable("The object storage does not answer.") from error
    if digest.hexdigest() != sha256:
        raise Damaged("The object storage gave back other bytes than were stored; restore it from a backup.")
    if held is not None:
        yield held


def open_blobs(settings: Settings) -> Blobs:
    """Return the object storage that the settings name; without one, a directory beside the other data.

    Raises:
        ConfigError: it cannot be used as it is described.
    """
    if settings.object_storage_url is None:
        return Blobs.in_directory(settings.blob_dir)
    options = {name: value.get_secret_value() for name, value in settings.object_storage_options.items()}
    return Blobs.at_url(settings.object_storage_url, options)
