"""Use cases of policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Invalid
from sparkops.core.json import Json, canonical
from sparkops.core.principal import Principal
from sparkops.domains.policies import queries
from sparkops.domains.policies.document import Rule, policy_of_rules
from sparkops.domains.policies.facts import Subject

ASKED = frozenset({Subject.LLM_CALL, Subject.TOOL_CALL})
"""What the gate asks about so far."""
PROJECT_POLICY: Final = "project"
"""The name of the policy that a project keeps as a plain list of rules."""


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """The rules of the policy of that name which are in force. `version` counts every change of what holds there."""

    version: int
    rules: Sequence[Json]
    updated_at: datetime | None


async def project_rules(session: AsyncSession, principal: Principal, *, project_id: UUID) -> ProjectRules:
    """Return the rules that a project keeps as a plain list; the caller has checked the project."""
    version = await queries.stamp(session, scope_id=project_id)
    policy = await queries.policy_named(session, principal, project_id=project_id, name=PROJECT_POLICY)
    if policy is None or policy.active_version is None:
        return ProjectRules(version, [], None)
    text = await queries.policy_version(session, principal, policy_id=policy.id, version=policy.active_version)
    assert text is not None, "an active version is one of its versions"
    return ProjectRules(version, text.document["rules"], policy.updated_at)


async def change_policy(
    session: AsyncSession, principal: Principal, *, project_id: UUID, rules: Sequence[Json]
) -> ProjectRules:
    """Replace these rules; from the commit on every decision is taken under them. The caller has checked the project.

    Raises:
        Invalid: a rule is not valid, or asks for what this release does not keep: a rule must not pretend.
    """
    policy = policy_of_rules(rules)
    _refuse_what_is_not_kept(policy.rules)
    policy_id, version = await queries.next_version(
        session,
        project_id=project_id,
        name=PROJECT_POLICY,
        source=canonical(policy.document).decode(),
        document=policy.document,
        created_by=principal.user_id,
    )
    await queries.activate(session, policy_id=policy_id, version=version)
    await queries.rules_changed(session, scope_id=project_id)
    return await project_rules(session, principal, project_id=project_id)


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
    return [("on", f"nothing asks about {', '.join(unasked)} yet; use llm.call or tool.call")] if unasked else []
