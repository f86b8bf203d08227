"""Encrypted values in tables: read by pages, and wrapped anew when the key of the installation changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnCollection, ColumnElement, Row, Select, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.envelope import Keyring, Place, Sealed
from sparkops.core.failpoints import failpoint
from sparkops.core.orm import Base

BATCH: Final = 100
"""How many values one transaction wraps anew, or one page holds."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted value with its place. `id`: of its row."""

    id: UUID
    place: Place
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A table whose rows have `id`, `kek_id`, `wrapped_key` and `ciphertext`.

    `rows` selects these four columns, and those by which `place` says where the value of a row belongs.
    """

    table: type[Base]
    rows: Select[Any]
    place: Callable[[Row[Any]], Place]

    async def after(self, session: AsyncSession, last: UUID | None) -> Sequence[Envelope]:
        """Return the next page of all values, in the order of their ids; `last` None: the first."""
        return await self._page(session, true() if last is None else self._columns.id > last, lock=False)

    async def rewrap(self, session: AsyncSession, ring: Keyring) -> int:
        """Wrap the data keys of some values under the first key; commit, and call again until it returns 0.

        What is read meanwhile is opened by the key that its row names, before and after. What somebody else wraps anew
        just now is passed over.

        Raises:
            SecretLost: one of them does not open.
        """
        found = await self._page(session, self._columns.kek_id != ring.active, lock=True)
        for envelope in found:
            sealed = ring.rewrap(envelope.place, envelope.sealed)
            changed = {"kek_id": sealed.kek_id, "wrapped_key": sealed.wrapped_key}
            await session.execute(update(self.table).where(self._columns.id == envelope.id).values(changed))
            failpoint("mid_rewrap")
        return len(found)

    async def keys_in_use(self, session: AsyncSession) -> Mapping[str, int]:
        """Return how many values each key wraps."""
        kek_id = self._columns.kek_id
        return dict((await session.execute(select(kek_id, func.count()).group_by(kek_id))).tuples().all())

    @property
    def _columns(self) -> ColumnCollection[str, Any]:
        return self.table.__table__.c

    async def _page(self, session: AsyncSession, where: ColumnElement[bool], *, lock: bool) -> Sequence[Envelope]:
        page = self.rows.where(where).order_by(self._columns.id).limit(BATCH)
        rows = await session.execute(page.with_for_update(of=self.table, skip_locked=True) if lock else page)
        return [
            Envelope(row.id, self.place(row), Sealed(row.kek_id, row.wrapped_key, row.ciphertext)) for row in rows.all()
        ]
