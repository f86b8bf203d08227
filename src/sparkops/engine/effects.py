"""T_PREPARE and T_RECORD: what an effect's intent and its outcome write; and what people are told before they agree.

`runtime/gate.py` is their only caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.core.json import Json
from sparkops.engine.claim import Lease
from sparkops.engine.context import Engine, call


class PolicyChanged(Exception):
    """The project's rules are at another version now, or, at the same one, what counts for them is another: judge
    again."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the policy is at version {version}")
        self.version = version


class Edited(Exception):
    """Approvers have changed requests of these calls: judge what they made of them.

    Each edit has `seq` and the stored `request` with its `request_hash`; None: it is again as the step asks it.
    """

    def __init__(self, edits: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{len(edits)} requests were edited")
        self.edits = edits


class Agreed(Exception):
    """People have agreed to these of the calls, by `seq`, and to no others: judge again, as that counts for those
    after them."""

    def __init__(self, seqs: Sequence[int]) -> None:
        super().__init__(f"people have agreed to {len(seqs)} calls")
        self.seqs = frozenset(seqs)


async def prepare(
    engine: Engine,
    lease: Lease,
    calls: Sequence[Mapping[str, Any]],
    *,
    policy_version: int,
    again: bool = False,
    sent_before: int | None = None,
    results: Sequence[Mapping[str, Any]] = (),
    project_id: UUID | None = None,
) -> list[Mapping[str, Any]]:
    """Write down the calls of one turn and return a verdict for each, in order.

    After it returns, and only then, the calls with the verdict `send` may leave the process. `again`: this attempt has
    asked before and got no answer, so that it has sent nothing of what it may have prepared. `sent_before`: how much
    the run had sent when the calls were judged; None: that did not count. `results`: outcomes of calls before these,
    which are recorded along with them, or not at all where nothing is written. Turns of one project
    that come together share a transaction.

    Raises:
        PolicyChanged, Edited, Agreed: nothing was written.
        Fenced, NonDeterministic, CancelRequested, Halted: nothing was written.
    """
    failpoint("before_prepare")
    answer = await engine.prepares.add(
        {
            **lease.to_json(),
            "policy_version": policy_version,
            "again": again,
            "calls": list(calls),
            "sent_before": sent_before,
            **({"results": list(results)} if results else {}),
        },
        lane=project_id,
    )
    if "policy_version" in answer:
        raise PolicyChanged(answer["policy_version"])
    if "edits" in answer:
        raise Edited(answer["edits"])
    if "agreed" in answer:
        raise Agreed(answer["agreed"])
    failpoint("after_prepare")
    return list(answer["verdicts"])


async def without_outlook(engine: Engine, asked: Mapping[UUID, str]) -> set[UUID]:
    """Return which of these questions are open and have no outlook yet on the request with this digest."""
    rows = await engine.database.pool.fetch(_WITHOUT_OUTLOOK, list(asked), list(asked.values()))
    return {UUID(str(row["id"])) for row in rows}


async def note_outlook(engine: Engine, lease: Lease, approval_id: UUID, request_hash: str, outlook: Json) -> None:
    """Keep with an open question what the call that it is about would do with this request; what is known of the
    request that is asked about now stays.

    Raises:
        Fenced: nothing was written; another attempt has the step.
    """
    await call(
        engine.database.pool,
        "note_outlook",
        {**lease.to_json(), "approval_id": str(approval_id), "request_hash": request_hash, "outlook": outlook},
    )


_WITHOUT_OUTLOOK = """
SELECT a.id FROM unnest($1::uuid[], $2::text[]) AS asked (id, request_hash) JOIN approvals a ON a.id = asked.id
 WHERE a.status = 'pending' AND a.outlook ->> 'request_hash' IS DISTINCT FROM asked.request_hash
"""


async def judge_step(engine: Engine, lease: Lease, judged: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write down what the rules say about the start of an attempt, and say how that stands.

    The answer has `status` (allowed, denied, pending, rejected, expired, withdrawn), `approval_id` and `comment`.

    Raises:
        PolicyChanged: nothing was written.
        Fenced, CancelRequested: nothing was written.
    """
    answer: Mapping[str, Any] = await call(engine.database.pool, "judge_step", {**lease.to_json(), **judged})
    if "policy_version" in answer:
        raise PolicyChanged(answer["policy_version"])
    engine.bell.log_grew(answer["rings"])
    return answer


async def record(engine: Engine, lease: Lease, results: Sequence[Mapping[str, Any]]) -> None:
    """Write the outcomes of prepared calls and settle what they held; repeating changes nothing.

    Raises:
        Fenced: nothing was written; another attempt has the step.
    """
    failpoint("before_record")
    answer = await call(engine.database.pool, "record", {**lease.to_json(), "results": list(results)})
    failpoint("after_record")
    engine.bell.log_grew(answer["rings"])
