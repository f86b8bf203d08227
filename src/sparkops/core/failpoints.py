"""Named points at which a test may kill, stall or break this process. In production each is one dict lookup.

A child process under test gets `SPARKOPS_FAILPOINTS="after_prepare=kill,before_record=stall:20"`, or calls `arm`.
"""

import os
import signal
import time
from collections.abc import Callable

ENV = "SPARKOPS_FAILPOINTS"


class FailpointError(Exception):
    """What a failpoint armed with `raise` throws."""


def parse(text: str) -> dict[str, str]:
    """Return `{point: action}` of a specification such as `after_claim=kill,after_prepare=stall:20`."""
    pairs = (part.split("=", 1) for part in text.split(",") if part)
    return {name.strip(): action.strip() for name, action in pairs}


_armed = parse(os.environ.get(ENV, ""))
_own: dict[str, Callable[[], None]] = {}
_hits: list[Callable[[str], None]] = []


def arm(text: str, *, own: dict[str, Callable[[], None]] | None = None, hit: Callable[[str], None]) -> None:
    """Arm points in this process; `hit` is told the name of each when it is reached, before anything happens.

    `own` adds actions that only this process knows how to do, such as dropping its connections. They may not wait for
    the event loop, which stands still meanwhile.
    """
    _armed.update(parse(text))
    _own.update(own or {})
    _hits.append(hit)


def failpoint(name: str) -> None:
    """Do nothing, unless a test armed this point: `kill` (SIGKILL), `stall:SECONDS` (the whole process), `raise`.

    A point fires once per process.
    """
    if not _armed:
        return
    action = _armed.pop(name, None)
    if action is None:
        return
    for hit in _hits:
        hit(name)
    _do(name, *action.partition(":")[::2])


def _do(name: str, kind: str, argument: str) -> None:
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stall":
        time.sleep(float(argument))
    elif kind in _own:
        _own[kind]()
    else:
        raise FailpointError(name)
