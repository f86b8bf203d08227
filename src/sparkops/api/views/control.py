"""Halts, and how many runs go on at once."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from sparkops.api.views.base import Body, Ref, Slug, View
from sparkops.engine.halts import Kind, Scope

MaxRunningRuns = Annotated[int, Field(ge=1, le=10_000)]


class Halt(View):
    """What holds work back: nothing new starts there, and under a `stop` no call is prepared either."""

    id: UUID
    kind: Kind
    scope: Scope
    project: str | None
    """None: the whole installation."""
    workflow: Ref | None
    reason: str | None
    ordered_by: Ref | None
    ordered_at: datetime
    released_by: Ref | None
    released_at: datetime | None
    """None: it is in force."""
    kept_by_deletion: bool
    """The project is to be deleted: it stays stopped, and releasing it is refused, until an owner takes that back."""


class HaltList(View):
    items: list[Halt]
    next_cursor: str | None


class NewHalt(Body):
    """What to halt, and why: `project` for the scope project, `workflow_id` for the scope workflow."""

    kind: Kind
    scope: Scope
    project: Slug | None = None
    workflow_id: UUID | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1_000)]

    @model_validator(mode="after")
    def _names_its_scope(self) -> Self:
        if (self.project is not None, self.workflow_id is not None) != (
            self.scope is Scope.PROJECT,
            self.scope is Scope.WORKFLOW,
        ):
            raise ValueError(
                "name `project` for the scope project, `workflow_id` for the scope workflow, neither for installation"
            )
        return self


class Limits(Body):
    """How many runs may go on at once, the others queue; null: any number."""

    max_running_runs: MaxRunningRuns | None
