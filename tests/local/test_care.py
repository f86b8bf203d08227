"""The commands that look after an installation: doctor and recover."""

import json
import os
from pathlib import Path

import asyncpg
import pytest

from sparkops.core.endpoints import Endpoints, publish
from tests.local.test_commands import sparkops


@pytest.fixture
def installation(tmp_path: Path, owner_url: str, app_url: str, redis_url: str) -> Path:
    """A data directory on which a stack seems to run."""
    publish(tmp_path, Endpoints(os.getpid(), "http://127.0.0.1:1", owner_url, app_url, redis_url))
    return tmp_path


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


FORGETFUL = "BROKEN   server-durable: "
"""The servers of these tests do not wait for the disk, and the doctor says so."""

OVERSPENT = """
INSERT INTO projects (id, slug, name) VALUES ('00000000-0000-7000-8000-000000000001', 'lab', 'Lab');
INSERT INTO budgets (id, project_id, scope, scope_id, period, limit_micros, spent_micros)
SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'run', gen_random_uuid(), 'total', 9, 5
  FROM generate_series(1, 25)
"""


async def test_the_doctor_checks_everything_and_finds_a_server_that_forgets(installation: Path) -> None:
    done = await sparkops("doctor", "--data-dir", str(installation))
    assert done.returncode == 1, done
    *checks, summary = done.stdout.splitlines()
    broken = [line for line in checks if not line.startswith("ok ")]
    assert broken[0].startswith(FORGETFUL)
    assert [json.loads(line)["subject"] for line in broken[1:]] == ["fsync", "full_page_writes", "synchronous_commit"]
    assert {"schema", "result-once", "log-whole", "workers-heard", "outbox-moves", "clocks"} <= {
        line.split()[1] for line in checks if line.startswith("ok ")
    }
    assert "1 of " in summary


async def test_the_doctor_names_the_rows_that_break_a_rule(installation: Path, owner_url: str) -> None:
    await execute(owner_url, OVERSPENT)
    done = await sparkops("doctor", "--data-dir", str(installation))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("BROKEN   budget-sums: "))
    assert all(json.loads(line)["spent_micros"] == 5 for line in lines[start + 1 : start + 21])
    assert lines[start + 21].strip() == "… 25 in all"
    told = json.loads((await sparkops("doctor", "--json", "--data-dir", str(installation))).stdout)
    (check,) = [one for one in told["checks"] if one["name"] == "budget-sums"]
    assert (told["ok"], check["ok"], check["total"], len(check["rows"])) == (False, False, 25, 20)


async def test_the_doctor_says_when_the_schema_is_not_this_releases(installation: Path, owner_url: str) -> None:
    await execute(owner_url, "COMMENT ON SCHEMA engine IS 'functions of another release'")
    done = await sparkops("doctor", "--data-dir", str(installation))
    assert done.returncode == 1
    assert done.stdout.startswith("BROKEN   schema: ")
    assert "`sparkops migrate`" in done.stdout
    await execute(owner_url, "DROP TABLE alembic_version")
    assert (await sparkops("doctor", "--data-dir", str(installation))).stdout.startswith("BROKEN   schema: ")


async def test_the_doctor_can_be_asked_while_rows_are_locked(installation: Path, owner_url: str) -> None:
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE steps, runs IN EXCLUSIVE MODE")
            done = await sparkops("doctor", "--data-dir", str(installation))
    finally:
        await connection.close()
    assert done.stdout.count("BROKEN") == 1
    assert "unknown" not in done.stdout


async def test_recover_says_what_it_did(installation: Path, owner_url: str) -> None:
    done = await sparkops(
        "recover", "--restored-to", "2026-11-22T09:30:00Z", "--data-dir", str(installation), SPARKOPS_LOG_LEVEL="error"
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith("New epoch ")
    assert rest == [
        "No step was running.",
        "Steps that wait for a person, because nobody knows what became of their call: 0",
        "Calls since the time restored to, to be compared with what their targets know: 0",
    ]


async def test_recover_refuses_while_workers_are_alive(installation: Path, owner_url: str) -> None:
    await execute(
        owner_url,
        "INSERT INTO worker_sessions (id, host, pid, queues, slots, code_version)"
        " VALUES (gen_random_uuid(), 'there', 7, '[]', 1, '0')",
    )
    done = await sparkops("recover", "--data-dir", str(installation))
    assert done.returncode == 1
    assert done.stderr.startswith(
        "sparkops: 1 worker sessions gave a sign of life within the last minute, there process 7"
    )
    assert (await sparkops("recover", "--force", "--data-dir", str(installation))).returncode == 0


@pytest.mark.parametrize(("given", "sentence"), [("yesterday", "is no time"), ("2026-11-22T09:30:00", "no time zone")])
async def test_a_time_that_cannot_be_read_is_refused(installation: Path, given: str, sentence: str) -> None:
    done = await sparkops("recover", "--restored-to", given, "--data-dir", str(installation))
    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("door", ["worker", "api"])
async def test_the_doors_refuse_a_database_that_forgets(door: str, app_url: str, redis_url: str) -> None:
    servers = {"SPARKOPS_APP_DATABASE_URL": app_url, "SPARKOPS_REDIS_URL": redis_url, "SPARKOPS_SECRET_KEY": "k" * 40}
    done = await sparkops(door, **servers)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "PostgreSQL runs with fsync and full_page_writes and synchronous_commit off and may lose"
    )
    assert done.stderr.count("\n") == 1
