"""The model of the kill switch: two scopes that can be stopped, and a worker whose step prepares a call.

Preparing takes the locks of both scopes, shared, before it looks for halts, and holds them until its commit. Stopping
takes the lock of its scope alone, so it is acknowledged only when nothing is being prepared under an older look.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

LATE = "HALT a call was let out after the stop was acknowledged"
BLAMED = "HALT a step failed because work was stopped"
MUTANTS: dict[str, str] = {
    "preparing takes no lock": LATE,
    "preparing looks before it locks": LATE,
    "preparing lets go of the lock before its commit": LATE,
    "preparing locks the project only": LATE,
    "preparing looks for halts of the project only": LATE,
    "stopping takes no lock": LATE,
    "a step that is refused has failed": BLAMED,
    "a step that is refused counts a failure": BLAMED,
    "a step that is refused waits for a wake-up": NEVER_ENDS,
    "what was prepared before is sent again without asking": LATE,
}
ENOUGH = ["claiming does not look for halts"]
"""What is claimed under a halt is refused when it prepares: a waste, not a breach."""
MUST_HAPPEN = {
    "claim",
    "prepare",
    "prepare is refused",
    "acknowledge the stop of 0",
    "acknowledge the stop of 1",
    "release 0",
}

MAX_FAILURES = 2
Scope = Literal["", "asked", "stopped", "released"]


class State(NamedTuple):
    step: Literal["ready", "running", "waiting", "succeeded", "failed"] = "ready"
    failures: int = 0
    phase: Literal["idle", "claimed", "looked", "locked", "prepared"] = "idle"
    found: bool = False
    shared: tuple[bool, bool] = (False, False)
    """The locks that preparing holds: of the installation, of the project."""
    scopes: tuple[Scope, ...] = ("", "")
    prepared: bool = False
    """By this attempt or by an earlier one."""
    late: bool = False


Moves = Iterator[tuple[str, State]]


class Halting:
    """The model: one worker, and a person who stops and releases the installation (0) and the project (1)."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.step == "succeeded" or "stopped" in state.scopes

    def broken(self, state: State) -> Iterator[str]:
        if state.late:
            yield LATE
        if state.step == "failed":
            yield BLAMED

    def transitions(self, state: State) -> Moves:
        for scope, status in enumerate(state.scopes):
            yield from self._person(state, scope, status)
        yield from self._worker(state)
        if state.phase != "idle":
            yield "worker dies, reaped", state._replace(step="ready", phase="idle", shared=(False, False))

    def _worker(self, state: State) -> Moves:
        match state.phase:
            case "idle" if state.step == "ready":
                if not self._halted(state) or "claiming does not look for halts" in self.without:
                    yield "claim", state._replace(step="running", phase="claimed")
            case "claimed" if state.prepared and "sent again without asking" in self.without:
                yield "send again", state._replace(phase="prepared", late=state.late or "stopped" in state.scopes)
            case "prepared":
                yield "send and complete", state._replace(step="succeeded", phase="idle")
            case "claimed" if self.without == "preparing looks before it locks":
                yield "look", state._replace(phase="looked", found=self._halted(state))
            case "claimed":
                yield from self._lock(state, looked=False)
            case "looked":
                yield from self._lock(state, looked=True)
            case "locked":
                yield self._commit(state)

    def _halted(self, state: State) -> bool:
        looked = state.scopes[1:] if "halts of the project only" in self.without else state.scopes
        return "stopped" in looked

    def _lock(self, state: State, *, looked: bool) -> Moves:
        free = [status != "asked" for status in state.scopes]
        shared = (self.without != "preparing locks the project only", True)
        if self.without in ("preparing takes no lock", "preparing lets go of the lock before its commit"):
            shared = (False, False)
        if "lets go" in self.without or all(free[scope] or not shared[scope] for scope in (0, 1)):
            found = state.found if looked else self._halted(state)
            yield "lock and look", state._replace(phase="locked", shared=shared, found=found)

    def _commit(self, state: State) -> tuple[str, State]:
        done = state._replace(shared=(False, False), found=False)
        if not state.found:
            late = state.late or "stopped" in state.scopes
            return "prepare", done._replace(phase="prepared", prepared=True, late=late)
        back = done._replace(phase="idle", step="ready")
        match self.without:
            case "a step that is refused has failed":
                back = back._replace(step="failed")
            case "a step that is refused counts a failure":
                failures = state.failures + 1
                back = back._replace(failures=failures, step="failed" if failures >= MAX_FAILURES else "ready")
            case "a step that is refused waits for a wake-up":
                back = back._replace(step="waiting")
        return "prepare is refused", back

    def _person(self, state: State, scope: int, status: Scope) -> Moves:
        alone = not state.shared[scope]
        match status:
            case "" if self.without == "stopping takes no lock" or alone:
                yield f"ask for the stop of {scope}", self._set(state, scope, "asked")
            case "asked":
                yield f"acknowledge the stop of {scope}", self._set(state, scope, "stopped")
            case "stopped":
                yield f"release {scope}", self._set(state, scope, "released")

    def _set(self, state: State, scope: int, status: Scope) -> State:
        return state._replace(scopes=put(state.scopes, scope, status))
