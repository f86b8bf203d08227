"""Handing a secret to a call: the read and the record of it in one transaction."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.envelope import Place, Sealed
from sparkops.core.json import Json
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.context import call

Scope = Literal["project", "installation"]
"""Whose secret is meant: the call's own project's, or the installation's."""
Outside = Literal["vault", "files"]

_SLUG = "SELECT slug FROM projects WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Use:
    """The call for which a secret is asked."""

    project_id: UUID
    run_id: UUID
    step_id: UUID
    call_id: UUID

    def to_json(self, scope: Scope, reference: Reference) -> dict[str, Json]:
        """Return what the database functions take."""
        return {
            "project_id": str(self.project_id),
            "run_id": str(self.run_id),
            "step_id": str(self.step_id),
            "call_id": str(self.call_id),
            "scope": scope,
            "name": reference.name,
            "version": reference.version,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """A version of a secret as the database keeps it."""

    place: Place
    sealed: Sealed


async def use_secret(database: Database, use: Use, scope: Scope, reference: Reference) -> Kept | None:
    """Return what is referred to, its use on record; None: there is no such secret, or it is archived."""
    found = await call(database.pool, "use_secret", use.to_json(scope, reference))
    if found is None:
        return None
    place = Place(UUID(found["project_id"]) if found["project_id"] else None, reference.name, found["version"])
    sealed = Sealed(found["kek_id"], bytes.fromhex(found["wrapped_key"]), bytes.fromhex(found["ciphertext"]))
    return Kept(place, sealed)


async def note_secret_use(
    database: Database, use: Use, scope: Scope, reference: Reference, source: Outside, version: int | None
) -> None:
    """Record that a call is given a secret that lies outside; commit before the value is used."""
    noted = {**use.to_json(scope, reference), "source": source, "version": version}
    await call(database.pool, "note_secret_use", noted)


async def slug_of(database: Database, project_id: UUID) -> str:
    """Return the name of a project in addresses, under which its secrets lie in a vault outside."""
    found: str = await database.pool.fetchval(_SLUG, project_id)
    return found
