"""Use cases of secrets. Values go in and are never handed out here: only the runtime opens them, for one call."""

from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.envelope import MAX_VALUE_BYTES, Keyring, Keys, Place
from sparkops.core.errors import ConfigError, Conflict, Invalid, NotFound, Unavailable
from sparkops.core.principal import Principal
from sparkops.core.redaction import MIN_CHARS
from sparkops.core.storable import storable_text
from sparkops.domains.secrets import queries
from sparkops.domains.secrets.models import Secret

MAX_VERSION = 999_999_999


class SecretsNotSetUp(Unavailable):
    code, title = "secrets-not-set-up", "This installation cannot keep secrets"


def ring_of(keys: Keys) -> Keyring:
    """Return the keys of the installation.

    Raises:
        SecretsNotSetUp: there are none, or they cannot be read.
    """
    try:
        return keys.ring()
    except ConfigError as error:
        raise SecretsNotSetUp(error.detail) from None


def check_value(value: str) -> None:
    """Do nothing if a value can be kept and struck out wherever it turns up.

    Raises:
        Invalid: it is too short or too long, or holds characters that are none. It is not quoted.
    """
    if len(value) < MIN_CHARS:
        raise Invalid(
            f"A secret needs at least {MIN_CHARS} characters: a shorter one could not be told from ordinary text, and "
            "so not be kept out of logs and records."
        )
    if storable_text(value) != value:
        raise Invalid("A secret is a text; encode bytes, for example in base64.")
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise Invalid(f"A secret has at most {MAX_VALUE_BYTES:,} bytes.")


async def create_secret(
    session: AsyncSession,
    keyring: Keyring,
    *,
    project_id: UUID | None,
    name: str,
    value: str,
    description: str = "",
    created_by: UUID | None = None,
) -> Secret:
    """Add a secret with its first version. The caller has checked the project.

    Raises:
        Invalid: see `check_value`.
        Conflict: there is one of this name, perhaps an archived one.
    """
    check_value(value)
    made = await queries.add_secret(
        session, project_id=project_id, name=name, description=description, created_by=created_by
    )
    if made is None:
        raise Conflict(
            f"There is a secret called {name} already; put a new version of it, restore it if it is archived, or "
            "choose another name."
        )
    await put_version(session, keyring, made, value=value, created_by=created_by)
    return made


async def put_version(
    session: AsyncSession, keyring: Keyring, found: Secret, *, value: str, created_by: UUID | None = None
) -> None:
    """Add a version, which holds from the next call on; earlier ones stay, for whoever names them.

    The secret's row must be locked or new.

    Raises:
        Invalid: see `check_value`.
        Conflict: the secret is archived.
    """
    check_value(value)
    if found.archived_at is not None:
        raise Conflict(f"The secret {found.name} is archived; restore it first.")
    version = found.latest_version + 1
    if version > MAX_VERSION:
        raise Conflict("This secret has had too many versions; make a new one.")
    sealed = keyring.seal(Place(found.project_id, found.name, version), value)
    await queries.add_version(session, found, version=version, sealed=sealed, created_by=created_by)


async def locked_secret(session: AsyncSession, principal: Principal, secret_id: UUID) -> Secret:
    """Return a secret and keep others from changing it until the transaction ends.

    Raises:
        NotFound: there is none in a project of the principal.
    """
    found = await queries.secret(session, principal, secret_id=secret_id, lock=True)
    if found is None:
        raise NotFound("There is no such secret here.")
    return found


async def archive(session: AsyncSession, found: Secret) -> bool:
    """Let nothing refer to a locked secret any more; its versions stay. Returns whether that is new."""
    if found.archived_at is not None:
        return False
    await queries.change(session, found, archived_at=func.clock_timestamp())
    return True


async def restore(session: AsyncSession, found: Secret) -> bool:
    """Let references find a locked secret again. Returns whether that is new."""
    if found.archived_at is None:
        return False
    await queries.change(session, found, archived_at=None)
    return True
