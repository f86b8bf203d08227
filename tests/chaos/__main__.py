"""`python -m tests.chaos --kills N --runs M --seed S`: the whole platform under load, and everything goes wrong.

Exit code 0: every promise was kept and everything that had to happen did.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from sparkops import __version__
from sparkops.core.client import ApiClient
from sparkops.core.config import RateLimits, load_settings
from sparkops.core.db import Database, open_database
from sparkops.domains.identity.service import create_user
from sparkops.local.example.people import Login, administrator
from sparkops.local.stack import EmbeddedServers
from sparkops.local.supervisor import Supervisor
from tests.chaos.doors import PROXY, SINK
from tests.chaos.faults import KINDS, Faults, kinds
from tests.chaos.government import Government, Overshoot
from tests.chaos.load import Clients
from tests.chaos.proxy import Proxy, proxying
from tests.chaos.shapes import Shapes
from tests.chaos.target import Target, listening
from tests.chaos.verdict import Restart, beyond, broken, exercised, isolation_starts, not_exercised, quantile, restarts

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 11.0
"""As short as the settings allow, so that a worker can be stopped for longer than its leases last, often."""
RESTART_SECONDS = LEASE_SECONDS + 3.0
"""When the work of a dead worker is taken up by another that lives: the lease, and a sweep. It runs alone then, in a
process of its own; how long those took to start depends on the machine, and comes on top."""
SETTLE_SECONDS = 180.0
"""How long the platform has, after the last fault, to bring every run to its end."""
APPROVERS = range(1, 4)
"""So many people answer: one more than it takes."""
SLOWEST = 5
"""So many restarts are described."""
_OPEN = "SELECT count(*) FROM runs WHERE finished_at IS NULL"


def door(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.chaos.doors", name)


@asynccontextmanager
async def platform(
    root: Path, target: Target, arguments: argparse.Namespace
) -> AsyncIterator[tuple[Supervisor, Proxy]]:
    """The real stack, its doors behind a proxy and with tools that send to the target."""
    os.environ.update({SINK: str(target.port), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"})
    opened: list[Any] = []

    async def prepare(servers: EmbeddedServers | None) -> Mapping[str, object]:
        assert servers is not None
        line = proxying(servers._postgres.port)
        proxy = await line.__aenter__()
        opened.extend((line, proxy))
        os.environ[PROXY] = str(proxy.port)
        return {}

    settings = load_settings(
        {},
        data_dir=root,
        port=0,
        workers=arguments.workers,
        lease_seconds=LEASE_SECONDS,
        rate_limits=RateLimits(reads=1_000_000, writes=1_000_000, runs=1_000_000),
    )
    stack = Supervisor(
        settings,
        api_command=door("api"),
        worker_command=door("worker"),
        doors_command=(sys.executable, "-m", "tests.chaos.forks"),
        prepare=prepare,
        say=arguments.say,
    )
    try:
        async with stack:
            yield stack, opened[1]
    finally:
        if opened:
            await opened[0].__aexit__(None, None, None)


async def campaign(arguments: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Play it and return what it came to."""
    random, began = Random(arguments.seed), time.monotonic()
    async with listening(Random(arguments.seed + 1)) as target, platform(root, target, arguments) as (stack, proxy):
        faults = Faults(
            stack, proxy, random, LEASE_SECONDS, arguments.every, arguments.say, arguments.only or tuple(KINDS)
        )
        login = administrator(stack.settings, stack.data)
        logins = [login, *await _approvers(stack)]
        async with AsyncExitStack() as clients_open:
            people = [await clients_open.enter_async_context(ApiClient(stack.endpoints.api_url)) for _ in logins]
            signed_in = [(one, own.email, own.password) for one, own in zip(people, logins, strict=True)]
            for one, email, password in signed_in:
                await one.sign_in(email, password)
            owner, *approvers = people
            counts = Counter[str]()
            shapes = Shapes(owner, Random(arguments.seed + 4), counts)
            clients = Clients(owner, approvers[0], shapes, Random(arguments.seed + 2), counts=counts)
            await clients.install(logins[1].email)
            await shapes.install()
            government = Government(owner, approvers, Random(arguments.seed + 3), clients.counts)
            await government.install([own.email for own in logins[1:]])
            overshoot = Overshoot()
            assert stack.embedded is not None
            always = [
                clients.keep_signed_in(*signed_in),
                clients.answer_questions(),
                government.govern(),
                shapes.go_on(),
                overshoot.watch(stack.embedded.app_url),
                faults.watch_workers(),
            ]
            tasks = [asyncio.create_task(each) for each in always]
            await _storm(clients, faults, arguments)
            async with open_database(stack.endpoints.database_url, name="chaos", pool_size=2) as database:
                settled = await _settle(database)
                for task in tasks:
                    assert not task.done(), task
                    task.cancel()
                await asyncio.wait(tasks)
                logs = [stack.data.log(child.plan.name) for child in (*stack.workers, stack.api)]
                counts = await exercised(database, logs, faults, clients.counts)
                wrong = await broken(database, clients.accepted, target) + beyond(overshoot)
                counts.update(budget_looks=overshoot.looks, overshoot_micros=overshoot.micros)
                again = {alone: await restarts(database, faults, alone=alone) for alone in (False, True)}
                starts = isolation_starts(logs)
                counts["postgres_starts"] = stack.embedded.postgres.starts if stack.embedded else 0
    return _report(arguments, counts, wrong, again, starts, proxy, clients, settled, time.monotonic() - began)


async def _approvers(stack: Supervisor) -> list[Login]:
    """Add the people who answer, and return how they sign in."""
    found = [
        Login(f"approver-{number}@example.com", stack.data.secret(f"approver-{number}.password"))
        for number in APPROVERS
    ]
    async with open_database(
        stack.endpoints.app_database_url or stack.endpoints.database_url, name="chaos"
    ) as database:
        for each in found:
            async with database.sessions.begin() as session:
                await create_user(session, email=each.email, name=each.email, password=each.password, is_admin=False)
    return found


async def _storm(clients: Clients, faults: Faults, arguments: argparse.Namespace) -> None:
    enough = asyncio.Event()
    load = asyncio.create_task(clients.start_runs(enough, arguments.runs, side_by_side=8, pause=arguments.pause))
    try:
        await faults.strike(arguments.kills)
    finally:
        enough.set()
    await load


async def _settle(database: Database) -> float | None:
    """Return after how many seconds every run had ended, or None if they do not."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while await database.pool.fetchval(_OPEN):
                await asyncio.sleep(0.2)
            return time.monotonic() - began
    return None


def _report(
    arguments: argparse.Namespace,
    counts: Counter[str],
    wrong: list[str],
    again: Mapping[bool, list[Restart]],
    starts: list[float],
    proxy: Proxy,
    clients: Clients,
    settled: float | None,
    seconds: float,
) -> dict[str, Any]:
    times = {alone: [each.seconds for each in found] for alone, found in again.items()}
    for alone, bound in ((False, RESTART_SECONDS), (True, RESTART_SECONDS + quantile(starts, 1.0))):
        if quantile(times[alone], 0.95) > bound:
            where = "alone " if alone else ""
            wrong.append(f"of the work of killed workers 5 % ran again {where}later than {bound:.1f} s")
    missing = not_exercised(counts, arguments.kills, arguments.only)
    return {
        "workload": "chaos",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "kills": arguments.kills,
            "only": list(arguments.only),
            "runs": arguments.runs,
            "seed": arguments.seed,
            "workers": arguments.workers,
            "every_seconds": arguments.every,
            "sparkops": __version__,
            "cores": os.cpu_count(),
        },
        "seconds": round(seconds, 1),
        "settled_seconds": None if settled is None else round(settled, 1),
        "accepted": len(clients.accepted),
        "counts": dict(sorted(counts.items())),
        "lost_answers_of": dict(proxy.cut),
        "restart_seconds": _spread(times[False]),
        "restart_alone_seconds": _spread(times[True]),
        "slowest_restarts": [str(each) for found in again.values() for each in found[-SLOWEST:]],
        "isolation_start_seconds": {"number": len(starts), "most": round(quantile(starts, 1.0), 2)},
        "broken": wrong,
        "not_exercised": missing,
        "passed": not wrong and not missing,
    }


def _spread(times: list[float]) -> dict[str, float]:
    shares = (("p50", 0.5), ("p95", 0.95), ("most", 1.0))
    return {"number": len(times), **{name: round(quantile(times, share), 2) for name, share in shares}}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=50, help="how many faults")
    parser.add_argument(
        "--only", type=kinds, default=(), metavar="KIND,…", help=f"faults of these kinds alone, of {', '.join(KINDS)}"
    )
    parser.add_argument("--runs", type=int, default=200, help="how many runs at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two faults, about")
    parser.add_argument("--pause", type=float, default=0.4, help="seconds between two runs of one client")
    parser.add_argument("--out", type=Path, help="append the result to this file, as one line of JSON")
    parser.add_argument("--keep", type=Path, help="keep data and logs in this new directory")
    arguments = parser.parse_args()
    arguments.say = lambda line: sys.stdout.write(f"  {datetime.now(UTC):%H:%M:%S.%f}"[:-3] + f" {line}\n") and None
    with TemporaryDirectory(prefix="sparkops-chaos-") as directory:
        report = asyncio.run(campaign(arguments, arguments.keep or Path(directory)))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if arguments.out:
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
