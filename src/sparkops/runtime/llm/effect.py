"""A model call as an effect, and the one way in which steps ask a model."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sparkops.core.json import Json
from sparkops.core.redaction import Stream
from sparkops.core.storable import storable
from sparkops.domains.effects.state import CallKind, EffectClass
from sparkops.runtime.effects import Dispatch, Effect, Gate, Outcome, Receipt, StepFailed
from sparkops.runtime.llm.base import Model, ModelAnswer, ModelRequest
from sparkops.runtime.secrets.base import NO_SECRETS, CallSecrets

OnCallText = Callable[[UUID, str], Awaitable[None]]
"""Takes a piece of text as it comes, with the id of the call it belongs to. Losing one loses nothing."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model under the name by which the definition calls it: that name is journaled, the endpoint's is not.

    `secrets_for` says what one call may be given, `stream` what strikes secrets out of the text that is shown.
    """

    name: str
    model: Model
    on_text: OnCallText | None = None
    secrets_for: Callable[[Dispatch], CallSecrets] = lambda _: NO_SECRETS
    stream: Callable[[], Stream] = Stream

    def effect(self, request: ModelRequest, facts: Mapping[str, Json]) -> Effect:
        """Return the call of this model as an effect."""

        async def send(dispatch: Dispatch) -> Receipt:
            shown = None if self.on_text is None else _Shown(dispatch.call_id, self.on_text, self.stream())
            on_text = None if shown is None else shown.text
            answer = await self.model.complete(request, on_text, dispatch.deadline, self.secrets_for(dispatch))
            if shown is not None:
                await shown.end()
            return Receipt(storable(answer.to_json()), answer.cost_micros, answer.usage)

        def tokens() -> int:
            return request.size + request.max_output_tokens

        return Effect(
            kind=CallKind.LLM,
            name=self.name,
            request={"model": self.name, **request.to_json()},
            effect_class=EffectClass.PURE,
            bound_micros=self.model.bound(request),
            bound_tokens=self.model.bound_tokens(request),
            tool_hash=None,
            send=send,
            facts={"model": self.name, **facts},
            late_facts={"call.tokens": tokens},
        )

    async def ask(self, gate: Gate, request: ModelRequest, facts: Mapping[str, Json]) -> ModelAnswer:
        """Ask through the gate and return the answer, a recorded one if there is one.

        Raises:
            StepFailed: the call was denied or failed.
        """
        outcome = await perform_anew(gate, self.effect(request, facts))
        if outcome.status != "done" or not isinstance(outcome.response, dict):
            raise failure(outcome)
        return ModelAnswer.from_json(outcome.response)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of one answer while it comes, without secrets."""

    call_id: UUID
    on_text: OnCallText
    stream: Stream

    async def text(self, piece: str) -> None:
        await self._show(self.stream.feed(piece))

    async def end(self) -> None:
        await self._show(self.stream.end())

    async def _show(self, text: str) -> None:
        if text:
            await self.on_text(self.call_id, text)


async def perform_anew(gate: Gate, effect: Effect) -> Outcome:
    """Perform one effect, passing over the failures that earlier attempts of the step recorded.

    A failure stays in the record for good; the same effect asked once more takes the next place in the order. This
    is how a retry of the step gets a new try, and how a replay of that retry still takes the same path.
    """
    while True:
        (outcome,) = await gate.perform([effect])
        if not (outcome.status == "failed" and outcome.replayed):
            return outcome


def failure(outcome: Outcome) -> StepFailed:
    """Return the step's failure for an effect that it cannot do without."""
    error = outcome.error or {"code": outcome.status, "message": f"The call was {outcome.status}."}
    return StepFailed(error["code"], error["message"], retryable=outcome.retryable)
