"""The account of a demo: for people as text, for programs as one JSON object."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sparkops.core.money import format_usd
from sparkops.local.demo.play import Played


def as_json(played: Played, files: Mapping[str, Path]) -> dict[str, Any]:
    """Return the account as one object."""
    run = played.run
    return {
        "run_id": run["id"],
        "status": run["status"],
        "steps": dict(Counter(step["status"] for step in played.steps)),
        "calls": dict(Counter(f"{call['kind']}:{call['status']}" for call in played.calls)),
        "decisions": dict(Counter(call["decision"]["outcome"] for call in played.calls if call["decision"])),
        "approvals": dict(Counter(approval["status"] for approval in played.approvals)),
        "cost_micros": run["cost_micros"],
        "tokens": run["tokens"],
        "artifacts": [
            {
                "name": one["name"],
                "sha256": one["sha256"],
                "size_bytes": one["size_bytes"],
                "path": str(files[one["name"]]),
            }
            for one in played.artifacts
        ],
        "duration_ms": played.duration_ms,
        "model": sorted({call["name"] for call in played.calls if call["kind"] == "llm"}),
        "killed_worker": None
        if played.killing is None
        else {
            "pid": played.killing.pid,
            "answers_on_record": played.killing.answers,
            "bought_again": bought_again(played),
        },
        "finding": (run["output"] or {}).get("finding"),
    }


def bought_again(played: Played) -> int:
    """Return how many of the answers that were on record when the worker was killed were asked for again."""
    if played.killing is None:
        return 0
    answers = [call for call in _llm_calls(played) if call["step_id"] == str(played.killing.step_id)]
    return sum(call["sends"] - 1 for call in answers[: played.killing.answers])


def as_text(played: Played, files: Mapping[str, Path]) -> Iterator[str]:
    """Return the account line by line."""
    run = played.run
    yield f"Run {run['id']} of {run['workflow']['name']} version {run['workflow']['version']}: {run['status']}"
    if run["error"]:
        yield f"  {run['error']['message']}"
    yield ""
    yield "Steps"
    yield from (f"  {_step_line(played, step)}" for step in played.steps)
    yield ""
    yield "Calls through the gate: intent, decision, reservation, outcome"
    yield from (f"  {_call_line(call)}" for call in sorted(played.calls, key=lambda call: str(call["proposed_at"])))
    yield ""
    yield from _killing_lines(played)
    if played.approvals:
        yield "Approvals"
        yield from (f"  {one['title']}  {one['status']} by {_name(one['decided_by'])}" for one in played.approvals)
        yield ""
    budget = run["budget"]
    tokens = run["tokens"]
    yield (
        f"Cost {format_usd(run['cost_micros'])} of {format_usd(budget['limit_micros'])} allowed, "
        f"{tokens['input']} tokens in, {tokens['output']} out, model {_models(played)}, "
        f"{played.duration_ms / 1000:.1f} s"
    )
    if run["output"]:
        yield f"Finding: {run['output']['finding']}"
    if files:
        yield "Published"
        yield from (f"  {path}" for path in files.values())


def _killing_lines(played: Played) -> Sequence[str]:
    if played.killing is None:
        return []
    killing = played.killing
    attempts = [attempt["outcome"] for attempt in _attempts_of(played, str(killing.step_id))]
    return [
        "A worker was killed",
        f"  kill -9 {killing.pid} while it ran the agent, with {killing.answers} model answer on record",
        f"  attempts of that step: {', '.join(str(outcome) for outcome in attempts)}",
        f"  answers on record that were bought again: {bought_again(played)}",
        "",
    ]


def _attempts_of(played: Played, step_id: str) -> Sequence[Mapping[str, Any]]:
    key = next(step["key"] for step in played.steps if step["id"] == step_id)
    return played.attempts[key]


def _step_line(played: Played, step: Mapping[str, Any]) -> str:
    attempts = len(played.attempts[step["key"]])
    tries = f"{attempts} attempts" if attempts > 1 else ""
    cost = format_usd(step["cost_micros"]) if step["cost_micros"] else ""
    return f"{step['key']:<10} {step['type']:<10} {step['status']:<10} {_took(step):>8}  {cost:<10} {tries}".rstrip()


def _call_line(call: Mapping[str, Any]) -> str:
    decision = call["decision"] or {}
    rule = f" by {decision['rule']}" if decision.get("rule") else ""
    said = f"{decision.get('outcome', 'undecided')}{rule}"
    return (
        f"{call['step_key']:<10} #{call['seq']} {call['name']:<12} {said:<10} {call['status']:<8} "
        f"{format_usd(call['cost_micros']):<11} sent {call['sends']}x"
    )


def _took(step: Mapping[str, Any]) -> str:
    if not step["started_at"] or not step["finished_at"]:
        return ""
    took = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    return f"{took.total_seconds() * 1000:.0f} ms"


def _llm_calls(played: Played) -> list[Mapping[str, Any]]:
    return sorted((call for call in played.calls if call["kind"] == "llm"), key=lambda call: int(call["seq"]))


def _models(played: Played) -> str:
    return ", ".join(sorted({call["name"] for call in _llm_calls(played)})) or "none"


def _name(person: Mapping[str, Any] | None) -> str:
    return str(person["name"]) if person else "nobody"
