"""`sparkops secrets`: values go in by standard input, keys are changed, and nothing of either is printed."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from sparkops.core.endpoints import SECRETS_KEY
from sparkops.core.envelope import Keys, Place, Sealed
from tests.local.test_commands import installation, sparkops

__all__ = ["installation"]

VALUE = "sk-live-0123456789"


@pytest.fixture
def key_file(installation: Path) -> Path:
    file = installation / SECRETS_KEY
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("0f" * 32 + "\n")
    return file


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


async def opened(owner: "asyncpg.Connection[asyncpg.Record]", key_file: Path) -> list[str]:
    rows = await owner.fetch(
        "SELECT v.*, s.name FROM secret_versions v JOIN secrets s ON s.id = v.secret_id ORDER BY v.version"
    )
    ring = Keys(file=key_file).ring()
    return [
        ring.open(
            Place(row["project_id"], row["name"], row["version"]),
            Sealed(row["kek_id"], row["wrapped_key"], row["ciphertext"]),
        )
        for row in rows
    ]


async def test_a_secret_is_put_listed_and_found_whole_under_another_key(
    installation: Path, key_file: Path, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    here = ("--data-dir", str(installation))
    said = []
    for version, value in ((1, VALUE), (2, "sk-next\n-of-two-lines")):
        done = await sparkops("secrets", "put", "model-key", *here, stdin=value + "\n")
        assert done.stdout == f"secret://model-key is version {version} now.\n", done.stderr
        said.append(done)
    said.append(await sparkops("secrets", "list", *here))
    assert said[-1].stdout == "model-key  version 2\n"
    before = key_file.read_text().split()  # noqa: ASYNC240 -- nobody else waits
    said.append(await sparkops("secrets", "rotate-key", "--drop-old", *here))
    assert said[-1].stdout.startswith("2 versions are under the key "), said[-1].stderr
    assert said[-1].stdout.endswith("Dropped 1 old keys.\n")
    after = key_file.read_text().split()  # noqa: ASYNC240 -- nobody else waits
    assert (len(after), set(after) & set(before)) == (1, set())
    assert await opened(owner, key_file) == [VALUE, "sk-next\n-of-two-lines"]
    said.append(await sparkops("secrets", "check", *here))
    assert (said[-1].returncode, said[-1].stdout) == (0, "2 versions of secrets, 0 of which cannot be opened.\n")
    everything = "".join(done.stdout + done.stderr for done in said)
    assert not any(hidden in everything for hidden in (VALUE, "sk-next", *before, *after))
    actions = await owner.fetch("SELECT action, actor FROM audit WHERE object LIKE 'secret:%' OR object LIKE 'key:%'")
    assert [tuple(row) for row in actions] == [
        ("secret.version", "system"),
        ("secret.version", "system"),
        ("secret.rotate-key", "system"),
    ]


async def test_rows_that_were_changed_are_found(
    installation: Path, key_file: Path, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    here = ("--data-dir", str(installation))
    for name in ("one-key", "other-key"):
        await sparkops("secrets", "put", name, *here, stdin=VALUE)
    await owner.execute(
        "UPDATE secret_versions v SET ciphertext = o.ciphertext, wrapped_key = o.wrapped_key"
        " FROM secret_versions o, secrets s WHERE s.id = v.secret_id AND s.name = 'one-key' AND o.id <> v.id"
    )
    done = await sparkops("secrets", "check", *here)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "one-key (project none): Version 1 of the secret one-key was changed, or belongs elsewhere; put a new version.",
        "2 versions of secrets, 1 of which cannot be opened.",
    ]


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("put", "Model"), VALUE, "begins with a small letter"),
        (("put", "model-key"), "seven--", "at least 8 characters"),
        (("put", "model-key", "--project", "nowhere"), VALUE, "There is no project nowhere."),
        (("list", "--project", "nowhere"), "", "There is no project nowhere."),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_sentence(
    installation: Path, key_file: Path, arguments: tuple[str, ...], stdin: str, sentence: str
) -> None:
    done = await sparkops("secrets", *arguments, "--data-dir", str(installation), stdin=stdin)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not stdin or stdin not in done.stderr


async def test_without_a_key_it_is_said(installation: Path) -> None:
    done = await sparkops("secrets", "put", "model-key", "--data-dir", str(installation), stdin=VALUE)
    assert done.returncode == 1
    assert "SPARKOPS_SECRETS_KEY is missing" in done.stderr
