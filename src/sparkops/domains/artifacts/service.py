"""Use cases of artifacts. The bytes are in object storage before any of these is called."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Invalid, NotFound
from sparkops.domains.artifacts import queries
from sparkops.domains.artifacts.models import Artifact

MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file as a call wrote it; its bytes lie in object storage under `sha256`."""

    project_id: UUID
    run_id: UUID
    step_id: UUID
    call_id: UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    labels: frozenset[str] = frozenset()


def check_name(name: str) -> None:
    """Accept a relative path such as `report.md` or `data/rows.csv`.

    Raises:
        Invalid: it is empty or too long, leads out of the run, or holds characters that no file name should.
    """
    if not name or len(name) > MAX_NAME_CHARS:
        raise Invalid(f"A file name has 1 to {MAX_NAME_CHARS} characters.")
    if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Invalid(f"The file name {name!r} must be a relative path without '..', such as data/report.md.")
    if not name.isprintable():
        raise Invalid("A file name may not hold control characters.")


async def record_artifact(session: AsyncSession, new: NewArtifact) -> Artifact:
    """Return the row of this file, its version one above the last of this name; the same call gets the same row.

    Raises:
        Invalid: the name cannot be used.
    """
    check_name(new.name)
    await queries.lock_name(session, run_id=new.run_id, name=new.name)
    written = await queries.written_by(session, call_id=new.call_id, name=new.name)
    if written is not None:
        return written
    values: dict[str, object] = {
        "project_id": new.project_id,
        "step_id": new.step_id,
        "call_id": new.call_id,
        "media_type": new.media_type,
        "size_bytes": new.size_bytes,
        "sha256": new.sha256,
        "labels": sorted(new.labels),
    }
    return await queries.add_version(session, artifact=values, run_id=new.run_id, name=new.name)


async def find_artifact(
    session: AsyncSession, *, project_id: UUID, run_id: UUID, name: str, version: int | None = None
) -> Artifact:
    """Return a file of the run in this version, or in its latest.

    Raises:
        NotFound: the run has no such file.
    """
    found = await queries.file_of_run(session, project_id=project_id, run_id=run_id, name=name, version=version)
    if found is None:
        what = name if version is None else f"{name} in version {version}"
        raise NotFound(f"The run has no file {what}.")
    return found
