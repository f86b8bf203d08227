"""The model of runs that people let begin, and whose output people let out.

One run, one question at a time, first about its beginning, then about its output. `rule` is what rules and budgets
say together: of its beginning budgets may ask, too, or refuse. Both may change whenever they like,
also between the judgement and its commit; who answers may die before the run is advanced; the sweep comes by at any
time, and so does somebody who cancels.

Or it is the run of a sub-workflow, and a person pauses the run above it, and resumes it: first that one, and then what
is below, which the pause passes over while people are asked whether it may begin.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS

UNALLOWED_START = "INV4 it began although the rules of that moment did not let it"
UNALLOWED_OUTPUT = "INV4 the output was handed out although the rules of that moment did not let it"
WITHOUT_CONSENT = "INV17 it went on without an answer that counts"
WOKEN = "RUN a run that had ended went on"
OPEN_QUESTION = "INV17 a question is open though nobody waits for its answer"
EARLY = "RUN something of it was done before it was let go"
BELOW_A_PAUSE = "HELD it went on below a run whose pause was acknowledged"

MUTANTS: dict[str, str] = {
    "what was judged under other rules is written": UNALLOWED_START,
    "the rules are not asked again before it begins": UNALLOWED_START,
    "the rules are not asked again before the output is handed out": UNALLOWED_OUTPUT,
    "consent for other demands counts": UNALLOWED_START,
    "a no counts as a yes": WITHOUT_CONSENT,
    "a no does not count where nobody asks any more": WITHOUT_CONSENT,
    "an answer that came too late counts": WITHOUT_CONSENT,
    "it goes on while the question is open": WITHOUT_CONSENT,
    "whoever advances does not look whether it still waits": WOKEN,
    "a question that no rule asks any more stays open": OPEN_QUESTION,
    "cancelling leaves the question open": OPEN_QUESTION,
    "what waits for consent may be claimed": EARLY,
}
QUIET_MUTANTS: dict[str, str] = {
    "who answers leaves no mark": NEVER_ENDS,
    "who lets a question expire leaves no mark": NEVER_ENDS,
}
"""What a cancellation would hide."""
BELOW_MUTANTS: dict[str, str] = {
    "admitting does not look at the run above": BELOW_A_PAUSE,
    "a pause passes over what has begun": BELOW_A_PAUSE,
    "resuming passes over what is below": NEVER_ENDS,
}
MUST_HAPPEN_BELOW = {"pause above", "pause below", "pause instead", "resume above", "resume below", "admit"}
MUST_HAPPEN = {"judge again", "ask anew", "begin", "deny", "hand out", "fail", "expire", "cancel", "die", "sweep"}

Rule = Literal["allow", "one", "two", "deny"]
RULES: tuple[Rule, ...] = ("allow", "one", "two", "deny")
OVER = ("succeeded", "failed", "denied", "cancelled")


class State(NamedTuple):
    run: str = ""
    """Nothing yet, awaiting, queued or paused (below another run), running, held (its output is), or how it ended."""
    question: str = ""
    """Of the last question that was asked: pending, approved, rejected, expired, withdrawn, used; none."""
    demanded: Rule = "one"
    """What the question demands."""
    yeses: int = 0
    lapsed: bool = False
    """The time of the question is over, though nobody may have said so yet."""
    rule: Rule = "one"
    judged: Rule | None = None
    """Under which rule the run was judged that is about to be written."""
    changes: int = 2
    due: bool = False
    """Somebody is about to advance the run."""
    marked: bool = False
    """The database says that the run has to be advanced."""
    idle: int = 1
    """How often somebody still advances it for nothing."""
    above: Literal["goes on", "pausing", "paused", "resuming", "resumed"] = "goes on"
    """The run above: a pause is acknowledged when it has come to what is below."""
    done: str = ""
    """What is wrong about the last thing that was done."""


Moves = Iterator[tuple[str, State]]


class Clearing:
    """The model."""

    def __init__(self, without: str = "", *, cancels: bool = True, below: bool = False) -> None:
        self.without, self.cancels, self.below = without, cancels, below

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        """At an end, or with a question that only people, or time, can close."""
        return state.run in OVER

    def broken(self, state: State) -> Iterator[str]:
        if state.done:
            yield state.done
        if state.question in ("pending", "approved") and state.run not in ("awaiting", "held"):
            yield OPEN_QUESTION
        if state.run == "running" and state.above == "paused":
            yield BELOW_A_PAUSE

    def transitions(self, state: State) -> Moves:
        if state.changes and state.run not in OVER:
            for rule in RULES:
                if rule != state.rule:
                    yield f"the rules say {rule}", state._replace(rule=rule, changes=state.changes - 1)
        if state.run == "":
            yield from self._accept(state)
            return
        if state.run in ("awaiting", "held"):
            yield from self._answers(state)
        yield from self._advances(state)
        yield from self._below(state)
        if state.run == "awaiting" and self.without == "what waits for consent may be claimed":
            yield "claim", state._replace(done=EARLY)
        if state.run == "running":
            yield from self._judged(state, "held", "hand out", "fail")
        if self.cancels and state.run in ("awaiting", "queued", "paused", "running", "held"):
            open_still = self.without == "cancelling leaves the question open"
            question = state.question if open_still else _withdrawn(state.question)
            yield "cancel", state._replace(run="cancelled", question=question)

    def _below(self, state: State) -> Moves:
        """Each is one transaction: first the run above, then this one, whose lock says which of two comes first."""
        if state.run == "queued":
            looks = self.without != "admitting does not look at the run above"
            if looks and state.above in ("pausing", "paused"):
                yield "pause instead", state._replace(run="paused")
            else:
                yield "admit", state._replace(run="running")
        match state.above:
            case "goes on" if self.below and state.run in ("awaiting", "queued", "running"):
                yield "pause above", state._replace(above="pausing")
            case "pausing":
                held = {"queued"} if self.without == "a pause passes over what has begun" else {"queued", "running"}
                yield "pause below", state._replace(above="paused", run="paused" if state.run in held else state.run)
            case "paused":
                yield "resume above", state._replace(above="resuming")
            case "resuming":
                resumes = state.run == "paused" and self.without != "resuming passes over what is below"
                yield "resume below", state._replace(above="resumed", run="queued" if resumes else state.run)

    def _advances(self, state: State) -> Moves:
        if state.due:
            yield "die", state._replace(due=False)
            yield from self._advance(state._replace(due=False))
        if state.marked:
            for name, after in self._advance(state):
                yield "sweep", after
                yield name, after
        if state.idle and state.run in ("awaiting", "held"):
            yield from self._advance(state._replace(idle=0))

    def _accept(self, state: State) -> Moves:
        if state.judged is None:
            yield "judge", state._replace(judged=state.rule)
        elif state.judged != state.rule and self.without != "what was judged under other rules is written":
            yield "judge again", state._replace(judged=state.rule)
        elif state.judged == "deny":
            yield "refuse", state._replace(run="denied")
        elif state.judged == "allow":
            wrong = "" if state.rule == "allow" else UNALLOWED_START
            yield "accept", state._replace(run="running", done=wrong)
        else:
            yield "accept, and ask", _ask(state, "awaiting", state.judged)

    def _answers(self, state: State) -> Moves:
        if state.question == "pending" and not state.lapsed:
            yield "somebody says no", self._settled(state, "rejected", "who answers leaves no mark")
            yeses = state.yeses + 1
            if yeses < (2 if state.demanded == "two" else 1):
                yield "somebody agrees", state._replace(yeses=yeses)
            else:
                yield "enough agree", self._settled(state, "approved", "who answers leaves no mark")
        if state.question in ("pending", "approved"):
            if not state.lapsed:
                yield "its time is over", state._replace(lapsed=True)
            else:
                yield "expire", self._settled(state, "expired", "who lets a question expire leaves no mark")

    def _settled(self, state: State, question: str, unmarked: str) -> State:
        """An answer and the mark are one transaction."""
        return state._replace(question=question, due=True, marked=self.without != unmarked)

    def _advance(self, state: State) -> Moves:
        """Whoever advances holds the lock of the run, and takes the mark away."""
        after = state._replace(marked=False)
        if state.run == "awaiting":
            yield from self._judged(after, "awaiting", "begin", "deny")
        elif state.run == "held":
            yield from self._judged(after, "held", "hand out", "fail")
        elif state.run in OVER and self.without == "whoever advances does not look whether it still waits":
            yield "begin", after._replace(done=WOKEN)
        else:
            yield "nothing to do", after

    def _judged(self, state: State, place: str, go: str, no: str) -> Moves:
        """Ask the rules of this moment, look at the answer, and write down what follows, in one transaction."""
        begins = place == "awaiting"
        unasked = f"the rules are not asked again before {'it begins' if begins else 'the output is handed out'}"
        asked = state.run != "running" and state.question in ("pending", "approved", "rejected", "expired")
        rule = state.demanded if asked and self.without == unasked else state.rule
        on, over = ("queued" if self.below else "running", "denied") if begins else ("succeeded", "failed")
        unallowed = UNALLOWED_START if begins else UNALLOWED_OUTPUT
        closed = state._replace(question=_withdrawn(state.question))
        said_no = asked and state.question in ("rejected", "expired")
        if rule == "deny":
            yield no, closed._replace(run=over)
        elif rule == "allow" and said_no and self._heeds_a_no():
            yield no, state._replace(run=over)
        elif rule == "allow":
            stays = self.without == "a question that no rule asks any more stays open"
            wrong = WITHOUT_CONSENT if said_no else "" if state.rule == "allow" else unallowed
            yield go, (state if stays else closed)._replace(run=on, done=wrong)
        elif not asked:
            yield "ask", _ask(state, place, rule)
        elif rule != state.demanded and state.question in ("pending", "approved") and not self._counts_all():
            yield "ask anew", _ask(state, place, rule)
        elif self._lets(state):
            wrong = "" if rule == state.rule and rule == state.demanded else unallowed
            good = state.question == "approved" and not state.lapsed
            yield go, state._replace(run=on, question="used", done=wrong if good else WITHOUT_CONSENT)
        elif state.question == "pending" and not state.lapsed:
            yield "wait on", state
        elif state.question in ("pending", "approved"):
            yield no, state._replace(run=over, question="expired")
        else:
            yield no, state._replace(run=over)

    def _heeds_a_no(self) -> bool:
        return self.without != "a no does not count where nobody asks any more"

    def _counts_all(self) -> bool:
        return self.without == "consent for other demands counts"

    def _lets(self, state: State) -> bool:
        match self.without:
            case "a no counts as a yes" if state.question == "rejected":
                return True
            case "an answer that came too late counts" if state.question == "approved":
                return True
            case "it goes on while the question is open" if state.question == "pending":
                return True
        return state.question == "approved" and not state.lapsed


def _ask(state: State, run: str, rule: Rule) -> State:
    return state._replace(run=run, question="pending", demanded=rule, yeses=0, lapsed=False, due=False)


def _withdrawn(question: str) -> str:
    return "withdrawn" if question in ("pending", "approved") else question
