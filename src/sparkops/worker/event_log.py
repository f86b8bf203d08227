"""The subscriber `log`: every event of every run as one JSON line, for whatever ships logs from here.

Lines may come twice, never not at all; `run_id` and `seq` tell. Several workers append to one file, a batch at a time.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sparkops.core.config import Settings
from sparkops.core.json import dumps
from sparkops.engine.context import Engine
from sparkops.engine.outbox import EVERYTHING, Entry, subscribe, unsubscribe
from sparkops.worker.relay import Handler

NAME = "log"


class EventFile:
    """Appends to a file. It is opened anew for each batch, so that it may be renamed at any time and begins again."""

    batch = 200
    seconds = 30.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn = False

    async def deliver(self, entries: Sequence[Entry]) -> None:
        """When this returns the lines are on the disk.

        Raises:
            OSError: they may not be.
        """
        await asyncio.to_thread(self._append, lines(entries))

    def _append(self, text: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write, which nobody else's gets into. A full disk may cut it short: then the next begins a new line.
            whole = b"\n" + text if self._torn else text
            self._torn = True
            if os.write(handle, whole) < len(whole):
                raise OSError(f"{self._path} took only a part of the lines")
            os.fsync(handle)
            self._torn = False
        finally:
            os.close(handle)


class EventStream:
    """Writes to a stream of this process, standard output, where containers collect logs."""

    batch = 200
    seconds = 30.0

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    async def deliver(self, entries: Sequence[Entry]) -> None:
        """When this returns the stream has taken the lines.

        Raises:
            OSError, ValueError: it is closed.
        """
        await asyncio.to_thread(self._write, lines(entries))

    def _write(self, text: bytes) -> None:
        self._stream.write(text)
        self._stream.flush()


def lines(entries: Sequence[Entry]) -> bytes:
    """Return one JSON object a line, in the order given."""
    return b"".join(
        dumps(
            {
                "at": entry.payload["at"],
                "kind": entry.kind,
                "project_id": entry.project_id,
                "run_id": entry.run_id,
                "seq": entry.seq,
                "step_id": entry.payload["step_id"],
                "data": entry.payload["data"],
            }
        )
        + b"\n"
        for entry in entries
    )


async def event_log(engine: Engine, settings: Settings) -> Mapping[str, Handler]:
    """Begin or end the subscription as the settings say, and return its handler, if there is to be one.

    What happens while no worker runs waits in the outbox and is written later.
    """
    if settings.event_log == "off":
        await unsubscribe(engine, NAME)
        return {}
    await subscribe(engine, NAME, EVERYTHING)
    if settings.event_log == "stdout":
        return {NAME: EventStream(sys.stdout.buffer)}
    return {NAME: EventFile(settings.event_log_file)}
