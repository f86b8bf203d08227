"""The whole platform with the example on it, as `sparkops up --example` starts it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkops.core.config import load_settings
from sparkops.local.client import ApiClient
from sparkops.local.example.data import connection_to_weather
from sparkops.local.example.people import Login, administrator
from sparkops.local.example.project import example_on
from sparkops.local.supervisor import Supervisor


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


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    root: Path = tmp_path_factory.mktemp("platform")
    settings = load_settings({}, data_dir=root, port=0, workers=2)
    async with Supervisor(settings, prepare=connection_to_weather) as stack:
        async with example_on(stack) as (owner, approver, approver_login):
            yield Platform(stack, owner, approver, administrator(stack.settings, stack.data), approver_login)
