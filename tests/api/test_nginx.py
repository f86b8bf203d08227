"""`deploy/nginx.conf` as it is, with a real nginx in front of the server as it is run."""

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.domains.identity import service
from sparkops.local.ports import free_port
from tests.api.conftest import add_user
from tests.api.serving import Wire, app_of, serving, wire

CONF = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NAME = "ops.example.com"


@dataclass(frozen=True)
class Front:
    """A running nginx."""

    app: FastAPI
    http: int
    https: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https}"

    def client(self, host: str = NAME) -> AsyncClient:
        headers = {"Host": host}
        return AsyncClient(base_url=self.url, verify=self.trust, headers=headers, trust_env=False)


def rewritten(directory: Path, *, backend: str, http: int, https: int) -> str:
    """The file with other ports and paths; a test sees to it that nothing else is different."""
    text = CONF.read_text()
    places = {
        "/etc/nginx/tls/fullchain.pem": str(directory / "cert.pem"),
        "/etc/nginx/tls/privkey.pem": str(directory / "key.pem"),
        "/run/nginx.pid": str(directory / "pid"),
        "/var/log/nginx/error.log": str(directory / "error.log"),
        "/var/log/nginx/access.log": str(directory / "access.log"),
        "127.0.0.1:8000": backend,
    }
    for there, here in places.items():
        assert there in text, there
        text = text.replace(there, here)
    text = re.sub(r"listen 80\b", f"listen 127.0.0.1:{http}", text)
    text = re.sub(r"listen 443\b", f"listen 127.0.0.1:{https}", text)
    spools = "".join(
        f"    {kind}_temp_path {directory / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    return user + text.replace("http {\n", "http {\n" + spools, 1)


@pytest.fixture
def behind(settings: Settings) -> Settings:
    """What the head of the file says that Spark-Ops needs."""
    told = dict(re.findall(r"#\s+SPARKOPS_([A-Z_]+)=(\S+)", CONF.read_text()))
    assert set(told) == {"SECURE_COOKIES", "ALLOWED_HOSTS", "TRUSTED_PROXIES"}
    return settings.model_copy(
        update={
            "secure_cookies": told["SECURE_COOKIES"] == "true",
            "allowed_hosts": (told["ALLOWED_HOSTS"],),
            "trusted_proxies": (told["TRUSTED_PROXIES"],),
        }
    )


@pytest.fixture
async def front(behind: Settings, tmp_path: Path) -> AsyncIterator[Front]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        assert "CI" not in os.environ, "no nginx or openssl on this machine"
        pytest.skip("this test needs nginx and openssl: apt-get install nginx-light openssl")
    await certificate(tmp_path)
    async with serving(behind) as (backend, server):
        http, https = free_port(), free_port()
        conf = tmp_path / "nginx.conf"
        conf.write_text(rewritten(tmp_path, backend=backend, http=http, https=https))
        command = (program, "-p", str(tmp_path), "-c", str(conf), "-e", str(tmp_path / "error.log"))
        checked = await asyncio.create_subprocess_exec(*command, "-t", stderr=asyncio.subprocess.PIPE)
        _, said = await checked.communicate()
        assert checked.returncode == 0, said.decode()
        running = await asyncio.create_subprocess_exec(*command, "-g", "daemon off;")
        try:
            trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            trust.check_hostname = False
            made = Front(app_of(server), http, https, trust)
            await ready(made)
            yield made
        finally:
            running.terminate()
            await running.wait()


async def certificate(directory: Path) -> None:
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
        "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem"),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0


async def ready(front: Front) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with wire(f"127.0.0.1:{front.https}"):
                    return
            except OSError:
                await asyncio.sleep(0.05)


async def test_requests_reach_spark_ops_over_tls(front: Front) -> None:
    async with front.client() as client:
        answer = await client.get("/api/v1/me", extensions={"sni_hostname": NAME})
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:sparkops:problem:unauthenticated")
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000; includeSubDomains"]
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["server"] == "nginx", "without a version"


async def plain(front: Front, text: str) -> bytes:
    async with wire(f"127.0.0.1:{front.http}") as one:
        await one.say(text)
        return await one.closed()


async def test_plain_http_is_sent_to_the_name_in_the_file_and_nowhere_else(front: Front) -> None:
    said = await plain(front, f"GET /a?b=c HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 308")
    assert f"Location: https://{NAME}/a?b=c\r\n".encode() in said
    for host in ("evil.example.com", f"{NAME}.evil.com", "127.0.0.1"):
        assert await plain(front, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == b"", host
    split = await plain(front, f"GET /%0d%0aX-Evil:1 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
    assert b"\r\nX-Evil" not in split


async def test_another_name_gets_no_certificate(front: Front) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", front.https, ssl=front.trust, server_hostname="evil.example.com")


async def secured(front: Front, version: ssl.TLSVersion | None = None) -> Wire:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    return Wire(*await asyncio.open_connection("127.0.0.1", front.https, ssl=context, server_hostname=NAME))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(front: Front) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        (await secured(front, version)).writer.close()
    with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
        await secured(front, ssl.TLSVersion.TLSv1_1)


async def test_where_a_request_comes_from_cannot_be_made_up(front: Front, behind: Settings) -> None:
    """Spark-Ops counts by what nginx says; a lie in front of it would make a new caller of every request."""
    async with front.client() as client:
        left = []
        for number in range(3):
            answer = await client.get(
                "/api/v1/me",
                headers={"X-Forwarded-For": f"9.9.9.{number}", "Forwarded": f"for=9.9.9.{number}"},
                extensions={"sni_hostname": NAME},
            )
            left.append(int(re.findall(r"r=(\d+)", answer.headers["ratelimit"])[0]))
    assert left == [left[0], left[0] - 1, left[0] - 2]


async def test_sizes_are_limited_as_spark_ops_does(front: Front) -> None:
    async with front.client() as client:
        json = {"Content-Type": "application/json"}
        sni = {"sni_hostname": NAME}
        large = b"x" * (2 << 20)
        refused = await client.post("/api/v1/projects", content=large, headers=json, extensions=sni)
        assert refused.status_code == 413
        assert refused.headers["strict-transport-security"]
        taken = await client.post("/api/v1/runs", content=large, headers=json, extensions=sni)
        assert taken.status_code in (401, 422)
        long = await client.get(f"/{'x' * 9_000}", extensions=sni)
        assert long.status_code in (400, 414)


async def test_passwords_are_tried_slowly(front: Front) -> None:
    async with front.client() as client:
        statuses = [
            (await client.post("/api/v1/auth/sign-in", json={}, extensions={"sni_hostname": NAME})).status_code
            for _ in range(30)
        ]
        assert statuses[:10] == [422] * 10
        assert 429 in statuses
        cheap = await client.post("/api/v1/auth/refresh", extensions={"sni_hostname": NAME})
        assert cheap.status_code == 401, "not counted with those"


async def test_probes_are_for_this_machine(front: Front) -> None:
    assert re.search(r"location /health/ \{\s+allow 127\.0\.0\.1;\s+allow ::1;\s+deny all;", CONF.read_text())
    async with front.client() as client:
        assert (await client.get("/health/live", extensions={"sni_hostname": NAME})).status_code == 200


async def test_live_updates_come_through_nginx(front: Front) -> None:
    door: Door = front.app.state.door
    async with door.database.sessions.begin() as session:
        user = await add_user(session, "zoe@example.com", "Zoe")
        signed_in = await service.open_session(session, user=user, now=utc_now())
    token = door.signer.issue(user_id=user.id, session_id=signed_in.session_id, now=utc_now())
    origin = f"https://{NAME}"
    async with front.client() as client:
        headers = {"Authorization": f"Bearer {token}", "Origin": origin}
        answer = await client.post("/api/v1/live/tickets", headers=headers, extensions={"sni_hostname": NAME})
    url = f"wss://{NAME}/api/v1/ws?ticket={answer.json()['ticket']}"
    there: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": front.https,
        "ssl": front.trust,
        "server_hostname": NAME,
        "proxy": None,
    }
    with pytest.raises(InvalidStatus):
        await connect(f"wss://{NAME}/api/v1/ws?ticket=none", origin=Origin(origin), **there)
    async with connect(url, origin=Origin(origin), **there) as watcher:
        await watcher.send('{"sub": "project:nowhere"}')
        async with asyncio.timeout(10):
            assert "no such project" in str(await watcher.recv())


async def test_who_never_ends_the_head_does_not_reach_spark_ops(front: Front, tmp_path: Path) -> None:
    assert re.search(r"client_header_timeout 10s;\s+client_body_timeout 10s;", CONF.read_text())
    slow = await secured(front)
    await slow.say(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n")
    async with front.client() as client:
        assert (await client.get("/", extensions={"sni_hostname": NAME})).status_code == 200
    assert len(await slow.closed(within=14)) == 0
    logged = (tmp_path / "access.log").read_text()
    assert "ticket" not in logged
