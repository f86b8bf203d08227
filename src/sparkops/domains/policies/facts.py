"""What rules may ask about, subject by subject: the schema of facts, for checks, for the gate, for pages and docs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sparkops.core.expressions import ValueType
from sparkops.core.json import Json


class Subject(StrEnum):
    """What a rule may be on: the moments at which the platform asks its policies."""

    RUN_CREATE = "run.create"
    STEP_START = "step.start"
    LLM_CALL = "llm.call"
    TOOL_CALL = "tool.call"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known when a policy is asked.

    `optional`: it does not apply everywhere, and is `empty` where it is not given. Any other fact that is not given is
    unknown, and a rule that depends on it cannot be evaluated.
    """

    name: str
    type: ValueType
    about: str
    subjects: frozenset[Subject]
    optional: bool = False
    hidden: bool = False
    """Expressions reach it through `history` only."""

    @property
    def empty(self) -> Json:
        """What the fact is where there is nothing of the kind."""
        return _EMPTY[self.type]


_EMPTY: Final[Mapping[ValueType, Json]] = {
    ValueType.STRING: "",
    ValueType.INT: 0,
    ValueType.MAP: {},
    ValueType.LIST: [],
    ValueType.DYN: None,
}
_ALL: Final = frozenset(Subject)
_IN_RUN: Final = _ALL - {Subject.RUN_CREATE}
_CALLS: Final = frozenset({Subject.LLM_CALL, Subject.TOOL_CALL})
_TOOL: Final = frozenset({Subject.TOOL_CALL})
_LLM: Final = frozenset({Subject.LLM_CALL})
_S, _I, _M, _L = ValueType.STRING, ValueType.INT, ValueType.MAP, ValueType.LIST

_LISTED: Final = (
    Fact("on", _S, "what is judged: run.create, step.start, llm.call, tool.call or output", _ALL),
    Fact("principal.id", _S, "the id of whom the run is for", _ALL),
    Fact("principal.email", _S, "their e-mail address; empty for what is no person", _ALL),
    Fact("principal.role", _S, "what they are in the project: owner, admin, developer, operator, viewer", _ALL),
    Fact("principal.kind", _S, "user, key (an API key of a person) or service (a service account, by its keys)", _ALL),
    Fact("project", _S, "the short name of the project", _ALL),
    Fact("trigger", _S, "what started the run: api (a request), or workflow (a step of another run)", _ALL),
    Fact("workflow.name", _S, "the workflow of the run", _ALL),
    Fact("workflow.version", _I, "its version", _ALL),
    Fact("step.key", _S, "the id of the step", _IN_RUN, optional=True),
    Fact("step.type", _S, "agent, llm, tool, …", _IN_RUN, optional=True),
    Fact("step.attempt", _I, "the attempt at the step, from 1", _IN_RUN, optional=True),
    Fact("agent.name", _S, "the agent; empty where no agent acts", _IN_RUN, optional=True),
    Fact("agent.version", _I, "its version; 0 where no agent acts", _IN_RUN),
    Fact("tool.name", _S, "the tool that is to be used", _TOOL),
    Fact("tool.capability", _S, "what the tool can do: compute, read, write or outward", _TOOL),
    Fact("tool.effect", _S, "its effect class: pure, idempotent, txn or unsafe", _TOOL),
    Fact("tool.calls", _I, "the calls of this tool in the run so far", _TOOL),
    Fact("args", _M, "the arguments of the call", _TOOL),
    Fact("model", _S, "the model that is to be asked", _LLM),
    Fact("call.bound_micros", _I, "what the call may cost at most, in millionths of a US dollar", _CALLS),
    Fact("call.tokens", _I, "the tokens that the call may take at most, read and written", _LLM),
    Fact("run.cost_micros", _I, "what the run has cost so far, in millionths of a US dollar", _IN_RUN),
    Fact("run.tokens", _I, "the tokens of its model calls so far", _IN_RUN),
    Fact("run.calls", _I, "its calls so far, of models and tools", _IN_RUN),
    Fact("run.turns", _I, "the turn of the agent in this step, from 1; 0 where no agent acts", _IN_RUN, optional=True),
    Fact("run.limit_micros", _I, "what the run may cost at most with all runs below it", _ALL),
    Fact("run.held_micros", _I, "what is held of that for calls that have not come back", _IN_RUN),
    Fact("forecast.median_micros", _I, "what half of the last runs of this workflow version cost at most", _ALL),
    Fact("forecast.p95_micros", _I, "what 95 of a hundred of them cost at most", _ALL),
    Fact("forecast.runs", _I, "how many runs tell so, 50 at most; 0: the two above are 0, and say nothing", _ALL),
    Fact("tree.cost_micros", _I, "what the run cost so far with all runs above and below it", _ALL),
    Fact("tree.tokens", _I, "the tokens of all of them so far", _ALL),
    Fact("labels", _L, "the labels of what goes in, such as untrusted:web or private:customer", _ALL),
    Fact("time.hour", _I, "the hour in the zone of the project, 0 to 23", _ALL),
    Fact("time.minute", _I, "the minute, 0 to 59", _ALL),
    Fact("time.weekday", _I, "the day of the week, 1 (Monday) to 7 (Sunday)", _ALL),
    Fact("time.date", _S, "the date in the zone of the project: 2031-01-31", _ALL),
    Fact("input", _M, "the input of the run", frozenset({Subject.RUN_CREATE})),
    Fact("output", ValueType.DYN, "what is to be handed out", frozenset({Subject.OUTPUT})),
    Fact("history.tools", _M, "for each tool used so far: count, last_seconds", _IN_RUN, hidden=True),
    Fact("history.labels", _L, "the labels of all that the run has seen so far", _IN_RUN, hidden=True),
)
FACTS: Final[Mapping[str, Fact]] = {fact.name: fact for fact in _LISTED}
TYPES: Final[Mapping[str, ValueType]] = {fact.name: fact.type for fact in _LISTED if not fact.hidden}
"""The names that conditions may mention, with their types; `history` comes on top."""
HISTORY: Final[Mapping[str, tuple[ValueType, str]]] = {
    'history.tool("name").count': (
        _I,
        "how often the run has called the tool so far; `mail.*` counts all that begin so",
    ),
    'history.tool("name").last_seconds': (_I, "seconds since its last call; 1,000,000,000 where there was none"),
    'history.saw("label")': (ValueType.BOOL, "whether the run has seen the label, or one of its kind: untrusted"),
}
"""How conditions ask for what has happened earlier in the run."""


def facts_of(subject: Subject) -> dict[str, Fact]:
    """Return the facts of one subject by name, in the order of their description."""
    return {name: fact for name, fact in FACTS.items() if subject in fact.subjects}


def empty_facts(subject: Subject) -> dict[str, Json]:
    """Return facts under which nothing has happened and nothing applies."""
    return {name: fact.empty for name, fact in facts_of(subject).items()} | {"on": str(subject)}


def time_facts(moment: datetime, zone: ZoneInfo) -> dict[str, Json]:
    """Return the facts of a moment, which must be aware, as the clocks in the zone of a project show it."""
    there = moment.astimezone(zone)
    return {
        "time.hour": there.hour,
        "time.minute": there.minute,
        "time.weekday": there.isoweekday(),
        "time.date": there.date().isoformat(),
    }
