"""Servers that another process keeps and lends to a test run, with a database to clone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy.engine import make_url

from sparkops.core.db import APP_ROLE
from sparkops.core.json import dumps, loads
from sparkops.local.postgres import DATABASE, OWNER_ROLE
from sparkops.local.stack import EmbeddedServers

ENV = "SPARK_TEST_SERVERS"


@dataclass(frozen=True)
class LentServers:
    """What tests need of a pair of servers. `urls` are those of the two roles, to any database."""

    urls: Mapping[str, str]
    admin_url: str
    redis_url: str
    template: str

    @classmethod
    def of(cls, servers: EmbeddedServers, template: str) -> "LentServers":
        urls = {role: servers.url(role) for role in (OWNER_ROLE, APP_ROLE)}
        return cls(urls, servers.admin_url, servers.redis_url, template)

    @classmethod
    def from_json(cls, text: str) -> "LentServers":
        return cls(**loads(text))

    def to_json(self) -> str:
        return dumps(asdict(self)).decode()

    def url(self, role: str = OWNER_ROLE, database: str = DATABASE) -> str:
        return make_url(self.urls[role]).set(database=database).render_as_string(hide_password=False)
