"""What the database knows of what rules ask about, read in one statement when a rule asks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sparkops.core.json import Json
from sparkops.engine.context import Connection, call

READ: Final = frozenset(
    {
        "principal.id",
        "principal.email",
        "principal.role",
        "principal.kind",
        "project",
        "trigger",
        "workflow.version",
        "run.cost_micros",
        "run.tokens",
        "run.calls",
        "run.limit_micros",
        "run.held_micros",
        "forecast.median_micros",
        "forecast.p95_micros",
        "forecast.runs",
        "tree.cost_micros",
        "tree.tokens",
        "time.hour",
        "time.minute",
        "time.weekday",
        "time.date",
        "history.tools",
        "history.labels",
    }
)
"""The facts that have to be read before a decision; all others are at hand."""
SENT: Final = "run.calls"
COUNTED: Final = frozenset({SENT, "history.tools"})
"""Facts that hold only as long as the run sends nothing more."""
SENT_OF_TURN: Final = "turn.sent"
"""Of the calls that are being judged those that have been sent, the first one first: `seq`, and `seconds` since then.
No rule asks for it, but what counts depends on it."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """Facts about a run that goes on. `step_id` and `seqs`: the calls that are being judged, which do not count."""

    run_id: UUID
    step_id: UUID | None = None
    seqs: Sequence[int] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `engine.facts` takes."""
        return {"run_id": str(self.run_id), "step_id": self.step_id and str(self.step_id), "seqs": list(self.seqs)}


@dataclass(frozen=True, slots=True)
class OfNewRun:
    """Facts about a run that does not exist yet. `key_id`: the API key that asks for it; `parent_run_id`: the run whose
    step starts it, with the key of that run."""

    project_id: UUID
    user_id: UUID | None
    key_id: UUID | None
    workflow_version_id: UUID
    trigger: str
    parent_run_id: UUID | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `engine.facts` takes."""
        return {
            "project_id": str(self.project_id),
            "user_id": self.user_id and str(self.user_id),
            "key_id": self.key_id and str(self.key_id),
            "workflow_version_id": str(self.workflow_version_id),
            "trigger": self.trigger,
            "parent_run_id": self.parent_run_id and str(self.parent_run_id),
        }


async def read_facts(on: Connection, about: OfRun | OfNewRun, wanted: Collection[str]) -> Mapping[str, Json]:
    """Return the wanted facts, which are among `READ`; of a run that is gone, what there is."""
    found: Mapping[str, Json] = await call(on, "facts", {**about.to_json(), "wanted": sorted(wanted)})
    return found
