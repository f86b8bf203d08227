"""The gate: the one function that every effect passes. Whoever reads this file knows what is promised.

Intent, decision, reservation and, where a rule asks for it, the approval are committed before a byte leaves; the
outcome and its true cost are committed after. Nothing else in the platform calls `Effect.send` or `Effect.preview`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from sparkops.core.errors import Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Json, Part, canonical, digest, digest_of
from sparkops.core.payloads import INLINE_BYTES, Stored, ValueTooLarge
from sparkops.core.redaction import NOTHING, Filter
from sparkops.domains.effects.state import CallStatus, EffectClass
from sparkops.domains.policies.format import RuleEffect
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine
from sparkops.engine.effects import Agreed, Edited, PolicyChanged, note_outlook, prepare, record, without_outlook
from sparkops.engine.errors import Fenced, NonDeterministic
from sparkops.engine.facts import COUNTED, SENT, SENT_OF_TURN, OfRun, read_facts
from sparkops.engine.judging import APPROVAL_SECONDS
from sparkops.runtime.effects import (
    CallFailed,
    Dispatch,
    Effect,
    ErrorInfo,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    Receipt,
)
from sparkops.runtime.labels import Labels
from sparkops.runtime.outlook import SECONDS, looked
from sparkops.runtime.policies import PolicyCache, Rules
from sparkops.runtime.trust import Trust
from sparkops.runtime.turn import Turn

log = structlog.get_logger()

RESPONSE_TOO_LARGE = "output-too-large"
"""The same words as for a step's output: mostly the one is the other."""
POLICY_RETRIES = 5
"""Rules and requests that change faster than a call can be judged are a mistake; the step then fails and is retried."""
RESERVED_SECONDS = 0.5
"""Of the attempt's time, kept from looking ahead: the step has to be parked before it is over."""
COUNT_RETRIES = 500
"""How often a call is judged again because other steps of the run have sent something, each time one of them has, or
because people agree to calls of the same turn."""


class Parked(Exception):
    """The step cannot go on by itself: it waits for these approvals, or for this budget, or else is uncertain.

    `budget` is what `wait_for_budget` takes, `looked` what `wait_for_approvals` does.
    """

    def __init__(
        self,
        approvals: Sequence[UUID] = (),
        budget: Mapping[str, Json] | None = None,
        looked: Mapping[UUID, str] | None = None,
    ) -> None:
        super().__init__("the step is parked")
        self.approvals = tuple(approvals)
        self.budget = budget
        self.looked = looked or {}


class NotAhead(Exception):
    """An effect of a step that nobody holds yet needs the whole way through the gate, so the step has to be claimed."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request as its row keeps it, and the digest of the request itself."""

    text: Part
    hash: str


@dataclass(frozen=True, slots=True)
class _Edit:
    """What an approver made of a request: the digest of the request, and the effect that it asks for."""

    hash: str
    request: Json
    effect: Effect


@dataclass(frozen=True, slots=True)
class _Looked:
    """A call whose target is asked what it would do: as it is asked about now, and the digest of that request."""

    effect: Effect
    hash: str
    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one send came to: the row to record, and the outcome for the step."""

    result: Mapping[str, Any]
    outcome: Outcome


@dataclass(slots=True)
class RecordedGate:
    """The gate of one attempt of one step. Effects are numbered in the order in which the step asks for them.

    `known_secrets` are struck out of whatever comes back, before anything else sees it.

    `unrecorded` are outcomes that are written with what the step writes next: its next PREPARE, or its end. Those of
    effects that may be repeated are, where nothing has to be awaited before that; `rides_along`: the step does one
    effect, and so its outcome is, whatever it may be. An effect that does not leave the process needs no record before
    it either: if the rules simply allow it, it lies whole in `noted`, judged under `policy_version`. `labels` are those
    of all that the step has seen so far.
    """

    engine: Engine
    claim: Claim
    policies: PolicyCache
    trust: Trust
    facts: Mapping[str, Json]
    labels: Labels = field(default_factory=Labels)
    deadline: float | None = None
    rides_along: bool = False
    ahead: bool = False
    known_secrets: Callable[[], Filter] = lambda: NOTHING
    unrecorded: list[Mapping[str, Any]] = field(default_factory=list)
    noted: list[Mapping[str, Any]] = field(default_factory=list)
    policy_version: int | None = None
    _seq: int = 0

    async def perform(self, effects: Sequence[Effect]) -> list[Outcome]:
        """Take the effects of one turn through the gate; the outcomes come in the same order.

        Raises:
            Parked: the step waits for a person or a budget; what was allowed has been done and recorded.
            Fenced, CancelRequested, Halted: this attempt must stop.
            NonDeterministic: an earlier attempt did something else at this place.
            CallFailed: a request is too large, or the rules keep changing; nothing was sent.
            NotAhead: the step was run ahead, and this has to be prepared.
            Unavailable, ValueLost: a large request or response cannot be written or read.
        """
        outcomes = await self._perform(effects)
        for outcome in outcomes:
            self.labels.seen.update(outcome.labels)
        return outcomes

    async def _perform(self, effects: Sequence[Effect]) -> list[Outcome]:
        first = self._seq + 1
        self._seq += len(effects)
        numbered = list(enumerate(effects, start=first))
        recorded = await self._from_journal(numbered)
        if recorded is not None:
            return recorded
        noted = await self._note(numbered)
        if noted is not None:
            return noted
        if self.ahead:
            raise NotAhead
        verdicts, edits = await self._prepare(numbered)
        if any(verdict["verdict"] == "uncertain" for verdict in verdicts):
            raise Parked
        sent = await self._send_all(
            [
                (edits[seq].effect if seq in edits else effect, verdict)
                for (seq, effect), verdict in zip(numbered, verdicts, strict=True)
                if verdict["verdict"] == "send"
            ],
            goes_on=all(verdict["verdict"] not in ("waiting", "budget") for verdict in verdicts),
        )
        waiting = [UUID(verdict["approval_id"]) for verdict in verdicts if verdict["verdict"] == "waiting"]
        told = await self._look_ahead(numbered, verdicts, edits)
        budget = next((verdict["waits_for"] for verdict in verdicts if verdict["verdict"] == "budget"), None)
        if waiting or budget:
            raise Parked(waiting, budget, told)
        return [
            _edited(sent[seq], edits.get(seq)) if verdict["verdict"] == "send" else await self._outcome(verdict)
            for (seq, _), verdict in zip(numbered, verdicts, strict=True)
        ]

    async def _outcome(self, entry: Mapping[str, Any]) -> Outcome:
        """Return a recorded call as an outcome; a question that expired counts as denied."""
        return Outcome(
            UUID(entry["call_id"]),
            _STATUSES[entry["status"]],
            await self.engine.payloads.load(self.claim.project_id, entry.get("response")),
            entry.get("error"),
            replayed=bool(entry.get("replayed")),
            edited=await self.engine.payloads.load(self.claim.project_id, entry.get("edited")),
            labels=frozenset(entry.get("labels") or ()),
        )

    async def _from_journal(self, numbered: Sequence[tuple[int, Effect]]) -> list[Outcome] | None:
        """Answer a turn that earlier attempts finished from the record alone, without asking the database."""
        known = {entry["seq"]: entry for entry in self.claim.journal if entry["status"] in _FINAL}
        if not all(seq in known for seq, _ in numbered):
            return None
        for seq, effect in numbered:
            entry = known[seq]
            if (entry["kind"], entry["name"], entry["request_hash"]) != (
                effect.kind,
                effect.name,
                digest(effect.request),
            ):
                raise NonDeterministic(f"Call {seq} of step {self.claim.key} is not what an earlier attempt recorded.")
        return [await self._outcome({**known[seq], "replayed": True}) for seq, _ in numbered]

    async def _note(self, numbered: Sequence[tuple[int, Effect]]) -> list[Outcome] | None:
        """Perform an effect that does not leave the process; None where it has to take the whole way."""
        seq, effect = numbered[0]
        known = {entry["seq"] for entry in self.claim.journal}
        if not self.rides_along or not effect.local or len(numbered) > 1 or seq in known:
            return None
        rules = await self.policies.get(self.claim.project_id, self.claim.policy_stamp)
        facts = self.known()
        if rules.counts_calls or rules.unread(effect, facts):
            return None
        request = await self._stored_request(effect)
        proposal = self._proposal(seq, effect, request, rules.decide(effect, facts))
        if proposal["outcome"] != "allow" or effect.bound_micros:
            return None
        begun = time.monotonic()
        sent = await self._sent(effect, {"call_id": proposal["id"], "send_no": 1})
        if sent.result["cost_micros"]:
            raise CallFailed("cost-of-a-local-tool", f"{effect.name} is local and may not cost.", retryable=False)
        self.policy_version = rules.version
        self.noted.append({**proposal, **sent.result, "seconds": time.monotonic() - begun})
        return [sent.outcome]

    async def _prepare(
        self, numbered: Sequence[tuple[int, Effect]]
    ) -> tuple[list[Mapping[str, Any]], Mapping[int, _Edit]]:
        """Judge the effects and have them written down; judge again if the rules changed meanwhile.

        What an approver has changed is judged and sent as they made it, under the number of what the step asked for.
        What people have agreed to counts, where that counts, for those after it from the moment in which it is sent.
        """
        requests = [await self._stored_request(effect) for _, effect in numbered]
        ended = {entry["seq"] for entry in self.claim.journal if entry["status"] in _FINAL}
        edits: dict[int, _Edit] = {}
        agreed: frozenset[int] = frozenset()
        changes = recounts = 0
        while changes < POLICY_RETRIES and recounts < COUNT_RETRIES:
            rules = await self.policies.get(self.claim.project_id, self.claim.policy_stamp)
            turn = await self._turn(rules, numbered)
            calls = []
            for (seq, effect), request in zip(numbered, requests, strict=True):
                edit = edits.get(seq)
                judged = effect if edit is None else edit.effect
                decision = rules.decide(judged, turn.facts(seq))
                let_go = seq in agreed and decision["outcome"] == RuleEffect.REQUIRE_APPROVAL
                proposed = {**self._proposal(seq, effect, request, decision), **_changed(edit)}
                calls.append({**proposed, "agreed": True} if let_go else proposed)
                if seq not in ended and (let_go or decision["outcome"] == RuleEffect.ALLOW):
                    turn.goes_out(seq)
            try:
                return await self._write_down(calls, rules.version, turn.sent_before), edits
            except PolicyChanged as changed:
                recounts += changed.version == rules.version
                changes += changed.version != rules.version
                if changed.version != rules.version:
                    self.policies.forget(self.claim.project_id)
            except Agreed as found:
                recounts += 1
                agreed = found.seqs
            except Edited as found:
                changes += 1
                await self._take_over(found.edits, dict(numbered), edits)
        raise CallFailed("policy-unstable", "The policy of the project kept changing.", retryable=True)

    async def _take_over(
        self, found: Sequence[Mapping[str, Any]], effects: Mapping[int, Effect], edits: dict[int, _Edit]
    ) -> None:
        """Let these edits hold for the calls that they are of."""
        for each in found:
            edits.pop(each["seq"], None)
            effect = effects[each["seq"]]
            if each["request_hash"] is not None and effect.edited is not None:
                request = await self.engine.payloads.load(self.claim.project_id, each["request"])
                edits[each["seq"]] = _Edit(each["request_hash"], request, effect.edited(request))

    def known(self) -> dict[str, Json]:
        """Return what is known now without asking anybody, whatever is judged."""
        return {"agent.version": 0, **self.facts, "labels": sorted(self.labels.seen)}

    async def _turn(self, rules: Rules, numbered: Sequence[tuple[int, Effect]]) -> Turn:
        """Return the facts of a turn, with those that have to be read for one of its effects."""
        facts = self.known()
        wanted = frozenset[str]().union(*(rules.unread(effect, facts) for _, effect in numbered))
        if not wanted:
            return Turn(facts, effects=numbered)
        wanted |= {SENT, SENT_OF_TURN} if wanted & COUNTED else frozenset()
        await self._record()  # what has been spent so far is among the facts
        about = OfRun(self.claim.run_id, self.claim.lease.step_id, [seq for seq, _ in numbered])
        return Turn(facts, await read_facts(self.engine.database.pool, about, wanted), numbered)

    async def _look_ahead(
        self,
        numbered: Sequence[tuple[int, Effect]],
        verdicts: Sequence[Mapping[str, Any]],
        edits: Mapping[int, _Edit],
    ) -> Mapping[UUID, str]:
        """Tell those who are asked what the calls would do, where their targets can say so without doing it; where an
        approver has changed one, what it would do as they want it. Returns the digests of the requests, by question.

        This leaves the process too, so it comes after PREPARE: the question is on record, no stop is in force.
        """
        asked = {
            UUID(verdict["approval_id"]): _Looked(effect, hash_, Dispatch(UUID(verdict["call_id"]), 0, self.deadline))
            for (seq, proposed), verdict in zip(numbered, verdicts, strict=True)
            if verdict["verdict"] == "waiting"
            for effect, hash_ in [_as_asked(proposed, edits.get(seq))]
            if effect.preview is not None
        }
        digests = {approval_id: each.hash for approval_id, each in asked.items()}
        if not asked:
            return digests
        wanted = await self.trust.insist(lambda _: without_outlook(self.engine, digests))
        if not self.trust.holds():
            raise Fenced(f"The lease of step {self.claim.key} is too old to look ahead.", where="trust")
        await asyncio.gather(*(self._note_outlook(approval_id, asked[approval_id]) for approval_id in wanted))
        return digests

    async def _note_outlook(self, approval_id: UUID, asked: _Looked) -> None:
        effect = asked.effect
        assert effect.preview is not None, "only such effects are asked"
        left = SECONDS if self.deadline is None else self.deadline - time.monotonic() - RESERVED_SECONDS
        told = await looked(effect.name, partial(effect.preview, asked.dispatch), left)
        outlook = self.known_secrets().value(told)  # as they are known now: looking may have needed one
        lease = self.claim.lease
        await self.trust.insist(lambda _: note_outlook(self.engine, lease, approval_id, asked.hash, outlook))

    async def _write_down(
        self, calls: Sequence[Mapping[str, Any]], policy_version: int, sent_before: int | None
    ) -> list[Mapping[str, Any]]:
        """Prepare the calls, also where the database goes away and comes back: nothing has been sent meanwhile."""
        lease = self.claim.lease

        async def act(again: bool) -> list[Mapping[str, Any]]:
            return await prepare(
                self.engine,
                lease,
                calls,
                policy_version=policy_version,
                again=again,
                sent_before=sent_before,
                results=self.unrecorded,
                project_id=self.claim.project_id,
            )

        verdicts = await self.trust.insist(act)
        self.unrecorded.clear()
        return verdicts

    async def _record(self) -> None:
        """Record what came back, also where the database goes away and comes back: an answer is not lost lightly."""
        if self.unrecorded:
            await self.trust.insist(lambda _: record(self.engine, self.claim.lease, self.unrecorded))
            self.unrecorded.clear()

    async def _stored_request(self, effect: Effect) -> _Request:
        """Return the request as its row keeps it; a large one is safe in object storage when this returns."""
        text = canonical(effect.request)
        if len(text) > INLINE_BYTES:
            await self._record()  # what has come back does not wait for the object storage
        try:
            stored = await self.engine.payloads.store(self.claim.project_id, effect.request, text=text)
            return _Request(stored.text, digest_of(text))
        except ValueTooLarge as error:
            raise CallFailed("request-too-large", error.detail, retryable=False) from None

    def _proposal(self, seq: int, effect: Effect, request: _Request, decision: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": str(new_id()),
            "seq": seq,
            "kind": effect.kind,
            "name": effect.name,
            "tool_hash": effect.tool_hash,
            "request": request.text,
            "request_hash": request.hash,
            "effect_class": effect.effect_class,
            "bound_micros": effect.bound_micros,
            "bound_tokens": effect.bound_tokens,
            "agent": effect.facts.get("agent.name"),
            "approval_id": str(new_id()),
            "approval_seconds": APPROVAL_SECONDS,
            "agent_version_id": self.claim.pins.get("agents", {}).get(effect.facts.get("agent.name")),
            "title": f"{effect.facts.get('agent.name') or self.claim.key} asks to use {effect.name}",
            **({"labels": sorted(effect.labels)} if effect.labels else {}),
            **decision,
        }

    async def _send_all(
        self, allowed: Sequence[tuple[Effect, Mapping[str, Any]]], *, goes_on: bool
    ) -> dict[int, Outcome]:
        """Send what was allowed, side by side, and record what came of it, or, if the step `goes_on`, let it wait for
        what is written next: not an effect that must not or cannot freely be repeated."""
        if not allowed:
            return {}
        if not self.trust.holds():
            raise Fenced(f"The lease of step {self.claim.key} is too old to start a call.", where="trust")
        failpoint("before_send")
        sent = await asyncio.gather(*(self._send(effect, verdict) for effect, verdict in allowed))
        failpoint("after_send")
        unknown = any(each.result["status"] == CallStatus.UNKNOWN for each in sent)
        repeatable = all(effect.effect_class is EffectClass.PURE for effect, _ in allowed)
        if unknown or not goes_on or not (repeatable or self.rides_along):
            await self._record()
        if unknown:
            raise Parked
        return {verdict["seq"]: each.outcome for (_, verdict), each in zip(allowed, sent, strict=True)}

    async def _send(self, effect: Effect, verdict: Mapping[str, Any]) -> _Sent:
        """Send one effect; its outcome lies in `unrecorded` at once, for others of the turn may take for ever."""
        sent = await self._sent(effect, verdict)
        self.unrecorded.append(sent.result)
        return sent

    async def _sent(self, effect: Effect, verdict: Mapping[str, Any]) -> _Sent:
        call_id = UUID(verdict["call_id"])
        try:
            receipt = await self._dispatch(effect, Dispatch(call_id, verdict["send_no"], self.deadline))
            receipt = replace(receipt, response=self.known_secrets().value(receipt.response))
            response = await self._stored_response(effect, receipt)
        except CallFailed as failed:
            labels = effect.labels | failed.labels
            error = self.without_secrets(failed.error)
            return _failed(call_id, error, failed.retryable, failed.cost_micros, failed.usage, labels)
        except OutcomeUnknown as unknown:
            error = self.without_secrets(ErrorInfo(code="outcome-unknown", message=unknown.message))
            if effect.effect_class is EffectClass.UNSAFE:
                result = _result(call_id, CallStatus.UNKNOWN, None, error, None, None, effect.labels)
                return _Sent(result, Outcome(call_id, "failed", None, error, replayed=False))
            return _failed(call_id, error, True, None, None, effect.labels)
        return _done(call_id, receipt, response, effect.labels | receipt.labels)

    def without_secrets(self, error: ErrorInfo) -> ErrorInfo:
        """Return an error as it may be recorded."""
        return ErrorInfo(code=error["code"], message=self.known_secrets().text(error["message"]))

    async def _stored_response(self, effect: Effect, receipt: Receipt) -> Stored:
        """Return the response as its row keeps it; one that cannot be kept is as good as lost."""
        try:
            return await self.engine.payloads.store(self.claim.project_id, receipt.response)
        except ValueTooLarge as error:
            raise CallFailed(
                RESPONSE_TOO_LARGE,
                error.detail,
                retryable=False,
                cost_micros=receipt.cost_micros,
                usage=receipt.usage,
                labels=receipt.labels,
            ) from None
        except Unavailable as error:
            raise OutcomeUnknown(f"{effect.name} has answered, but the answer was not kept: {error.detail}") from error

    async def _dispatch(self, effect: Effect, dispatch: Dispatch) -> Receipt:
        try:
            return await effect.send(dispatch)
        except (CallFailed, OutcomeUnknown):
            raise
        except Exception as bug:  # nobody knows how far a bug came, so it counts as an answer that was lost
            log.exception("effect.bug", step_id=str(self.claim.lease.step_id), name=effect.name)
            raise OutcomeUnknown(f"{effect.name} broke down: {type(bug).__name__}") from bug


def _changed(edit: _Edit | None) -> dict[str, Any]:
    """Return what an edit changes of a proposal; the request and its digest stay those that the step asks for."""
    if edit is None:
        return {}
    effect = edit.effect
    return {"bound_micros": effect.bound_micros, "bound_tokens": effect.bound_tokens, "edited_hash": edit.hash}


def _as_asked(proposed: Effect, edit: _Edit | None) -> tuple[Effect, str]:
    return (proposed, digest(proposed.request)) if edit is None else (edit.effect, edit.hash)


def _edited(outcome: Outcome, edit: _Edit | None) -> Outcome:
    return outcome if edit is None else replace(outcome, edited=edit.request)


_FINAL = frozenset({CallStatus.DONE, CallStatus.FAILED, CallStatus.DENIED, CallStatus.EXPIRED})


_STATUSES: Mapping[str, OutcomeStatus] = {
    CallStatus.DONE: "done",
    CallStatus.FAILED: "failed",
    CallStatus.DENIED: "denied",
    CallStatus.EXPIRED: "denied",
}


def _result(
    call_id: UUID,
    status: CallStatus,
    response: Part | None,
    error: ErrorInfo | None,
    usage: Any,
    cost_micros: int | None,
    labels: frozenset[str],
) -> dict[str, Any]:
    return {
        **({"labels": sorted(labels)} if labels else {}),
        "call_id": str(call_id),
        "status": status,
        "response": response,
        "error": error,
        "usage": usage.to_json() if usage is not None else None,
        "cost_micros": cost_micros,
    }


def _done(call_id: UUID, receipt: Receipt, stored: Stored, labels: frozenset[str]) -> _Sent:
    result = _result(call_id, CallStatus.DONE, stored.text, None, receipt.usage, receipt.cost_micros, labels)
    return _Sent(result, Outcome(call_id, "done", receipt.response, None, replayed=False, labels=labels))


def _failed(
    call_id: UUID, error: ErrorInfo, retryable: bool, cost_micros: int | None, usage: Any, labels: frozenset[str]
) -> _Sent:
    result = _result(call_id, CallStatus.FAILED, None, error, usage, cost_micros, labels)
    outcome = Outcome(call_id, "failed", None, error, replayed=False, retryable=retryable, labels=labels)
    return _Sent(result, outcome)
