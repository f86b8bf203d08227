"""What questions say by themselves."""

from datetime import datetime

from sparkops.core.json import Json
from sparkops.domains.approvals.models import Approval
from sparkops.domains.approvals.state import ApprovalStatus


def asked_hash(approval: Approval) -> str:
    """Return the digest of what is asked about now."""
    return approval.edited_hash or approval.request_hash


def asked_request(approval: Approval) -> Json:
    """Return what is asked about now: the request as it was proposed, or as an approver wants it."""
    request: Json = approval.proposed_request if approval.edited_hash is None else approval.edited_request
    return request


def reminds(approval: Approval, now: datetime) -> bool:
    """Say whether half of the time in which the question may be answered has passed without an answer."""
    half = approval.requested_at + (approval.expires_at - approval.requested_at) / 2
    return approval.status == ApprovalStatus.PENDING and now >= half
