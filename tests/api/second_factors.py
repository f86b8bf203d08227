"""A person with a second factor, and the app that shows its codes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from httpx2 import AsyncClient, Response

from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.domains.identity import totp
from sparkops.domains.identity.factor_models import SecondFactor
from tests.api.conftest import PASSWORD, MakePerson, Person

SIGN_IN = "/api/v1/auth/sign-in"
ANSWER = "/api/v1/auth/factor"
FACTOR = "/api/v1/me/factor"
REFRESH = "/api/v1/auth/refresh"
VOID = "urn:sparkops:problem:challenge-void"
REFUSED = "urn:sparkops:problem:code-refused"
REQUIRED = "urn:sparkops:problem:second-factor-required"


async def count(door: Door, table: str, where: str = "true") -> int:
    found: int = await door.database.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {where}")
    return found


async def kinds(door: Door) -> list[str]:
    """What is on record of the platform's safety, in order."""
    return [row["kind"] for row in await door.database.pool.fetch("SELECT kind FROM security_events ORDER BY id")]


async def administrator(person: MakePerson, door: Door) -> Person:
    root = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", root.id)
    return root


@dataclass(frozen=True)
class App:
    """An authenticator app with somebody's key, and the recovery codes on paper beside it."""

    key: str
    paper: list[str]

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many steps from now."""
        return totp.code_of(self.key, totp.step_at(utc_now()) + steps)

    def wrong(self) -> str:
        """A code that does not count now or soon."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(
            code for code in ("000000", "111111", "222222", *map(str, range(300000, 300008))) if code not in near
        )


async def enrol(client: AsyncClient, headers: dict[str, str] | None = None) -> App:
    """Set a second factor up, as the page does, and go on with the session that comes back."""
    begun = await client.post(FACTOR, json={"current": PASSWORD}, headers=headers)
    assert begun.status_code == 200, begun.text
    key = begun.json()["key"]
    confirmed = await client.post(f"{FACTOR}/confirm", json={"code": App(key, []).code()}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    go_on(client if headers is None else headers, confirmed.json()["tokens"])
    return App(key, confirmed.json()["codes"])


def go_on(with_: AsyncClient | dict[str, str], tokens: dict[str, Any]) -> None:
    """Act with the session of these tokens from now on."""
    headers = with_ if isinstance(with_, dict) else with_.headers
    headers["Authorization"] = f"Bearer {tokens['access_token']}"


async def enrolled(person: Person, door: Door) -> App:
    """Somebody who set theirs up a while ago: the codes of these minutes are unused."""
    app = await enrol(person.client)
    await forget_codes(door)
    return app


async def forget_codes(door: Door) -> None:
    """Let some time pass, as far as used codes are concerned."""
    long_ago = totp.step_at(utc_now() - timedelta(minutes=10))
    await door.database.pool.execute(f"UPDATE {SecondFactor.__tablename__} SET last_step = $1", long_ago)


async def give_password(client: AsyncClient, email: str, password: str = PASSWORD) -> Response:
    return await client.post(SIGN_IN, json={"email": email, "password": password})


async def give_code(client: AsyncClient, code: str) -> Response:
    return await client.post(ANSWER, json={"code": code})
