"""Stand-ins that we own: a gate that journals in memory and may be killed, and a model that plays answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.core.json import Json, canonical, digest, loads
from sparkops.core.money import Micros
from sparkops.core.storable import storable
from sparkops.runtime.effects import (
    FREE,
    CallFailed,
    Dispatch,
    Effect,
    ErrorInfo,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
)
from sparkops.runtime.llm.base import ModelAnswer, ModelRequest, OnText
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets


class Killed(Exception):
    """The process died here."""


@dataclass(frozen=True)
class Entry:
    """One effect as the journal keeps it: what was asked, and what came of it."""

    call_id: UUID
    request_hash: str
    status: OutcomeStatus
    response: bytes
    error: ErrorInfo | None
    bound_micros: Micros
    cost_micros: Micros


@dataclass
class Journal:
    """What survives a crash. `sent` counts every send, lost ones too."""

    entries: list[Entry] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def hashes(self) -> list[str]:
        return [entry.request_hash for entry in self.entries]


@dataclass
class FakeGate:
    """The gate of one attempt. It dies after `dies_after` sends, with the last answer lost or kept."""

    journal: Journal
    dies_after: int | None = None
    loses_last: bool = True
    deny: Callable[[Effect], str | None] = lambda _: None
    turns: list[int] = field(default_factory=list)
    _seq: int = 0
    _sends: int = 0

    async def perform(self, effects: Sequence[Effect]) -> list[Outcome]:
        self.turns.append(len(effects))
        return [await self._one(effect) for effect in effects]

    async def _one(self, effect: Effect) -> Outcome:
        self._seq += 1
        if self._seq <= len(self.journal.entries):
            return self._replay(effect, self.journal.entries[self._seq - 1])
        refusal = self.deny(effect)
        if refusal is not None:
            return self._keep(effect, new_id(), "denied", None, ErrorInfo(code="denied", message=refusal))
        return await self._send(effect)

    def _replay(self, effect: Effect, entry: Entry) -> Outcome:
        assert digest(effect.request) == entry.request_hash, "a replay asks for something else"
        return Outcome(entry.call_id, entry.status, loads(entry.response), entry.error, replayed=True)

    async def _send(self, effect: Effect) -> Outcome:
        call_id = new_id()
        self._sends += 1
        self.journal.sent.append(digest(effect.request))
        dies = self._sends == self.dies_after
        if dies and self.loses_last:
            raise Killed
        try:
            receipt = await effect.send(Dispatch(call_id, 1, None))
        except (CallFailed, OutcomeUnknown) as failed:
            error = failed.error if isinstance(failed, CallFailed) else ErrorInfo(code="unknown", message=str(failed))
            retryable = not isinstance(failed, CallFailed) or failed.retryable
            outcome = self._keep(effect, call_id, "failed", None, error, retryable=retryable)
        else:
            outcome = self._keep(effect, call_id, "done", receipt.response, None, cost=receipt.cost_micros)
        if dies:
            raise Killed
        return outcome

    def _keep(
        self,
        effect: Effect,
        call_id: UUID,
        status: OutcomeStatus,
        response: Json,
        error: ErrorInfo | None,
        *,
        retryable: bool = False,
        cost: Micros = FREE,
    ) -> Outcome:
        assert canonical(storable(response)) == canonical(response), "the database would give back something else"
        # Kept with sorted keys: the database, too, gives objects back in another order than they had.
        entry = Entry(call_id, digest(effect.request), status, canonical(response), error, effect.bound_micros, cost)
        self.journal.entries.append(entry)
        return Outcome(call_id, status, response, error, replayed=False, retryable=retryable)


@dataclass
class PlayedModel:
    """Answers by a function of the request; counts how often it was asked."""

    answer: Callable[[ModelRequest], ModelAnswer]
    name: str = "played"
    scripted: bool = False
    asked: int = 0

    def bound_tokens(self, request: ModelRequest) -> int:
        return 0

    def bound(self, request: ModelRequest) -> Micros:
        return Micros(1_000)

    async def complete(
        self,
        request: ModelRequest,
        on_text: OnText | None,
        deadline: float | None,
        secrets: CallSecrets = NO_SECRETS,
    ) -> ModelAnswer:
        self.asked += 1
        answer = self.answer(request)
        if on_text is not None:
            await on_text(answer.text)
        return answer
