"""Use cases of policies."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound
from sparkops.core.json import Json, pretty
from sparkops.core.principal import Principal
from sparkops.domains.policies import queries
from sparkops.domains.policies.arguments import Takes
from sparkops.domains.policies.backtest_queries import backtest_job
from sparkops.domains.policies.cases import CaseReport, run_cases
from sparkops.domains.policies.document import Policy, parse_policy, policy_of_rules
from sparkops.domains.policies.format import RuleEffect
from sparkops.domains.policies.models import INSTALLATION, BacktestJob, PolicyVersion
from sparkops.domains.policies.models import Policy as PolicyRow
from sparkops.domains.policies.state import BacktestStatus

PROJECT_POLICY: Final = "project"
"""The name of the policy that a project keeps as a plain list of rules."""

TEST_SECONDS: Final = 10.0
"""What the tests of one policy may take; those that are left then count as failed."""


class TestsFail(Conflict):
    code, title = "tests-fail", "The tests of the policy fail"


class BacktestUnfit(Conflict):
    code, title = "backtest-unfit", "The backtest says nothing about this version"


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that would be accepted, and what its own tests say to it."""

    policy: Policy
    report: CaseReport


def check(source: str, default: RuleEffect, takes: Takes | None = None) -> Checked:
    """Return the policy that a text gives, with its tests run. May take seconds: call it in a thread.

    `takes`: which arguments tools take, where the text is to be saved; None: it was saved before, and may ask for any.

    Raises:
        PolicyInvalid: it is not valid.
    """
    policy = parse_policy(source, takes)
    deadline = time.monotonic() + TEST_SECONDS
    return Checked(policy, run_cases(policy, default, stop=lambda: time.monotonic() > deadline))


async def create_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID | None, source: str, policy: Policy
) -> tuple[PolicyRow, PolicyVersion]:
    """Add a policy with its first version, under the name in its text. Nothing is judged by it before it is published.

    The caller has checked the project; None: the policy is for the installation.

    Raises:
        Forbidden: only administrators change what holds for the installation.
        Conflict: there is one of this name.
    """
    _may_change(principal, project_id)
    row = await queries.add_policy(session, project_id=project_id, name=policy.name, created_by=principal.user_id)
    if row is None:
        raise Conflict(f"There is a policy called {policy.name} already; add a version to it or rename this one.")
    return row, await _add(session, principal, row, 1, source, policy)


async def add_version(
    session: AsyncSession, principal: Principal, *, policy_id: UUID, source: str, policy: Policy
) -> tuple[PolicyVersion, bool]:
    """Return the version with this text and whether it is new: the latest is kept if nothing changed.

    Raises:
        NotFound: there is no such policy for the principal.
        Forbidden: only administrators change what holds for the installation.
        Invalid: the text has another name than the policy.
    """
    row = await _to_change(session, principal, policy_id)
    if policy.name != row.name:
        raise Invalid(
            f"This policy is called {row.name}, the text says {policy.name}; names never change.",
            errors=[{"path": "name", "message": f"must be {row.name}"}],
        )
    latest = await queries.text_of(session, principal, policy_id=policy_id, version=row.latest_version)
    assert latest is not None, "a policy has a text for its latest version"
    if latest.source == source:
        return latest, False
    return await _add(session, principal, row, row.latest_version + 1, source, policy), True


async def publish(
    session: AsyncSession,
    principal: Principal,
    *,
    policy_id: UUID,
    version: int,
    note: str | None,
    backtest_id: UUID | None,
) -> PolicyRow:
    """Put a version in force: from the commit on every decision is taken under it, also of what waits.

    The caller has seen to it that its tests pass today.

    Raises:
        NotFound: there is no such version, or no such backtest, for the principal.
        Forbidden: only administrators change what holds for the installation.
        BacktestUnfit: the backtest has not been done, or judged another text or another policy.
    """
    row = await _to_change(session, principal, policy_id)
    text = await queries.text_of(session, principal, policy_id=policy_id, version=version)
    if text is None:
        raise NotFound("There is no such version here.")
    if backtest_id is not None:
        backtest = await backtest_job(session, principal, backtest_id=backtest_id)
        if backtest is None or row.project_id not in (None, backtest.project_id):
            raise NotFound("There is no such backtest here.")
        _refuse_unfit(backtest, row, text)
    await _put_in_force(session, principal, row, version, note, backtest_id)
    return row


async def withdraw(session: AsyncSession, principal: Principal, *, policy_id: UUID, note: str | None) -> PolicyRow:
    """Let no version of a policy decide; its versions stay. Withdrawing it again changes nothing.

    Raises:
        NotFound: there is no such policy for the principal.
        Forbidden: only administrators change what holds for the installation.
    """
    row = await _to_change(session, principal, policy_id)
    if row.active_version is not None:
        await _put_in_force(session, principal, row, None, note, None)
    return row


def refuse_failing(report: CaseReport) -> None:
    """Do nothing if the tests of a policy pass.

    Raises:
        TestsFail: some do not; `errors` name them.
    """
    failed = report.failed
    if failed:
        raise TestsFail(
            f"{len(failed)} of its {len(report.results)} tests fail; mend the rules or the tests first.",
            errors=[{"path": one.case.name, "message": one.problem} for one in failed],
        )


def _refuse_unfit(backtest: BacktestJob, row: PolicyRow, text: PolicyVersion) -> None:
    """Do nothing if this is what a text would have meant; it may have been judged before it was saved.

    Raises:
        BacktestUnfit: it is not.
    """
    judged_with = [backtest.beside] if backtest.places is None else [place["beside"] for place in backtest.places]
    at_its_side = str(row.id) in {one["id"] for beside in judged_with for one in beside if one is not None}
    if backtest.policy_id not in (row.id, None) or at_its_side:
        raise BacktestUnfit(f"That backtest is not of this policy: it judged a draft of {backtest.policy_name}.")
    if backtest.source != text.source:
        raise BacktestUnfit(f"That backtest judged another text than that of version {text.version}.")
    if backtest.status != BacktestStatus.DONE:
        raise BacktestUnfit(f"That backtest is {backtest.status}; only one that is done counts.")


async def _put_in_force(
    session: AsyncSession,
    principal: Principal,
    row: PolicyRow,
    version: int | None,
    note: str | None,
    backtest_id: UUID | None,
) -> None:
    await queries.activate(session, policy_id=row.id, version=version)
    await queries.rules_changed(session, scope_id=row.project_id or INSTALLATION)
    await queries.add_publication(
        session,
        policy_id=row.id,
        version=version,
        note=note,
        backtest_id=backtest_id,
        published_by=principal.user_id,
    )
    await session.refresh(row)


async def _to_change(session: AsyncSession, principal: Principal, policy_id: UUID) -> PolicyRow:
    row = await queries.locked_policy(session, principal, policy_id=policy_id)
    if row is None:
        raise NotFound("There is no such policy here.")
    _may_change(principal, row.project_id)
    return row


def _may_change(principal: Principal, project_id: UUID | None) -> None:
    if project_id is None and not principal.is_admin:
        raise Forbidden("Only administrators change the policies of the installation.")


async def _add(
    session: AsyncSession, principal: Principal, row: PolicyRow, version: int, source: str, policy: Policy
) -> PolicyVersion:
    added = await queries.add_version(
        session, row, version=version, source=source, document=policy.document, created_by=principal.user_id
    )
    await session.refresh(row)
    return added


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """The rules of the policy of that name which are in force. `version` counts every change of what holds there."""

    version: int
    rules: Sequence[Json]
    updated_at: datetime | None


async def project_rules(session: AsyncSession, principal: Principal, *, project_id: UUID) -> ProjectRules:
    """Return the rules that a project keeps as a plain list; the caller has checked the project."""
    version = await queries.stamp(session, scope_id=project_id)
    policy = await queries.policy_named(session, principal, project_id=project_id, name=PROJECT_POLICY)
    if policy is None or policy.active_version is None:
        return ProjectRules(version, [], None)
    text = await queries.policy_version(session, principal, policy_id=policy.id, version=policy.active_version)
    assert text is not None, "an active version is one of its versions"
    return ProjectRules(version, text.document["rules"], policy.updated_at)


async def change_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID, rules: Sequence[Json], takes: Takes | None = None
) -> ProjectRules:
    """Replace these rules; from the commit on every decision is taken under them. The caller has checked the project.
    `takes`: which arguments tools take; None: rules may ask for any.

    Raises:
        Invalid: a rule is not valid, or asks for what this release does not keep: a rule must not pretend.
    """
    policy = policy_of_rules(rules, takes)
    policy_id, version = await queries.next_version(
        session,
        project_id=project_id,
        name=PROJECT_POLICY,
        source=pretty(policy.document),
        document=policy.document,
        created_by=principal.user_id,
    )
    await queries.activate(session, policy_id=policy_id, version=version)
    await queries.rules_changed(session, scope_id=project_id)
    await queries.add_publication(
        session,
        policy_id=policy_id,
        version=version,
        note=None,
        backtest_id=None,
        published_by=principal.user_id,
    )
    return await project_rules(session, principal, project_id=project_id)
