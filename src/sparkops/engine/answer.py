"""T_APPROVE and T_DENY: a person answers, and the step that waits goes on."""

from uuid import UUID

from sparkops.core.errors import Conflict, Forbidden, NotFound
from sparkops.core.failpoints import failpoint
from sparkops.core.principal import Principal
from sparkops.engine.context import Engine, call


class OwnRequest(Forbidden):
    code, title = "own-request", "Nobody approves what they asked for"


class ApprovalClosed(Conflict):
    code, title = "approval-closed", "This question has been answered"


async def answer_approval(
    engine: Engine, principal: Principal, approval_id: UUID, *, approve: bool, comment: str | None
) -> None:
    """Record the answer of this person; the waiting step is ready again when this returns.

    Raises:
        NotFound: there is no such question in a project of theirs.
        OwnRequest: they started the run that asks.
        ApprovalClosed: it was answered, withdrawn, or has expired.
    """
    failpoint("before_answer")
    answer = await call(engine.database.pool, "answer", approval_id, principal.user_id, approve, comment)
    failpoint("after_answer")
    match answer["result"]:
        case "not_found":
            raise NotFound("There is no such approval in your projects.")
        case "own_request":
            raise OwnRequest("You started this run, so somebody else has to answer.")
        case "closed":
            raise ApprovalClosed(f"It is {answer['status']} already.", status_now=answer["status"])
    engine.bell.log_grew(answer["rings"])
    engine.bell.work("run")
