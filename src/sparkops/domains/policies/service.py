"""Use cases of policies."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import NotFound
from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.domains.policies import queries
from sparkops.domains.policies.document import policy_of_rules
from sparkops.domains.policies.models import Policy


async def change_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID, rules: Sequence[Json]
) -> Policy:
    """Replace the rules of a project; from the commit on every decision is taken under the new version.

    Raises:
        Invalid: a rule is not valid.
        NotFound: there is no such project of the principal.
    """
    policy_of_rules(rules)
    policy = await queries.next_policy(session, principal, project_id=project_id, rules=rules)
    if policy is None:
        raise NotFound("There is no such project here.")
    return policy
