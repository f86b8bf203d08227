"""What a tool is: a definition with a digest, and one function that runs it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import jsonschema_rs

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.json import Json, digest
from sparkops.core.money import Micros
from sparkops.core.schemas import compile_schema
from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.effects import FREE
from sparkops.runtime.llm.base import ToolSpec
from sparkops.runtime.outlook import Outlook
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool runs. `call_id` is the idempotency key; `deadline` is of `time.monotonic()`.

    `labels` are those of all that the arguments may have come from.
    """

    project_id: UUID
    run_id: UUID
    step_id: UUID
    call_id: UUID
    database: Database
    blobs: Blobs
    settings: Settings
    deadline: float | None = None
    labels: frozenset[str] = frozenset()
    project: str = ""
    """The slug of the project: which of the operator's databases it may reach is in the settings by this name."""
    secrets: CallSecrets = NO_SECRETS
    """What its settings may refer to. References in its arguments have been replaced already."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back, and what it cost. `labels`: those of this answer, beside those of all of the tool's."""

    output: Json
    cost_micros: Micros = FREE
    labels: frozenset[str] = frozenset()


Run = Callable[[Mapping[str, Any], ToolContext], Awaitable[ToolResult]]
Preview = Callable[[Mapping[str, Any], ToolContext], Awaitable[Outlook]]


@dataclass(frozen=True)
class Tool:
    """A built-in tool. `run` gets arguments that have passed `parameters`, a JSON Schema of type object.

    `run` raises `CallFailed` for a definite failure and `OutcomeUnknown` where the effect may have happened.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect_class: EffectClass
    run: Run
    bound_micros: Micros = FREE
    """What one call may cost at most, by what the tool itself says."""
    price_micros: Micros = FREE
    """What the operator says that each answered call costs besides."""
    local: bool = False
    """It touches nothing outside its process, so that its call may be written down after it, with the step's end."""
    capability: Capability = Capability.OUTWARD
    labels: frozenset[str] = frozenset()
    """Of all that it gives back, such as `untrusted:web`."""
    takes_secrets: bool = False
    """Its arguments may refer to secrets: it passes them on and keeps nothing of them."""
    preview: Preview | None = None
    """Tells the people who are asked about a call what it would do, by reading alone: it executes nothing of the call
    and leaves nothing behind. It is cut short after `outlook.SECONDS`."""

    @cached_property
    def hash(self) -> str:
        """The digest of the definition: changing any of it changes what an approval was given for."""
        return digest(
            {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
                "effect_class": self.effect_class,
                "capability": self.capability,
                "labels": sorted(self.labels),
            }
        )

    @cached_property
    def validator(self) -> jsonschema_rs.Validator:
        """The compiled schema of the arguments."""
        return compile_schema(self.parameters)

    @property
    def spec(self) -> ToolSpec:
        """The tool as it is offered to a model."""
        return ToolSpec(self.name, self.description, self.parameters, self.hash)
