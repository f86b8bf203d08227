"""The command that checks the audit trail, as an operator asks it."""

import json
from pathlib import Path

import pytest

from sparkops.core.db import open_database
from sparkops.domains.audit.roots import add_roots
from sparkops.domains.audit.seals import SealKeys
from sparkops.engine.context import Engine, SilentBell
from sparkops.engine.seals import anchors_after, seal_some
from tests.local.test_care import execute, installation
from tests.local.test_commands import sparkops

__all__ = ["installation"]

KEY = "a" * 64
LINES = "SELECT engine.write_audit(NULL, 'system', 'system.recover', 'system:' || n, '{}') FROM generate_series(1, 6) n"


@pytest.fixture
async def sealed(installation: Path, app_url: str) -> Path:
    """The data directory of an installation with six lines under three seals, whose roots were kept."""
    (installation / "secrets").mkdir()
    (installation / "secrets" / "audit.key").write_text(KEY + "\n")
    async with open_database(app_url) as database:
        await database.pool.execute(LINES)
        engine = Engine(database, SilentBell())
        while await seal_some(engine, SealKeys([KEY]), 2) is not None:
            pass
        add_roots(installation / "audit-roots.jsonl", await anchors_after(engine, 0))
    return installation


async def test_a_whole_trail_is_said_to_be_whole(sealed: Path) -> None:
    done = await sparkops("audit", "verify", "--data-dir", str(sealed))
    assert (done.returncode, done.stderr) == (0, "")
    first, roots, last, verdict = done.stdout.splitlines()
    assert first == "6 lines under 3 seals, 0 wait for theirs."
    assert roots == "3 roots were kept outside of the database."
    assert last.startswith("The last seal is 3 of ")
    assert verdict == "Nothing is wrong."


async def test_what_was_changed_and_what_was_cut_off_is_named(sealed: Path, owner_url: str) -> None:
    await execute(
        owner_url,
        "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_seals DISABLE TRIGGER USER; "
        "UPDATE audit SET actor = 'user:eve' WHERE object = 'system:1'; "
        "DELETE FROM audit WHERE object IN ('system:5', 'system:6'); DELETE FROM audit_seals WHERE number = 3",
    )
    done = await sparkops("audit", "verify", "--json", "--data-dir", str(sealed))
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["counts"] == {"line-changed": 1, "root-missing": 1}
    assert {(one["kind"], one["subject"]) for one in told["findings"]} == {("line-changed", 1), ("root-missing", 3)}


async def test_without_kept_roots_a_trail_that_was_cut_off_looks_whole_and_that_is_said(
    sealed: Path, owner_url: str
) -> None:
    kept = await sparkops("audit", "roots", "--data-dir", str(sealed))
    assert kept.stdout == (sealed / "audit-roots.jsonl").read_text()
    elsewhere = sealed / "elsewhere.jsonl"
    (sealed / "audit-roots.jsonl").rename(elsewhere)
    await execute(
        owner_url,
        "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_seals DISABLE TRIGGER USER; "
        "DELETE FROM audit WHERE object IN ('system:5', 'system:6'); DELETE FROM audit_seals WHERE number = 3",
    )
    blind = await sparkops("audit", "verify", "--data-dir", str(sealed))
    assert blind.returncode == 0
    assert "No roots were kept outside of the database" in blind.stdout
    done = await sparkops("audit", "verify", "--root", str(elsewhere), "--data-dir", str(sealed))
    assert done.returncode == 1
    assert done.stdout.startswith("BROKEN   root-missing 3: ")


async def test_what_is_missing_is_said_in_one_sentence(installation: Path) -> None:
    done = await sparkops("audit", "verify", "--data-dir", str(installation))
    assert done.returncode != 0
    assert "SPARKOPS_AUDIT_KEY is missing" in done.stderr
    key = {"SPARKOPS_AUDIT_KEY": "short"}
    assert "32 characters" in (await sparkops("audit", "verify", "--data-dir", str(installation), **key)).stderr
    key = {"SPARKOPS_AUDIT_KEY": KEY}
    (installation / "wrong").write_text("no\nroots\n")
    done = await sparkops(
        "audit", "verify", "--root", str(installation / "wrong"), "--data-dir", str(installation), **key
    )
    assert "is not a root of the audit trail" in done.stderr
