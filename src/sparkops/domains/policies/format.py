"""The shape of a policy document: which keys there are and what may stand in them. Meaning is `document.py`."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from sparkops.core.durations import DURATION_HINT
from sparkops.core.json import Json
from sparkops.core.shapes import MAX_QUORUM, Approvers, Closed, Duration, Text
from sparkops.domains.policies.facts import Subject

MAX_RULES = 1_000
MAX_CASES = 1_000
MAX_NAMES = 200
"""Of one scope of a rule."""
DEFAULT_EXPIRES: Final = "24h"
"""For how long a question is open where no rule says so."""


class RuleEffect(StrEnum):
    """What a rule asks for, and what a verdict says."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


class Severity(StrEnum):
    """How bad it is to break a rule."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Mode(StrEnum):
    """Whether a rule decides, only tells what it would have decided, or is not asked."""

    ENFORCE = "enforce"
    MONITOR = "monitor"
    OFF = "off"


NAMES_PATTERN: Final = r"^[^\s*]+\*?$"
_Names = Annotated[
    tuple[Annotated[str, Field(pattern=NAMES_PATTERN, max_length=200)], ...],
    Field(strict=False, min_length=1, max_length=MAX_NAMES),
]
_Subject = Annotated[Subject, Field(strict=False)]
_Effect = Annotated[RuleEffect, Field(strict=False)]
_Mode = Annotated[Mode, Field(strict=False)]
_RuleName = Annotated[str, Field(min_length=1, max_length=100)]

HINTS: Final = {
    "version": "the only version of the format is 1",
    "name": "use small letters, digits and -, starting with a letter: no-mail-to-strangers",
    "on": f"one of {', '.join(Subject)}",
    "effect": "one of allow, require_approval and deny",
    "expect": "one of allow, require_approval and deny",
    "severity": f"one of {', '.join(Severity)}",
    "mode": f"one of {', '.join(Mode)}",
    **dict.fromkeys(("agents", "workflows", "tools", "models"), "names, or the beginnings of names: [mail.*]"),
    "capabilities": "what tools can do: compute, read, write, outward",
    **dict.fromkeys(("expires", "escalate_after"), DURATION_HINT),
}
"""What may stand at a key, for people."""


class ApprovalFormat(Closed):
    """What the consent of people takes. Without `approvers` anybody may give it who may approve at all."""

    approvers: Approvers | None = None
    quorum: int = Field(default=1, ge=1, le=MAX_QUORUM)
    expires: Duration | None = None
    escalate_after: Duration | None = None
    escalate_to: Approvers | None = None
    may_edit: bool = False


class RuleFormat(Closed):
    """One rule. Without `when` it matches all that `on` and the lists of names leave."""

    name: _RuleName
    description: str | None = Field(default=None, max_length=10_000)
    on: Annotated[tuple[_Subject, ...], Field(strict=False, min_length=1, max_length=len(Subject))]
    agents: _Names | None = None
    workflows: _Names | None = None
    tools: _Names | None = None
    capabilities: _Names | None = None
    models: _Names | None = None
    when: Text | None = None
    effect: _Effect
    reason: str = Field(default="", max_length=500)
    severity: Annotated[Severity, Field(strict=False)] = Severity.MEDIUM
    mode: _Mode | None = None
    approval: ApprovalFormat | None = None


class CaseFormat(Closed):
    """What the policy has to say to these facts; those that are not given are empty."""

    name: _RuleName
    on: _Subject
    facts: dict[str, Any] = Field(default_factory=dict)
    expect: _Effect
    rule: _RuleName | None = None


class Head(Closed):
    """Everything but the rules and the tests."""

    version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=100)]
    description: str | None = Field(default=None, max_length=10_000)
    mode: _Mode = Mode.ENFORCE


class PolicyFormat(Head):
    """A policy: rules that are asked in order, and cases that show what they say."""

    rules: Annotated[tuple[RuleFormat, ...], Field(strict=False, max_length=MAX_RULES)]
    tests: Annotated[tuple[CaseFormat, ...], Field(strict=False, max_length=MAX_CASES)] = ()


def policy_schema() -> dict[str, Json]:
    """Return the JSON Schema of the format, for editors and for the page."""
    schema: dict[str, Json] = TypeAdapter(PolicyFormat).json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
