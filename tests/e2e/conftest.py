"""The whole platform with the example on it, as `sparkops up --example` starts it."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncpg
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright
from sqlalchemy.engine import make_url

from sparkops.core.client import ApiClient
from sparkops.core.config import Connection, load_settings
from sparkops.local.example.data import connection_to_weather
from sparkops.local.example.people import Login, administrator
from sparkops.local.example.project import example_on
from sparkops.local.stack import EmbeddedServers
from sparkops.local.supervisor import Supervisor

_TELL_OF_REFUSALS = """addEventListener('securitypolicyviolation', (event) => {
  if (event.target instanceof Element && event.target.closest('.cm-content')) return
  console.error('refused by the policy:', event.violatedDirective, event.blockedURI, event.sourceFile)
})"""
"""Chromium itself writes styles into text that is edited, as it joins lines; the editor draws them anew at once."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """A real Chromium. A machine that checks submissions must have one; elsewhere these tests are left out."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        assert "CI" not in os.environ, "no Chromium on this machine"
        pytest.skip("no Chromium on this machine")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        await launched.close()


async def watched(page: Page) -> list[str]:
    """Return the faults of a page, which fill up as it goes: errors of its scripts, and what its policy refused."""
    faults: list[str] = []

    def read(message: ConsoleMessage) -> None:
        if message.text.startswith("refused by the policy:"):
            faults.append(message.text)

    await page.add_init_script(_TELL_OF_REFUSALS)
    page.on("console", read)
    page.on("pageerror", lambda error: faults.append(str(error)))
    return faults


@dataclass(frozen=True)
class Platform:
    """A running stack with its two people, signed in."""

    stack: Supervisor
    owner: ApiClient
    approver: ApiClient
    owner_login: Login
    approver_login: Login

    @property
    def url(self) -> str:
        return self.stack.endpoints.api_url


LEADS = """
CREATE TABLE leads (id int PRIMARY KEY, name text, called date, stale boolean NOT NULL DEFAULT false);
INSERT INTO leads SELECT n, 'Lead ' || n, date '2026-01-01' + n, n % 7 = 0 FROM generate_series(1, 700) AS n;
CREATE TABLE notes (lead int REFERENCES leads (id) ON DELETE CASCADE, text text);
GRANT SELECT, INSERT, UPDATE, DELETE ON leads, notes TO clerk;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
"""


async def connections(servers: EmbeddedServers | None) -> Mapping[str, object]:
    """The connection of the example, and one to a database that may be written."""
    assert servers is not None, "the platform of these tests has servers of its own"
    given = await connection_to_weather(servers)
    admin = await asyncpg.connect(servers.admin_url)
    try:
        await admin.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk-of-leads'")
        await admin.execute("CREATE DATABASE leads")
        await admin.execute("REVOKE CONNECT ON DATABASE leads FROM PUBLIC")
        await admin.execute("GRANT CONNECT ON DATABASE leads TO clerk")
    finally:
        await admin.close()
    url = make_url(servers.admin_url).set(database="leads")
    leads = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        await leads.execute(LEADS)
    finally:
        await leads.close()
    clerk = url.set(username="clerk", password="clerk-of-leads").render_as_string(hide_password=False)
    known = cast(Mapping[str, Connection], given["connections"])
    written = {"url": clerk, "write": True, "projects": ["*"]}
    return {"connections": {**known, "leads": Connection.model_validate(written)}}


@pytest.fixture(scope="session")
async def platform(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    root: Path = tmp_path_factory.mktemp("platform")
    settings = load_settings({}, data_dir=root, port=0, workers=2)
    async with Supervisor(settings, prepare=connections) as stack:
        async with example_on(stack) as (owner, approver, approver_login):
            yield Platform(stack, owner, approver, administrator(stack.settings, stack.data), approver_login)
