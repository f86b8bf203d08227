"""The whole platform with the example on it, as `sparkops up --example` starts it."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from sparkops.core.client import ApiClient
from sparkops.core.config import load_settings
from sparkops.local.example.data import connection_to_weather
from sparkops.local.example.people import Login, administrator
from sparkops.local.example.project import example_on
from sparkops.local.supervisor import Supervisor

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


@pytest.fixture(scope="session")
async def platform(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    root: Path = tmp_path_factory.mktemp("platform")
    settings = load_settings({}, data_dir=root, port=0, workers=2)
    async with Supervisor(settings, prepare=connection_to_weather) as stack:
        async with example_on(stack) as (owner, approver, approver_login):
            yield Platform(stack, owner, approver, administrator(stack.settings, stack.data), approver_login)
