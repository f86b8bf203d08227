"""What rules and budgets say about runs that are asked for: whether one may begin, and whether its output may be
handed out.

Rules come to this floor through `Engine.policies`. Where they or budgets ask for the consent of people the run is
accepted, and waits for it: `engine/clearance.py` looks at it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from sparkops.core.durations import parse_duration
from sparkops.core.errors import Forbidden
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest, dumps, loads
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import DEFAULT_EXPIRES
from sparkops.engine.context import Engine, Judge, call
from sparkops.engine.facts import OfNewRun, read_facts
from sparkops.engine.room import Counted, Way, refuse, under_budgets, ways_of

TRIES: Final = 5
"""Rules that change faster than a run can be judged are a mistake."""
ASKS: Final = "require_approval"
APPROVAL_SECONDS: Final = parse_duration(DEFAULT_EXPIRES).total_seconds()
"""For how long a question is open where no rule says so."""
_TITLES: Final = {"run": "May a run of {workflow} begin?", "output": "May the output of {workflow} be handed out?"}
_UNDECIDED: Final[Mapping[str, Json]] = {"status": "pending", "output": None, "error": None, "labels": []}
_NUMBER = "SELECT version FROM workflow_versions WHERE id = $1"


class DeniedByPolicy(Forbidden):
    """The rules do not let this run begin; the decision is on record."""

    code, title = "denied-by-policy", "The rules do not allow this run"


class RulesChanged(Exception):
    """The rules are others than those under which a run was judged, or a budget asks that did not: judge again."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is to be accepted. `values`: its input, plain. `parent_run_id`: the run whose step starts it.

    `stamp`: how often the rules have changed, as far as the caller has read; older ones do not count. `forecast`: there
    are budgets that look at what it can be expected to cost.
    """

    workflow: str
    values: Mapping[str, Json]
    stamp: int = 0
    parent_run_id: UUID | None = None
    forecast: bool = False


async def judge_run(engine: Engine, document: Mapping[str, Any], new: NewRun) -> Mapping[str, Any]:
    """Return the document with what rules and budgets say about the run, for `engine.accept`; as it is where nothing
    is to be said.

    A run that ends as it begins is also judged by its output, and fails where that may not be handed out. Where people
    have to be asked first, nothing of it has been decided when it is written, or it has not ended.

    Raises:
        DeniedByPolicy: the run may not begin; the decision has been written.
        OverBudget: a budget refuses it; nothing has been written.
        RulesChanged: they have changed meanwhile.
    """
    if engine.policies is None:
        return document
    run = document["run"]
    rules = await engine.policies.get(UUID(run["project_id"]), new.stamp)
    decisions: list[Mapping[str, Any]] = []
    ways = await _ways(engine, document, new)
    if ways or rules.judges(Subject.RUN_CREATE):
        decision = await _of_run(engine, rules, document, new)
        if decision["outcome"] == "deny":
            await _refuse(engine, document, rules, decision)
        refuse(ways)
        decision = under_budgets(decision, ways)
        if decision["outcome"] == ASKS:
            return await _held(engine, document, rules, new, decision)
        if decision.pop("waits", False):
            document = {**document, "waits": True}
        if rules.judges(Subject.RUN_CREATE):
            decisions.append(decision)
    finish = document.get("finish")
    if finish is not None and finish["status"] == "succeeded" and rules.judges(Subject.OUTPUT):
        decision = await _of_first_output(engine, rules, document, new)
        if decision["outcome"] == ASKS:
            document, finish = _unended(document), None
        else:
            decisions.append(decision)
            finish = {**finish, **_failed(decision)} if decision["outcome"] == "deny" else finish
    if not decisions:
        return document
    ends = {} if finish is None else {"finish": finish}
    return {**document, **ends, "policy_version": rules.version, "decisions": decisions}


async def _ways(engine: Engine, document: Mapping[str, Any], new: NewRun) -> list[Way]:
    """Return the budgets that are in the way. What belongs to another run belongs to the budgets of that."""
    run = document["run"]
    if new.parent_run_id is not None:
        return []
    user, key = run["created_by"], run["created_by_key"]
    counted = Counted(
        UUID(run["project_id"]),
        UUID(run["workflow_id"]),
        UUID(run["workflow_version_id"]),
        UUID(user) if user else None,
        UUID(key) if key else None,
    )
    return await ways_of(engine.database.pool, counted, runs="budgeted" in document, forecast=new.forecast)


async def _held(
    engine: Engine, document: Mapping[str, Any], rules: Judge, new: NewRun, decision: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the document of a run that people have to let begin: nothing of it has been decided yet."""
    run = document["run"]
    version = await engine.database.pool.fetchval(_NUMBER, UUID(run["workflow_version_id"]))
    asked = beginning(new.workflow, version, new.values, document["limit_micros"])
    stored = await engine.payloads.store(UUID(run["project_id"]), asked)
    consent = {**question("run", new.workflow, asked, rules, decision), "request": stored.text}
    held = {key: value for key, value in document.items() if key not in ("finish", "skipped")}
    steps = [step if "copied_from" in step else {**step, **_UNDECIDED} for step in document["steps"]]
    return {**held, "steps": steps, "skipped": {}, "policy_version": rules.version, "consent": consent}


def _unended(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document of a run that ends as it begins, without its end: that is for who advances it."""
    return {**{key: value for key, value in document.items() if key != "finish"}, "unended": True}


def beginning(workflow: str, version: int, values: Mapping[str, Json], limit_micros: int) -> dict[str, Json]:
    """Return what people are asked about who let a run begin."""
    return {"workflow": workflow, "version": version, "input": dict(values), "limit_micros": limit_micros}


def question(
    kind: Literal["run", "output"],
    workflow: str,
    asked: Mapping[str, Json],
    rules: Judge,
    decision: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what `engine.judge_run` takes, but for the `request` as a row keeps it, where people are to be asked."""
    return {
        "kind": kind,
        "policy_version": rules.version,
        "title": _TITLES[kind].format(workflow=workflow),
        "approval_id": str(new_id()),
        "approval_seconds": APPROVAL_SECONDS,
        **decision,
        "request_hash": digest(dict(asked)),
    }


async def _of_run(engine: Engine, rules: Judge, document: Mapping[str, Any], new: NewRun) -> dict[str, Any]:
    run = document["run"]
    known = {**_known(new.workflow, document), "input": dict(new.values)}
    return await _judged(engine, rules, Subject.RUN_CREATE, run, new, known, digest([new.workflow, dict(new.values)]))


async def _of_first_output(engine: Engine, rules: Judge, document: Mapping[str, Any], new: NewRun) -> dict[str, Any]:
    run, finish = document["run"], document["finish"]
    output = await engine.payloads.load(UUID(run["project_id"]), loads(dumps(finish["output"])))
    known = {**_known(new.workflow, document), **_AT_FIRST, "labels": finish.get("labels", []), "output": output}
    return await _judged(engine, rules, Subject.OUTPUT, run, new, known, digest(output))


_AT_FIRST: Final[Mapping[str, Json]] = {
    "agent.version": 0,
    "run.cost_micros": 0,
    "run.held_micros": 0,
    "run.tokens": 0,
    "run.calls": 0,
    "history.tools": {},
    "history.labels": [],
}


def _known(workflow: str, document: Mapping[str, Any]) -> dict[str, Json]:
    run = document["run"]
    return {
        "workflow.name": workflow,
        "trigger": run["trigger"],
        "labels": list(run.get("labels", ())),
        "run.limit_micros": document["limit_micros"],
    }


async def _judged(
    engine: Engine,
    rules: Judge,
    subject: Subject,
    run: Mapping[str, Any],
    new: NewRun,
    known: dict[str, Json],
    request_hash: str,
) -> dict[str, Any]:
    wanted = rules.to_read(subject, known) - known.keys()
    if wanted:
        user, key = run["created_by"], run.get("created_by_key")
        about = OfNewRun(
            UUID(run["project_id"]),
            UUID(user) if user else None,
            UUID(key) if key else None,
            UUID(run["workflow_version_id"]),
            run["trigger"],
            new.parent_run_id,
        )
        known.update(await read_facts(engine.database.pool, about, wanted))
    return {**rules.judge(subject, new.workflow, known), "request_hash": request_hash}


async def _refuse(engine: Engine, document: Mapping[str, Any], rules: Judge, decision: Mapping[str, Any]) -> None:
    run = document["run"]
    refused = {
        "run_id": run["id"],
        "project_id": run["project_id"],
        "actor": document["actor"],
        "policy_version": rules.version,
        **decision,
    }
    if not await call(engine.database.pool, "refuse_run", refused):
        raise RulesChanged
    reason = decision["reason"] or "The rules of the project do not allow it."
    raise DeniedByPolicy(reason, rule=decision["rule"], severity=decision["severity"])


def _failed(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": "failed", "output": None, "error": output_denied(decision)}


def output_denied(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error of a run whose output may not be handed out."""
    message = decision["reason"] or "The rules do not allow this output."
    return {"code": "output-denied", "message": message, "rule": decision["rule"]}
