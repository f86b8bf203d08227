"""W7, the part that decides: what one policy decision costs, and how fast a backtest judges. Pure: no servers."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.report import Report, machine, percentile
from sparkops.core.json import Json
from sparkops.domains.policies.backtest import Recorded, backtest
from sparkops.domains.policies.document import read_policy
from sparkops.domains.policies.evaluate import PolicySet, Source
from sparkops.domains.policies.facts import Subject, empty_facts
from sparkops.domains.policies.format import RuleEffect

ROUNDS: Final = 15
PER_ROUND: Final = 500
BACKTESTED: Final = 50_000

_CONDITIONS: Final = (
    "run.cost_micros + call.bound_micros > 5000000",
    "has(args.amount) && args.amount > 100",
    "has(args.to) && !args.to.endsWith('@example.com') && principal.role != 'owner'",
    "labels.exists(l, l.startsWith('untrusted:')) && tool.effect == 'unsafe'",
    "history.tool('mail.send').count > 20",
    "history.saw('private') && has(args.to)",
    "time.hour < 6 || time.weekday > 5",
    "tool.calls > 50",
    "run.tokens > 100000",
    "agent.name == 'intern'",
)
_FACTS: Final[dict[str, Json]] = {
    **empty_facts(Subject.TOOL_CALL),
    "principal.email": "ada@example.com",
    "principal.role": "member",
    "workflow.name": "letters",
    "agent.name": "writer",
    "tool.name": "mail.send",
    "tool.effect": "unsafe",
    "args": {"to": "bob@example.org", "subject": "Hello", "body": "x" * 400, "cc": ["eve@example.org"] * 3},
    "labels": ["untrusted:web"],
    "time.hour": 10,
    "time.weekday": 2,
    "history.tools": {"mail.send": {"count": 3, "last_seconds": 20}},
    "history.labels": ["untrusted:web"],
}


async def decisions() -> None:
    """Print what a decision costs with few and with many rules, and how many decisions a backtest judges."""
    report = Report(machine())
    for rules, asked in ((50, 10), (1_000, 100)):
        begun = time.process_time()
        policies = _policies(rules, asked)
        report.line("W7", f"compile_{rules}_rules", (time.process_time() - begun) * 1000, "ms")
        begun = time.process_time()
        policies.decide(Subject.TOOL_CALL, _FACTS)
        report.line("W7", f"first_decision_{rules}_rules", (time.process_time() - begun) * 1000, "ms", asked=asked)
        times = [_spent(lambda: policies.decide(Subject.TOOL_CALL, _FACTS)) for _ in range(ROUNDS)]  # noqa: B023 -- called at once
        report.line("W7", f"decision_{rules}_rules_best", min(times), "us", asked=asked)
        report.spread("W7", f"decision_{rules}_rules", times, "us", asked=asked)
    for lacking in ("", "principal.role"):
        speeds = [_backtested(_policies(50, 10), lacking) for _ in range(5)]
        report.line("W7", "backtest_50_rules", percentile(speeds, 50), "1/s", asked=10, lacking=lacking)
        report.line("W7", "backtest_50_rules_best", max(speeds), "1/s", asked=10, lacking=lacking)


def _policies(count: int, asked: int) -> PolicySet:
    """Return a set of so many rules, of which so many are about the tool that is asked for."""
    document = {"version": 1, "name": "bench", "rules": rules(count, asked, "mail.*")}
    return PolicySet([Source("bench", 1, read_policy(document))])


def rules(count: int, asked: int, tool: str) -> list[dict[str, Any]]:
    """Return so many rules on calls of tools, of which so many are about this tool."""
    return [
        {
            "name": f"rule-{number}",
            "on": ["tool.call"],
            "tools": [tool] if number < asked else [f"other{number}.*"],
            "when": f"({_CONDITIONS[number % len(_CONDITIONS)]}) || run.calls < -{number}",
            "effect": ("deny", "require_approval", "allow")[number % 3],
            "reason": "because",
        }
        for number in range(count)
    ]


def _spent(act: Callable[[], object]) -> float:
    """Return the processor time of one call, in microseconds."""
    begun = time.process_time()
    for _ in range(PER_ROUND):
        act()
    return (time.process_time() - begun) / PER_ROUND * 1e6


def _backtested(policies: PolicySet, lacking: str) -> float:
    """Return how many decisions are judged in a second of processor time; `lacking` was recorded of none."""
    begun = time.process_time()
    found = backtest(_recorded(lacking), policies)
    return found.judged / (time.process_time() - begun)


def _recorded(lacking: str) -> Iterator[Recorded]:
    for number in range(BACKTESTED):
        facts = {**_FACTS, "run.calls": number % 40, "tool.name": ("mail.send", "mail.list")[number % 2]}
        facts.pop(lacking, None)
        yield Recorded(str(number), Subject.TOOL_CALL, facts, RuleEffect.ALLOW, None)
