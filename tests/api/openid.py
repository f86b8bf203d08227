"""A real OpenID provider, and somebody with a browser who signs in there."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, AsyncHTTPTransport, Response

from sparkops.api.oidc import CALLBACK
from tests.api.conftest import ORIGIN

ROOT = Path(__file__).parents[2]
PEER = ROOT / "tests" / "peers" / "oidc"
START_SECONDS = 30.0
CLIENT_ID = "spark-ops"
CLIENT_SECRET = "a secret: with %, + and : in it"  # as in provider.mjs


@dataclass(frozen=True)
class OpenIdProvider:
    """The provider, and what tests may tell it."""

    port: int

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def knows(self, subject: str, **claims: Any) -> None:
        """Let it know somebody; who signs in under this name has these claims."""
        self._tell("account", {"id": subject, "claims": claims})

    def restart(self, **options: bool) -> None:
        """Give it other signing keys, and other ways: `post`, `claimsInToken`."""
        self._tell("restart", options)

    def _tell(self, what: str, body: Any) -> None:
        with urllib.request.urlopen(f"{self.issuer}/_test/{what}", json.dumps(body).encode(), timeout=10):
            pass


def _node() -> str | None:
    """Return the Node.js of the pages' tools, which is the newer one, or that of the system."""
    own = ROOT / "web" / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def provider_for(redirect: str) -> Iterator[OpenIdProvider]:
    """A provider that sends people back to this address."""
    node = _node()
    if node is None or not (PEER / "node_modules" / "oidc-provider").exists():
        why = "install tests/peers/oidc with `npm ci`"
        if os.environ.get("CI"):
            pytest.fail(f"the OpenID provider is missing: {why}")
        pytest.skip(why)
    provider = OpenIdProvider(free_port())
    process = subprocess.Popen(
        [node, "provider.mjs", str(provider.port), redirect], cwd=PEER, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_up(provider, process)
        yield provider
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def openid_server() -> Iterator[OpenIdProvider]:
    with provider_for(ORIGIN + CALLBACK) as provider:
        yield provider


def _wait_until_up(provider: OpenIdProvider, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{provider.issuer}/.well-known/openid-configuration", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"the OpenID provider did not start (exit code {process.poll()})")


@dataclass
class Browser:
    """Goes where it is sent, with its cookies, and fills in what it is asked for."""

    client: AsyncClient
    visited: list[str] = field(default_factory=list)

    async def sign_in(self, subject: str, next_page: str | None = None) -> Response:
        """Sign in from the beginning to the end; return the answer that leads away from the callback."""
        return await self.come_back(await self.go_there(subject, next_page))

    async def go_there(self, subject: str, next_page: str | None = None) -> str:
        """Sign in at the provider; return the address that it sends this browser back to."""
        begun = await self.client.get("/api/v1/auth/oidc/start", params={"next": next_page} if next_page else {})
        assert begun.status_code == 303, begun.text
        return await self.authorize(begun.headers["location"], subject)

    async def authorize(self, address: str, subject: str) -> str:
        """Follow the provider through its pages."""
        for _ in range(12):
            if address.startswith(ORIGIN):
                return address
            answer = await self.client.get(address)
            if answer.status_code in (302, 303):
                address = self._onward(address, answer)
                continue
            assert answer.status_code == 200, answer.text
            form = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert form is not None, answer.text
            assert prompt is not None, answer.text
            fields = {"prompt": prompt[1], "login": subject, "password": "anything"}
            answer = await self.client.post(self._absolute(address, form[1]), data=fields)
            address = self._onward(address, answer)
        raise AssertionError("the provider does not come to an end")

    async def leave(self, address: str) -> str:
        """Say yes to the provider's question whether to sign out there; return where it leads then."""
        asked = await self.client.get(address)
        form = re.search(r'<form[^>]* action="([^"]+)"', asked.text)
        token = re.search(r'name="xsrf" value="(\w+)"', asked.text)
        assert form is not None, asked.text
        assert token is not None, asked.text
        fields = {"xsrf": token[1], "logout": "yes"}
        answer = await self.client.post(self._absolute(address, form[1]), data=fields)
        return self._onward(address, answer)

    async def come_back(self, address: str) -> Response:
        self.visited.append(address)
        return await self.client.get(address)

    def _onward(self, base: str, answer: Response) -> str:
        assert answer.status_code in (302, 303), answer.text
        return self._absolute(base, answer.headers["location"])

    @staticmethod
    def _absolute(base: str, address: str) -> str:
        parts = urlsplit(base)
        return address if "://" in address else f"{parts.scheme}://{parts.netloc}{address}"


def browser_of(app: FastAPI) -> Browser:
    """A browser with no cookies: it reaches the application, and everything else over the network."""
    mounts = {"http://testserver": ASGITransport(app), "all://127.0.0.1": AsyncHTTPTransport()}
    return Browser(AsyncClient(base_url=ORIGIN, mounts=mounts, trust_env=False, follow_redirects=False))


def query_of(address: str) -> dict[str, str]:
    """The query of an address, each name once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query, keep_blank_values=True).items()}
