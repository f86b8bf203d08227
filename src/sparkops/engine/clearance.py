"""T_CLEAR: the rules are asked whether a run goes on, and where they ask people, their answer counts.

It waits for that twice at most: before anything of it is done, and with its output, when all of it is done. Both times
it is judged again by the rules of the moment in which it goes on, under the lock of the run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sparkops.core.errors import Unavailable
from sparkops.core.json import Json, digest
from sparkops.core.payloads import Desk, ValueLost, ValueTooLarge
from sparkops.domains.policies.facts import Subject
from sparkops.engine.context import Connection, Engine, Judge, call
from sparkops.engine.facts import OfNewRun, OfRun, read_facts
from sparkops.engine.judging import ASKS, beginning, output_denied, question
from sparkops.engine.room import Counted, Way, under_budgets, ways_of

_RUN = """
SELECT r.project_id, r.workflow_id, r.workflow_version_id, r.trigger, r.labels, r.created_by, r.created_by_key,
       r.parent_run_id, r.source_run_id, r.input, w.name AS workflow, v.version, b.limit_micros
  FROM runs r JOIN workflows w ON w.id = r.workflow_id JOIN workflow_versions v ON v.id = r.workflow_version_id
  JOIN budgets b ON b.scope_id = r.id AND b.definition_id IS NULL
 WHERE r.id = $1
"""
_OUTPUT: Final[Mapping[str, tuple[str, str]]] = {
    "rejected": ("output-rejected", "A person rejected that the output is handed out"),
    "withdrawn": ("output-rejected", "The question whether the output may be handed out was withdrawn"),
    "expired": ("approval-expired", "Nobody approved in time that the output is handed out"),
}


async def clear(engine: Engine, on: Connection, run_id: UUID, desk: Desk) -> Mapping[str, Any]:
    """Let a run begin that waits for that, deny it, or let it wait on: as people, rules and budgets say now.

    In a transaction whose caller holds the lock of the run. Returns what `engine.clear_run` does. A run whose input
    cannot be read any more is denied, and says so: nobody can judge it.

    Raises:
        Unavailable: this process knows no rules; another one clears the run.
        OverBudget: a budget has less room, or asks, since it was looked at; roll back, and clear the run again.
        NotAtHand: large values are needed first: roll back, let the desk provide them, try again.
    """
    run = await on.fetchrow(_RUN, run_id)
    rules = await _rules(engine, on, run["project_id"])
    try:
        judged = await _beginning(on, run, rules, desk)
    except (ValueLost, ValueTooLarge) as lost:
        asked: dict[str, Json] = {"workflow": run["workflow"], "input": run["input"]}
        judged = question("run", run["workflow"], asked, rules, _unreadable(Subject.RUN_CREATE, run["workflow"], lost))
    answer: Mapping[str, Any] = await call(on, "clear_run", run_id, judged)
    return answer


async def _beginning(on: Connection, run: Mapping[str, Any], rules: Judge, desk: Desk) -> dict[str, Any]:
    """Return what `engine.clear_run` takes about a run that is to begin. Writes nothing.

    Raises:
        NotAtHand: as for `clear`.
        ValueLost, ValueTooLarge: the input cannot be read, or not be shown.
    """
    values = desk.load(run["input"]) or {}
    assert isinstance(values, dict), "an input is a map"
    known: dict[str, Json] = {
        "workflow.name": run["workflow"],
        "trigger": run["trigger"],
        "labels": list(run["labels"]),
        "run.limit_micros": run["limit_micros"],
        "input": values,
    }
    about = OfNewRun(
        run["project_id"],
        run["created_by"],
        run["created_by_key"],
        run["workflow_version_id"],
        run["trigger"],
        run["parent_run_id"],
    )
    decision = await _decided(on, rules, Subject.RUN_CREATE, run["workflow"], known, about)
    asked = beginning(run["workflow"], run["version"], values, run["limit_micros"])
    judged = question("run", run["workflow"], asked, rules, under_budgets(decision, await _ways(on, run)))
    return _written(judged, asked, desk)


async def _ways(on: Connection, run: Mapping[str, Any]) -> list[Way]:
    if run["parent_run_id"] is not None:
        return []
    counted = Counted(
        run["project_id"], run["workflow_id"], run["workflow_version_id"], run["created_by"], run["created_by_key"]
    )
    return await ways_of(on, counted, runs=True, forecast=run["source_run_id"] is None)


async def judge_output(
    engine: Engine,
    on: Connection,
    run: Mapping[str, Any],
    workflow: str,
    output: Json,
    labels: Sequence[str],
    desk: Desk,
) -> Mapping[str, Any]:
    """Return {status}: whether the output of a run may be handed out: `allowed`, `pending` while people are asked, else
    with the `error` with which the run ends; and the `events` of it.

    In the transaction that ends the run, whose lock the caller holds; the decision is written. `output` is stored; one
    that cannot be read is not handed out. `run` says by `waits` whether people have been asked already.

    Raises:
        Unavailable: this process knows no rules; another one ends the run.
        NotAtHand: as for `clear`.
    """
    rules = await _rules(engine, on, run["project_id"])
    if not (run["waits"] or rules.judges(Subject.OUTPUT)):
        return {"status": "allowed", "events": []}
    asked: dict[str, Json] = {"workflow": workflow, "output": output}
    try:
        asked["output"] = plain = desk.load(output)
        known: dict[str, Json] = {
            "workflow.name": workflow,
            "agent.version": 0,
            "labels": sorted(labels),
            "output": plain,
        }
        decision = await _decided(on, rules, Subject.OUTPUT, workflow, known, OfRun(run["id"]))
        judged = _written(question("output", workflow, asked, rules, decision), asked, desk)
    except (ValueLost, ValueTooLarge) as lost:
        decision = _unreadable(Subject.OUTPUT, workflow, lost)
        judged = question("output", workflow, asked, rules, decision)
    answer = await call(on, "judge_run", run["id"], judged)
    status = answer["status"]
    if status in _OUTPUT:
        code, words = _OUTPUT[status]
        message = f"{words}: {answer['comment']}" if answer["comment"] else f"{words}."
        return {**answer, "error": {"code": code, "message": message, "rule": decision["rule"]}}
    denied = output_denied(decision)
    return {**answer, "error": {**denied, "code": decision.get("code", denied["code"])} if status == "denied" else None}


def _written(judged: Mapping[str, Any], asked: Mapping[str, Json], desk: Desk) -> dict[str, Any]:
    return {**judged, "request": desk.store(dict(asked)).text} if judged["outcome"] == ASKS else dict(judged)


def _unreadable(subject: Subject, workflow: str, lost: ValueLost | ValueTooLarge) -> dict[str, Any]:
    """Return the decision about what nobody can read, and the `code` with which the run ends for it."""
    known: dict[str, Json] = {"workflow.name": workflow}
    return {
        "subject": subject,
        "name": workflow,
        "outcome": "deny",
        "policy_id": None,
        "rule_version": None,
        "rule": None,
        "severity": None,
        "reason": lost.detail,
        "facts": known,
        "facts_digest": digest(known),
        "monitored": [],
        "duration_us": 0,
        "code": lost.code,
    }


async def _rules(engine: Engine, on: Connection, project_id: UUID) -> Judge:
    if engine.policies is None:
        raise Unavailable("This process does not judge runs.")
    stamp = await on.fetchval("SELECT engine.policy_stamp($1)", project_id)
    return await engine.policies.get(project_id, stamp, on)


async def _decided(
    on: Connection, rules: Judge, subject: Subject, workflow: str, known: dict[str, Json], about: OfNewRun | OfRun
) -> dict[str, Any]:
    wanted = rules.to_read(subject, known) - known.keys()
    if wanted:
        known.update(await read_facts(on, about, wanted))
    return rules.judge(subject, workflow, known)
