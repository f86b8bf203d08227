"""The model of a map step, at the grain of row locks: three items, two at a time, expanded one batch an item.

Who expands holds the lease of the map, and the run while it inserts a batch, as whoever ends a step of a frame does.
Who parks the map holds only its row. The first frame has two steps that end at the same time.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

TOTAL, CONCURRENCY = 3, 2

TOO_MANY = "MAP more frames were open than the map allows"
MISCOUNTED = "MAP the counters are not what the frames say"
TOO_EARLY = "MAP the map ended before its frames"
ORPHAN = "MAP a frame was begun below a map that had ended"
STARTED_LATE = "MAP a frame was started after the map had stopped"

NO_LOCK = "frames are closed without the lock of the run"
NO_SWEEP = "no sweep for open frames without an open step"
OWN_COUNT = "frames are counted in a transaction of their own"
MUTANTS: dict[tuple[str, ...], str] = {
    (OWN_COUNT,): NEVER_ENDS,
    (OWN_COUNT, "the sweep counts what it finds, and who ended it counts too"): MISCOUNTED,
    (NO_SWEEP,): NEVER_ENDS,
    (NO_LOCK, NO_SWEEP): NEVER_ENDS,
    ("parking does not look at the counters",): NEVER_ENDS,
    ("the end of a frame wakes without locking the row of the map",): NEVER_ENDS,
    ("a batch locks the map before the run",): NEVER_ENDS,
    ("the end of a frame does not wake the map",): NEVER_ENDS,
    ("the end of a frame starts no other",): NEVER_ENDS,
    ("a batch does not look how many frames are open",): TOO_MANY,
    ("a batch starts only the first frames",): NEVER_ENDS,
    ("a batch starts by what was read before its locks",): NEVER_ENDS,
}
TROUBLE_MUTANTS: dict[tuple[str, ...], str] = {
    ("an attempt expands from the first frame again",): MISCOUNTED,
    ("a batch does not assert the lease",): ORPHAN,
    ("the end of a frame starts another although its map has ended",): ORPHAN,
}
STOP_MUTANTS: dict[tuple[str, ...], str] = {
    ("a failure wakes the map while frames are open",): TOO_EARLY,
    ("nobody ends the frames of a map that has ended",): NEVER_ENDS,
    ("a batch does not look whether the map has stopped",): STARTED_LATE,
    ("the end of a frame starts another although the map has stopped",): STARTED_LATE,
}
ENOUGH: list[tuple[str, ...]] = [(NO_LOCK,)]
"""The sweep closes what nobody has closed, though later."""
MUST_HAPPEN = {"batch", "the counters are there", "wait", "wake", "start the next", "reap", "fenced"} | {
    "the reaper gives a step up",
    "sweep closes a frame",
}


class Worker(NamedTuple):
    phase: Literal["idle", "working", "opening", "expanding", "parking"] = "idle"
    attempt: int = 0
    collects: bool = False
    """The attempt found, when it was claimed, that all is done."""
    looked: bool = False
    read: int = 0
    """How many frames were open when it last read without a lock."""
    at: int = 0
    """The frame at which it believes to stand."""


class Ender(NamedTuple):
    phase: Literal["idle", "begun", "locked", "uncounted"] = "idle"
    frame: int = 0
    fails: bool = False
    last: bool = False


class State(NamedTuple):
    map: Literal["ready", "running", "waiting", "succeeded", "failed"] = "ready"
    attempt: int = 0
    expanded: int = 0
    started: int = 0
    ended: int = 0
    failed: int = 0
    frames: tuple[str, ...] = ("",) * TOTAL
    """Each waiting, open, succeeded, failed or cancelled; empty: not there yet."""
    steps: tuple[int, ...] = (2, 1, 1)
    """How many steps of each frame are open."""
    run_lock: str = ""
    map_lock: str = ""
    workers: tuple[Worker, ...] = (Worker(), Worker())
    enders: tuple[Ender, ...] = (Ender(), Ender())
    early: bool = False
    orphan: bool = False
    late_start: bool = False
    troubles: int = 0
    """How many more workers die or lose their lease."""
    failures: int = 1
    given_up: int = 1
    """How many more steps the reaper ends for good; it advances the run afterwards, if it lives."""

    def worker(self, number: int, worker: Worker) -> "State":
        return self._replace(workers=put(self.workers, number, worker))

    def ender(self, number: int, ender: Ender) -> "State":
        return self._replace(enders=put(self.enders, number, ender))

    def unlocked(self, who: str) -> "State":
        run, row = ("" if lock == who else lock for lock in (self.run_lock, self.map_lock))
        return self._replace(run_lock=run, map_lock=row)


Moves = Iterator[tuple[str, State]]
OVER = ("succeeded", "failed")


class Maps:
    """The model. `stops`: the first failure stops the map; else the others go on. `late`: its deadline may pass.

    `troubles`: how many workers die or lose their lease.
    """

    def __init__(self, *without: str, stops: bool = False, late: bool = False, troubles: int = 0) -> None:
        self.without, self.stops, self.late, self.troubles = without, stops, late, troubles

    def initial(self) -> State:
        return State(troubles=self.troubles)

    def ended(self, state: State) -> bool:
        return state.map in OVER and not {"waiting", "open"} & set(state.frames)

    def broken(self, state: State) -> Iterator[str]:
        if state.frames.count("open") > CONCURRENCY:
            yield TOO_MANY
        if state.map not in OVER and not self._counted(state):
            yield MISCOUNTED
        if state.early:
            yield TOO_EARLY
        if state.orphan:
            yield ORPHAN
        if state.late_start:
            yield STARTED_LATE

    def _lacks(self, words: str) -> bool:
        return any(words in guard for guard in self.without)

    def _counted(self, state: State) -> bool:
        done = sum(frame in OVER for frame in state.frames)
        if state.expanded != TOTAL - state.frames.count(""):
            return False
        return state.ended <= done if OWN_COUNT in self.without else state.ended == done

    def _stopped(self, state: State) -> bool:
        return self.stops and state.failed > 0

    def _done(self, state: State) -> bool:
        if self._stopped(state):
            return state.started == state.ended or self._lacks("while frames are open")
        return state.ended == TOTAL

    def transitions(self, state: State) -> Moves:
        for number, worker in enumerate(state.workers):
            yield from self._worker(state, number, worker)
        for number, ender in enumerate(state.enders):
            yield from self._ender(state, number, ender)
        yield from self._others(state)

    # The worker that holds the map.

    def _worker(self, state: State, number: int, worker: Worker) -> Moves:
        me = f"w{number}"
        match worker.phase:
            case "idle":
                if state.map == "ready" and not state.map_lock and Worker() not in state.workers[:number]:
                    held = state._replace(map="running", attempt=state.attempt + 1)
                    claimed = Worker("working", held.attempt, self._done(state), read=_open(state))
                    yield "claim", held.worker(number, claimed)
            case "working":
                yield from self._work(state, number, worker)
            case "opening" if not self._may_write(state, worker):
                yield "fenced", state.unlocked(me).worker(number, Worker())
            case "opening" | "expanding" if not (state.map_lock if worker.phase == "opening" else state.run_lock):
                after = self._batch(state, worker).unlocked(me)
                on = worker.at + 1 if self._lacks("from the first frame") else 0
                yield "batch", after.worker(number, worker._replace(phase="working", at=on, read=_open(after)))
            case "parking":
                name, status = ("the counters are there", "ready") if worker.looked else ("wait", "waiting")
                parked = state._replace(map=status)  # type: ignore[arg-type]  # one of the two above
                yield name, parked.unlocked(me).worker(number, Worker())
        if state.troubles and worker.phase != "idle":
            yield "worker dies", state._replace(troubles=state.troubles - 1).unlocked(me).worker(number, Worker())

    def _work(self, state: State, number: int, worker: Worker) -> Moves:
        if state.map_lock:
            return
        holds = state.map == "running" and state.attempt == worker.attempt
        at = worker.at if self._lacks("from the first frame") else state.expanded
        more = at < TOTAL and (not self._stopped(state) or self._lacks("whether the map has stopped"))
        if not holds and not (self._lacks("assert the lease") and more):
            yield "fenced", state.worker(number, Worker())
        elif worker.collects and not state.run_lock:
            collected = state._replace(map="failed" if self._stopped(state) else "succeeded")
            yield "collect", collected._replace(early=state.early or "open" in state.frames).worker(number, Worker())
        elif more and not worker.collects:
            yield from self._lock_for_batch(state, number, worker)
        elif not worker.collects:
            looked = self._done(state) and not self._lacks("parking does not look")
            yield (
                "look",
                state._replace(map_lock=f"w{number}").worker(number, worker._replace(phase="parking", looked=looked)),
            )

    def _may_write(self, state: State, worker: Worker) -> bool:
        holds = state.map == "running" and state.attempt == worker.attempt
        return holds or self._lacks("assert the lease")

    def _lock_for_batch(self, state: State, number: int, worker: Worker) -> Moves:
        if self._lacks("locks the map before the run"):
            held = state._replace(map_lock=f"w{number}")
            yield "begin a batch", held.worker(number, worker._replace(phase="expanding"))
        elif not state.run_lock:
            held = state._replace(run_lock=f"w{number}")
            yield "begin a batch", held.worker(number, worker._replace(phase="opening"))

    def _batch(self, state: State, worker: Worker) -> State:
        again = self._lacks("from the first frame")
        place = worker.at if again else state.expanded
        if place >= TOTAL or state.expanded >= TOTAL:
            return state
        there = state.frames[place] != ""
        now = worker.read if self._lacks("before its locks") else _open(state)
        opens = now < CONCURRENCY or self._lacks("how many frames are open")
        if self._lacks("only the first frames"):
            opens = place < CONCURRENCY
        inserted = state._replace(expanded=state.expanded + 1, orphan=state.orphan or state.map in OVER)
        if there:
            return inserted
        inserted = inserted._replace(frames=put(state.frames, place, "waiting"))
        return self._start(inserted, place) if opens else inserted

    def _start(self, state: State, place: int) -> State:
        late = state.late_start or self._stopped(state)
        return state._replace(frames=put(state.frames, place, "open"), started=state.started + 1, late_start=late)

    # Whoever ends a step of a frame.

    def _ender(self, state: State, number: int, ender: Ender) -> Moves:
        me = f"e{number}"
        match ender.phase:
            case "idle" if Ender() not in state.enders[:number]:
                yield from self._begin(state, number)
            case "begun" if not ender.last:
                yield "end a step", self._end_step(state, ender).unlocked(me).ender(number, Ender())
            case "begun":
                yield from self._go_on(state, number, ender)
            case "locked":
                after = self._end_frame(state, ender).unlocked(me).ender(number, Ender())
                yield self._what_followed(state, after), after
            case "uncounted":
                yield "die uncounted", state.ender(number, Ender())
                if not state.map_lock:
                    yield "count", self._count(state, ender.fails).ender(number, Ender())

    def _go_on(self, state: State, number: int, ender: Ender) -> Moves:
        me = f"e{number}"
        if OWN_COUNT in self.without:
            ended = self._close(state, ender).unlocked(me)
            yield "end a step", ended.ender(number, ender._replace(phase="uncounted"))
        elif self._lacks("without locking the row"):
            yield "end a frame", self._end_frame(state, ender).unlocked(me).ender(number, Ender())
        elif not state.map_lock:
            yield "lock", state._replace(map_lock=me).ender(number, ender._replace(phase="locked"))

    def _what_followed(self, before: State, after: State) -> str:
        if after.map != before.map:
            return "wake"
        return "start the next" if after.started > before.started else "end a frame"

    def _begin(self, state: State, number: int) -> Moves:
        lockless = NO_LOCK in self.without
        if state.run_lock and not lockless:
            return
        for place, frame in enumerate(state.frames):
            taken = sum(ender.phase in ("begun", "locked") and ender.frame == place for ender in state.enders)
            if frame == "open" and state.steps[place] > taken:
                last = state.steps[place] == 1
                held = state if lockless else state._replace(run_lock=f"e{number}")
                yield "begin an end", held.ender(number, Ender("begun", place, last=last))
                if last and state.failures:
                    yield "begin a failure", held._replace(failures=0).ender(number, Ender("begun", place, True, last))

    def _end_step(self, state: State, ender: Ender) -> State:
        return state._replace(steps=put(state.steps, ender.frame, state.steps[ender.frame] - 1))

    def _close(self, state: State, ender: Ender) -> State:
        closed = put(state.frames, ender.frame, "failed" if ender.fails else "succeeded")
        return self._end_step(state, ender)._replace(frames=closed)

    def _end_frame(self, state: State, ender: Ender) -> State:
        return self._count(self._close(state, ender), ender.fails)

    def _count(self, state: State, fails: bool) -> State:
        """What was never started when a map stops is ended with the map."""
        state = state._replace(ended=state.ended + 1, failed=state.failed + fails)
        goes_on = state.map not in OVER or self._lacks("although its map has ended")
        goes_on = goes_on and (not self._stopped(state) or self._lacks("although the map has stopped"))
        if goes_on and "waiting" in state.frames and not self._lacks("starts no other") and _open(state) < CONCURRENCY:
            state = self._start(state, state.frames.index("waiting"))
            state = state._replace(orphan=state.orphan or state.map in OVER)
        if self._done(state) and state.map == "waiting" and not self._lacks("does not wake"):
            state = state._replace(map="ready")
        return state

    # The reaper, the sweep, the deadline.

    def _others(self, state: State) -> Moves:
        held = any(worker.phase != "idle" and worker.attempt == state.attempt for worker in state.workers)
        if state.map == "running" and not state.map_lock and (state.troubles or not held):
            troubles = state.troubles - held
            yield "reap", state._replace(map="ready", troubles=troubles)
        for place in range(TOTAL):
            yield from self._give_up(state, place)
        if self._lacks("counts what it finds"):
            for place, frame in enumerate(state.frames):
                if frame in OVER and state.ended < state.frames.count("succeeded") + state.frames.count("failed") + 1:
                    lost = any(ender.phase == "uncounted" and ender.frame == place for ender in state.enders)
                    if lost and not state.run_lock:
                        yield "sweep counts", self._count(state, frame == "failed")
        if self.late and state.map in ("running", "waiting") and not state.run_lock and not state.map_lock:
            yield "deadline", state._replace(map="failed")
        if state.map in OVER and not state.run_lock and not self._lacks("nobody ends the frames"):
            left = tuple("cancelled" if frame in ("open", "waiting") else frame for frame in state.frames)
            yield "abandon the frames", state._replace(frames=left)

    def _give_up(self, state: State, place: int) -> Moves:
        if state.frames[place] != "open":
            return
        taken = any(ender.phase != "idle" and ender.frame == place for ender in state.enders)
        if state.given_up and state.steps[place] == 1 and not taken:
            ended = state._replace(steps=put(state.steps, place, 0), given_up=state.given_up - 1)
            yield "the reaper gives a step up", ended
        free = not (state.run_lock or state.map_lock)
        if state.steps[place] == 0 and free and NO_SWEEP not in self.without:
            closed = state._replace(frames=put(state.frames, place, "failed"))
            yield "sweep closes a frame", self._count(closed, True)


def _open(state: State) -> int:
    return state.started - state.ended
