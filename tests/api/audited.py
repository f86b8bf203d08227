"""Which operations write the audit trail, and whether they did: asked after every test of the API."""

import re
from typing import Any, Final

import asyncpg
from httpx2 import Response

AUDITED: Final[dict[str, set[str]]] = {
    "createApiKey": {"key.create"},
    "revokeApiKey": {"key.revoke"},
    "createServiceAccount": {"account.create"},
    "changeServiceAccount": {"account.change"},
    "createAccountKey": {"key.create"},
    "revokeAccountKey": {"key.revoke"},
    "createAgent": {"agent.create"},
    "createAgentVersion": {"agent.version"},
    "approve": {"approval.agreed", "approval.approved"},
    "editAndApprove": {"approval.agreed", "approval.approved"},
    "reject": {"approval.rejected"},
    "reassignApproval": {"approval.reassign"},
    "writeApprovalMessage": {"approval.discuss"},
    "defineBudget": {"budget.define"},
    "changeBudget": {"budget.change"},
    "archiveBudget": {"budget.archive"},
    "answerViolation": {"violation.set", "violation.note"},
    "sendEvent": {"event.send"},
    "orderHalt": {"halt.order"},
    "releaseHalt": {"halt.release"},
    "redriveOutboxEntry": {"outbox.redrive"},
    "createPolicy": {"policy.create"},
    "createPolicyVersion": {"policy.version"},
    "publishPolicy": {"policy.publish"},
    "withdrawPolicy": {"policy.withdraw"},
    "createProject": {"project.create"},
    "updateProject": {"project.limits", "project.judging", "project.retention"},
    "addMember": {"member.put"},
    "changeMember": {"member.put"},
    "createSecret": {"secret.create"},
    "createSecretVersion": {"secret.version"},
    "archiveSecret": {"secret.archive"},
    "restoreSecret": {"secret.restore"},
    "removeMember": {"member.remove"},
    "inviteUser": {"user.invite"},
    "makeUserLink": {"user.link"},
    "disableUser": {"user.disable"},
    "enableUser": {"user.enable"},
    "updateMe": {"user.rename"},
    "changePassword": {"password.change"},
    "choosePassword": {"password.set"},
    "setUp": {"installation.set-up"},
    "confirmFactor": {"factor.enrol"},
    "renewRecoveryCodes": {"factor.recovery-codes"},
    "removeFactor": {"factor.remove"},
    "resetFactor": {"factor.reset"},
    "endSession": {"session.end"},
    "endOtherSessions": {"session.end-others"},
    "askDeletion": {"project.deletion.ask"},
    "cancelDeletion": {"project.deletion.cancel"},
    "putPolicy": {"policy.change"},
    "retryRun": {"run.retry", "run.refuse"},
    "forkRun": {"run.fork", "run.refuse"},
    "rerun": {"run.rerun", "run.refuse"},
    "createRun": {"run.create", "run.refuse"},
    "cancelRun": {"run.cancel"},
    "pauseRun": {"run.pause"},
    "resumeRun": {"run.resume"},
    "resolveStep": {"step.resolve"},
    "createWorkflow": {"workflow.create"},
    "updateWorkflow": {"workflow.limits"},
    "createWorkflowVersion": {"workflow.version"},
}
"""By the operation: the actions of which one is on record when it has changed something."""

NOT_AUDITED: Final[dict[str, str]] = {
    "answerChallenge": "as signIn",
    "beginFactor": "a key that counts for nothing until it is confirmed, which is on record",
    "signIn": "what matters of it, its failures, is a security event; the session has a row of its own",
    "refresh": "it only goes on with a session",
    "forgotPassword": "it may mail a link, which changes nothing until it is used; asking is a security event",
    "lookAtLink": "nothing is stored",
    "signOut": "it gives up a right of one's own; the session's row keeps when",
    "createLiveTicket": "it lets the caller watch for half a minute what they may see anyway, and changes nothing",
    "startBacktest": "it computes what would have been decided, and decides nothing; its row says who asked",
    "cancelBacktest": "as above",
    "validatePolicy": "nothing is stored",
    "validateWorkflow": "nothing is stored",
    "planRerunWithInput": "nothing is stored",
}
"""By the operation: why there is nothing to put on record."""

REPEATABLE: Final = frozenset(
    {
        "approve",
        "archiveBudget",
        "archiveSecret",
        "askDeletion",
        "cancelDeletion",
        "cancelRun",
        "changeMember",
        "changeServiceAccount",
        "disableUser",
        "enableUser",
        "endOtherSessions",
        "endSession",
        "pauseRun",
        "redriveOutboxEntry",
        "releaseHalt",
        "restoreSecret",
        "resumeRun",
        "revokeAccountKey",
        "revokeApiKey",
        "updateMe",
        "updateProject",
    }
)
"""Operations that answer alike where there is nothing to do any more: then nothing is written."""

REPLAYED: Final = "Idempotency-Replayed"
REQUEST_ID: Final = "X-Request-Id"


class Answers:
    """What was answered to requests that may change something, by operation."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._routes = [
            (method.upper(), re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), described)
            for path, methods in document["paths"].items()
            for method, described in methods.items()
            if method not in ("get", "head")
        ]
        self._changes: list[tuple[str, str]] = []

    async def note(self, response: Response) -> None:
        """Remember an answer after which a line has to be on record. A hook of the client."""
        if REPLAYED in response.headers:
            return  # it was given before, with its line
        for method, pattern, described in self._routes:
            if response.request.method == method and pattern.fullmatch(response.request.url.path):
                operation = described["operationId"]
                # Where 200 stands beside another success it says that there was nothing to do.
                changed = max(status for status in described["responses"] if status.startswith("2"))
                if str(response.status_code) == changed and operation in AUDITED and operation not in REPEATABLE:
                    self._changes.append((operation, response.headers[REQUEST_ID]))
                return

    async def check(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Fail where one of them has left no line of an action that is promised for it, under its request."""
        rows = await pool.fetch(
            "SELECT request_id, action FROM audit WHERE request_id = ANY ($1)", [one for _, one in self._changes]
        )
        written = {(row["request_id"], row["action"]) for row in rows}
        silent = [
            operation
            for operation, request_id in self._changes
            if not any((request_id, action) in written for action in AUDITED[operation])
        ]
        assert silent == [], "these changed something and left no line in the audit trail"
