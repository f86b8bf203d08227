"""What other policies would have said to decisions of the past: pure, one decision at a time, in bounded memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from sparkops.core.json import Json
from sparkops.domains.policies.checks import BUDGET_RULE
from sparkops.domains.policies.evaluate import Decision, PolicySet, RuleRef
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import Mode, RuleEffect

MAX_DECISIONS: Final = 1_000_000
"""The newest so many of the window are judged."""
MAX_FLIPS: Final = 1_000
"""How many flips a backtest lists; it counts all."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision of the past, with the facts that were written down; `rule` None: the default held."""

    id: str
    subject: Subject
    facts: Mapping[str, Json]
    outcome: RuleEffect
    rule: str | None


class Change(StrEnum):
    """What the other policies mean for a decision."""

    STAYS = "stays"
    DENIED = "newly_denied"
    HELD = "newly_held"
    ALLOWED = "newly_allowed"
    UNDECIDABLE = "undecidable"
    """It depends on facts that were not recorded."""


_CHANGES: Final = {
    RuleEffect.DENY: Change.DENIED,
    RuleEffect.REQUIRE_APPROVAL: Change.HELD,
    RuleEffect.ALLOW: Change.ALLOWED,
}
_OUTCOMES: Final = {change: outcome for outcome, change in _CHANGES.items()}


@dataclass(frozen=True, slots=True)
class Flip:
    """A decision that would have been another."""

    id: str
    subject: Subject
    change: Change
    was: RuleEffect
    old_rule: str | None
    new_rule: RuleRef | None
    reason: str | None


@dataclass(slots=True)
class Day:
    """What the decisions of one day came to, and what they would have come to; money in micros.

    `denied_micros` and `held_micros`: what the calls cost that would have been denied, or would have waited for a
    person. `allowed_micros`: what those may have cost at most that were stopped and would have been allowed.
    """

    decisions: int = 0
    approvals: int = 0
    approvals_then: int = 0
    denials: int = 0
    denials_then: int = 0
    denied_micros: int = 0
    held_micros: int = 0
    allowed_micros: int = 0
    subjects: dict[str, int] = field(default_factory=dict)
    """How many decisions there were on each; releases of before did not tell them apart."""

    def add(self, subject: Subject, was: RuleEffect, change: Change) -> None:
        """Count one decision."""
        then = _OUTCOMES.get(change, was)
        self.decisions += 1
        self.subjects[str(subject)] = self.subjects.get(str(subject), 0) + 1
        self.approvals += was is RuleEffect.REQUIRE_APPROVAL
        self.approvals_then += then is RuleEffect.REQUIRE_APPROVAL
        self.denials += was is RuleEffect.DENY
        self.denials_then += then is RuleEffect.DENY

    def charge(self, change: Change, cost_micros: int, bound_micros: int) -> None:
        """Add the money of a flip that was counted: what its call cost, and what it could cost at most."""
        if change is Change.DENIED:
            self.denied_micros += cost_micros
        elif change is Change.HELD:
            self.held_micros += cost_micros
        elif change is Change.ALLOWED:
            self.allowed_micros += bound_micros

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as the job's row keeps it."""
        return asdict(self)


@dataclass(slots=True)
class Backtest:
    """What has been judged so far: a count for each change, the first flips, and which facts were lacking how often."""

    counts: Counter[Change] = field(default_factory=Counter)
    flips: list[Flip] = field(default_factory=list)
    lacking: Counter[str] = field(default_factory=Counter)

    @property
    def judged(self) -> int:
        """How many decisions were looked at."""
        return self.counts.total()

    def add(self, recorded: Recorded, policies: PolicySet) -> Change:
        """Judge one decision of the past by these policies."""
        decision = policies.decide(recorded.subject, recorded.facts)
        change = _change(recorded, decision)
        self.counts[change] += 1
        if change is Change.UNDECIDABLE:
            self.lacking.update({name for failure in decision.failed for name in failure.missing})
        elif change is not Change.STAYS and len(self.flips) < MAX_FLIPS:
            self.flips.append(
                Flip(
                    recorded.id,
                    recorded.subject,
                    change,
                    recorded.outcome,
                    recorded.rule,
                    decision.rule,
                    decision.reason,
                )
            )
        return change


def backtest(decisions: Iterable[Recorded], policies: PolicySet) -> Backtest:
    """Judge decisions of the past by these policies; the iterator is read once and nothing of it is kept but flips."""
    found = Backtest()
    for recorded in decisions:
        found.add(recorded, policies)
    return found


def on_record(document: Mapping[str, Any], days: Iterable[Day], judged: int) -> dict[Subject, int] | None:
    """Return how many of the `judged` decisions were on each subject that rules in force of a draft are on.

    `document`: the draft's. None: not known, because a release judged that did not tell subjects apart.
    """
    whole = document.get("mode", Mode.ENFORCE)
    deciding = [rule for rule in document["rules"] if rule.get("mode", whole) == Mode.ENFORCE]
    counted = Counter[str]()
    for day in days:
        counted.update(day.subjects)
    if counted.total() != judged:
        return None
    return {subject: counted[subject] for subject in Subject if any(subject in rule["on"] for rule in deciding)}


def unknown(subject: Subject, judged: int, subjects: Collection[str] | None, names: Collection[str] | None) -> str:
    """Say in words that nothing was judged on this subject, which a backtest of these `subjects` and `names` has ended
    without; None: of all. `judged`: how many decisions were."""
    if subjects is not None and subject not in subjects:
        found = f"Decisions about {subject} were not looked at"
    elif judged >= MAX_DECISIONS:
        found = f"Nothing about {subject} is among the newest {MAX_DECISIONS:,} decisions of this time"
    else:
        of = "" if names is None else " of these names"
        found = f"Nothing on record about {subject}{of} in this time"
    return f"{found}: what these rules would have done is not known."


def _change(recorded: Recorded, decision: Decision) -> Change:
    if _unsure(decision):
        return Change.UNDECIDABLE
    if recorded.outcome is RuleEffect.DENY and recorded.rule == BUDGET_RULE:
        # The policies had allowed it. The money would be lacking again, unless somebody is asked before.
        return Change.HELD if decision.outcome is RuleEffect.REQUIRE_APPROVAL else Change.STAYS
    return Change.STAYS if decision.outcome is recorded.outcome else _CHANGES[decision.outcome]


def _unsure(decision: Decision) -> bool:
    """Say whether the outcome rests on a rule that lacked facts; a rule that denies by itself makes it certain."""
    return any(failure.missing and failure.enforced and failure.rule == decision.rule for failure in decision.failed)
