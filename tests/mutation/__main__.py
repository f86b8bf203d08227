"""`python -m tests.mutation [WORD …]`: takes each guard out in turn, in a database of its own; a test must fail.

With words only guards whose name has one of them. Prints a line a guard; the exit code is 1 if one survived.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner
from tests.lent import LentServers
from tests.mutation.child import test
from tests.mutation.guards import GUARDS, Guard

TEMPLATE = "template_sparkops"
SIDE_BY_SIDE = 2
LIMIT_SECONDS = 900
KILLED, SURVIVED = 1, 0
"""Exit codes of pytest: a test failed; all passed."""

REST = ("tests/engine", "tests/crash/interleavings")
"""Where a guard may be noticed besides the tests that should."""

# One process imports everything once; those that run tests are forked from it.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.mutation.child"])


@dataclass(frozen=True)
class Verdict:
    guard: Guard
    code: int | None
    """Of pytest; anything but 0 and 1 means that the tests could not be run."""
    by: str
    seconds: float

    def __str__(self) -> str:
        word = {KILLED: "killed  ", SURVIVED: "SURVIVED"}.get(-1 if self.code is None else self.code, "BROKEN  ")
        return f"{word} {self.seconds:5.1f} s  {self.guard.name}  {self.by}"


async def main(words: Sequence[str], rest: Sequence[str]) -> int:
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    queue: asyncio.Queue[Guard] = asyncio.Queue()
    for guard in chosen:
        queue.put_nowait(guard)
    verdicts: list[Verdict] = []
    async with EmbeddedServers(durable=False) as servers:
        await _superuser(servers, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
        await runner.upgrade(servers.url(database=TEMPLATE))
        await asyncio.gather(*(_work(servers, queue, verdicts, rest) for _ in range(SIDE_BY_SIDE)))
    left = [verdict for verdict in verdicts if verdict.code != KILLED]
    _say(f"{len(verdicts) - len(left)} of {len(verdicts)} guards are held by tests")
    return 1 if left else 0


async def _work(
    servers: EmbeddedServers, queue: "asyncio.Queue[Guard]", verdicts: list[Verdict], rest: Sequence[str]
) -> None:
    while not queue.empty():
        verdict = await _try(servers, queue.get_nowait(), rest)
        verdicts.append(verdict)
        _say(str(verdict))


async def _try(servers: EmbeddedServers, guard: Guard, rest: Sequence[str]) -> Verdict:
    """Run the tests against a database without this guard: first those that should notice, then the rest."""
    began, database = time.monotonic(), f"mutant_{GUARDS.index(guard)}"
    await _superuser(servers, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} OWNER {OWNER_ROLE}")
    connection = await asyncpg.connect(servers.url(database=database))
    try:
        for text in guard.mutate().values():
            await connection.execute(text)
    finally:
        await connection.close()
    lent = LentServers.of(servers, database).to_json()
    code, by = await _run(lent, [f"tests/engine/test_{guard.tests}.py"])
    if code == SURVIVED and rest:
        code, by = await _run(lent, rest)
    await _superuser(servers, f"DROP DATABASE {database} WITH (FORCE)")
    return Verdict(guard, code, by, time.monotonic() - began)


async def _run(lent: str, tests: Sequence[str]) -> tuple[int | None, str]:
    """Return the exit code of pytest, and the first test that failed."""
    with TemporaryDirectory() as directory:
        said = Path(directory) / "said"
        process = CONTEXT.Process(target=test, args=(lent, list(tests), str(said)))
        process.start()
        await asyncio.to_thread(process.join, LIMIT_SECONDS)
        if process.exitcode is None:
            process.kill()
            return None, "it does not end"
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    by = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), None)
    if process.exitcode == KILLED and by is None:
        return None, lines[-1] if lines else "it said nothing"
    return process.exitcode, (by or "").split(" - ")[0]


async def _superuser(servers: EmbeddedServers, statement: str) -> None:
    connection = await asyncpg.connect(servers.admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("words", nargs="*", help="parts of the names of guards")
    parser.add_argument("--first", action="store_true", help="only the tests that should notice")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.words, () if given.first else REST)))
