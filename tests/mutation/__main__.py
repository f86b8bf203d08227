"""`python -m tests.mutation [WORD …]`: takes each guard out in turn, in a database of its own; a test must fail.

With words only guards whose name has one of them. Prints a line a guard; the exit code is 1 if one survived.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner
from tests.conftest import in_memory
from tests.lent import LentServers
from tests.mutation import child
from tests.mutation.guards import GUARDS, Guard
from tests.mutation.guards.guard import SOURCES
from tests.proof import keep

TEMPLATE = "template_sparkops"
LIMIT_SECONDS = 900
KILLED, SURVIVED = 1, 0
"""Exit codes of pytest: a test failed; all passed."""

REST = ("tests/engine", "tests/crash/interleavings")
"""Where a guard may be noticed besides the test that should."""

# One process imports everything once; those that run tests are forked from it.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload([child.__name__])


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


@dataclass(frozen=True)
class Place:
    """What one guard at a time is tried with: servers, and a copy of the product. Nobody else uses them, so that what
    a test fails by is its guard."""

    servers: EmbeddedServers
    copy: Path

    @contextmanager
    def changed(self, guard: Guard) -> Iterator[bool]:
        """Let the copy be without the guard for a while. Returns whether it differs from the product."""
        files = guard.files()
        for path, text in files.items():
            (self.copy / "sparkops" / path).write_text(text, encoding="utf-8")
        try:
            yield bool(files)
        finally:
            for path in files:
                shutil.copy2(SOURCES / path, self.copy / "sparkops" / path)

    @asynccontextmanager
    async def database(self, guard: Guard) -> AsyncIterator[str]:
        """A migrated database without the guard, by name; tests without a database get that which nobody changes."""
        if guard.where.startswith("tests/unit/"):
            yield TEMPLATE
            return
        name = f"mutant_{GUARDS.index(guard)}"
        await self.superuser(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER_ROLE}")
        connection = await asyncpg.connect(self.servers.url(database=name))
        try:
            for text in (*guard.functions().values(), *guard.schema):
                await connection.execute(text)
        finally:
            await connection.close()
        yield name
        await self.superuser(f"DROP DATABASE {name} WITH (FORCE)")

    async def superuser(self, statement: str) -> None:
        connection = await asyncpg.connect(self.servers.admin_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def place(one_migrates: asyncio.Lock) -> AsyncIterator[Place]:
    with TemporaryDirectory(prefix="sparkops-mutation-", dir=in_memory()) as kept:
        shutil.copytree(SOURCES, Path(kept) / "src" / "sparkops", ignore=shutil.ignore_patterns("pages"))
        async with EmbeddedServers(Path(kept) / "data", durable=False) as servers:
            made = Place(servers, Path(kept) / "src")
            await made.superuser(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
            async with one_migrates:
                await runner.upgrade(servers.url(database=TEMPLATE))
            yield made


async def main(words: Sequence[str], rest: Sequence[str], out: Path | None, at_once: int) -> int:
    began = time.monotonic()
    queue: asyncio.Queue[Guard] = asyncio.Queue()
    for guard in GUARDS:
        if not words or any(word in guard.name for word in words):
            queue.put_nowait(guard)
    verdicts: list[Verdict] = []
    chosen, one_migrates = queue.qsize(), asyncio.Lock()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        await asyncio.gather(*(_work(one_migrates, queue, verdicts, rest) for _ in range(at_once)))
    finally:  # what was found is kept, too, where somebody has had enough
        left = [verdict for verdict in verdicts if verdict.code != KILLED]
        _say(f"{len(verdicts) - len(left)} of {len(verdicts)} guards are held by tests")
        if out is not None:
            keep(
                out,
                "each guard taken out must make a test fail",
                number=len(verdicts),
                failures=[str(verdict) for verdict in left],
                seconds=time.monotonic() - began,
                tests="those named for the guards, then the rest" if rest else "those named for the guards",
                chosen=chosen,
            )
    return 1 if left else 0


async def _work(
    one_migrates: asyncio.Lock, queue: "asyncio.Queue[Guard]", verdicts: list[Verdict], rest: Sequence[str]
) -> None:
    async with place(one_migrates) as made:
        while not queue.empty():
            verdict = await _try(made, queue.get_nowait(), rest)
            verdicts.append(verdict)
            _say(str(verdict))


async def _try(made: Place, guard: Guard, rest: Sequence[str]) -> Verdict:
    """Run the tests without this guard: first the one that should notice, then the rest."""
    began = time.monotonic()
    async with made.database(guard) as database:
        lent = LentServers.of(made.servers, database).to_json()
        with made.changed(guard) as changed:
            copy = made.copy if changed else None
            code, by = await _run(lent, [guard.where], copy, migrate=guard.migrates)
            if code == SURVIVED and rest:
                code, by = await _run(lent, rest, copy, migrate=guard.migrates)
    return Verdict(guard, code, by, time.monotonic() - began)


async def _run(lent: str, tests: Sequence[str], copy: Path | None, *, migrate: bool) -> tuple[int | None, str]:
    """Return the exit code of pytest, and the first test that failed. `copy`: of the product, None for itself."""
    with TemporaryDirectory() as directory:
        said = Path(directory) / "said"
        code = await (_forked(lent, tests, said) if copy is None else _anew(lent, tests, said, copy, migrate))
        if code is None:
            return None, "it does not end"
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    by = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), None)
    if code != SURVIVED and by is None:
        return None, lines[-1] if lines else "it said nothing"
    return code, (by or "").split(" - ")[0]


async def _forked(lent: str, tests: Sequence[str], said: Path) -> int | None:
    process = CONTEXT.Process(target=child.test, args=(lent, list(tests), str(said)))
    process.start()
    try:
        await asyncio.to_thread(process.join, LIMIT_SECONDS)
        return process.exitcode
    finally:
        process.kill()


async def _anew(lent: str, tests: Sequence[str], said: Path, copy: Path, migrate: bool) -> int | None:
    told = json.dumps({"lent": lent, "tests": list(tests), "said": str(said), "copy": str(copy), "migrate": migrate})
    # -B: what is compiled from a changed file must not outlive it.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-m", child.__name__, told),
        cwd=child.ROOT,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )
    try:
        return await asyncio.wait_for(process.wait(), LIMIT_SECONDS)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("words", nargs="*", help="parts of the names of guards")
    parser.add_argument("--first", action="store_true", help="only the tests that should notice")
    parser.add_argument("--out", type=Path, help="append the result to this file, as one line of JSON")
    parser.add_argument("--at-once", type=int, default=2, help="guards that are tried side by side")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.words, () if given.first else REST, given.out, given.at_once)))
