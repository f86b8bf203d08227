"""Second factors at the command line: taken away from who lost theirs, and found whole under another key."""

from pathlib import Path
from uuid import UUID

import pytest

from sparkops.core.clock import utc_now
from sparkops.core.db import Database
from sparkops.core.envelope import Keys
from sparkops.core.errors import Invalid
from sparkops.core.principal import Principal
from sparkops.domains.identity import factor_queries, factors, service, totp
from sparkops.domains.identity.factor_queries import KEYS
from sparkops.domains.identity.models import User
from tests.local.test_commands import installation, sparkops
from tests.local.test_secret_commands import key_file

__all__ = ["installation", "key_file"]

EMAIL = "zoe@example.com"


async def somebody(database: Database, keys: Keys) -> tuple[User, str]:
    """Zoe with a second factor, and its key."""
    now = utc_now()
    async with database.sessions.begin() as session:
        user = await service.create_user(session, email=EMAIL, name="Zoe", password=None, is_admin=False)
        opened = await service.open_session(session, user=user, now=now)
        key = await factors.begin(session, keys.ring(), user_id=user.id, now=now)
        principal = Principal(user.id, EMAIL, "Zoe", is_admin=False, session_id=opened.session_id)
        code = totp.code_of(key, totp.step_at(now) - 1)
        await factors.finish(session, keys.ring(), principal, code=code, now=now)
    return user, key


async def spend(database: Database, keys: Keys, user_id: UUID, code: str) -> str:
    async with database.sessions.begin() as session:
        return await factors.spend(session, keys.ring(), user_id=user_id, code=code, now=utc_now())


async def test_a_key_of_an_app_opens_under_the_new_key_when_the_old_one_is_gone(
    installation: Path, key_file: Path, database: Database
) -> None:
    keys = Keys(file=key_file)
    user, key = await somebody(database, keys)
    here = ("--data-dir", str(installation))

    done = await sparkops("secrets", "rotate-key", "--drop-old", *here)

    assert done.stdout.startswith("1 versions are under the key "), done
    assert done.stdout.endswith("Dropped 1 old keys.\n")
    async with database.reads.begin() as session:
        assert await KEYS.keys_in_use(session) == {keys.ring().active: 1}
    assert await spend(database, keys, user.id, totp.code_of(key, totp.step_at(utc_now()))) == "totp"
    checked = await sparkops("secrets", "check", *here)
    assert checked.stdout == "1 versions of secrets, 0 of which cannot be opened.\n"
    assert key not in done.stdout + checked.stdout


async def test_it_is_taken_away_from_who_lost_it(installation: Path, key_file: Path, database: Database) -> None:
    keys = Keys(file=key_file)
    user, _ = await somebody(database, keys)
    here = ("--data-dir", str(installation))

    done = await sparkops("users", "reset-factor", EMAIL, *here)

    assert (done.returncode, done.stdout) == (0, f"{EMAIL} has no second factor now.\n"), done
    async with database.reads.begin() as session:
        assert await factor_queries.confirmed_at(session, user_id=user.id) is None
    assert await database.pool.fetchval("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0
    line = await database.pool.fetchrow("SELECT action, actor, object FROM audit ORDER BY id DESC LIMIT 1")
    assert tuple(line) == ("factor.reset", "system", f"user:{user.id}")
    again = await sparkops("users", "reset-factor", EMAIL, *here)
    assert (again.returncode, again.stderr) == (1, "sparkops: Zoe has no second factor.\n")


async def test_a_wrong_code_spends_nothing(database: Database) -> None:
    keys = Keys("0f" * 32)
    user, key = await somebody(database, keys)
    step = totp.step_at(utc_now())
    with pytest.raises(Invalid):
        await spend(database, keys, user.id, totp.code_of(key, step - 3))
    assert await spend(database, keys, user.id, totp.code_of(key, totp.step_at(utc_now()))) == "totp"
