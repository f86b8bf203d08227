"""References become values here and nowhere else: for one call, after it was PREPARED, on its way out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.envelope import SecretLost
from sparkops.core.errors import ConfigError
from sparkops.core.json import Json
from sparkops.core.redaction import MIN_CHARS, SEEN, Filter, Redactor, Stream
from sparkops.core.storable import storable_text
from sparkops.core.templates import Path
from sparkops.domains.secrets.reference import Reference, pieces, whole
from sparkops.engine.secrets import Scope, Use
from sparkops.runtime.effects import CallFailed

PLAIN_SETTING = "setting"
"""Under this name the plain secrets of the settings are struck out."""


class SourceAway(Exception):
    """Where secrets lie does not answer, or does not let us in; it may later. The text is for people."""


class Source(Protocol):
    """Where secrets lie."""

    async def read(self, use: Use, scope: Scope, reference: Reference) -> str | None:
        """Return the value with its use on record, or None where there is no such secret.

        Raises:
            SourceAway: it cannot be asked now.
            SecretLost, ConfigError: it cannot be opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class CallSecrets:
    """The secrets that one call may be given. Without a source it knows none."""

    source: Source | None = None
    use: Use | None = None
    seen: Redactor = SEEN

    async def fill(self, arguments: Mapping[str, Any], written: Mapping[Path, str]) -> dict[str, Any]:
        """Return the arguments with the references that their definition has there (`written_in`) replaced by values.

        A text that is not what the definition says, because an approver has changed it, stays as it is.

        Raises:
            CallFailed: a secret is not there, or cannot be read; nothing was sent.
        """
        filled: Any = dict(arguments)
        for path, text in written.items():
            if _at(arguments, path) == text:
                filled = _with(filled, path, await self._filled(text))
        return dict(filled)

    async def setting(self, value: str) -> str:
        """Return a secret of the settings: the value itself, or the secret of the installation that it refers to.

        Raises:
            CallFailed: that secret is not there, or cannot be read; nothing was sent.
        """
        reference = whole(value)
        if reference is None:
            self.seen.learn(PLAIN_SETTING, value, project_id=None)
            return value
        return await self._read("installation", reference)

    async def _filled(self, text: str) -> str:
        parts = [part if isinstance(part, str) else await self._read("project", part) for part in pieces(text)]
        return "".join(parts)

    async def _read(self, scope: Scope, reference: Reference) -> str:
        if self.source is None or self.use is None:
            raise CallFailed("secret-unavailable", f"There are no secrets here for {reference}.", retryable=False)
        try:
            value = await self.source.read(self.use, scope, reference)
        except (SourceAway, *LOST_CONNECTION) as away:
            words = str(away) if isinstance(away, SourceAway) else "The platform's database did not answer."
            raise CallFailed("secret-unavailable", f"{reference} cannot be read now. {words}", retryable=True) from away
        except (SecretLost, ConfigError) as lost:
            raise CallFailed("secret-lost", lost.detail, retryable=False) from lost
        if value is None:
            raise CallFailed("secret-unknown", _unknown(scope, reference), retryable=False)
        _check(reference, value)
        self.seen.learn(reference.name, value, project_id=None if scope == "installation" else self.use.project_id)
        return value


NO_SECRETS = CallSecrets()


@dataclass(frozen=True, slots=True)
class Secrets:
    """One process's way to secrets, and what it has met of them. Without a source there are none."""

    source: Source | None = None
    seen: Redactor = field(default=SEEN)

    def of_call(self, use: Use) -> CallSecrets:
        """Return what one call may be given."""
        return CallSecrets(self.source, use, self.seen)

    def filter_of(self, project_id: UUID) -> Filter:
        """Return what strikes secrets out of all that is stored for a project, as known now."""
        return self.seen.of(project_id)

    def stream_of(self, project_id: UUID) -> Stream:
        """Return the same for a text that comes in pieces."""
        return Stream(lambda: self.seen.of(project_id))


def _unknown(scope: Scope, reference: Reference) -> str:
    version = f" in version {reference.version}" if reference.version else ""
    if scope == "installation":
        return (
            f"The installation has no secret {reference.name}{version}, to which its settings refer. An operator adds "
            f"it by `sparkops secrets put {reference.name}`."
        )
    return f"The project has no secret {reference.name}{version}, or it is archived. Add it on the page Secrets."


def _check(reference: Reference, value: str) -> None:
    """Refuse what could not be struck out of what is stored.

    Raises:
        CallFailed: the value is too short, or no text that can be stored.
    """
    if len(value) < MIN_CHARS or storable_text(value) != value:
        raise CallFailed(
            "secret-unfit",
            f"The value of {reference} is not a text of at least {MIN_CHARS} characters, so it could not be kept out "
            "of logs and records; nothing was sent.",
            retryable=False,
        )


def _at(value: Any, path: Path) -> Json:
    """Return what stands at a place of a value, None where it has no such place."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value  # type: ignore[no-any-return]


def _with(value: Any, path: Path, text: str) -> Any:
    """Return a copy of a value with this text at an existing place."""
    if not path:
        return text
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], text)
    return copy
