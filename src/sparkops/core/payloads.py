"""Values that are too large for a row: they lie in object storage, and the row holds a reference.

A *plain* value is what a workflow works with. A *stored* value is what a row holds: a plain value, a reference to
one, or a map of which some values are references, as the outputs of several steps put together are. A reference is

    {"$blob": {"sha256": …, "bytes": 81234, "type": "object" | "array" | "string", "preview": "[{\\"day\\": …"}}

Nobody can forge one: a plain value that has a key `$blob` itself goes to object storage whatever its size, and what
lies there is never searched for references. References deeper than within the map at the top there are none: what
is put together any further is made plain first, so that looking for them costs nothing.

Objects lie under their project's prefix by the SHA-256 of their canonical JSON, which is also the digest of the value.
They are written before the transaction that refers to them, so that a crash in between leaves an object that nobody
refers to, and writing again changes nothing.

What no stored value of a project refers to any more is removed by `engine/collection.py`, which lists the columns that
hold stored values. It leaves alone what was written lately (a reference may be about to be committed), for far longer
than `_WRITTEN_SECONDS`.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeVar
from uuid import UUID

from sparkops.core.blobs import Blobs, Damaged
from sparkops.core.errors import NotFound, SparkOpsError, TooLarge, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.json import Json, Part, as_part, canonical, dumps, loads

INLINE_BYTES = 65_536
"""Up to here a value lies in its row."""
MAX_BYTES = 50 << 20
"""Of one value: an output, a request, a response."""
MAX_INPUT_BYTES = 10 << 20
MAX_LOADED_BYTES = 200 << 20
"""Of all the values that one stored value refers to, when it is put together to be read."""
PREVIEW_BYTES = 120
CACHE_BYTES = 64 << 20
_WRITTEN_SECONDS = 600.0
"""For so long what this process has written is not written again."""

_KEY = "$blob"
_DIGEST = re.compile("[0-9a-f]{64}")
_MARK = b'"$blob":'
"""How the key looks in JSON; within a text the quotes are escaped, so that only a key looks like this."""


_T = TypeVar("_T")


class ValueTooLarge(TooLarge):
    code, title = "value-too-large", "The value is larger than allowed"


class ValueLost(SparkOpsError):
    """A reference leads nowhere: its object is gone or damaged. Only a backup helps."""

    code, title = "value-lost", "A large value cannot be read any more"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a large value lies, how many bytes its JSON has, and how it begins."""

    sha256: str
    size: int
    type: str
    preview: str

    def to_json(self) -> dict[str, Json]:
        """Return the reference as a stored value holds it."""
        return {_KEY: {"sha256": self.sha256, "bytes": self.size, "type": self.type, "preview": self.preview}}

    @classmethod
    def of(cls, part: Json) -> "Reference | None":
        """Return what a part of a stored value refers to; None: it is a value itself."""
        if not isinstance(part, dict) or len(part) != 1:
            return None
        match part:
            case {"$blob": {"sha256": str(digest), "bytes": int(size), "type": str(kind), "preview": str(preview)}}:
                return cls(digest, size, kind, preview) if _DIGEST.fullmatch(digest) else None
            case _:
                return None


def references(stored: Json) -> Sequence[Reference]:
    """Return what a stored value refers to, as often as it does. Costs next to nothing where there is nothing."""
    if not isinstance(stored, dict):
        return ()
    whole = Reference.of(stored)
    if whole is not None:
        return (whole,)
    parts = (Reference.of(part) for part in stored.values() if isinstance(part, dict))
    return [part for part in parts if part is not None]


def _put_together(stored: Json, plain: Mapping[str, Json]) -> Json:
    whole = Reference.of(stored)
    if whole is not None:
        return plain[whole.sha256]
    assert isinstance(stored, dict), "only a map can hold references"
    parts = ((key, part, Reference.of(part)) for key, part in stored.items())
    return {key: part if found is None else plain[found.sha256] for key, part, found in parts}


@dataclass(frozen=True, slots=True)
class Packed:
    """A value that does not go into a row: its bytes, and the reference that goes there."""

    reference: Reference
    data: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, and its JSON, serialised once: a document for the database takes it as it is."""

    value: Json
    text: Part


def pack(value: Json, data: bytes, limit: int | None = None) -> Packed | None:
    """Return a plain value, whose JSON is `data`, packed for object storage; None: it is stored as it is.

    Raises:
        ValueTooLarge: its JSON has more than `limit` bytes; None: than any value may have.
    """
    limit = MAX_BYTES if limit is None else limit
    if len(data) > limit:
        raise ValueTooLarge(
            f"The value has {len(data):,} bytes as JSON; at most {limit:,} are allowed.", limit_bytes=limit
        )
    if len(data) <= INLINE_BYTES and _MARK not in data:
        return None
    data = canonical(value)
    kind = "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
    preview = data[:PREVIEW_BYTES].decode(errors="ignore")
    return Packed(Reference(sha256(data).hexdigest(), len(data), kind, preview), data)


def _refer(packed: Packed) -> Stored:
    value = packed.reference.to_json()
    return Stored(value, as_part(dumps(value)))


class Values(Protocol):
    """What a pure decision needs in order to work on stored values."""

    def load(self, stored: Json) -> Json:
        """Return the plain form."""
        ...

    def store(self, value: Json) -> Stored:
        """Return the stored form."""
        ...


class PlainValues:
    """For decisions over values that are all plain and stay so: where nothing is large, both forms are one."""

    def load(self, stored: Json) -> Json:
        return stored

    def store(self, value: Json) -> Stored:
        return Stored(value, as_part(dumps(value)))


PLAIN: Values = PlainValues()


class Payloads:
    """One process's way to large values. Safe to share between tasks; never call it with a transaction open.

    Without `blobs` nothing large can be read or written, for processes that do neither.
    """

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._blobs = blobs
        self._cache = _Cache()

    async def store(
        self, project_id: UUID, value: Json, *, limit: int | None = None, text: bytes | None = None
    ) -> Stored:
        """Return the stored form of a plain value; if it is large, its bytes are safe when this returns.

        `text`: its JSON, if somebody has it already.

        Raises:
            ValueTooLarge: it has more than `limit` bytes.
            Unavailable: the object storage did not take it.
        """
        data = dumps(value) if text is None else text
        packed = pack(value, data, limit)
        if packed is None:
            return Stored(value, as_part(data))
        await self.write(project_id, packed)
        return _refer(packed)

    async def write(self, project_id: UUID, packed: Packed) -> None:
        """Make the bytes of a packed value safe; repeating it changes nothing.

        Raises:
            Unavailable: the object storage did not take them.
        """
        name = (project_id, packed.reference.sha256)
        if self._cache.written(name):
            return
        await self.blobs_of(project_id).put(packed.data)
        self._cache.add(name, packed.data, written=True)
        failpoint("after_blob_written")

    async def load(self, project_id: UUID, stored: Json) -> Json:
        """Return the plain form of a stored value.

        Raises:
            ValueTooLarge: all that it refers to does not fit into memory.
            ValueLost: something that it refers to is gone or damaged.
            Unavailable: the object storage does not answer.
        """
        found = references(stored)
        if not found:
            return stored
        check_loadable(found)
        distinct = {each.sha256: each for each in found}
        return _put_together(stored, {name: await self.read(project_id, each) for name, each in distinct.items()})

    async def read(self, project_id: UUID, reference: Reference) -> Json:
        """Return the plain value that a reference leads to. Raises ValueLost and Unavailable as `load` does."""
        name = (project_id, reference.sha256)
        data = self._cache.get(name)
        if data is None:
            try:
                data = await self.blobs_of(project_id).get(reference.sha256, MAX_BYTES)
            except (NotFound, Damaged) as error:
                raise ValueLost(
                    f"A value of {reference.size:,} bytes (SHA-256 {reference.sha256}) cannot be read: {error.detail}"
                ) from error
            self._cache.add(name, data)
        value: Json = loads(data)
        return value

    def blobs_of(self, project_id: UUID) -> Blobs:
        """Return the object storage of one project's values.

        Raises:
            Unavailable: this process has none.
        """
        if self._blobs is None:
            raise Unavailable("This process has no object storage, so it cannot read or write large values.")
        return self._blobs.under(f"projects/{project_id}")

    def desk(self, project_id: UUID | None = None) -> "Desk":
        """Return an empty desk for one decision about what is this project's; None: the decision will tell."""
        return Desk(self, project_id)


def check_loadable(found: Sequence[Reference]) -> None:
    """Do nothing if all these values fit into memory together, each as often as it is there.

    Raises:
        ValueTooLarge: they do not.
    """
    size = sum(each.size for each in found)
    if size > MAX_LOADED_BYTES:
        raise ValueTooLarge(
            f"What is read here has {size:,} bytes in all; at most {MAX_LOADED_BYTES:,} are allowed.",
            limit_bytes=MAX_LOADED_BYTES,
        )


class NotAtHand(Exception):
    """A decision needs large values that were not read yet, or has made some that were not written yet.

    Nothing was decided: end the transaction, let the desk provide them, decide again.
    """

    def __init__(self, *, to_read: Sequence[Reference] = (), to_write: Sequence[Packed] = ()) -> None:
        super().__init__("large values are not at hand")
        self.to_read = to_read
        self.to_write = to_write


class Gathering:
    """What several decisions of one transaction are missing, so that it is made again once and not for each of them."""

    def __init__(self) -> None:
        self._to_read: list[Reference] = []
        self._to_write: list[Packed] = []
        self._size = 0

    def add(self, missing: NotAtHand) -> None:
        """Remember what a decision is missing.

        Raises:
            NotAtHand: what was gathered is as much as should be held at once.
        """
        self._to_read += missing.to_read
        self._to_write += missing.to_write
        self._size += sum(each.size for each in missing.to_read)
        self._size += sum(each.reference.size for each in missing.to_write)
        if self._size > CACHE_BYTES:
            self.settle()

    def settle(self) -> None:
        """Do nothing if nothing is missing.

        Raises:
            NotAtHand: something is.
        """
        if self._to_read or self._to_write:
            raise NotAtHand(to_read=self._to_read, to_write=self._to_write)


class Desk:
    """The large values of one decision: it may be made under locks, while reading and writing them may not.

    The decision takes what lies here; what is missing it learns as `NotAtHand`. It must be one that comes to the same
    result when it is made again. `project_id` may be set by the decision, which reads it under its lock.
    """

    def __init__(self, payloads: Payloads, project_id: UUID | None) -> None:
        self.project_id = project_id
        self._payloads = payloads
        self._plain: dict[str, Json] = {}
        self._lost: dict[str, ValueLost] = {}
        self._written: set[str] = set()

    def load(self, stored: Json) -> Json:
        """Return the plain form of a stored value.

        Raises:
            NotAtHand: it has to be read first.
            ValueLost: something that it refers to is gone or damaged.
            ValueTooLarge: all that it refers to does not fit into memory.
        """
        found = references(stored)
        if not found:
            return stored
        check_loadable(found)
        for each in found:
            if each.sha256 in self._lost:
                raise self._lost[each.sha256]
        missing = {each.sha256: each for each in found if each.sha256 not in self._plain}
        if missing:
            raise NotAtHand(to_read=list(missing.values()))
        return _put_together(stored, self._plain)

    def store(self, value: Json) -> Stored:
        """Return the stored form of a plain value.

        Raises:
            NotAtHand: it has to be written first.
            ValueTooLarge: it is larger than any value may be.
        """
        data = dumps(value)
        packed = pack(value, data)
        if packed is None:
            return Stored(value, as_part(data))
        if packed.reference.sha256 not in self._written:
            raise NotAtHand(to_write=[packed])
        return _refer(packed)

    async def provide(self, missing: NotAtHand) -> None:
        """Read and write what a decision was missing. Never call it with a transaction open.

        Raises:
            Unavailable: the object storage does not answer.
        """
        assert self.project_id is not None, "the decision has said whose values it needs"
        for reference in {each.sha256: each for each in missing.to_read}.values():
            try:
                self._plain[reference.sha256] = await self._payloads.read(self.project_id, reference)
            except ValueLost as lost:
                self._lost[reference.sha256] = lost
        for packed in missing.to_write:
            await self._payloads.write(self.project_id, packed)
            self._written.add(packed.reference.sha256)

    async def decide(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """Act, and act again with what was missing, until nothing is. `act` takes back all it did when it raises."""
        while True:
            try:
                return await act()
            except NotAtHand as missing:
                await self.provide(missing)


_Name = tuple[UUID, str]


@dataclass(slots=True)
class _Kept:
    data: bytes
    written_at: float | None


class _Cache:
    """The bytes last read and written, up to a bound; the one that was not used for longest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Name, _Kept] = OrderedDict()
        self._size = 0

    def get(self, name: _Name) -> bytes | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        self._kept.move_to_end(name)
        return kept.data

    def written(self, name: _Name) -> bool:
        """Say whether this process has written these bytes just now."""
        kept = self._kept.get(name)
        if kept is None or kept.written_at is None:
            return False
        return time.monotonic() - kept.written_at < _WRITTEN_SECONDS

    def add(self, name: _Name, data: bytes, *, written: bool = False) -> None:
        before = self._kept.pop(name, None)
        self._size += len(data) - (len(before.data) if before else 0)
        self._kept[name] = _Kept(data, time.monotonic() if written else None)
        while self._size > CACHE_BYTES:
            self._size -= len(self._kept.popitem(last=False)[1].data)
