"""What a question is about, as those who answer need to see it: what will go out, why it is held, and what was said to
others of its kind."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.views.approvals import Answered, Outlook, PolicyRef, Preview
from sparkops.api.views.base import Ref
from sparkops.core.principal import Principal
from sparkops.domains.approvals.models import Approval
from sparkops.domains.approvals.queries import last_approved, of_its_kind
from sparkops.domains.approvals.service import asked_hash, asked_request
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.effects.queries import call as find_call
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.identity.queries import names_of
from sparkops.domains.policies.models import PolicyDecision
from sparkops.domains.policies.queries import decisions, names_of_policies
from sparkops.domains.tools.queries import tool_named

EARLIER = 5
"""How many answered questions of the same kind are shown."""


async def preview_of(session: AsyncSession, principal: Principal, approval: Approval) -> Preview:
    """Return what this question asks to send, and what helps to decide. Nothing is sent, nothing is executed."""
    return Preview(
        request=asked_request(approval),
        request_hash=asked_hash(approval),
        outlook=Outlook.model_validate(approval.outlook) if approval.outlook else None,
        **await _what_goes_out(session, principal, approval),
        **await _why(session, principal, approval),
        **await _before(session, principal, approval),
    )


async def _what_goes_out(session: AsyncSession, principal: Principal, approval: Approval) -> Mapping[str, Any]:
    call = await find_call(session, principal, run_id=approval.run_id, call_id=approval.subject_id)
    if call is None:
        return dict.fromkeys(("kind", "name", "description", "effect_class", "idempotency_key", "parameters"), None) | {
            "tool_changed": False
        }
    tool = await tool_named(session, principal, project_id=approval.project_id, name=call.name)
    return {
        "kind": call.kind,
        "name": call.name,
        "description": tool.description if tool else None,
        "effect_class": call.effect_class,
        "idempotency_key": call.id if call.effect_class == EffectClass.IDEMPOTENT else None,
        "parameters": tool.parameters if tool else None,
        "tool_changed": approval.tool_hash is not None and (tool is None or tool.digest != approval.tool_hash),
    }


async def _why(session: AsyncSession, principal: Principal, approval: Approval) -> Mapping[str, Any]:
    found = await decisions(session, principal, decision_ids=[approval.decision_id] if approval.decision_id else [])
    if approval.decision_id is None or approval.decision_id not in found:
        return {"policy": None, "severity": None, "facts": {}}
    decision = found[approval.decision_id]
    return {
        "policy": await _policy(session, decision),
        "severity": decision.severity,
        "facts": decision.facts,
    }


async def _policy(session: AsyncSession, decision: PolicyDecision) -> PolicyRef | None:
    if decision.policy_id is None or decision.rule_version is None:
        return None
    names = await names_of_policies(session, policy_ids=[decision.policy_id])
    name = names.get(decision.policy_id)
    return None if name is None else PolicyRef(id=decision.policy_id, name=name, version=decision.rule_version)


async def _before(session: AsyncSession, principal: Principal, approval: Approval) -> Mapping[str, Any]:
    approved = await last_approved(session, principal, like=approval)
    earlier = await of_its_kind(session, principal, like=approval, limit=EARLIER)
    shown: Sequence[Approval] = [*earlier, *([approved] if approved else [])]
    people = await names_of(session, user_ids={one.decided_by for one in shown if one.decided_by})
    return {
        "last_approved": _answered(approved, people) if approved else None,
        "earlier": [_answered(one, people) for one in earlier],
    }


def _answered(one: Approval, people: Mapping[UUID, str]) -> Answered:
    by = one.decided_by
    return Answered(
        id=one.id,
        run_id=one.run_id,
        title=one.title,
        request=cast(Any, asked_request(one)),
        edited=one.edited_hash is not None,
        status=ApprovalStatus(one.status),
        decided_by=Ref(id=by, name=people[by]) if by is not None and by in people else None,
        decided_at=one.decided_at,
        comment=one.comment,
    )
