"""Refusals in series: one is a mistake, many in a minute are somebody who tries what they may not do."""

import time
from collections import OrderedDict, deque
from typing import Final

import structlog
from starlette.requests import Request

from sparkops.core.db import LOST_CONNECTION, Database
from sparkops.core.errors import SparkOpsError
from sparkops.core.principal import Principal
from sparkops.domains.audit.security import note

log = structlog.get_logger(__name__)

SERIES: Final = 5
"""So many refusals within `SECONDS` are a series; in the same time only one series of an actor is noted."""
SECONDS: Final = 60.0
CODES: Final = frozenset({"forbidden", "foreign-origin", "not-an-approver", "own-request"})
"""The refusals that count: what the rules of a project deny is a decision, and has its own record."""
ACTORS: Final = 10_000
"""Of how many actors a process remembers the refusals; those who were refused longest ago are forgotten first."""


class Denials:
    """The latest refusals of each actor that this process has answered. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._noted: dict[str, float] = {}

    async def seen(self, request: Request, error: SparkOpsError) -> None:
        """Count a refusal, and note a security event where it completes a series. Never raises."""
        if error.code not in CODES:
            return
        principal: Principal | None = getattr(request.state, "principal", None)
        address = request.client.host if request.client else None
        if not self._completes(f"user:{principal.user_id}" if principal else f"address:{address}"):
            return
        try:
            await note(
                self._database.pool,
                "permission.denied",
                severity="warning",
                user_id=principal.user_id if principal else None,
                email=principal.email if principal else None,
                project_id=None,
                address=address,
                request_id=getattr(request.state, "request_id", None),
                times=SERIES,
                seconds=int(SECONDS),
                code=error.code,
                method=request.method,
                path=request.scope["path"][:500],
                key=str(principal.key_id) if principal and principal.key_id else None,
            )
        except LOST_CONNECTION as lost:
            log.warning("denial.not_noted", error=str(lost) or type(lost).__name__)

    def _completes(self, actor: str) -> bool:
        now = time.monotonic()
        times = self._times.setdefault(actor, deque(maxlen=SERIES))
        self._times.move_to_end(actor)
        if len(self._times) > ACTORS:
            forgotten, _ = self._times.popitem(last=False)
            self._noted.pop(forgotten, None)
        times.append(now)
        if len(times) < SERIES or now - times[0] > SECONDS or now - self._noted.get(actor, -SECONDS) < SECONDS:
            return False
        self._noted[actor] = now
        return True
