"""The model of pausing, resuming and cancelling a run whose maps insert rows meanwhile, at the grain of row locks.

Pausing marks every open step as held, cancelling asks it to stop; a row that is inserted inherits the mark of the step
that inserts it. Whoever inserts holds the run as whoever marks does, and takes it before its step: inserting a row
takes a lock of the run that it refers to, whether one wants it or not.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

LATE = "HELD a step was claimed after the pause was acknowledged"
INV16 = "INV16 a step was claimed after the cancellation was acknowledged"
ONE_STATEMENT = "marked in one statement, without locking first"
RUN_LATER = "what inserts locks its step before the run"
NO_KEY = "rows do not refer to their run"

MUTANTS: dict[str, str] = {
    "only what is ready is marked": LATE,
    "inserted rows do not inherit": LATE,
    "what inserts reads the mark before it locks": LATE,
    "claiming does not look again under the lock": LATE,
    "resuming releases only what is ready": NEVER_ENDS,
    "resuming does not look whether all has ended": NEVER_ENDS,
}
CANCEL_MUTANTS: dict[str, str] = {
    "what inserts does not look whether it was asked to stop": INV16,
}
LOCK_MUTANTS: dict[tuple[str, ...], str] = {
    (RUN_LATER,): NEVER_ENDS,
    (RUN_LATER, NO_KEY): LATE,
    (RUN_LATER, NO_KEY, ONE_STATEMENT): LATE,
    (RUN_LATER, NO_KEY, "resuming is one statement"): NEVER_ENDS,
}
"""Without the lock of the run there is a deadlock; without the reference, too, rows that nobody marks."""
ENOUGH: list[tuple[str, ...]] = [(ONE_STATEMENT,), ("resuming is one statement",)]
"""Since what inserts is kept out by the lock of the run, one statement sees every row."""
MUST_HAPPEN = {"insert", "acknowledge the pause", "resume", "complete, next is ready"}

MAP, INNER, ITEM, FIRST, SECOND = range(5)
"""A map whose body is a map with one step, and a chain of two steps beside it."""
Status = Literal["", "pending", "ready", "running", "done"]


class Row(NamedTuple):
    status: Status = ""
    held: bool = False
    lock: Literal["", "worker", "person"] = ""
    inherits: bool | None = None
    """The mark that what inserts has read; None: it has not begun."""
    looked: bool = False
    """Somebody means to claim it."""


class State(NamedTuple):
    rows: tuple[Row, ...] = (Row("running"), Row(), Row(), Row("running"), Row("pending"))
    run: Literal["running", "paused", "cancelling", "ended"] = "running"
    inserting: bool = False
    """Somebody who inserts has the lock of the run."""
    person: Literal["thinking", "locking", "marking", "done"] = "thinking"
    todo: tuple[int, ...] = ()
    late: bool = False

    def row(self, place: int, row: Row) -> "State":
        return self._replace(rows=put(self.rows, place, row))


Moves = Iterator[tuple[str, State]]


class Pausing:
    """The model: workers, and one person who pauses and resumes; or, with `cancels`, cancels."""

    def __init__(self, *without: str, cancels: bool = False) -> None:
        self.without, self.cancels = without, cancels

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.run == "ended"

    def broken(self, state: State) -> Iterator[str]:
        if state.late:
            yield INV16 if self.cancels else LATE
        if state.run == "ended" and any(row.status not in ("", "done") for row in state.rows):
            yield "INV6 a run ended with an open step"

    def transitions(self, state: State) -> Moves:
        for place, row in enumerate(state.rows):
            if row.status == "ready":
                yield from self._claim(state, place, row)
            elif row.status == "running":
                yield from self._run(state, place, row)
        yield from self._person(state)

    def _claim(self, state: State, place: int, row: Row) -> Moves:
        late = state.late or state.run in ("paused", "cancelling")
        running = Row("running", held=row.held)
        if row.looked and not row.lock:
            yield "claim", state.row(place, running)._replace(late=late)
        elif not row.held and not row.lock:
            if "claiming does not look again under the lock" in self.without:
                yield "look", state.row(place, row._replace(looked=True))
            else:
                yield "claim", state.row(place, running)._replace(late=late)

    def _run(self, state: State, place: int, row: Row) -> Moves:
        inserts = place in (MAP, INNER) and not state.rows[place + 1].status
        asked = self.cancels and row.held
        if inserts and row.inherits is None:
            if not asked or "what inserts does not look whether it was asked to stop" in self.without:
                yield from self._begin_to_insert(state, place, row)
        elif inserts:
            yield from self._insert(state, place, row)
        if _free(state) and not row.lock and row.inherits is None and (not inserts or asked):
            yield self._complete(state, place, row)

    def _begin_to_insert(self, state: State, place: int, row: Row) -> Moves:
        begun = row._replace(inherits=row.held)
        if "what inserts reads the mark before it locks" in self.without:
            yield "read", state.row(place, begun)
        elif RUN_LATER in self.without:
            if not row.lock:
                yield "begin to insert", state.row(place, begun._replace(lock="worker"))
        elif _free(state):
            yield "begin to insert", state._replace(inserting=True).row(place, begun._replace(lock="worker"))

    def _insert(self, state: State, place: int, row: Row) -> Moves:
        late_lock = row.lock != "worker" or RUN_LATER in self.without
        if late_lock and not (_free(state) or NO_KEY in self.without):
            return  # the run that the new row refers to is locked
        inherited = bool(row.inherits) and "inserted rows do not inherit" not in self.without and not self.cancels
        child = state.row(place + 1, Row("ready", inherited))
        inserting = state.inserting and late_lock
        yield "insert", child._replace(inserting=inserting).row(place, row._replace(inherits=None, lock=""))

    def _complete(self, state: State, place: int, row: Row) -> tuple[str, State]:
        """The run's lock is free and is taken: the step ends, and what follows from that."""
        after = state.row(place, row._replace(status="done"))
        second = after.rows[SECOND]
        if place == FIRST and second.status == "pending":
            return "complete, next is ready", after.row(SECOND, second._replace(status="ready"))
        return "complete", _end(after) if state.run != "paused" else after

    # The person.

    def _person(self, state: State) -> Moves:
        opened = tuple(place for place, row in enumerate(state.rows) if row.status not in ("", "done"))
        resumes = state.run == "paused"
        match state.person:
            case "thinking" if state.run != "ended" and not state.inserting:
                one = "resuming is one statement" in self.without if resumes else ONE_STATEMENT in self.without
                phase: Literal["locking", "marking"] = "marking" if one else "locking"
                yield "lock the run", state._replace(person=phase, todo=opened)
            case "locking" | "marking" if state.todo:
                row = state.rows[state.todo[0]]
                if row.lock != "worker":  # what is being written is waited for; it may have ended meanwhile
                    locked = row._replace(lock="person") if row.status != "done" else row
                    yield "lock a row", state.row(state.todo[0], locked)._replace(todo=state.todo[1:])
            case "locking":
                further = tuple(place for place in opened if state.rows[place].lock != "person")
                yield "mark", state._replace(person="marking", todo=further)
            case "marking":
                yield self._commit(state, resumes)

    def _commit(self, state: State, resumes: bool) -> tuple[str, State]:
        """What was locked is marked: what a statement did not see when it began stays as it is."""
        rows = tuple(
            self._marked(row, not resumes)._replace(lock="") if row.lock == "person" else row for row in state.rows
        )
        after = state._replace(rows=rows)
        if resumes:
            after = after._replace(person="done", run="running")
            looks = "resuming does not look whether all has ended" not in self.without
            return "resume", _end(after) if looks else after
        if self.cancels:
            return "acknowledge", _end(after._replace(person="done", run="cancelling"))
        return "acknowledge the pause", after._replace(person="thinking", run="paused")

    def _marked(self, row: Row, mark: bool) -> Row:
        if self.cancels and row.status in ("pending", "ready"):
            return row._replace(status="done")
        only = "only what is ready is marked" if mark else "resuming releases only what is ready"
        return row if only in self.without and row.status != "ready" else row._replace(held=mark)


def _free(state: State) -> bool:
    """Nobody holds the run."""
    return state.person in ("thinking", "done") and not state.inserting


def _end(state: State) -> State:
    open_rows = [row for row in state.rows if row.status not in ("", "done")]
    return state if open_rows else state._replace(run="ended")
