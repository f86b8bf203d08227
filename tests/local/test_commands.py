"""The other commands, against a stack that runs and against none."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from sparkops.core.clock import utc_now
from sparkops.core.db import open_database
from sparkops.core.endpoints import Endpoints, publish
from sparkops.domains.identity.links import LinkVoid, look_at
from sparkops.local.stack import EmbeddedServers
from sparkops.migrations import runner


@pytest.fixture
def installation(tmp_path: Path, owner_url: str, app_url: str, redis_url: str) -> Path:
    """A data directory on which a stack seems to run."""
    publish(tmp_path, Endpoints(os.getpid(), "http://127.0.0.1:1", owner_url, app_url, redis_url))
    return tmp_path


async def sparkops(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARKOPS_")} | variables
    command = [sys.executable, "-c", "from sparkops.cli import main; main(prog_name='sparkops')", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=env, input=stdin, capture_output=True, text=True, timeout=60
    )


async def users(url: str) -> list[tuple[str, str, bool]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT email, name, is_admin FROM users")]
    finally:
        await connection.close()


async def test_a_user_is_added_with_the_password_from_standard_input(installation: Path, app_url: str) -> None:
    options = ("--name", "Ada", "--admin", "--password-stdin", "--data-dir", str(installation))
    done = await sparkops("users", "add", "Ada@Example.com", *options, stdin="a long enough password\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Added Ada@Example.com.\n", "")
    assert await users(app_url) == [("ada@example.com", "Ada", True)]


async def test_a_password_is_generated_and_told_once(owner_url: str, redis_url: str) -> None:
    servers = {"SPARKOPS_DATABASE_URL": owner_url, "SPARKOPS_REDIS_URL": redis_url}
    done = await sparkops("users", "add", "bob@example.com", **servers)
    assert done.returncode == 0, done
    assert len(done.stdout.partition("Password: ")[2].strip()) >= 12
    assert await users(owner_url) == [("bob@example.com", "bob@example.com", False)]


async def test_a_link_is_printed_for_who_is_invited_or_forgot_the_password(installation: Path, app_url: str) -> None:
    there = ("--data-dir", str(installation))
    invited = await sparkops("users", "invite", "kim@example.com", "--name", "Kim", *there)
    assert invited.returncode == 0, invited
    again = await sparkops("users", "reset", "KIM@example.com", *there)
    for done in (invited, again):
        assert re.search(r"http://127.0.0.1:1/reset#[A-Za-z0-9_-]{43}\n$", done.stdout), done
    async with open_database(app_url) as database, database.reads.begin() as session:
        first, second = (done.stdout.strip().rpartition("#")[2] for done in (invited, again))
        with pytest.raises(LinkVoid):
            await look_at(session, token=first, now=utc_now())
        opened = await look_at(session, token=second, now=utc_now())
    assert opened.user is not None
    assert opened.user.name == "Kim"
    nobody = await sparkops("users", "reset", "nobody@example.com", *there)
    assert (nobody.returncode, nobody.stderr) == (1, "sparkops: Nobody has the address nobody@example.com.\n")


async def test_a_user_is_kept_out_and_let_in_again(installation: Path, app_url: str) -> None:
    there = ("--data-dir", str(installation))
    await sparkops("users", "add", "kim@example.com", *there)
    standing = "SELECT disabled_at IS NOT NULL FROM users"
    for command, expected in (("disable", True), ("enable", False)):
        assert (await sparkops("users", command, "kim@example.com", *there)).returncode == 0
        connection = await asyncpg.connect(app_url)
        assert await connection.fetchval(standing) is expected
        actions = await connection.fetch("SELECT action FROM audit ORDER BY id DESC LIMIT 1")
        await connection.close()
        assert actions[0][0] == f"user.{command}"


async def member_of(url: str, slug: str) -> list[tuple[str, str, str]]:
    """Who is what in a project, and who made them so."""
    query = (
        "SELECT u.email, m.role, m.source FROM memberships m JOIN users u ON u.id = m.user_id"
        " JOIN projects p ON p.id = m.project_id WHERE p.slug = $1 ORDER BY u.email"
    )
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query, slug)]
    finally:
        await connection.close()


async def test_a_project_whose_only_owner_leaves_is_given_to_somebody_else(
    installation: Path, app_url: str, owner_url: str
) -> None:
    there = ("--data-dir", str(installation))
    for name in ("ada", "bob"):
        await sparkops("users", "add", f"{name}@example.com", *there)
    connection = await asyncpg.connect(owner_url)
    await connection.execute("INSERT INTO projects (id, slug, name) VALUES (gen_random_uuid(), 'lab', 'Lab')")
    await connection.execute(
        "INSERT INTO memberships (project_id, user_id, role, source)"
        " SELECT p.id, u.id, CASE u.email WHEN 'ada@example.com' THEN 'owner' ELSE 'viewer' END,"
        " CASE u.email WHEN 'ada@example.com' THEN 'manual' ELSE 'oidc' END FROM projects p, users u"
    )
    needed = await sparkops("users", "disable", "ada@example.com", *there)
    assert needed.returncode == 1
    assert "only owner" in needed.stderr, needed
    assert "lab" in needed.stderr

    done = await sparkops("users", "own", "BOB@example.com", "lab", *there)

    assert (done.returncode, done.stdout, done.stderr) == (0, "BOB@example.com owns lab.\n", ""), done
    assert await member_of(app_url, "lab") == [
        ("ada@example.com", "owner", "manual"),
        ("bob@example.com", "owner", "manual"),
    ], "no group that he leaves takes it from him"
    line = await connection.fetchrow(
        "SELECT a.action, a.actor, a.before, a.after, p.slug FROM audit a JOIN projects p ON p.id = a.project_id"
        " ORDER BY a.id DESC LIMIT 1"
    )
    await connection.close()
    assert line is not None
    assert (line["action"], line["actor"], line["slug"]) == ("member.put", "system", "lab")
    assert (json.loads(line["before"]), json.loads(line["after"])) == ({"role": "viewer"}, {"role": "owner"})
    assert (await sparkops("users", "disable", "ada@example.com", *there)).returncode == 0


async def test_a_stranger_to_a_project_can_be_its_owner_and_who_is_kept_out_cannot(
    installation: Path, app_url: str, owner_url: str
) -> None:
    there = ("--data-dir", str(installation))
    await sparkops("users", "add", "bob@example.com", *there)
    connection = await asyncpg.connect(owner_url)
    await connection.execute("INSERT INTO projects (id, slug, name) VALUES (gen_random_uuid(), 'lab', 'Lab')")
    await connection.close()
    await sparkops("users", "disable", "bob@example.com", *there)
    for who, slug, sentence in (
        ("bob@example.com", "lab", "Only a person who may sign in can own a project."),
        ("bob@example.com", "nowhere", "There is no project nowhere."),
        ("nobody@example.com", "lab", "Nobody has the address nobody@example.com."),
    ):
        refused = await sparkops("users", "own", who, slug, *there)
        assert (refused.returncode, refused.stderr) == (1, f"sparkops: {sentence}\n")
    assert await member_of(app_url, "lab") == []
    await sparkops("users", "enable", "bob@example.com", *there)
    assert (await sparkops("users", "own", "bob@example.com", "lab", *there)).returncode == 0
    assert await member_of(app_url, "lab") == [("bob@example.com", "owner", "manual")]


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("bob", "--password-stdin"), "a long enough password", "is not an e-mail address"),
        (("bob@example.com", "--password-stdin"), "short", "password needs"),
        (("bob@example.com", "--password-stdin"), "", "password needs"),
    ],
)
async def test_what_cannot_be_added_is_said(
    installation: Path, arguments: tuple[str, ...], stdin: str, sentence: str
) -> None:
    done = await sparkops("users", "add", *arguments, "--data-dir", str(installation), stdin=stdin)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


async def test_migrations_go_down_and_up(installation: Path, owner_url: str) -> None:
    done = await sparkops("migrate", "--down", "1", "--data-dir", str(installation))
    below = await runner.current(owner_url)
    assert below != runner.head()
    assert done.stdout == f"The schema is at revision {below}.\n"
    done = await sparkops("migrate", "--data-dir", str(installation))
    assert done.stdout == f"The schema is at revision {runner.head()}.\n"


async def test_too_many_steps_down_are_refused(installation: Path) -> None:
    done = await sparkops("migrate", "--down", "99", "--data-dir", str(installation))
    assert done.returncode == 1
    assert done.stderr.startswith("sparkops: The migration cannot run")


async def test_a_newer_schema_is_refused(installation: Path, owner_url: str) -> None:
    connection = await asyncpg.connect(owner_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    done = await sparkops("migrate", "--data-dir", str(installation))
    assert done.returncode == 1
    assert "migrated by a newer Spark-Ops" in done.stderr


async def test_a_role_that_does_not_own_the_schema_is_told_so(postgres_server: EmbeddedServers) -> None:
    done = await sparkops("migrate", SPARKOPS_DATABASE_URL=postgres_server.app_url)
    assert done.returncode == 1
    assert "may not change the schema; let it own the database" in done.stderr


@pytest.mark.parametrize("command", [("users", "add", "a@b.c"), ("migrate",), ("worker",), ("api",)])
async def test_where_nothing_runs_it_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = await sparkops(*command, SPARKOPS_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"sparkops: No Spark-Ops runs on {tmp_path}. Start one with `sparkops up`")


async def test_a_database_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = Endpoints(os.getpid(), "http://127.0.0.1:1", "postgresql://a:b@127.0.0.1:1/c", None, "redis://b")
    publish(tmp_path, gone)
    for command in (("users", "add", "a@b.c"), ("migrate",)):
        done = await sparkops(*command, SPARKOPS_DATA_DIR=str(tmp_path))
        assert done.returncode == 1
        assert "cannot be reached" in done.stderr
        assert done.stderr.count("\n") == 1


async def test_help_and_version_need_nothing(tmp_path: Path) -> None:
    assert (await sparkops("--version")).stdout.startswith("sparkops ")
    helped = (await sparkops("--help")).stdout
    assert all(f"\n  {name} " in helped for name in ("up", "api", "worker", "users", "migrate"))
    assert "--data-dir" in (await sparkops("up", "--help")).stdout
