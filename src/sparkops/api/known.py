"""What is shown of rows that never change: read once, and kept by this process for as long as there is room."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar
from uuid import UUID

from sparkops.core.db import Database
from sparkops.domains.agents.queries import scripted_versions
from sparkops.domains.workflows.queries import VersionName, version_names

CAPACITY = 10_000

V = TypeVar("V")


class _Kept(Generic[V]):
    """Values by id; the one used longest ago makes room."""

    def __init__(self) -> None:
        self._values: OrderedDict[UUID, V] = OrderedDict()

    async def get(
        self, ids: Collection[UUID], read: Callable[[Collection[UUID]], Awaitable[Mapping[UUID, V]]]
    ) -> Mapping[UUID, V]:
        """Return the values of these ids, reading those that are not here yet; what is not found is left out."""
        missing = [one for one in ids if one not in self._values]
        if missing:
            self._values.update(await read(missing))
        found = {one: self._values[one] for one in ids if one in self._values}
        for one in found:
            self._values.move_to_end(one)
        while len(self._values) > CAPACITY:
            self._values.popitem(last=False)
        return found


class Known:
    """Names of versions, and which agents answer from a script, by id."""

    def __init__(self) -> None:
        self._versions: _Kept[VersionName] = _Kept()
        self._scripted: _Kept[bool] = _Kept()

    async def versions(self, database: Database, ids: Collection[UUID]) -> Mapping[UUID, VersionName]:
        """Return the names of workflow versions."""

        async def read(missing: Collection[UUID]) -> Mapping[UUID, VersionName]:
            async with database.reads.begin() as session:
                return await version_names(session, version_ids=missing)

        return await self._versions.get(ids, read)

    async def scripted(self, database: Database, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        """Return of agent versions whether they answer from a script."""

        async def read(missing: Collection[UUID]) -> Mapping[UUID, bool]:
            async with database.reads.begin() as session:
                scripted = await scripted_versions(session, version_ids=missing)
            return {one: one in scripted for one in missing}

        return await self._scripted.get(ids, read)
