"""Mails, as a real SMTP server gets them."""

import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from sparkops.api.app import check_settings
from sparkops.api.deps import Door
from sparkops.core.config import Settings, load_settings
from sparkops.core.errors import ConfigError
from sparkops.core.mail import MAIL_FAILURES, Mailer
from sparkops.domains.identity.attempts import FORGOTTEN, FORGOTTEN_FROM
from sparkops.domains.identity.models import User
from sparkops.local.ports import free_port
from tests.api.conftest import PASSWORD, MakePerson, add_user, client_of, running
from tests.api.second_factors import FACTOR, enrolled, forget_codes, go_on
from tests.api.test_people import become_admin

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
PUBLIC = "https://ops.example.com"
FORGOT = "/api/v1/auth/forgot"
NEW = "three kettles on the shore"
SECRET = "p@ss:word/%"


class Mailbox:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 kept"


def _is_ours(_: object, __: object, ___: object, ____: object, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"spark", SECRET.encode()))


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, int]]:
    """An SMTP server that wants a password."""
    box = Mailbox()
    server = Controller(
        box, hostname="127.0.0.1", port=free_port(), authenticator=_is_ours, auth_required=True, auth_require_tls=False
    )
    await asyncio.to_thread(server.start)
    yield box, server.port
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def mailing(settings: Settings, mailbox: tuple[Mailbox, int], tmp_path: Path) -> AsyncIterator[FastAPI]:
    """An application that mails."""
    url = f"smtp://spark:p%40ss%3Aword%2F%25@127.0.0.1:{mailbox[1]}?starttls=never"
    changed = {"smtp_url": SecretStr(url), "mail_from": "ops@example.com", "public_url": PUBLIC}
    async with running(settings.model_copy(update=changed), tmp_path / "no-pages") as app:
        yield app


@pytest.fixture
async def door(mailing: FastAPI) -> Door:
    door: Door = mailing.state.door
    return door


@pytest.fixture
def app(mailing: FastAPI) -> FastAPI:
    return mailing


@pytest.fixture
async def zoe(door: Door) -> User:
    async with door.database.sessions.begin() as session:
        return await add_user(session, "zoe@example.com", "Zoe")


def text_of(mail: Message) -> str:
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


async def test_a_forgotten_password_is_replaced_through_the_mail(
    anonymous: AsyncClient, door: Door, mailbox: tuple[Mailbox, int], zoe: User
) -> None:
    assert (await anonymous.get("/api/v1/auth/options")).json() == {"mail": True, "set_up": True}
    poisoned = {"Host": "localhost", "X-Forwarded-Host": "attacker.example", "Forwarded": "host=attacker.example"}
    answer = await anonymous.post(FORGOT, json={"email": " ZOE@example.com"}, headers=poisoned)
    assert (answer.status_code, answer.json()) == (202, None)
    await door.errands.settled()
    (mail,) = mailbox[0].mails
    assert (mail["From"], mail["To"]) == ("ops@example.com", zoe.email)
    link = re.search(r"https?://\S+", text_of(mail).partition("works once:")[2])
    assert link is not None
    assert link[0].startswith(f"{PUBLIC}/reset#"), "the address comes from the settings, not from the request"
    assert "attacker" not in str(mail)
    assert "localhost" not in text_of(mail)

    token = link[0].partition("#")[2]
    assert (await anonymous.post("/api/v1/auth/password", json={"token": token, "password": NEW})).status_code == 204
    await door.errands.settled()
    assert "was changed" in mailbox[0].mails[1]["Subject"]
    assert token not in str(mailbox[0].mails[1])


async def test_who_asks_does_not_learn_whether_somebody_is_there(
    anonymous: AsyncClient, door: Door, mailbox: tuple[Mailbox, int], zoe: User
) -> None:
    spent: dict[str, list[float]] = {zoe.email: [], "nobody@example.com": []}
    for _ in range(FORGOTTEN_FROM.free // 2):
        for email, times in spent.items():
            begun = perf_counter()
            answer = await anonymous.post(FORGOT, json={"email": email})
            times.append(perf_counter() - begun)
            assert (answer.status_code, answer.content) == (202, b"null")
            await door.errands.settled()
    known, unknown = (median(times) for times in spent.values())
    assert abs(known - unknown) < 0.02
    assert {mail["To"] for mail in mailbox[0].mails} == {zoe.email}
    assert len(mailbox[0].mails) == FORGOTTEN.free, "and nobody's mailbox is filled"
    assert (await anonymous.post(FORGOT, json={"email": "third@example.com"})).status_code == 429


async def test_a_disabled_user_gets_no_mail(
    anonymous: AsyncClient, door: Door, mailbox: tuple[Mailbox, int], zoe: User
) -> None:
    await door.database.pool.execute("UPDATE users SET disabled_at = now()")
    await anonymous.post(FORGOT, json={"email": zoe.email})
    await door.errands.settled()
    assert mailbox[0].mails == []


async def test_an_invitation_is_mailed_and_nobody_else_sees_the_link(
    door: Door, mailbox: tuple[Mailbox, int], person: MakePerson
) -> None:
    root = await become_admin(door, await person("root"))
    answer = (await root.client.post("/api/v1/users", json={"email": "kim@example.com", "name": "Kim"})).json()
    assert (answer["mailed"], answer["link"]) == (True, None)
    await door.errands.settled()
    (mail,) = mailbox[0].mails
    assert mail["To"] == "kim@example.com"
    assert f"{PUBLIC}/reset#" in text_of(mail)
    assert "root invites you" in text_of(mail)


async def test_whoever_has_a_mailbox_is_told_what_becomes_of_their_second_factor(
    anonymous: AsyncClient, door: Door, mailbox: tuple[Mailbox, int], person: MakePerson
) -> None:
    kim, root = await person("kim"), await become_admin(door, await person("root"))
    phone = await enrolled(kim, door)
    both = {"current": PASSWORD, "code": phone.code()}
    assert (await kim.client.post(f"{FACTOR}/recovery-codes", json=both)).status_code == 200
    await forget_codes(door)
    removed = await kim.client.post(f"{FACTOR}/remove", json=both)
    assert removed.status_code == 200
    go_on(kim.client, removed.json())
    await enrolled(kim, door)
    assert (await root.client.delete(f"/api/v1/users/{kim.id}/factor")).status_code == 204
    await door.errands.settled()

    told = sorted(mailbox[0].mails, key=lambda mail: mail["Subject"])
    assert {mail["To"] for mail in told} == {kim.email}
    assert [mail["Subject"].removeprefix("Your second factor for Spark-Ops was ") for mail in told] == [
        "given new recovery codes",
        "removed",
        "set up",
        "set up",
        "taken away",
    ]
    for mail in told:
        assert PUBLIC in text_of(mail)
        assert "tell an administrator" in text_of(mail)
        assert not any(secret in text_of(mail) for secret in (phone.key, *phone.paper))


async def test_a_mail_server_that_is_away_hurts_nobody(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {
        "smtp_url": SecretStr("smtp://u:verysecret@127.0.0.1:1"),
        "mail_from": "o@example.com",
        "public_url": PUBLIC,
    }
    async with running(settings.model_copy(update=changed), tmp_path / "no-pages") as app, client_of(app) as client:
        door: Door = app.state.door
        async with door.database.sessions.begin() as session:
            await add_user(session, "zoe@example.com", "Zoe")
        assert (await client.post(FORGOT, json={"email": "zoe@example.com"})).status_code == 202
        await door.errands.settled()
        assert (
            await client.post("/api/v1/auth/sign-in", json={"email": "zoe@example.com", "password": PASSWORD})
        ).status_code == 200
    assert "verysecret" not in capsys.readouterr().err


async def test_neither_password_nor_mail_goes_to_a_server_without_tls_unless_it_is_said(
    mailbox: tuple[Mailbox, int],
) -> None:
    mailer = Mailer.of(f"smtp://spark:secret@127.0.0.1:{mailbox[1]}", "ops@example.com")
    with pytest.raises(MAIL_FAILURES):
        await mailer.send(to="zoe@example.com", subject="S", text="T")
    with pytest.raises(MAIL_FAILURES):
        await Mailer.of(f"smtps://spark:secret@127.0.0.1:{mailbox[1]}", "ops@example.com").send(
            to="zoe@example.com", subject="S", text="T"
        )
    assert mailbox[0].mails == []


async def test_no_line_can_be_smuggled_into_a_mail_s_head(mailbox: tuple[Mailbox, int]) -> None:
    mailer = Mailer.of(f"smtp://127.0.0.1:{mailbox[1]}?starttls=never", "ops@example.com")
    with pytest.raises(ValueError):  # noqa: PT011 -- the library's sentence is its own
        await mailer.send(to="zoe@example.com\r\nBcc: eve@example.com", subject="S", text="T")
    with pytest.raises(ValueError):  # noqa: PT011
        await mailer.send(to="zoe@example.com", subject="S\nBcc: eve@example.com", text="T")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SPARKOPS_SMTP_URL": "smtp://mail"}, "SPARKOPS_PUBLIC_URL"),
        (
            {"SPARKOPS_SMTP_URL": "http://mail", "SPARKOPS_MAIL_FROM": "o@e.com", "SPARKOPS_PUBLIC_URL": PUBLIC},
            "must look like smtp://",
        ),
        (
            {"SPARKOPS_SMTP_URL": "smtp://mail:x", "SPARKOPS_MAIL_FROM": "o@e.com", "SPARKOPS_PUBLIC_URL": PUBLIC},
            "must look like smtp://",
        ),
    ],
)
def test_settings_that_cannot_mail_are_refused_at_the_start(variables: dict[str, str], sentence: str) -> None:
    servers = {
        "SPARKOPS_SECRET_KEY": "k" * 32,
        "SPARKOPS_DATABASE_URL": "postgresql://a@b/c",
        "SPARKOPS_REDIS_URL": "redis://b",
    }
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check_settings(load_settings(servers | variables))


@pytest.mark.parametrize(
    "url", ["ops.example.com", "ftp://ops", "https://ops.example.com/path", "https://user@ops", "https://ops?x"]
)
def test_a_public_address_is_one(url: str) -> None:
    with pytest.raises(ConfigError, match="PUBLIC_URL"):
        load_settings({"SPARKOPS_PUBLIC_URL": url})
