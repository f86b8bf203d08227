"""What is shown of policies, decisions, violations and backtests, with the names of everything they touch."""

from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from typing import Any
from uuid import UUID

from ruamel.yaml import YAML
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.views import policies as views
from sparkops.api.views.base import Ref
from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.domains.identity.queries import names_of
from sparkops.domains.policies import queries
from sparkops.domains.policies.backtest import Change, Day, on_record, unknown
from sparkops.domains.policies.cases import CaseReport, case_of
from sparkops.domains.policies.evaluate import Decision
from sparkops.domains.policies.facts import FACTS, HISTORY, TYPES, Subject
from sparkops.domains.policies.format import Mode, RuleEffect, Severity
from sparkops.domains.policies.models import (
    BacktestFlip,
    BacktestJob,
    Policy,
    PolicyDecision,
    PolicyPublication,
    PolicyVersion,
    Violation,
    ViolationNote,
)
from sparkops.domains.policies.state import BacktestStatus, ViolationStatus
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.runs.queries import step_keys

_SCOPES = ("agents", "workflows", "tools", "capabilities", "models")


def _person(user_id: UUID | None, people: Mapping[UUID, str]) -> Ref | None:
    return Ref(id=user_id, name=people[user_id]) if user_id is not None and user_id in people else None


async def _people(session: AsyncSession, ids: Collection[UUID | None]) -> Mapping[UUID, str]:
    return await names_of(session, user_ids={one for one in ids if one is not None})


# Policies


async def policy_summaries(
    session: AsyncSession,
    principal: Principal,
    policies: Sequence[Policy],
    stopped: Mapping[tuple[UUID, str], int],
) -> list[views.PolicySummary]:
    """Return policies as lists show them; `stopped` counts decisions by policy and outcome."""
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in policies if one.project_id})
    shown = await queries.documents(session, policies=policies)

    def view(one: Policy) -> views.PolicySummary:
        document = shown[one.id, one.active_version or one.latest_version]
        return views.PolicySummary(
            id=one.id,
            project=slugs[one.project_id] if one.project_id else None,
            name=one.name,
            description=document["description"],
            mode=Mode(document["mode"] or Mode.ENFORCE),
            rules_total=document["rules"],
            tests_total=document["tests"],
            active_version=one.active_version,
            latest_version=one.latest_version,
            held_24h=stopped.get((one.id, RuleEffect.REQUIRE_APPROVAL), 0),
            denied_24h=stopped.get((one.id, RuleEffect.DENY), 0),
            created_at=one.created_at,
            updated_at=one.updated_at,
        )

    return [view(one) for one in policies]


async def policy_detail(
    session: AsyncSession,
    principal: Principal,
    policy: Policy,
    latest: PolicyVersion,
    stopped: Mapping[tuple[UUID, str], int],
) -> views.PolicyDetail:
    """Return a policy with its latest text."""
    [summary] = await policy_summaries(session, principal, [policy], stopped)
    return views.PolicyDetail(**summary.model_dump(), latest=await policy_version(session, latest))


async def policy_version(session: AsyncSession, version: PolicyVersion) -> views.PolicyVersion:
    """Return one text of a policy."""
    people = await _people(session, [version.created_by])
    document = version.document
    return views.PolicyVersion(
        version=version.version,
        source=version.source,
        document=document,
        rules=[_rule(rule, document.get("mode") or Mode.ENFORCE) for rule in document["rules"]],
        tests_total=len(document.get("tests") or []),
        created_by=_person(version.created_by, people),
        created_at=version.created_at,
    )


def _rule(rule: Mapping[str, Any], mode: str) -> views.RuleOutline:
    return views.RuleOutline(
        name=rule["name"],
        description=rule.get("description"),
        on=rule["on"],
        scope={key: rule[key] for key in _SCOPES if rule.get(key)},
        when=rule.get("when"),
        effect=rule["effect"],
        reason=rule.get("reason"),
        severity=rule.get("severity") or Severity.MEDIUM,
        mode=rule.get("mode") or Mode(mode),
        approval=rule.get("approval"),
    )


async def version_summaries(
    session: AsyncSession, versions: Sequence[queries.VersionLine]
) -> list[views.PolicyVersionSummary]:
    """Return versions as lists show them."""
    people = await _people(session, [one.created_by for one in versions])
    return [
        views.PolicyVersionSummary(
            version=one.version,
            rules_total=one.rules_total,
            tests_total=one.tests_total,
            created_by=_person(one.created_by, people),
            created_at=one.created_at,
        )
        for one in versions
    ]


async def publication_views(
    session: AsyncSession, publications: Sequence[PolicyPublication]
) -> list[views.Publication]:
    """Return who put which version in force."""
    people = await _people(session, [one.published_by for one in publications])
    return [
        views.Publication(
            id=one.id,
            version=one.version,
            note=one.note,
            backtest_id=one.backtest_id,
            published_by=_person(one.published_by, people),
            at=one.at,
        )
        for one in publications
    ]


def case_report(report: CaseReport) -> views.CaseReport:
    """Return what the tests of a policy say."""
    failed = len(report.failed)
    return views.CaseReport(
        passed=len(report.results) - failed,
        failed=failed,
        results=[
            views.CaseResult(
                name=one.case.name,
                on=one.case.on,
                expect=one.case.expect,
                outcome=one.outcome,
                rule=one.rule,
                problem=one.problem,
            )
            for one in report.results
        ],
        coverage=[views.RuleCoverage(rule=rule, tests=list(tests)) for rule, tests in report.coverage.items()],
    )


def policy_facts() -> views.PolicyFacts:
    """Return what conditions may ask for."""
    return views.PolicyFacts(
        subjects=list(Subject),
        facts=[
            views.FactView(
                name=name,
                type=kind.value,
                about=FACTS[name].about,
                subjects=sorted(FACTS[name].subjects),
                optional=FACTS[name].optional,
            )
            for name, kind in TYPES.items()
        ],
        history=[
            views.FactView(
                name=name,
                type=kind.value,
                about=about,
                subjects=sorted(FACTS["history.tools"].subjects),
                optional=False,
            )
            for name, (kind, about) in HISTORY.items()
        ],
    )


# Decisions and violations


def _rules_of(row: PolicyDecision) -> set[UUID]:
    found = [row.policy_id, *[UUID(one["policy_id"]) for one in row.monitored or [] if one.get("policy_id")]]
    return {one for one in found if one is not None}


def _ref(policy_id: UUID | None, version: int | None, names: Mapping[UUID, str]) -> views.PolicyRef | None:
    if policy_id is None or version is None or policy_id not in names:
        return None
    return views.PolicyRef(id=policy_id, name=names[policy_id], version=version)


async def decision_views(session: AsyncSession, rows: Sequence[PolicyDecision]) -> list[views.RecordedDecision]:
    """Return recorded decisions as lists show them."""
    return [views.RecordedDecision(**one) for one in await _decisions_shown(session, rows)]


async def _decisions_shown(session: AsyncSession, rows: Sequence[PolicyDecision]) -> list[dict[str, Any]]:
    names = await queries.names_of_policies(session, policy_ids={one for row in rows for one in _rules_of(row)})
    keys = await step_keys(session, step_ids={row.step_id for row in rows if row.step_id is not None})
    return [
        {
            "id": row.id,
            "at": row.at,
            "run_id": row.run_id,
            "step_id": row.step_id,
            "step_key": keys.get(row.step_id) if row.step_id else None,
            "call_id": row.subject_id if row.subject_kind == "call" else None,
            "subject": row.subject,
            "name": row.name,
            "outcome": row.outcome,
            "policy": _ref(row.policy_id, row.rule_version, names),
            "rule": row.rule,
            "reason": row.reason,
            "severity": row.severity,
            "monitored": [_finding(one, names) for one in row.monitored or []],
            "duration_us": row.duration_us,
        }
        for row in rows
    ]


def _finding(found: Mapping[str, Any], names: Mapping[UUID, str]) -> views.Finding:
    policy_id = found.get("policy_id")
    return views.Finding(
        policy=_ref(UUID(policy_id) if policy_id else None, found.get("version"), names),
        rule=found["rule"],
        effect=found["effect"],
        reason=found.get("reason"),
        severity=found.get("severity") or Severity.MEDIUM,
    )


async def decision_detail(
    session: AsyncSession, row: PolicyDecision, elsewhere: Mapping[str, Json], *, run_exists: bool
) -> views.DecisionDetail:
    """Return a decision with its facts; `elsewhere` are those that are kept with what it is about."""
    [shown] = await _decisions_shown(session, [row])
    facts = {**row.facts, **elsewhere}
    case = case_of(
        f"{row.name or row.subject}, {row.at:%Y-%m-%d}, {str(row.id)[-6:]}",
        Subject(row.subject),
        facts,
        RuleEffect(row.outcome),
        row.rule if row.policy_id is not None else None,
    )
    return views.DecisionDetail(
        **shown,
        run_exists=run_exists,
        facts=facts,
        facts_digest=row.facts_digest,
        request_hash=row.request_hash,
        rules_version=row.policy_version,
        case=case,
        case_source=_as_yaml([case]),
    )


async def decision_today(session: AsyncSession, row: PolicyDecision, decision: Decision) -> views.DecisionToday:
    """Return what was decided anew on the facts of a recorded decision."""
    rule = decision.rule
    lacking = {name for failure in decision.failed if failure.rule == rule for name in failure.missing}
    names = await queries.names_of_policies(session, policy_ids={UUID(rule.policy_id)}) if rule else {}
    return views.DecisionToday(
        outcome=None if lacking else decision.outcome,
        policy=_ref(UUID(rule.policy_id), rule.version, names) if rule else None,
        rule=rule.rule if rule else None,
        reason=decision.reason,
        lacking=sorted(lacking),
        same=not lacking and decision.outcome == row.outcome,
    )


def _as_yaml(value: Json) -> str:
    out = StringIO()
    writer = YAML(typ="rt", pure=True)
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 100
    writer.dump(value, out)
    return out.getvalue()


async def violation_views(session: AsyncSession, rows: Sequence[Violation]) -> list[views.Violation]:
    """Return violations as lists show them."""
    return [views.Violation(**one) for one in await _violations_shown(session, rows)]


async def violation_detail(
    session: AsyncSession, row: Violation, notes: Sequence[ViolationNote]
) -> views.ViolationDetail:
    """Return a violation with what people said about it."""
    [shown] = await _violations_shown(session, [row])
    people = await _people(session, [one.author_id for one in notes])
    return views.ViolationDetail(
        **shown,
        notes=[
            views.ViolationNote(
                id=one.id,
                author=_person(one.author_id, people),
                text=one.text,
                status=ViolationStatus(one.status) if one.status else None,
                at=one.at,
            )
            for one in notes
        ],
    )


async def _violations_shown(session: AsyncSession, rows: Sequence[Violation]) -> list[dict[str, Any]]:
    names = await queries.names_of_policies(session, policy_ids={row.policy_id for row in rows if row.policy_id})
    keys = await step_keys(session, step_ids={row.step_id for row in rows if row.step_id is not None})
    people = await _people(session, [row.changed_by for row in rows])
    return [
        {
            "id": row.id,
            "at": row.at,
            "run_id": row.run_id,
            "step_id": row.step_id,
            "step_key": keys.get(row.step_id) if row.step_id else None,
            "decision_id": row.decision_id,
            "policy": _ref(row.policy_id, row.rule_version, names),
            "rule": row.rule,
            "severity": row.severity,
            "monitored": row.monitored,
            "subject": row.subject,
            "name": row.name,
            "reason": row.reason,
            "status": row.status,
            "changed_by": _person(row.changed_by, people),
            "changed_at": row.changed_at,
            "overdue_at": row.overdue_at,
        }
        for row in rows
    ]


# Backtests


async def backtest_summaries(
    session: AsyncSession, principal: Principal, jobs: Sequence[BacktestJob]
) -> list[views.BacktestSummary]:
    """Return backtests as lists show them."""
    return [views.BacktestSummary(**one) for one in await _backtests_shown(session, principal, jobs)]


async def backtest_view(session: AsyncSession, principal: Principal, job: BacktestJob) -> views.Backtest:
    """Return a backtest with its draft and its days."""
    [shown] = await _backtests_shown(session, principal, [job])
    days = {date: Day(**numbers) for date, numbers in sorted(job.days.items())}
    found = on_record(job.document, days.values(), job.judged)
    lacking = [each for each, count in (found or {}).items() if not count and job.status == BacktestStatus.DONE]
    return views.Backtest(
        **shown,
        source=job.source,
        time_zone=job.time_zone,
        days=[views.BacktestDay(date=date, **day.to_json()) for date, day in days.items()],
        on_record=None
        if found is None
        else [views.OnRecord(subject=on, decisions=count) for on, count in found.items()],
        warnings=[unknown(each, job.judged, job.subjects, job.names) for each in lacking],
    )


async def _backtests_shown(
    session: AsyncSession, principal: Principal, jobs: Sequence[BacktestJob]
) -> list[dict[str, Any]]:
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in jobs if one.project_id})
    people = await _people(session, [one.created_by for one in jobs])
    return [
        {
            "id": one.id,
            "project": slugs[one.project_id] if one.project_id else None,
            "policy_id": one.policy_id,
            "policy_name": one.policy_name,
            "status": BacktestStatus(one.status),
            "cancel_requested": one.cancel_requested,
            "since": one.since,
            "until": one.until,
            "subjects": one.subjects,
            "names": one.names,
            "total": one.total,
            "judged": one.judged,
            "counts": {Change(change): count for change, count in one.counts.items()},
            "lacking": one.lacking,
            "flips_listed": one.listed,
            "error": one.error,
            "created_by": _person(one.created_by, people),
            "created_at": one.created_at,
            "started_at": one.started_at,
            "finished_at": one.finished_at,
        }
        for one in jobs
    ]


async def flip_views(session: AsyncSession, principal: Principal, flips: Sequence[BacktestFlip]) -> list[views.Flip]:
    """Return decisions that would have been others."""
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in flips})
    return [
        views.Flip(
            id=one.id,
            project=slugs[one.project_id],
            decision_id=one.decision_id,
            run_id=one.run_id,
            at=one.at,
            subject=Subject(one.subject),
            name=one.name,
            change=Change(one.change),
            was=RuleEffect(one.was),
            old_rule=one.old_rule,
            new_policy=one.new_policy,
            new_rule=one.new_rule,
            reason=one.reason,
            cost_micros=one.cost_micros,
        )
        for one in flips
    ]
