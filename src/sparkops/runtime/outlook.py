"""What a call would do, as far as its target tells without doing any of it: for the people who are asked about it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from sparkops.core.json import Json, dumps
from sparkops.core.storable import storable

SECONDS = 3.0
"""How long a target is asked; people wait for the question meanwhile."""
MAX_BYTES = 32_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a call would touch. `exact`: counted now; `estimated`: about so many, and why they were not
    counted; `unknown`: nobody can say, and why."""

    count: int | None
    basis: Literal["exact", "estimated", "unknown"]
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call would do. `what` is one line, `besides` are sentences about what else may happen, `plan` are lines of
    the target's own plan."""

    what: str
    rows: Rows
    besides: Sequence[str] = ()
    plan: Sequence[str] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the form in which it is kept with a question."""
        rows: dict[str, Json] = {"count": self.rows.count, "basis": self.rows.basis, "why": self.rows.why}
        return {"what": self.what, "rows": rows, "besides": list(self.besides), "plan": list(self.plan)}


async def looked(name: str, look: Callable[[], Awaitable[Outlook]], seconds: float = SECONDS) -> Json:
    """Return what the call of this name would do, or why that is not known; never later or larger than allowed.

    `seconds`: what may be left for that. Nothing is: the target is not asked.
    """
    try:
        if seconds <= 0:
            raise TimeoutError
        async with asyncio.timeout(min(seconds, SECONDS)):
            outlook = await look()
    except TimeoutError:
        outlook = _unknown(name, "The target did not tell in time.")
    except Exception as bug:  # it only helps to decide: without it people decide with less
        log.exception("outlook.bug", name=name)
        outlook = _unknown(name, f"Asking the target broke down: {type(bug).__name__}.")
    if len(dumps(outlook.to_json())) > MAX_BYTES:
        outlook = replace(outlook, what=outlook.what[:200], besides=["There is more than fits here."], plan=[])
    return storable(outlook.to_json())


def _unknown(name: str, why: str) -> Outlook:
    return Outlook(f"Use {name}", Rows(None, "unknown", why))
