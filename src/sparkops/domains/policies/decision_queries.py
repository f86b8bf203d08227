"""Statements on recorded decisions, and on what they say was broken."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.policies.let_go import LET_GO
from sparkops.domains.policies.models import PolicyDecision, PolicyVersion, Violation, ViolationNote
from sparkops.domains.policies.state import ViolationStatus

MAX_COUNTED = 100_000
"""How many of the newest decisions are counted for a list of policies."""
_NOT_ALLOWED: ColumnElement[bool] = literal_column("policy_decisions.outcome <> 'allow'")
"""As the partial index says it."""
_STOPPED: ColumnElement[bool] = literal_column(f"NOT ({LET_GO.format('policy_decisions')})")


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are listed; None: whatever it is. `monitored`: a rule in mode monitor would have decided.

    `policy_id` and `rule` mean the rule that decided, or one in mode monitor that would have.
    """

    outcomes: Collection[str] = ()
    subject: str | None = None
    policy_id: UUID | None = None
    rule: str | None = None
    name: str | None = None
    run_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    monitored: bool | None = None


def id_at(moment: datetime) -> UUID:
    """Return the smallest id that a row made at this moment can have: ids sort by time, to the millisecond."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76))


def _where(where: DecisionFilter) -> list[ColumnElement[bool]]:
    row = PolicyDecision
    equal = ((row.subject, where.subject), (row.name, where.name), (row.run_id, where.run_id))
    found: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
    if where.outcomes:
        found.append(row.outcome.in_(sorted(where.outcomes)))
        if "allow" not in where.outcomes:
            found.append(_NOT_ALLOWED)
    if where.since is not None:
        found.append(row.id >= id_at(where.since))
    if where.until is not None:
        found.append(row.id < id_at(where.until))
    if where.monitored is not None:
        found.append(row.monitored.is_not(None) if where.monitored else row.monitored.is_(None))
    return found


async def recorded_decisions(
    session: AsyncSession, principal: Principal, *, project_id: UUID, where: DecisionFilter, page: PageRequest
) -> Sequence[PolicyDecision]:
    """Return the decisions of a project, newest first, one more than the page holds."""
    row = PolicyDecision
    among = [row.project_id == project_id, visible_to(principal, row.project_id), *_where(where)]
    if page.after is not None:
        among.append(row.id < page.after)
    newest = select(row).where(*among).order_by(row.id.desc()).limit(page.limit + 1)
    asked = ((row.policy_id, where.policy_id), (row.rule, where.rule))
    named = {column: value for column, value in asked if value is not None}
    decided = (await session.scalars(newest.where(*[column == value for column, value in named.items()]))).all()
    if not named or (where.policy_id is not None and not await _ever_monitored(session, policy_id=where.policy_id)):
        return decided
    # By itself, because an index finds what decided, and what only monitored is looked for in all that remains.
    finding = {column.key: str(value) for column, value in named.items()}
    monitored = await session.scalars(newest.where(row.monitored.contains([finding])))
    found = {one.id: one for one in (*decided, *monitored)}
    return sorted(found.values(), key=lambda one: one.id, reverse=True)[: page.limit + 1]


async def _ever_monitored(session: AsyncSession, *, policy_id: UUID) -> bool:
    """Return whether a rule of some version of a policy, or all of it, was in mode monitor."""
    monitors = func.jsonb_path_exists(PolicyVersion.document, literal_column("'$.** ? (@ == \"monitor\")'::jsonpath"))
    statement = select(PolicyVersion.version).where(PolicyVersion.policy_id == policy_id, monitors).limit(1)
    return await session.scalar(statement) is not None


async def recorded_decision(session: AsyncSession, principal: Principal, *, decision_id: UUID) -> PolicyDecision | None:
    """Return a decision of one of the principal's projects, or None."""
    found = await session.scalar(
        select(PolicyDecision).where(PolicyDecision.id == decision_id, visible_to(principal, PolicyDecision.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def stopped_by_policy(
    session: AsyncSession, *, project_id: UUID, now: datetime, window: timedelta
) -> Mapping[tuple[UUID, str], int]:
    """Return how many decisions of a project were held or denied in this window, by policy and outcome.

    Of more than `MAX_COUNTED` only the newest are counted.
    """
    newest = (
        select(PolicyDecision.policy_id, PolicyDecision.outcome)
        .where(
            PolicyDecision.project_id == project_id,
            _NOT_ALLOWED,
            _STOPPED,
            PolicyDecision.id >= id_at(now - window),
        )
        .order_by(PolicyDecision.id.desc())
        .limit(MAX_COUNTED)
        .subquery()
    )
    rows = await session.execute(
        select(newest.c.policy_id, newest.c.outcome, func.count())
        .where(newest.c.policy_id.is_not(None))
        .group_by(newest.c.policy_id, newest.c.outcome)
    )
    return {(policy_id, outcome): count for policy_id, outcome, count in rows.tuples()}


@dataclass(frozen=True, slots=True)
class ViolationFilter:
    """Which violations are listed; None: whatever it is."""

    statuses: Collection[str] = ()
    severities: Collection[str] = ()
    policy_id: UUID | None = None
    rule: str | None = None
    run_id: UUID | None = None
    monitored: bool | None = None
    overdue: bool | None = None


async def violations(
    session: AsyncSession, principal: Principal, *, project_id: UUID, where: ViolationFilter, page: PageRequest
) -> Sequence[Violation]:
    """Return the violations of a project, newest first, one more than the page holds."""
    statement: Select[tuple[Violation]] = select(Violation).where(
        Violation.project_id == project_id, visible_to(principal, Violation.project_id)
    )
    listed = ((Violation.status, where.statuses), (Violation.severity, where.severities))
    for column, values in listed:
        if values:
            statement = statement.where(or_(*[column == value for value in sorted(values)]))
    equal = (
        (Violation.policy_id, where.policy_id),
        (Violation.rule, where.rule),
        (Violation.run_id, where.run_id),
        (Violation.monitored, where.monitored),
    )
    for wanted, value in equal:
        if value is not None:
            statement = statement.where(wanted == value)
    if where.overdue is not None:
        late = Violation.overdue_at.is_not(None) if where.overdue else Violation.overdue_at.is_(None)
        statement = statement.where(late)
    if page.after is not None:
        statement = statement.where(Violation.id < page.after)
    return (await session.scalars(statement.order_by(Violation.id.desc()).limit(page.limit + 1))).all()


async def violation(session: AsyncSession, principal: Principal, *, violation_id: UUID) -> Violation | None:
    """Return a violation in one of the principal's projects, or None."""
    found = await session.scalar(
        select(Violation).where(Violation.id == violation_id, visible_to(principal, Violation.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def notes(session: AsyncSession, principal: Principal, *, violation_id: UUID) -> Sequence[ViolationNote]:
    """Return the newest thousand notes on a violation, oldest first."""
    statement = select(ViolationNote).where(
        ViolationNote.violation_id == violation_id, visible_to(principal, ViolationNote.project_id)
    )
    newest = (await session.scalars(statement.order_by(ViolationNote.id.desc()).limit(1_000))).all()
    return [*reversed(newest)]


async def set_status(
    session: AsyncSession,
    principal: Principal,
    *,
    violation_id: UUID,
    status: ViolationStatus,
    sources: Collection[ViolationStatus],
) -> bool:
    """Move a violation on; False: it is none of the principal's, or stands at none of the sources. One that is opened
    again has all of its time again."""
    overdue = {"overdue_at": None} if status == ViolationStatus.OPEN else {}
    changed = await session.scalar(
        update(Violation)
        .where(
            Violation.id == violation_id,
            Violation.status.in_(sorted(sources)),
            visible_to(principal, Violation.project_id),
        )
        .values(status=status, changed_by=principal.user_id, changed_at=func.clock_timestamp(), **overdue)
        .returning(Violation.id)
    )
    return changed is not None


async def add_note(
    session: AsyncSession, principal: Principal, *, on: Violation, text: str | None, status: ViolationStatus | None
) -> None:
    """Note what the principal says about a violation, and what it was set to."""
    await session.execute(
        insert(ViolationNote).values(
            id=new_id(),
            violation_id=on.id,
            project_id=on.project_id,
            author_id=principal.user_id,
            text=text,
            status=status,
        )
    )
