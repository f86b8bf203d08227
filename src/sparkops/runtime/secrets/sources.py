"""Where secrets may lie: in the platform's database, in a vault outside, or in files that an orchestrator mounts."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2

from sparkops.core.config import Settings, Vault
from sparkops.core.db import Database
from sparkops.core.envelope import MAX_VALUE_BYTES, Keys
from sparkops.core.errors import ConfigError
from sparkops.core.json import loads
from sparkops.core.redaction import SEEN
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.secrets import Scope, Use, note_secret_use, slug_of, use_secret
from sparkops.runtime.egress import Egress, guarded_client, host_port
from sparkops.runtime.secrets.base import Secrets, Source, SourceAway

INSTALLATION = "_installation"
"""Where in a vault the secrets of the installation lie; no project can have this name."""
MAX_ANSWER_BYTES = 1 << 20
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404


@dataclass(frozen=True, slots=True)
class OfDatabase:
    """Secrets that the platform keeps, encrypted (`core/envelope.py`)."""

    database: Database
    keys: Keys

    async def read(self, use: Use, scope: Scope, reference: Reference) -> str | None:
        """See `Source`. Without keys nothing is handed out; and as the data key may just have been wrapped anew, they
        are looked at again afterwards: a key is there before anything is under it."""
        self.keys.ring()
        kept = await use_secret(self.database, use, scope, reference)
        return None if kept is None else self.keys.ring().open(kept.place, kept.sealed)


@dataclass(frozen=True, slots=True)
class _Projects:
    """The names of projects, each read once: they never change."""

    database: Database
    slugs: dict[UUID, str] = field(default_factory=dict)

    async def slug(self, project_id: UUID) -> str:
        if project_id not in self.slugs:
            self.slugs[project_id] = await slug_of(self.database, project_id)
        return self.slugs[project_id]


@dataclass(frozen=True, slots=True)
class OfFiles:
    """Secrets that an orchestrator mounts: `<directory>/<name>` for the installation, `<directory>/<project>/<name>`.

    A file is read at each use, so that one that is replaced holds at once. A newline at its end is not part of it.
    """

    directory: Path
    projects: _Projects

    async def read(self, use: Use, scope: Scope, reference: Reference) -> str | None:
        """See `Source`."""
        if reference.version is not None:
            raise ConfigError(f"{reference}: mounted secrets have no versions; leave ?version away.")
        place = self.directory
        if scope == "project":
            place = place / await self.projects.slug(use.project_id)
        value = _contents(place / reference.name)
        if value is not None:
            await note_secret_use(self.projects.database, use, scope, reference, "files", None)
        return value


def _contents(file: Path) -> str | None:
    """Return what a small file holds, None where there is none."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_VALUE_BYTES + 1)
        if len(data) > MAX_VALUE_BYTES:
            raise SourceAway(f"The mounted secret {file.name} is larger than {MAX_VALUE_BYTES:,} bytes.")
        return data.decode().removesuffix("\n").removesuffix("\r")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise SourceAway(f"The mounted secret {file.name} cannot be read as a text.") from None


@dataclass(frozen=True, slots=True)
class OfVault:
    """Secrets in HashiCorp Vault, or what speaks its KV version 2: `<mount>/<prefix>/<project>/<name>`."""

    settings: Vault
    client: httpx2.AsyncClient
    projects: _Projects

    async def read(self, use: Use, scope: Scope, reference: Reference) -> str | None:
        """See `Source`."""
        owner = INSTALLATION if scope == "installation" else await self.projects.slug(use.project_id)
        found = await self._get(owner, reference)
        if found is None:
            return None
        value = found["data"].get(self.settings.field)
        if not isinstance(value, str):
            raise ConfigError(
                f"{reference}: what Vault has there is no text under {self.settings.field}; see vault.field."
            )
        version = found["metadata"]["version"]
        await note_secret_use(self.projects.database, use, scope, reference, "vault", version)
        return value

    async def _get(self, owner: str, reference: Reference) -> dict[str, Any] | None:
        """Return what Vault answers, None where it has nothing there, or no more.

        Raises:
            SourceAway: it does not answer, does not let us in, or says what it should not.
        """
        place = quote(f"{self.settings.mount}/data/{self.settings.prefix}/{owner}/{reference.name}")
        query = {} if reference.version is None else {"version": str(reference.version)}
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if self.settings.namespace:
            headers["X-Vault-Namespace"] = self.settings.namespace
        url = f"{self.settings.address.rstrip('/')}/v1/{place}"
        try:
            async with self.client.stream(
                "GET", url, params=query, headers=headers, timeout=self.settings.timeout_seconds
            ) as answer:
                data = await _bounded(answer)
        except httpx2.HTTPError as error:
            raise SourceAway(f"Vault does not answer ({type(error).__name__}).") from None
        return _read_answer(answer.status_code, data)

    def _token(self) -> str:
        if self.settings.token is not None:
            token = self.settings.token.get_secret_value()
        else:
            assert self.settings.token_file is not None, "the settings have one of both"
            try:
                token = self.settings.token_file.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                raise SourceAway(f"The token of Vault in {self.settings.token_file} cannot be read.") from None
        SEEN.learn("vault-token", token, project_id=None)
        return token


async def _bounded(answer: httpx2.Response) -> bytes:
    data = b""
    async for chunk in answer.aiter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise SourceAway("Vault's answer is larger than a secret may be.")
    return data


def _read_answer(status: int, data: bytes) -> dict[str, Any] | None:
    if status == _NOT_FOUND:  # also a version that was deleted or destroyed
        return None
    if status == _FORBIDDEN:
        raise SourceAway("Vault does not let the platform read it; look at the token's policy, and whether it lapsed.")
    if status != _OK:
        raise SourceAway(f"Vault answered {status}; it may be sealed, or somebody else stands at its address.")
    try:
        found = loads(data)["data"]
    except (ValueError, KeyError, TypeError):
        found = None
    match found:
        case {"data": dict(), "metadata": {"version": int()}}:
            return dict(found)
        case _:
            raise SourceAway("What answers at Vault's address does not speak KV version 2.")


def _checked_vault(settings: Settings) -> Vault:
    """Return how Vault is reached.

    Raises:
        ConfigError: the settings do not say, or its token would go over the network in the clear.
    """
    vault = settings.vault
    if vault is None:
        raise ConfigError("SPARKOPS_SECRETS_SOURCE is vault; the table vault in the settings has to say where it is.")
    if (vault.token is None) == (vault.token_file is None):
        raise ConfigError("The table vault in the settings needs a token or a token_file, and not both.")
    try:
        host, _ = host_port(vault.address)
    except ValueError as error:
        raise ConfigError(f"The address of vault is not valid: {error}.") from None
    if not vault.address.lower().startswith("https://") and not _is_loopback(host):
        raise ConfigError("The address of vault must begin with https, unless it is on this machine.")
    return vault


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def open_secrets(settings: Settings, database: Database) -> AsyncIterator[Secrets]:
    """Open the way to secrets that the settings choose, and close it at the end. Nothing is asked yet.

    Raises:
        ConfigError: the settings of an outside vault are not complete.
    """
    if settings.secrets_source == "vault":
        vault = _checked_vault(settings)
        async with guarded_client(Egress(frozenset({host_port(vault.address)}))) as client:
            yield Secrets(OfVault(vault, client, _Projects(database)))
    else:
        source: Source = (
            OfFiles(settings.secrets_dir, _Projects(database))
            if settings.secrets_source == "files"
            else OfDatabase(database, keys_of(settings))
        )
        yield Secrets(source)


def keys_of(settings: Settings) -> Keys:
    """Return the keys under which the platform keeps secrets.

    Raises:
        ConfigError: they are not valid.
    """
    stated = settings.secrets_key
    return Keys(None if stated is None else stated.get_secret_value(), settings.secrets_key_file)
