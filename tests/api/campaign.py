"""`python -m tests.api.campaign --cases 100000 --seed 1 --out FILE`: the requests of `test_schema.py`, by the hundred
thousand.

They are sent in chunks, each to an application with a database of its own. A line a chunk goes to FILE.parts at once,
and a campaign that was cut goes on after the last of them; the last line of all, their sum, goes to FILE. The exit code
is 1 if an answer was wrong.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import asyncpg
import schemathesis

from sparkops import __version__
from sparkops.core.db import APP_ROLE
from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner
from tests.api.conftest import make_person, make_project, running, settings_of
from tests.api.fuzz import fuzz

TEMPLATE = "template_campaign"
CHUNK = 2_500
"""Cases that share a database: so many that each operation is asked five times in each way. A few less come of it."""
LEAST = 500


async def campaign(cases: int, seed: int, parts: Path) -> Sequence[Mapping[str, Any]]:
    """Play the chunks that `parts` does not have, and return what all of them came to."""
    done = {line["number"]: line for line in _lines(parts) if line["seed"] == seed}
    async with EmbeddedServers(durable=False) as servers:
        await _superuser(servers, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER_ROLE}")
        await runner.upgrade(servers.url(database=TEMPLATE))
        while (left := cases - sum(line["cases"] for line in done.values())) > 0:
            number = len(done)
            size = min(CHUNK, max(left, LEAST))
            done[number] = {"number": number, "seed": seed} | await _chunk(servers, size, seed + number)
            _append(parts, done[number])
            sys.stdout.write(f"  {number}: {done[number]['cases']} cases, {len(done[number]['wrong'])} wrong\n")
            sys.stdout.flush()
    return list(done.values())


async def _chunk(servers: EmbeddedServers, cases: int, number: int) -> dict[str, Any]:
    database, began, cpu = f"chunk_{uuid4().hex}", time.monotonic(), time.process_time()
    await _superuser(servers, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} OWNER {OWNER_ROLE}")
    with TemporaryDirectory(prefix="sparkops-campaign-") as directory:
        settings = settings_of(servers.url(APP_ROLE, database), servers.redis_url, Path(directory))
        async with running(settings, Path(directory) / "no-pages") as app:
            ann = await make_person(app, app.state.door, "ann")
            await make_project(ann)
            sent = await fuzz(app, ann, cases, number=number)
            await ann.client.aclose()
    await _superuser(servers, f"DROP DATABASE {database} WITH (FORCE)")
    return {
        "cases": sent.sent.total(),
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "operations": dict(sorted(sent.sent.items())),
        "statuses": dict(sorted(sent.statuses.items())),
        "wrong": sent.wrong,
    }


def summary(parts: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    operations, statuses = Counter[str](), Counter[str]()
    wrong: dict[str, str] = {}
    for part in parts:
        operations.update(part["operations"])
        statuses.update({str(status): times for status, times in part["statuses"].items()})
        wrong |= part["wrong"]
    return {
        "workload": "schemathesis",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "seed": seed,
            "chunk": CHUNK,
            "sparkops": __version__,
            "schemathesis": schemathesis.__version__,
            "cores": os.cpu_count(),
        },
        "cases": operations.total(),
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "cpu_seconds": round(sum(part["cpu_seconds"] for part in parts), 1),
        "server_errors": sum(times for status, times in statuses.items() if status >= "500"),
        "failures": len(wrong),
        "wrong": wrong,
        "statuses": dict(sorted(statuses.items())),
        "operations": dict(sorted(operations.items())),
    }


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _append(file: Path, line: Mapping[str, Any]) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(line) + "\n")


async def _superuser(servers: EmbeddedServers, statement: str) -> None:
    connection = await asyncpg.connect(servers.admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.api.campaign")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="append the result to this file, as one line of JSON")
    given = parser.parse_args()
    parts = given.out.with_name(given.out.name + ".parts")
    found = summary(asyncio.run(campaign(given.cases, given.seed, parts)), given.seed)
    sys.stdout.write(json.dumps({name: found[name] for name in ("cases", "seconds", "failures", "wrong")}) + "\n")
    _append(given.out, found)
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
