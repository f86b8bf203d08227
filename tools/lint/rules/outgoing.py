"""Everything that leaves on behalf of a run goes through `runtime/egress.py`, which knows where it may go.

Besides it a few places talk to the platform's own servers, whose addresses come from the settings alone.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

EGRESS: Final = "runtime/egress.py"
_OWN_SERVERS: Final = ("core/", "local/", "cli/", "messenger/", "migrations/", "api/app.py", "worker/app.py")
"""They open the database, Redis, object storage and, as anybody would, the API itself."""

_MODULES: Final = frozenset(
    {"requests", "aiohttp", "httpx", "httpcore", "urllib3", "urllib.request", "http.client", "ftplib", "smtplib",
     "poplib", "imaplib", "telnetlib", "xmlrpc.client", "paramiko", "websocket", "boto3", "pycurl"}
)  # fmt: skip
_OPENERS: Final = frozenset(
    {
        "httpx2.Client", "httpx2.AsyncClient", "httpx2.get", "httpx2.post", "httpx2.put", "httpx2.patch",
        "httpx2.delete", "httpx2.head", "httpx2.options", "httpx2.request", "httpx2.stream", "httpx2.HTTPTransport",
        "httpx2.AsyncHTTPTransport", "httpcore2.ConnectionPool", "httpcore2.AsyncConnectionPool", "socket.socket",
        "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname", "asyncio.open_connection",
        "asyncio.open_unix_connection", "websockets.connect", "websockets.asyncio.client.connect",
        "websockets.sync.client.connect", "jwt.PyJWKClient", "asyncpg.connect", "asyncpg.create_pool",
        "redis.Redis", "redis.from_url", "redis.asyncio.Redis", "redis.asyncio.from_url", "redis.Redis.from_url",
        "redis.asyncio.Redis.from_url",
    }
)  # fmt: skip
_MAIL: Final = "core/mail.py"
"""It speaks to the operator's mail server, which the settings name."""
_OWN: Final = ("asyncpg.", "redis.", "socket.", "httpx2.", "asyncio.")
_CLIENTS: Final = frozenset({"AsyncOpenAI", "OpenAI", "AsyncAnthropic", "Anthropic", "OpenAIProvider"})
"""They make a client of their own unless they are given one."""


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if source.within(EGRESS):
        return
    for statement, module in source.modules():
        if module == "smtplib" and source.within(_MAIL):
            continue
        if module in _MODULES or any(module.startswith(f"{one}.") for one in _MODULES):
            yield statement.lineno, f"`{module}` opens connections past {EGRESS}."
    for call, name in source.calls():
        last = name.rpartition(".")[2]
        if name in _OPENERS and not (name.startswith(_OWN) and source.within(*_OWN_SERVERS)):
            yield call.lineno, f"`{name}` opens a connection past {EGRESS}."
        elif last in _CLIENTS and not _is_given_a_client(call):
            yield call.lineno, f"`{last}` makes an HTTP client of its own; give it one of {EGRESS}."
        elif last in ("create_connection", "create_unix_connection", "sock_connect") and name not in _OPENERS:
            yield call.lineno, f"`{last}` opens a connection past {EGRESS}."


def _is_given_a_client(call: ast.Call) -> bool:
    return any(word.arg == "http_client" for word in call.keywords)


RULE: Final = Rule("outgoing", _find)
