"""W7: what the gate costs: runs whose agent asks a scripted model twice and uses a tool once.

In the end the same with calls that take their time, while somebody looks for transactions that are open meanwhile.
"""

from statistics import median
from typing import Any, Final

from benchmarks.left_open import nothing_left_open
from benchmarks.throughput import ended, flood, flooded, last_run
from benchmarks.workloads import Bench, sequence

RUNS: Final = 300
ROUNDS: Final = 3
CALLS: Final = 3
"""Of one run: two of the model, one of the tool."""
RULES: Final = 50
ASKED: Final = 10
"""How many of the rules are about what the agent does."""
BUDGETS: Final = {
    "installation": "total",
    "project": "month",
    "workflow": "day",
    "agent": "day",
    "user": "week",
    "run": "run",
}
"""All scopes but that of a key, for people submit the runs; each run has its own budget besides."""

AGENT: Final[dict[str, Any]] = {
    "model": "scripted",
    "instructions": "Use the tool once, then say that it is done.",
    "tools": ["noop"],
    "script": {
        "price": {"input_usd_per_million": 1, "output_usd_per_million": 2},
        "turns": [{"tool_calls": [{"tool": "noop", "arguments": {}}]}, {"text": "Done."}],
    },
}
WORKFLOW: Final = """
version: 1
name: governed
steps: [{id: only, type: agent, agent: careful, with: {prompt: Do it.}}]
"""
DELAY_MS: Final = 400
"""Of each call that takes its time: twice as long as a transaction may be idle."""
SLOW_AGENT: Final[dict[str, Any]] = {
    **AGENT,
    "script": {
        **AGENT["script"],
        "turns": [
            {"delay": f"{DELAY_MS}ms", "tool_calls": [{"tool": "noop", "arguments": {"delay_ms": DELAY_MS}}]},
            {"delay": f"{DELAY_MS}ms", "text": "Done."},
        ],
    },
}
SLOW_WORKFLOW: Final = WORKFLOW.replace("name: governed", "name: slow").replace("careful", "slow")


async def w7(bench: Bench) -> None:
    """The price of calls as such, and of rules and budgets over all of them."""
    for name, agent in (("careful", AGENT), ("slow", SLOW_AGENT)):
        await bench.client.post("/agents", {"project": bench.project, "name": name, "definition": agent})
    await bench.create(sequence("one", 1))
    await bench.create(WORKFLOW)
    await bench.create(SLOW_WORKFLOW)
    bare = await _costs(bench, "one", governed=False)
    free = await _costs(bench, "governed", governed=False)
    policy = await bench.client.post("/policies", {"project": bench.project, "source": _policy()})
    await bench.client.post(f"/policies/{policy['policy']['id']}/publish", {"version": 1})
    for scope, period in BUDGETS.items():
        project = None if scope == "installation" else bench.project
        budget = {"project": project, "name": scope, "scope": scope, "period": period}
        await bench.client.post("/budgets", {**budget, "limit_micros": 10**12, "limit_tokens": 10**12})
    governed = await _costs(bench, "governed", governed=True)
    for metric, unit in (("cpu_all", "ms/call"), ("commits", "/call")):
        of_calls = (governed[metric] - bare[metric]) / CALLS
        of_rules = (governed[metric] - free[metric]) / CALLS
        bench.report.line("W7", f"gate_{metric}", of_calls, unit, rules=RULES, asked=ASKED, budgets=len(BUDGETS))
        bench.report.line(
            "W7", f"rules_and_budgets_{metric}", of_rules, unit, rules=RULES, asked=ASKED, budgets=len(BUDGETS)
        )
    await _look_while_calls_are_out(bench)


async def _look_while_calls_are_out(bench: Bench) -> None:
    """Report the longest that a transaction of the platform was idle while many calls took their time.

    Raises:
        RuntimeError: one was so for too long, or a run did not succeed.
    """
    last = await last_run(bench)
    async with nothing_left_open(bench.admin_url) as looked:
        await flood(bench, "slow", RUNS)
    await ended(bench, last)
    about = {"runs": RUNS, "call_ms": DELAY_MS, "looks": looked.samples}
    bench.report.line("W7", "longest_idle_in_transaction", looked.longest_ms, "ms", **about)


async def _costs(bench: Bench, workflow: str, *, governed: bool) -> dict[str, float]:
    await flood(bench, workflow, 30)
    rounds = [await flooded(bench, "W7", workflow, RUNS, of=workflow, governed=governed) for _ in range(ROUNDS)]
    return {metric: median(each[metric] for each in rounds) for metric in rounds[0]}


def _policy() -> str:
    lines = ["version: 1", "name: bench", "rules:"]
    for number in range(RULES):
        names = "[noop]" if number < ASKED else f"[other{number}.*]"
        lines.append(
            f"  - {{name: rule-{number}, on: [tool.call], tools: {names}, effect: deny, "
            f"when: \"run.turns > {1000 + number} || tool.effect == 'unsafe'\"}}"
        )
    return "\n".join(lines)
