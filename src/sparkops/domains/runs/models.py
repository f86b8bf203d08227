"""Runs, their steps, the attempts at each, and the run's event log.

`step_attempts`, `events` and (in `effects`) `calls` are partitioned by ranges of `run_id`: a UUIDv7 sorts by time,
so that a run's rows lie together and old months can be dropped whole.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Identity, Index, Interval, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base
from sparkops.domains.runs.state import AttemptOutcome, RunStatus, StepStatus

PARTITION_BY_RUN = {"postgresql_partition_by": "RANGE (run_id)"}


def one_of(
    column: str, values: type[RunStatus] | type[StepStatus] | type[AttemptOutcome], name: str
) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Run(Base):
    """One execution of one workflow version with one input."""

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    workflow_id: Mapped[UUID]
    workflow_version_id: Mapped[UUID] = mapped_column(ForeignKey("workflow_versions.id"))
    status: Mapped[str]
    trigger: Mapped[str] = mapped_column(default="api", server_default="api")
    input: Mapped[Any]
    output: Mapped[Any | None]
    error: Mapped[dict[str, Any] | None]
    pins: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """`{"agents": {name: version id}}`: what the definition's names meant when the run was accepted."""
    loop_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Which release of the agent loop replays this run."""
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    """What its steps are claimed by: lower goes first. -1 high, 0 normal, 1 low."""
    concurrency_key: Mapped[str | None]
    concurrency_limit: Mapped[int | None]
    """How many runs of this workflow with the same key go on at once; None: any number."""
    parent_run_id: Mapped[UUID | None]
    parent_step_id: Mapped[UUID | None]
    """The step that started this run as its sub-workflow, and waits for it."""
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Of its input."""
    lineage: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)), server_default=text("'{}'"))
    """The runs above it, the outermost first. Their budgets count its calls."""
    source_run_id: Mapped[UUID | None]
    source_kind: Mapped[str | None]
    """`retry`, `fork` or `rerun` of the source."""
    uncounted: Mapped[bool] = mapped_column(default=False, server_default="false")
    """A budget that limits runs pauses it: it is counted on its budgets when it begins."""
    step_count: Mapped[int] = mapped_column(default=0, server_default="0")
    has_undo: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Some step names what takes it back: the run's failure or cancellation is decided by `engine/decide.py`."""
    ends_as: Mapped[str | None]
    """While compensating: what the run will have ended as, `failed` or `cancelled`."""
    idem_key: Mapped[str | None]
    idem_hash: Mapped[str | None]
    created_by: Mapped[UUID | None]
    created_by_key: Mapped[UUID | None]
    """The API key that acted; None: a person did, or the platform. Runs below have that of the run at the top."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    clock_from: Mapped[datetime | None]
    """From when on the time of halts has not been added to `deadline_at`; None: since the run began."""
    cancel_requested_at: Mapped[datetime | None]
    cancelled_by: Mapped[UUID | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[UUID | None]
    """The person who paused this run alone; None while it is paused with its workflow."""

    __table_args__ = (
        UniqueConstraint("project_id", "idem_key"),
        Index("ix_runs_parent_step_id", "parent_step_id", postgresql_where=text("parent_step_id IS NOT NULL")),
        Index("ix_runs_parent_run_id", "parent_run_id", postgresql_where=text("parent_run_id IS NOT NULL")),
        Index("ix_runs_source_run_id", "source_run_id", postgresql_where=text("source_run_id IS NOT NULL")),
        Index(
            "ix_runs_going_on",
            "project_id",
            "workflow_id",
            "concurrency_key",
            postgresql_where=text(
                "status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')"
            ),
        ),
        Index("ix_runs_queued", "project_id", "priority", "id", postgresql_where=text("status = 'queued'")),
        Index(
            "ix_runs_queue",
            "project_id",
            "workflow_id",
            text("coalesce(concurrency_key, '')"),
            text("(parent_run_id IS NULL)"),
            "priority",
            "id",
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_runs_uncounted",
            "project_id",
            "workflow_id",
            "created_by",
            "created_by_key",
            postgresql_where=text("status = 'queued' AND uncounted"),
        ),
        Index("ix_runs_paused", "workflow_id", "id", postgresql_where=text("status = 'paused'")),
        CheckConstraint("source_kind IN ('retry', 'fork', 'rerun')", name="source_kind"),
        CheckConstraint("ends_as IN ('failed', 'cancelled')", name="ends_as"),
        one_of("status", RunStatus, "status"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled', 'denied')) = (finished_at IS NOT NULL)", name="finished"
        ),
        Index("ix_runs_project_id_id", "project_id", text("id DESC")),
        Index("ix_runs_project_id_status_id", "project_id", "status", text("id DESC")),
        Index("ix_runs_project_id_workflow_id_status_id", "project_id", "workflow_id", "status", text("id DESC")),
        Index(
            "ix_runs_deadline",
            "deadline_at",
            postgresql_where=text("deadline_at IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(
            "ix_runs_open",
            "id",
            postgresql_where=text("status NOT IN ('succeeded', 'failed', 'cancelled', 'denied')"),
        ),
    )


class Step(Base):
    """One node of the graph within one run. Compiled when the run is accepted: whom it needs, who needs it."""

    __tablename__ = "steps"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    project_id: Mapped[UUID]
    node_key: Mapped[str]
    path: Mapped[str]
    """Unique within the run; for plain steps equal to `node_key`."""
    type: Mapped[str]
    position: Mapped[int]
    """The place in the definition, for display."""
    queue: Mapped[str] = mapped_column(default="run", server_default="run")
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    held: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Ready, but must not start: paused or limited work stays off the index of claims."""
    inline: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Evaluated by the engine itself while it advances the run; never claimed."""
    mechanical: Mapped[bool] = mapped_column(default=False, server_default="false")
    """May be made ready by the database alone: no condition and nothing to evaluate."""
    hands_over: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Its success may be applied by the database alone: every dependent is mechanical."""
    needs: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)), server_default=text("'{}'"))
    dependents: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)), server_default=text("'{}'"))
    reads: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)), server_default=text("'{}'"))
    """The steps whose outputs its expressions mention."""
    reads_input: Mapped[bool] = mapped_column(default=False, server_default="false")
    effect_class: Mapped[str]
    timeout: Mapped[timedelta | None] = mapped_column(Interval())
    max_attempts: Mapped[int] = mapped_column(default=3, server_default="3")
    max_crashes: Mapped[int] = mapped_column(default=4, server_default="4")
    backoff: Mapped[timedelta] = mapped_column(Interval(), server_default=text("'1 second'"))
    max_backoff: Mapped[timedelta] = mapped_column(Interval(), server_default=text("'1 minute'"))
    jitter: Mapped[bool] = mapped_column(default=True, server_default="true")
    """A retry comes after a random part of its pause, so that what failed together does not come back together."""
    retries_timeouts: Mapped[bool] = mapped_column(default=True, server_default="true")
    """An attempt that took too long is followed by another, as its retry policy allows."""
    deadline: Mapped[timedelta | None] = mapped_column(Interval())
    """How long the step may take in all, its retries and waits included."""
    on_error: Mapped[str] = mapped_column(default="fail", server_default="fail")
    """What its failure means for the run: `fail`, `continue`, or `goto` another step."""
    parent_id: Mapped[UUID | None]
    """The `map` or `loop` step in whose body it stands; None for a step of the workflow itself."""
    frame_no: Mapped[int | None]
    """Which item (from 0) or which pass (from 1) of the parent it belongs to."""
    reads_frame: Mapped[bool] = mapped_column(default=False, server_default="false")
    """An expression of it reads the item or the pass."""
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Of its output: all that went into it. Before the step has ended, what is known of that when its row is made:
    for a step of a body what its map or loop has seen; and of a map or loop what its frames get."""
    child_run_id: Mapped[UUID | None]
    """The run of its sub-workflow."""
    undo_of: Mapped[UUID | None]
    """The step whose effect it takes back."""
    copied_from: Mapped[UUID | None]
    """The step of the source run whose result this is; it was not attempted here."""

    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    claim_token: Mapped[UUID | None]
    worker_session: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    step_deadline_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    fails_at: Mapped[datetime | None]
    """When its `deadline` is over; set when it is first ready."""
    clock_from: Mapped[datetime | None]
    """From when on the time of halts has not been added to `fails_at`; None: since that was set."""
    wake_at: Mapped[datetime | None]
    waiting_for: Mapped[dict[str, Any] | None]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    isolate: Mapped[bool] = mapped_column(default=False, server_default="false")
    cancel_requested: Mapped[bool] = mapped_column(default=False, server_default="false")
    output: Mapped[Any | None]
    error: Mapped[dict[str, Any] | None]
    ready_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("run_id", "path"),
        one_of("status", StepStatus, "status"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("(status = 'running') = (claim_token IS NOT NULL)", name="token"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'skipped', 'cancelled')) = (finished_at IS NOT NULL)", name="finished"
        ),
        Index(
            "ix_steps_ready",
            "queue",
            "project_id",
            "priority",
            "not_before",
            "id",
            postgresql_where=text("status = 'ready' AND NOT held"),
        ),
        Index("ix_steps_running", "id", postgresql_where=text("status = 'running'")),
        Index("ix_steps_timers", "wake_at", postgresql_where=text("status = 'waiting'")),
        Index(
            "ix_steps_open",
            "run_id",
            postgresql_where=text("status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')"),
        ),
        Index("ix_steps_frame", "parent_id", "frame_no", postgresql_where=text("parent_id IS NOT NULL")),
        Index(
            "ix_steps_awaited_event",
            "project_id",
            text("(waiting_for ->> 'event')"),
            postgresql_where=text("status = 'waiting' AND waiting_for ->> 'kind' = 'event'"),
        ),
        Index(
            "ix_steps_deadline",
            "fails_at",
            postgresql_where=text("status IN ('ready', 'waiting') AND fails_at IS NOT NULL"),
        ),
        Index("ix_steps_isolate", "queue", postgresql_where=text("status = 'ready' AND isolate")),
        Index("ix_steps_uncertain", "project_id", postgresql_where=text("status = 'uncertain'")),
        CheckConstraint("on_error IN ('fail', 'continue', 'goto')", name="on_error"),
        CheckConstraint("(parent_id IS NULL) = (frame_no IS NULL)", name="frame"),
    )


class Expansion(Base):
    """A `map` or `loop` step that has begun: the counters by which it is known when its frames are done."""

    __tablename__ = "expansions"

    step_id: Mapped[UUID] = mapped_column(ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[UUID]
    project_id: Mapped[UUID]
    total: Mapped[int | None]
    """How many frames there will be; None for a loop, whose passes come one by one."""
    concurrency: Mapped[int]
    stop_on_error: Mapped[bool]
    expanded: Mapped[int] = mapped_column(default=0, server_default="0")
    """Frames that have their steps."""
    started: Mapped[int] = mapped_column(default=0, server_default="0")
    ended: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (
        CheckConstraint("0 <= failed AND failed <= ended AND ended <= started AND started <= expanded", name="order"),
    )


class Frame(Base):
    """One item of a map or one pass of a loop: what its steps see, and what came of them."""

    __tablename__ = "frames"

    parent_id: Mapped[UUID] = mapped_column(ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True)
    frame_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[UUID]
    project_id: Mapped[UUID]
    value: Mapped[Any | None]
    """The item of a map; the output of the pass before, for a loop."""
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Of its output."""
    status: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    output: Mapped[Any | None]
    error: Mapped[dict[str, Any] | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'open', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="finished"
        ),
    )


class StepAttempt(Base):
    """One try at a step. Ended once, never changed after."""

    __tablename__ = "step_attempts"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    step_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    claim_token: Mapped[UUID]
    worker_session: Mapped[UUID | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]

    __table_args__ = (one_of("outcome", AttemptOutcome, "outcome"), PARTITION_BY_RUN)


class Event(Base):
    """One line of a run's log: what has happened, in the order in which it was committed."""

    __tablename__ = "events"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    step_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]

    __table_args__ = (PARTITION_BY_RUN,)


class RunCounter(Base):
    """The last sequence number of a run's log; always the last row that a transaction locks."""

    __tablename__ = "run_counters"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[UUID]
    last_seq: Mapped[int] = mapped_column(default=0, server_default="0")


class ThinnedRun(Base):
    """A run that ended so long ago that a part of it was removed, as its project wants. Only functions of the database
    write it: the application may read it."""

    __tablename__ = "thinned_runs"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[UUID]
    log_removed_at: Mapped[datetime | None]
    log_removed_to: Mapped[int] = mapped_column(default=0, server_default="0")
    """The number of the last line of its log that is gone."""
    values_removed_at: Mapped[datetime | None]
    """Since then its values are gone: it can be read, and not done again."""


class Unadvanced(Base):
    """A run whose step was ended by somebody who does not hold the run, and who is to advance it afterwards.

    Written in the transaction that ends the step, so that the sweep advances the run where that somebody died. There
    may be several of one run. No foreign key: its check would lock the run.
    """

    __tablename__ = "unadvanced"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(index=True)
    since: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class WorkerSession(Base):
    """A worker process, for people to look at; the authority over a step is its lease."""

    __tablename__ = "worker_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[Any]]
    slots: Mapped[int]
    code_version: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    draining: Mapped[bool] = mapped_column(default=False, server_default="false")
    ended_at: Mapped[datetime | None]
    parent_id: Mapped[UUID | None]
    """The session of the worker that started this process to run isolated steps; None for an ordinary worker."""

    __table_args__ = (
        Index(
            "ix_worker_sessions_parent_id",
            "parent_id",
            postgresql_where=text("parent_id IS NOT NULL AND ended_at IS NULL"),
        ),
    )


class System(Base):
    """One row: the epoch of this database. Workers of another epoch can neither claim nor write."""

    __tablename__ = "system"

    only: Mapped[bool] = mapped_column(primary_key=True, default=True, server_default="true")
    epoch: Mapped[UUID]

    __table_args__ = (CheckConstraint('"only"', name="one_row"),)
