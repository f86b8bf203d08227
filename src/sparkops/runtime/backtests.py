"""Judges the decisions of the past by a draft, page by page, in bounded memory. It takes all of a processor."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from sparkops.core.db import Database
from sparkops.core.errors import SparkOpsError
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.payloads import references
from sparkops.domains.policies.backtest import MAX_DECISIONS, Backtest, Change, Day, Flip, Recorded
from sparkops.domains.policies.decision_queries import id_at
from sparkops.domains.policies.document import Policy, read_policy
from sparkops.domains.policies.evaluate import PolicySet, Source
from sparkops.domains.policies.facts import Subject, time_facts
from sparkops.domains.policies.format import RuleEffect
from sparkops.domains.policies.state import BacktestStatus
from sparkops.engine import backtests as jobs
from sparkops.engine.backtests import MAX_LISTED, Progress, Taken, Window

log = structlog.get_logger()

PAGE = 2_000
"""How many decisions are read at once: a page is judged in a tenth of a second, and then somebody may cancel."""
_ELSEWHERE: Final = frozenset({"args", "input", "output"})
"""Facts that are kept with what a decision is about."""
_NAMED: Final = {Subject.TOOL_CALL: "tool.name", Subject.LLM_CALL: "model"}


@dataclass(slots=True)
class _State:
    """What has been found so far; plain numbers, and the last id."""

    judged: int = 0
    listed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    days: dict[str, Day] = field(default_factory=dict)
    after_id: UUID | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_State":
        """Return what the process before has recorded; nothing, if there was none."""
        days = {date: Day(**numbers) for date, numbers in row["days"].items()}
        return cls(row["judged"], row["listed"], Counter(row["counts"]), Counter(row["lacking"]), days, row["after_id"])

    def progress(self, total: int | None) -> Progress:
        days = {date: day.to_json() for date, day in self.days.items()}
        return Progress(total, self.judged, self.listed, self.counts, self.lacking, days, self.after_id)


def facts_then(row: Mapping[str, Any], project: str, zone: ZoneInfo | None) -> dict[str, Json]:
    """Return the facts that a decision's row tells; `zone` None: without those of the time."""
    facts: dict[str, Json] = {} if zone is None else time_facts(row["at"], zone)
    facts |= {"project": project, **row["facts"]}
    subject = Subject(row["subject"])
    if subject in _NAMED and row["name"] is not None:
        facts[_NAMED[subject]] = row["name"]
    return facts


def elsewhere(row: Mapping[str, Any]) -> dict[str, Json]:
    """Return the arguments of a `request`, an `input` or an `output`, unless object storage holds a part of them."""
    facts: dict[str, Json] = {}
    request = row.get("request")
    if isinstance(request, dict) and not references(request):
        arguments = request.get("arguments")
        if isinstance(arguments, dict):
            facts["args"] = arguments
    for fact in ("input", "output"):
        if row.get(fact) is not None and not references(row[fact]):
            facts[fact] = row[fact]
    return facts


class _Judge:
    """The policies of one project, compiled, and what else its decisions are judged by."""

    def __init__(self, place: Mapping[str, Any], sources: Sequence[Source]):
        self.policies = PolicySet(sources, RuleEffect(place["default_effect"]))
        self.asked = frozenset(fact for source in sources for fact in _asked(source.policy))
        self._asks_time = any(fact.startswith("time.") for fact in self.asked)
        self._zone = ZoneInfo(place["time_zone"])
        self._project: str = place["slug"]

    def recorded(self, row: Mapping[str, Any]) -> Recorded:
        """Return a decision with all facts that are still known of it."""
        subject = Subject(row["subject"])
        facts = facts_then(row, self._project, self._zone if self._asks_time else None) | elsewhere(row)
        return Recorded(str(row["id"]), subject, facts, RuleEffect(row["outcome"]), row["rule"])


class _Judges:
    """The judge of each project that one backtest looks at, the names of all their policies, and the zone of its days.

    Over all projects each has policies beside the draft, a default and a zone of its own.
    """

    def __init__(self, row: Mapping[str, Any], judges: Mapping[UUID, _Judge], names: Mapping[str, str]):
        self.of = judges
        self.names = names
        self.wanted = frozenset(fact for judge in judges.values() for fact in judge.asked) & _ELSEWHERE
        self.window = Window(
            row["project_id"] if row["project_id"] in judges else list(judges),
            id_at(row["since"]),
            id_at(row["until"]),
            row["subjects"],
            row["names"],
        )
        self._zone = ZoneInfo(row["time_zone"])

    def date(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).date().isoformat()


async def run_backtest(database: Database, taken: Taken, *, stopping: Callable[[], bool]) -> None:
    """Judge until all is judged, somebody cancels, or `stopping` says so: then it is given back.

    The row says afterwards what became of it; a draft that cannot be read any more makes it fail.
    """
    try:
        judges = await _judges(database, taken.row)
    except SparkOpsError as error:
        await jobs.end_backtest(
            database, taken, BacktestStatus.FAILED, {"code": error.code, "message": error.detail[:500]}
        )
        return
    state = _State.of(taken.row)
    total = None if taken.row["total"] is not None else await _total(database, judges.window)
    page = await _read(database, judges, state)
    while True:
        # The database looks for the next page while this one is judged.
        reading = asyncio.create_task(_read_after(database, judges, state, page))
        await asyncio.sleep(0)
        flips = await _judge_page(database, judges, state, page)
        cancelled = await jobs.record_progress(database, taken, state.progress(total), flips)
        page = await reading
        if cancelled is None:
            return
        if cancelled:
            await jobs.end_backtest(database, taken, BacktestStatus.CANCELLED)
            return
        if not page:
            await jobs.end_backtest(database, taken, BacktestStatus.DONE)
            return
        if stopping():
            await jobs.release_backtest(database, taken)
            return


async def _total(database: Database, window: Window) -> int | None:
    try:
        return await jobs.count_decisions(database, window)
    except (asyncpg.QueryCanceledError, TimeoutError):
        return None


async def _read(database: Database, judges: _Judges, state: _State) -> Sequence[Mapping[str, Any]]:
    limit = min(PAGE, MAX_DECISIONS - state.judged)
    if limit <= 0:
        return []
    return await jobs.decisions_page(database, judges.window, below=state.after_id, limit=limit, wanted=judges.wanted)


async def _read_after(
    database: Database, judges: _Judges, state: _State, page: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    if len(page) < PAGE:
        return []
    return await _read(database, judges, _State(state.judged + len(page), after_id=page[-1]["id"]))


async def _judge_page(
    database: Database, judges: _Judges, state: _State, page: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Judge a page into the state, with the money of every flip; return the rows of those there is still room for."""
    part = Backtest()
    changed: list[tuple[Mapping[str, Any], Change, Day]] = []
    for row in page:
        judge = judges.of[row["project_id"]]
        recorded = judge.recorded(row)
        change = part.add(recorded, judge.policies)
        day = state.days.setdefault(judges.date(row["at"]), Day())
        day.add(recorded.subject, recorded.outcome, change)
        if change not in (Change.STAYS, Change.UNDECIDABLE):
            changed.append((row, change, day))
    state.judged += part.judged
    state.counts.update({str(change): count for change, count in part.counts.items()})
    state.lacking.update(part.lacking)
    if page:
        state.after_id = page[-1]["id"]
    costs = await jobs.costs_of(database, [row["id"] for row, _, _ in changed]) if changed else {}
    for row, change, day in changed:
        day.charge(change, costs.get(row["id"], 0), row["facts"].get("call.bound_micros", 0))
    rows = {str(row["id"]): row for row, _, _ in changed}
    found = part.flips[: max(MAX_LISTED - state.listed, 0)]
    state.listed += len(found)
    return [_listed(flip, rows[flip.id], judges.names, costs.get(rows[flip.id]["id"], 0)) for flip in found]


def _listed(flip: Flip, row: Mapping[str, Any], names: Mapping[str, str], cost: int) -> dict[str, Any]:
    rule = flip.new_rule
    return {
        "id": str(new_id()),
        "decision_id": flip.id,
        "run_id": str(row["run_id"]),
        "subject": row["subject"],
        "name": row["name"],
        "at": row["at"],
        "change": flip.change,
        "was": flip.was,
        "old_rule": flip.old_rule,
        "new_policy": None if rule is None else names[rule.policy_id],
        "new_rule": None if rule is None else rule.rule,
        "reason": flip.reason,
        "cost_micros": cost,
    }


async def _judges(database: Database, row: Mapping[str, Any]) -> _Judges:
    """Compile the draft among the policies that were in force beside it, for each project.

    A project that is being deleted, whose policies are gone, has no judge.

    Raises:
        PolicyInvalid: a text cannot be read by this release.
    """
    draft = Source(str(row["id"]), 0, read_policy(row["document"]))
    names: dict[str, str] = {draft.policy_id: row["policy_name"]}
    read: dict[tuple[str, int], Source | None] = {}
    judges: dict[UUID, _Judge] = {}
    for place in row["places"] if row["project_id"] is None else [row]:
        sources = [draft if other is None else await _source(database, other, read) for other in place["beside"]]
        names |= {other["id"]: other["name"] for other in place["beside"] if other is not None}
        there = [source for source in sources if source is not None]
        if len(there) == len(sources):
            judges[UUID(str(place["project_id"]))] = _Judge(place, there)
    return _Judges(row, judges, names)


async def _source(
    database: Database, policy: Mapping[str, Any], read: dict[tuple[str, int], Source | None]
) -> Source | None:
    """Return a version of a policy, read once for all projects that it holds for; None: it is gone."""
    key = policy["id"], policy["version"]
    if key not in read:
        document = await jobs.document_of_version(database, UUID(policy["id"]), policy["version"])
        read[key] = None if document is None else Source(*key, read_policy(document))
    return read[key]


def _asked(policy: Policy) -> frozenset[str]:
    """Return the facts that the conditions of a policy ask for."""
    return frozenset(fact for rule in policy.rules if rule.condition is not None for fact in rule.condition.facts)
