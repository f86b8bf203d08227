"""Use cases of violations: what people do with them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Invalid, NotFound
from sparkops.core.principal import Principal
from sparkops.domains.policies import decision_queries as queries
from sparkops.domains.policies.models import Violation
from sparkops.domains.policies.state import VIOLATION_MACHINE, ViolationStatus


async def answer_violation(
    session: AsyncSession,
    principal: Principal,
    *,
    violation_id: UUID,
    text: str | None,
    status: ViolationStatus | None,
) -> Violation:
    """Note what the principal says about a violation, and set it to `status` (None: leave it as it is).

    Setting it to what it is already only keeps the words.

    Raises:
        NotFound: there is no such violation in a project of the principal.
        Invalid: nothing is said and nothing set.
        Conflict: it cannot go from where it stands to there.
    """
    if text is None and status is None:
        raise Invalid("Say something about the violation, or set its status.")
    found = await queries.violation(session, principal, violation_id=violation_id)
    if found is None:
        raise NotFound("There is no such violation here.")
    if status is not None and status != found.status:
        sources = {source for source, exits in VIOLATION_MACHINE.items() if status in exits}
        if not await queries.set_status(session, principal, violation_id=violation_id, status=status, sources=sources):
            raise Conflict(f"It is {found.status} and cannot become {status}.")
        await queries.add_note(session, principal, on=found, text=text, status=status)
        await session.refresh(found)
    elif text is not None:
        await queries.add_note(session, principal, on=found, text=text, status=None)
    return found
