"""Use cases of policies."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Invalid, NotFound
from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.domains.policies import queries
from sparkops.domains.policies.document import Approval, Rule, policy_of_rules
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import Mode
from sparkops.domains.policies.models import Policy

ASKED = frozenset({Subject.LLM_CALL, Subject.TOOL_CALL})
"""What the gate asks about so far."""


async def change_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID, rules: Sequence[Json]
) -> Policy:
    """Replace the rules of a project; from the commit on every decision is taken under the new version.

    Raises:
        Invalid: a rule is not valid, or asks for what this release does not keep: a rule must not pretend.
        NotFound: there is no such project of the principal.
    """
    _refuse_what_is_not_kept(policy_of_rules(rules).rules)
    policy = await queries.next_policy(session, principal, project_id=project_id, rules=rules)
    if policy is None:
        raise NotFound("There is no such project here.")
    return policy


def _refuse_what_is_not_kept(rules: Sequence[Rule]) -> None:
    errors = [
        {"path": f"rules[{place}].{key}", "message": message}
        for place, rule in enumerate(rules)
        for key, message in _not_kept(rule)
    ]
    if errors:
        raise Invalid(f"{errors[0]['path']}: {errors[0]['message']}", errors=errors)


def _not_kept(rule: Rule) -> list[tuple[str, str]]:
    unasked = sorted(rule.on - ASKED)
    plain = Approval() if rule.approval is None else replace(rule.approval, expires=None)
    return [
        *([("on", f"nothing asks about {', '.join(unasked)} yet; use llm.call or tool.call")] if unasked else []),
        *([("mode", "what a rule would have decided is not recorded yet")] if rule.mode is Mode.MONITOR else []),
        *([("approval", "only expires is kept yet")] if plain != Approval() else []),
    ]
