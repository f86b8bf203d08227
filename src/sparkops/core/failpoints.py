"""Named points at which a test may kill, stall or break this process. In production each is one dict lookup.

A child process under test gets `SPARKOPS_FAILPOINTS="after_prepare=kill,before_record=stall:20"`.
"""

import os
import signal
import time

ENV = "SPARKOPS_FAILPOINTS"


class FailpointError(Exception):
    """What a failpoint armed with `raise` throws."""


def parse(text: str) -> dict[str, str]:
    """Return `{point: action}` of a specification such as `after_claim=kill,after_prepare=stall:20`."""
    pairs = (part.split("=", 1) for part in text.split(",") if part)
    return {name.strip(): action.strip() for name, action in pairs}


_armed = parse(os.environ.get(ENV, ""))


def failpoint(name: str) -> None:
    """Do nothing, unless a test armed this point: `kill` (SIGKILL), `stall:SECONDS` (the whole process), `raise`.

    A point fires once per process.
    """
    if not _armed:
        return
    action = _armed.pop(name, None)
    if action is None:
        return
    kind, _, argument = action.partition(":")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stall":
        time.sleep(float(argument))
    else:
        raise FailpointError(name)
