"""The model of a new run that keeps steps of another: a retry, while the other ends, is compensated or is uncertain.

The source has a step whose effect can be taken back, and a step with a call that must not be repeated. The copy keeps
what has succeeded and still stands, does the rest again, and does nothing again that may have happened, unless a
person says that it did not.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

SENT_TWICE = "INV10 a call was sent again of which nobody had said that it did not happen"
GONE = "COPY a step was kept whose effect had been taken back"
MISSING = "COPY a step was kept that had not succeeded"

MUTANTS: dict[str, str] = {
    "a run that goes on may be copied": SENT_TWICE,
    "what is kept is read before the end of the source": SENT_TWICE,
    "what may have happened is done again unasked": SENT_TWICE,
    "what was taken back is kept": GONE,
    "what failed is kept": MISSING,
}
MUST_HAPPEN = {"send", "record", "lose the answer", "fail", "undo", "copy", "ask", "a person says no", "send again"}


class State(NamedTuple):
    source: Literal["running", "compensating", "ended"] = "running"
    undoable: Literal["succeeded", "undone"] = "succeeded"
    call: Literal["none", "sent", "done", "failed", "unknown"] = "none"
    happened: bool = False
    read: tuple[str, str] | None = None
    """What the copy has read of the two steps."""
    denied: bool = False
    copy: Literal["", "asking", "running", "ended"] = ""
    kept: tuple[bool, bool] = (False, False)
    sent_again: bool = False
    wrong: str = ""


Moves = Iterator[tuple[str, State]]


class Copying:
    """The model. Reading the source takes no lock: a run that has ended does not change any more."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.copy == "ended" or (state.copy == "asking" and state.call == "unknown" and not state.denied)

    def broken(self, state: State) -> Iterator[str]:
        if state.wrong:
            yield state.wrong
        if state.kept[0] and state.undoable == "undone":
            yield GONE

    def transitions(self, state: State) -> Moves:
        yield from self._source(state)
        match state.copy:
            case "" if state.read is None:
                yield from self._read(state)
            case "":
                if state.source == "ended" or self.without == "a run that goes on may be copied":
                    yield from self._decide(state)
            case "asking" if not state.denied:
                yield "a person says no", state._replace(denied=True)
            case "asking":
                yield "copy", self._copy(state)
            case "running" if not state.kept[1] and not state.sent_again:
                sure = state.call in ("none", "failed") and state.source == "ended"
                twice = "" if sure or state.denied else SENT_TWICE
                yield "send again", state._replace(sent_again=True, wrong=state.wrong or twice)
            case "running":
                yield "the copy ends", state._replace(copy="ended")

    def _source(self, state: State) -> Moves:
        match state.source, state.call:
            case "running", "none":
                yield "send", state._replace(call="sent", happened=True)
                yield "fail", state._replace(call="failed", source="compensating")
            case "running", "sent":
                yield "record", state._replace(call="done", source="ended")
                yield "lose the answer", state._replace(call="unknown", source="ended")
                yield "lose the answer, undo", state._replace(call="unknown", source="compensating")
            case "compensating", _ if state.undoable == "succeeded":
                yield "undo", state._replace(undoable="undone")
                yield "the undo fails", state._replace(source="ended")
            case "compensating", _:
                yield "end", state._replace(source="ended")

    def _read(self, state: State) -> Moves:
        """First whether the source has ended, then its steps; the other way round they may have changed."""
        careless = self.without in (
            "a run that goes on may be copied",
            "what is kept is read before the end of the source",
        )
        if state.source == "ended" or careless:
            yield "read", state._replace(read=(state.undoable, state.call))

    def _decide(self, state: State) -> Moves:
        assert state.read is not None
        unsure = state.read[1] in ("sent", "unknown")
        if unsure and self.without != "what may have happened is done again unasked":
            yield "ask", state._replace(copy="asking")
        else:
            yield "copy", self._copy(state)

    def _copy(self, state: State) -> State:
        assert state.read is not None
        undoable, call = state.read
        stands = undoable == "succeeded" or self.without == "what was taken back is kept"
        kept = (stands, call == "done" or (call == "failed" and self.without == "what failed is kept"))
        wrong = MISSING if kept[1] and state.call != "done" else ""
        return state._replace(copy="running", kept=kept, wrong=state.wrong or wrong)
