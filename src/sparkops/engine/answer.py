"""T_APPROVE, T_DENY and T_REASSIGN: people answer, or let others; when enough agree, or one does not, what waits for it
goes on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound, SparkOpsError
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Part
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.engine.admission import admit_after
from sparkops.engine.advance import advance_run
from sparkops.engine.context import Engine, call

log = structlog.get_logger()


class OwnRequest(Forbidden):
    code, title = "own-request", "Nobody approves what they asked for"


class NotAnApprover(Forbidden):
    code, title = "not-an-approver", "The rules name others who may answer"


class EditRefused(Forbidden):
    code, title = "edit-refused", "Nobody may change this request"


class ApprovalClosed(Conflict):
    code, title = "approval-closed", "This question has been answered"


class ApprovalChanged(Conflict):
    code, title = "approval-changed", "Something else is asked about now"


class AlreadyAnswered(Conflict):
    code, title = "already-answered", "You have said this before"


class NobodyToAnswer(Invalid):
    code, title = "nobody-to-answer", "Nobody else who is meant could answer"


class TooFewVoices(Conflict):
    code, title = "too-few-voices", "Too few people could still agree"


@dataclass(frozen=True, slots=True)
class Edit:
    """The request as an approver wants it: how its row keeps it, its digest, and the digest of the tool's definition
    with which it was checked."""

    request: Part
    request_hash: str
    tool_hash: str


async def answer_approval(
    engine: Engine,
    principal: Principal,
    approval_id: UUID,
    *,
    approve: bool,
    comment: str | None,
    shown: str | None = None,
    edit: Edit | None = None,
) -> None:
    """Record the answer of this person; where it settles the question, what waits for it goes on when this returns.

    `shown` is the digest of the request that they were shown; None: of the request as it was proposed. With an `edit`
    they agree to what they made of it.

    Raises:
        NotFound: there is no such question in a project of theirs.
        OwnRequest: they started the run that asks.
        NotAnApprover: they are none of those who have to agree.
        EditRefused: the rules do not allow a change, or it is no call of a tool.
        ApprovalClosed: it was answered, withdrawn, or has expired.
        ApprovalChanged: an approver made something else of the request, or the tool is another one now.
        AlreadyAnswered: they have said the same to the same request before.
    """
    given = {
        "approval_id": str(approval_id),
        "user_id": str(principal.user_id),
        "reach": _reach(principal, Permission.APPROVAL_ANSWER),
        "vote": "approve" if approve else "reject",
        "comment": comment,
        "request_hash": shown,
        "edited": None
        if edit is None
        else {"request": edit.request, "request_hash": edit.request_hash, "tool_hash": edit.tool_hash},
    }
    failpoint("before_answer")
    answer = await call(engine.database.pool, "answer", given)
    failpoint("after_answer")
    if answer["result"] != "ok":
        raise _refusal(answer)
    engine.bell.log_grew(answer["rings"])
    if answer["run"] is None:
        engine.bell.work("run")
    else:
        await _go_on(engine, UUID(answer["run"]))


async def _go_on(engine: Engine, run_id: UUID) -> None:
    """Advance a run that waited for the answer. What fails here the sweep does; the answer is recorded."""
    try:
        freed = await advance_run(engine, run_id)
    except LOST_CONNECTION as error:
        log.warning("clear.failed", run_id=str(run_id), error=str(error) or type(error).__name__)
    else:
        failpoint("after_clear")
        await admit_after(engine, [freed] if freed else [])


async def reassign(
    engine: Engine, principal: Principal, approval_id: UUID, *, to: str, comment: str | None = None
) -> None:
    """Let another person, by their e-mail address in any case of letters, or a role answer an open question in place
    of this person, who does not answer it any more. With their own voice goes every voice that they were given.

    Raises:
        NotFound: there is no such question in a project of theirs.
        OwnRequest: they started the run that asks.
        NotAnApprover: they may not answer it, so they have nothing to give away.
        NobodyToAnswer: nobody else who is meant could answer.
        TooFewVoices: fewer people could agree then than have to, who can now.
        ApprovalClosed: it was answered, withdrawn, or has expired.
    """
    given = {
        "approval_id": str(approval_id),
        "user_id": str(principal.user_id),
        "reach": _reach(principal, Permission.APPROVAL_ANSWER),
        "to": to.strip().lower(),
        "comment": comment,
    }
    answer = await call(engine.database.pool, "reassign", given)
    if answer["result"] != "ok":
        raise _refusal(answer)
    engine.bell.log_grew(answer["rings"])


async def discuss(engine: Engine, principal: Principal, approval_id: UUID, text: str) -> UUID:
    """Add a message to an open question, and return its id.

    Raises:
        NotFound: there is no such question in a project of theirs.
        ApprovalClosed: it was answered, withdrawn, or has expired.
        Conflict: it has as many messages as it may have.
    """
    message_id = new_id()
    given = {
        "id": str(message_id),
        "approval_id": str(approval_id),
        "user_id": str(principal.user_id),
        "reach": _reach(principal, Permission.APPROVAL_DISCUSS),
        "text": text,
    }
    answer = await call(engine.database.pool, "discuss", given)
    if answer["result"] != "ok":
        raise _refusal(answer)
    engine.bell.log_grew(answer["rings"])
    return message_id


def _reach(principal: Principal, permission: Permission) -> list[str]:
    return [str(project_id) for project_id in principal.reach(permission)]


def _closed(answer: Mapping[str, Any]) -> SparkOpsError:
    return ApprovalClosed(f"It is {answer['status']} already.", status_now=answer["status"])


def _too_few(answer: Mapping[str, Any]) -> SparkOpsError:
    left, quorum = answer["left"], answer["quorum"]
    return TooFewVoices(
        f"{quorum} people have to agree, and then only {left} could: who has several voices counts as one.",
        left=left,
        quorum=quorum,
    )


_REFUSALS: Final[Mapping[str, Callable[[Mapping[str, Any]], SparkOpsError]]] = {
    "not_found": lambda _: NotFound("There is no such approval in your projects."),
    "own_request": lambda _: OwnRequest("You started this run, so somebody else has to answer."),
    "not_an_approver": lambda _: NotAnApprover("The rule that asks names others, so one of them has to answer."),
    "closed": _closed,
    "changed": lambda _: ApprovalChanged("Another approver has changed the request; look at it again."),
    "fixed": lambda _: EditRefused("This request can be approved or rejected, but not changed."),
    "tool_changed": lambda _: ApprovalChanged("The tool has changed since it was asked about; reject this request."),
    "answered": lambda _: AlreadyAnswered("You have answered this; others have to agree as well."),
    "nobody": lambda _: NobodyToAnswer(
        "Name a role that may answer, or a member who has such a role and did not start the run."
    ),
    "too_few": _too_few,
    "full": lambda _: Conflict("This question has as many messages as it may have."),
}


def _refusal(answer: Mapping[str, Any]) -> SparkOpsError:
    return _REFUSALS[answer["result"]](answer)
