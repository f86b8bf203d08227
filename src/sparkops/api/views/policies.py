"""Policies with their versions, decisions, violations and backtests."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, JsonValue, model_validator

from sparkops.api.views.base import Body, Instant, ProblemError, Ref, Slug, VersionNumber, View
from sparkops.api.views.catalogue import JsonObject, Source
from sparkops.domains.policies.backtest import Change
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import Mode, RuleEffect, Severity
from sparkops.domains.policies.state import BacktestStatus, ViolationStatus

Note = Annotated[str, Field(min_length=1, max_length=2_000)]
_AS_WRITTEN = Body.model_config | {"str_strip_whitespace": False}


class CaseResult(View):
    """What became of one test of a policy; `problem` null: it is as expected."""

    name: str
    on: Subject
    expect: RuleEffect
    outcome: RuleEffect
    rule: str | None
    problem: str | None


class RuleCoverage(View):
    """The tests in which a rule matched; none: no test reaches it."""

    rule: str
    tests: list[str]


class CaseReport(View):
    """The tests of a policy, run."""

    passed: int
    failed: int
    results: list[CaseResult]
    coverage: list[RuleCoverage]
    """Of every rule that is not off."""


class PolicySummary(View):
    """A policy as lists show it. What its text says is that of the version in force, or of the latest if none is."""

    id: UUID
    project: str | None
    """null: it is of the installation and holds for every project."""
    name: str
    description: str | None
    mode: Mode
    rules_total: int
    tests_total: int
    active_version: int | None
    """null: nothing is judged by it."""
    latest_version: int
    held_24h: int
    """Decisions of the last day, in the project that was asked for, that it held for approval."""
    denied_24h: int
    created_at: datetime
    updated_at: datetime


class PolicyList(View):
    items: list[PolicySummary]
    next_cursor: str | None


class RuleOutline(View):
    """One rule of a policy, in the order in which they are asked."""

    name: str
    description: str | None
    on: list[Subject]
    scope: dict[str, list[str]]
    """The names that it is about, by kind: agents, workflows, tools, capabilities, models."""
    when: str | None
    effect: RuleEffect
    reason: str | None
    severity: Severity
    mode: Mode
    approval: JsonObject | None


class PolicyVersion(View):
    """One frozen text of a policy."""

    version: int
    source: str
    document: JsonObject
    rules: list[RuleOutline]
    tests_total: int
    created_by: Ref | None
    created_at: datetime


class PolicyVersionSummary(View):
    version: int
    rules_total: int
    tests_total: int
    created_by: Ref | None
    created_at: datetime


class PolicyVersionList(View):
    items: list[PolicyVersionSummary]
    next_cursor: str | None


class PolicyDetail(PolicySummary):
    """A policy with its latest version."""

    latest: PolicyVersion


class SavedPolicy(View):
    """What was saved, and what its tests say; they have to pass before it is published."""

    policy: PolicyDetail
    version: PolicyVersion
    tests: CaseReport


class RuleChange(View):
    """What became of a rule between two versions; `moved`: it is asked at another place."""

    rule: str
    kind: Literal["added", "removed", "changed", "moved"]
    keys: list[str]
    """Of a changed rule, what is different in it."""


class PolicyChanges(View):
    """What a version says that another one did not. The texts of both are there to be compared line by line."""

    since: int
    version: int
    whole: list[str]
    """What is different outside of rules and tests: mode, description."""
    rules: list[RuleChange]
    tests: list[RuleChange]


class NewPolicyText(Body):
    """A policy as YAML or JSON text; the name comes from it. `project` null: of the installation."""

    project: Slug | None
    source: Source

    model_config = _AS_WRITTEN


class NewPolicyVersion(Body):
    source: Source

    model_config = _AS_WRITTEN


class PolicyVerdict(View):
    """Whether a text would be accepted; if so, what its tests say, if not, everything that is wrong with it."""

    valid: bool
    errors: list[ProblemError]
    tests: CaseReport | None


class Publish(Body):
    """Which version to put in force, why, and the backtest that was looked at before."""

    version: VersionNumber
    note: Note | None = None
    backtest_id: UUID | None = None


class Withdraw(Body):
    note: Note | None = None


class Publication(View):
    """Somebody put a version in force; `version` null: withdrew the policy."""

    id: UUID
    version: int | None
    note: str | None
    backtest_id: UUID | None
    published_by: Ref | None
    at: datetime


class PublicationList(View):
    items: list[Publication]
    next_cursor: str | None


class FactView(View):
    """One thing that conditions may ask for."""

    name: str
    type: str
    about: str
    subjects: list[Subject]
    optional: bool
    """It does not apply everywhere, and is empty there."""


class PolicyFacts(View):
    """What rules may ask about, subject by subject, for editors."""

    subjects: list[Subject]
    facts: list[FactView]
    history: list[FactView]
    """How conditions ask for what has happened earlier in the run."""


class PolicyRef(View):
    """The version of a policy whose rule decided."""

    id: UUID
    name: str
    version: int


class Finding(View):
    """What a rule in mode monitor would have decided."""

    policy: PolicyRef | None
    rule: str
    effect: RuleEffect
    reason: str | None
    severity: Severity


class RecordedDecision(View):
    """What was decided on one thing. `policy` and `rule` null: no rule matched, the default held."""

    id: UUID
    at: datetime
    run_id: UUID
    step_id: UUID | None
    step_key: str | None
    call_id: UUID | None
    subject: Subject
    name: str | None
    """The tool, or the model."""
    outcome: RuleEffect
    policy: PolicyRef | None
    rule: str | None
    reason: str | None
    severity: Severity | None
    monitored: list[Finding]
    duration_us: int | None


class RecordedDecisionList(View):
    items: list[RecordedDecision]
    next_cursor: str | None


class DecisionDetail(RecordedDecision):
    """A decision with the facts that it was taken on; arguments, input and output are as they were recorded."""

    run_exists: bool
    """False: the run was refused at its beginning, so there is none of this id."""
    facts: JsonObject
    facts_digest: str | None
    """Of all facts that were known when it was taken: also of arguments, input and output, which are kept elsewhere."""
    request_hash: str
    rules_version: int
    """Counts every change of what held in the project."""
    case: JsonObject
    """The decision as a test, ready to stand among the `tests` of a policy."""
    case_source: str
    """The same as YAML."""


class DecisionToday(View):
    """What the rules of today say to the facts of a decision of the past.

    `outcome` null: that depends on facts that were not recorded, which are `lacking`.
    """

    outcome: RuleEffect | None
    policy: PolicyRef | None
    rule: str | None
    reason: str | None
    lacking: list[str]
    same: bool
    """The outcome is that of then."""


class Violation(View):
    """A rule was broken. `monitored`: it was not stopped, the rule is in mode monitor."""

    id: UUID
    at: datetime
    run_id: UUID
    step_id: UUID | None
    step_key: str | None
    decision_id: UUID
    policy: PolicyRef | None
    rule: str | None
    severity: Severity
    monitored: bool
    subject: Subject
    name: str | None
    reason: str | None
    status: ViolationStatus
    changed_by: Ref | None
    changed_at: datetime | None
    overdue_at: datetime | None
    """When it had been open for longer than its severity allows; null: it has not, or was opened again since."""


class ViolationList(View):
    items: list[Violation]
    next_cursor: str | None


class ViolationNote(View):
    """What somebody said about a violation, and what it was set to; null: it was left."""

    id: UUID
    author: Ref | None
    text: str | None
    status: ViolationStatus | None
    at: datetime


class ViolationDetail(Violation):
    notes: list[ViolationNote]


class AnswerViolation(Body):
    """What to say about a violation, or what to set it to, or both."""

    text: Note | None = None
    status: ViolationStatus | None = None


Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=50)]


class NewBacktest(Body):
    """A draft to ask what it would have said: a text, or (`source` null) a version of the policy.

    `policy_id` is the policy that the draft is of, in whose place it is judged; null: it is new. At most a year is
    looked at, and in it the newest million decisions. `project` null: over all projects, for administrators of the
    installation and drafts of its policies.
    """

    project: Slug | None
    policy_id: UUID | None = None
    version: VersionNumber | None = None
    source: Source | None = None
    since: Instant
    until: Instant | None = None
    """null: now."""
    subjects: Annotated[list[Subject], Field(min_length=1)] | None = None
    names: Names | None = None
    """Only decisions about these tools and models."""

    model_config = _AS_WRITTEN

    @model_validator(mode="after")
    def _has_a_draft(self) -> Self:
        if (self.source is None) == (self.version is None) or (self.version is not None and self.policy_id is None):
            raise ValueError("give either `source`, or `policy_id` and `version`")
        return self


class BacktestDay(View):
    """What the decisions of one day came to, and would have come to; money in micros.

    `denied_micros`, `held_micros`: what the calls cost that would have been denied, or would have waited for a person.
    `allowed_micros`: what those may have cost at most that were stopped and would have been allowed.
    """

    date: str
    decisions: int
    approvals: int
    approvals_then: int
    denials: int
    denials_then: int
    denied_micros: int
    held_micros: int
    allowed_micros: int
    subjects: dict[Subject, int]
    """How many decisions there were on each; empty where a release of before judged, which did not tell them apart."""


class OnRecord(View):
    """How many decisions there were to judge on a subject that rules of the draft are on, those in mode enforce."""

    subject: Subject
    decisions: int


class BacktestSummary(View):
    """A backtest. `total` null: not counted yet, or too many to count; `counts` by what would have become of them."""

    id: UUID
    project: str | None
    """null: it is over all projects."""
    policy_id: UUID | None
    policy_name: str
    status: BacktestStatus
    cancel_requested: bool
    since: datetime
    until: datetime
    subjects: list[Subject] | None
    names: list[str] | None
    total: int | None
    judged: int
    counts: dict[Change, int]
    lacking: dict[str, int]
    """Facts that were not recorded, with how many decisions depend on each."""
    flips_listed: int
    error: dict[str, JsonValue] | None
    created_by: Ref | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Backtest(BacktestSummary):
    """A backtest with its draft and its days, oldest first."""

    source: str
    time_zone: str
    days: list[BacktestDay]
    on_record: list[OnRecord] | None
    """Of each subject that rules of the draft are on; null: judged by a release that did not tell subjects apart."""
    warnings: list[str]
    """What the numbers do not tell, in words: of which subjects nothing was on record. Empty until it is done."""


class BacktestList(View):
    items: list[BacktestSummary]
    next_cursor: str | None


class Flip(View):
    """A decision that would have been another, with both rules; null: the default."""

    id: UUID
    project: str
    decision_id: UUID
    run_id: UUID
    at: datetime
    subject: Subject
    name: str | None
    change: Change
    was: RuleEffect
    old_rule: str | None
    new_policy: str | None
    new_rule: str | None
    reason: str | None
    cost_micros: int


class FlipList(View):
    items: list[Flip]
    next_cursor: str | None
