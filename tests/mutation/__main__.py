"""`python -m tests.mutation [WORD …]`: takes each guard out in turn, in a database of its own; a test must fail.

With words only guards whose name has one of them. Prints a line a guard; the exit code is 1 if one survived.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner
from tests.lent import ENV, LentServers
from tests.mutation.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
TEMPLATE = "template_sparkops"
SIDE_BY_SIDE = 2
LIMIT_SECONDS = 600
KILLED, SURVIVED = 1, 0
"""Exit codes of pytest: a test failed; all passed."""


@dataclass(frozen=True)
class Verdict:
    guard: Guard
    code: int
    """Of pytest; anything but 0 and 1 means that the tests could not be run."""
    by: str
    seconds: float

    def __str__(self) -> str:
        word = {KILLED: "killed  ", SURVIVED: "SURVIVED"}.get(self.code, f"BROKEN {self.code}")
        return f"{word} {self.seconds:5.1f} s  {self.guard.name}  {self.by}"


async def main(words: Sequence[str]) -> int:
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    queue: asyncio.Queue[Guard] = asyncio.Queue()
    for guard in chosen:
        queue.put_nowait(guard)
    verdicts: list[Verdict] = []
    async with EmbeddedServers(durable=False) as servers:
        await _superuser(servers, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
        await runner.upgrade(servers.url(database=TEMPLATE))
        await asyncio.gather(*(_work(servers, queue, verdicts) for _ in range(SIDE_BY_SIDE)))
    left = [verdict for verdict in verdicts if verdict.code != KILLED]
    _say(f"{len(verdicts) - len(left)} of {len(verdicts)} guards are held by tests")
    return 1 if left else 0


async def _work(servers: EmbeddedServers, queue: "asyncio.Queue[Guard]", verdicts: list[Verdict]) -> None:
    while not queue.empty():
        guard = queue.get_nowait()
        verdict = await _try(servers, guard, f"mutant_{GUARDS.index(guard)}")
        verdicts.append(verdict)
        _say(str(verdict))


async def _try(servers: EmbeddedServers, guard: Guard, database: str) -> Verdict:
    """Run the tests against a database without this guard, those first that should notice."""
    began = time.monotonic()
    await _superuser(servers, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} OWNER {OWNER_ROLE}")
    connection = await asyncpg.connect(servers.url(database=database))
    try:
        for text in guard.mutate().values():
            await connection.execute(text)
    finally:
        await connection.close()
    first = ROOT / "tests" / "engine" / f"test_{guard.tests}.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-x", "--tb=no", "--hypothesis-profile=hasty", "-p", "no:xdist"),
        *(str(first), "tests/engine", "tests/crash/interleavings"),
        cwd=ROOT,
        env={**os.environ, ENV: LentServers.of(servers, database).to_json()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Verdict(guard, -1, "", time.monotonic() - began)
    await _superuser(servers, f"DROP DATABASE {database} WITH (FORCE)")
    lines = output.decode().splitlines()
    by = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), lines[-1] if lines else "")
    return Verdict(guard, process.returncode or 0, by.split(" - ")[0], time.monotonic() - began)


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
    sys.exit(asyncio.run(main(parser.parse_args().words)))
