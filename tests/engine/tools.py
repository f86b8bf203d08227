"""Tools with labels: what strangers wrote, what is private, and a way out that counts what leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult

UNTRUSTED, PRIVATE = "untrusted:web", "private:customer"
_ANYTHING = {"type": "object", "additionalProperties": True}


@dataclass
class Post:
    """What was sent outside."""

    sent: list[Mapping[str, Any]] = field(default_factory=list)

    def tools(self) -> dict[str, Tool]:
        """Return `web.read`, `crm.read` and `mail.send`; the first two stay in their process, as `noop` does."""
        return {
            "web.read": _reading("web.read", UNTRUSTED),
            "crm.read": _reading("crm.read", PRIVATE),
            "mail.send": Tool("mail.send", "Sends.", _ANYTHING, EffectClass.UNSAFE, self._send),
        }

    async def _send(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.sent.append(dict(arguments))
        return ToolResult({"sent": len(self.sent)})


def _reading(name: str, label: str) -> Tool:
    async def read(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult({"text": f"what {name} has"})

    return Tool(
        name,
        f"Reads {label}.",
        _ANYTHING,
        EffectClass.PURE,
        read,
        local=True,
        capability=Capability.READ,
        labels=frozenset({label}),
    )
