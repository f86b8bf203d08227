"""What the rules say about runs: whether one may begin, and whether its output may be handed out.

Rules come to this floor through `Engine.policies`. Consent cannot be asked for here: a policy that wants it is refused
when it is saved, and where it holds all the same it denies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sparkops.core.errors import Forbidden, Unavailable
from sparkops.core.json import Json, digest, dumps, loads
from sparkops.domains.policies.facts import Subject
from sparkops.engine.context import Connection, Engine, Judge, call
from sparkops.engine.facts import OfNewRun, OfRun, read_facts

TRIES: Final = 5
"""Rules that change faster than a run can be judged are a mistake."""
_UNASKABLE: Final = "The rule {rule} asks for the consent of people, which cannot be asked for here."


class DeniedByPolicy(Forbidden):
    """The rules do not let this run begin; the decision is on record."""

    code, title = "denied-by-policy", "The rules do not allow this run"


class RulesChanged(Exception):
    """The rules are others than those under which a run was judged: judge again."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is to be accepted. `values`: its input, plain. `parent_run_id`: the run whose step starts it.

    `stamp`: how often the rules have changed, as far as the caller has read; older ones do not count.
    """

    workflow: str
    values: Mapping[str, Json]
    stamp: int = 0
    parent_run_id: UUID | None = None


async def judge_run(engine: Engine, document: Mapping[str, Any], new: NewRun) -> Mapping[str, Any]:
    """Return the document with what the rules say about the run, for `engine.accept`; as it is where none is on that.

    A run that ends as it begins is also judged by its output, and fails where that may not be handed out.

    Raises:
        DeniedByPolicy: the run may not begin; the decision has been written.
        RulesChanged: they have changed meanwhile.
    """
    if engine.policies is None:
        return document
    run = document["run"]
    rules = await engine.policies.get(UUID(run["project_id"]), new.stamp)
    decisions: list[Mapping[str, Any]] = []
    if rules.on(Subject.RUN_CREATE):
        decision = await _of_run(engine, rules, run, new)
        if decision["outcome"] == "deny":
            await _refuse(engine, document, rules, decision)
        decisions.append(decision)
    finish = document.get("finish")
    if finish is not None and finish["status"] == "succeeded" and rules.on(Subject.OUTPUT):
        decision = await _of_first_output(engine, rules, document, new)
        decisions.append(decision)
        finish = {**finish, **_failed(decision)} if decision["outcome"] == "deny" else finish
    if not decisions:
        return document
    ends = {} if finish is None else {"finish": finish}
    return {**document, **ends, "policy_version": rules.version, "decisions": decisions}


async def _of_run(engine: Engine, rules: Judge, run: Mapping[str, Any], new: NewRun) -> dict[str, Any]:
    known = {**_known(new.workflow, run), "input": dict(new.values)}
    return await _judged(engine, rules, Subject.RUN_CREATE, run, new, known, digest([new.workflow, dict(new.values)]))


async def _of_first_output(engine: Engine, rules: Judge, document: Mapping[str, Any], new: NewRun) -> dict[str, Any]:
    run, finish = document["run"], document["finish"]
    output = await engine.payloads.load(UUID(run["project_id"]), loads(dumps(finish["output"])))
    known = {**_known(new.workflow, run), **_AT_FIRST, "labels": finish.get("labels", []), "output": output}
    return await _judged(engine, rules, Subject.OUTPUT, run, new, known, digest(output))


_AT_FIRST: Final[Mapping[str, Json]] = {
    "agent.version": 0,
    "run.cost_micros": 0,
    "run.tokens": 0,
    "run.calls": 0,
    "history.tools": {},
    "history.labels": [],
}


def _known(workflow: str, run: Mapping[str, Any]) -> dict[str, Json]:
    return {"workflow.name": workflow, "trigger": run["trigger"], "labels": list(run.get("labels", ()))}


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
        user = run["created_by"]
        about = OfNewRun(
            UUID(run["project_id"]),
            UUID(user) if user else None,
            UUID(run["workflow_version_id"]),
            run["trigger"],
            new.parent_run_id,
        )
        known.update(await read_facts(engine.database.pool, about, wanted))
    return {**_decided(rules, subject, new.workflow, known), "request_hash": request_hash}


def _decided(rules: Judge, subject: Subject, workflow: str, known: Mapping[str, Json]) -> dict[str, Any]:
    decision = rules.judge(subject, workflow, known)
    if decision["outcome"] != "require_approval":
        return decision
    return {**decision, "outcome": "deny", "reason": _UNASKABLE.format(rule=decision["rule"])}


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


async def judge_output(
    engine: Engine, on: Connection, run: Mapping[str, Any], workflow: str, output: Json, labels: Sequence[str]
) -> dict[str, Any] | None:
    """Return the error with which a run ends whose output the rules deny, None if they let it go.

    In the transaction that ends the run, whose lock the caller holds; the decision is written. `output` is plain.

    Raises:
        Unavailable: this process knows no rules; another one ends the run.
    """
    if engine.policies is None:
        raise Unavailable("This process does not judge outputs.")
    stamp = await on.fetchval("SELECT engine.policy_stamp($1)", run["project_id"])
    rules = await engine.policies.get(run["project_id"], stamp, on)
    if not rules.on(Subject.OUTPUT):
        return None
    known: dict[str, Json] = {
        "workflow.name": workflow,
        "agent.version": 0,
        "labels": sorted(labels),
        "output": output,
    }
    wanted = rules.to_read(Subject.OUTPUT, known)
    if wanted:
        known.update(await read_facts(on, OfRun(run["id"]), wanted))
    decision = _decided(rules, Subject.OUTPUT, workflow, known)
    await on.fetchval(
        "SELECT engine.decide($1, NULL, $2, 'run', $1, $3, $4, $5)",
        run["id"],
        run["project_id"],
        digest(output),
        stamp,
        decision,
    )
    return output_denied(decision) if decision["outcome"] == "deny" else None
