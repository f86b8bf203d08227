"""What each rule must refuse, and what it must not; a sample is a file's place below the package and its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_QUERY_HEAD = """
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sparkops.core.tenancy import visible_to
from sparkops.domains.runs.models import Run, WorkerSession
"""


@dataclass(frozen=True, slots=True)
class Sample:
    text: str
    place: str = "api/routes/some.py"


@dataclass(frozen=True, slots=True)
class Samples:
    bad: Sequence[Sample]
    good: Sequence[Sample] = field(default=())


def _of(*texts: str, place: str = "api/routes/some.py") -> Sequence[Sample]:
    return [Sample(text, place) for text in texts]


SAMPLES: Final[Mapping[str, Samples]] = {
    "evaluation": Samples(
        bad=_of(
            "answer = eval(text)",
            "exec(source)",
            "code = compile(source, 'x', 'exec')",
            "import builtins\nbuiltins.eval(text)",
            "module = __import__(name)",
            "import importlib\nplugin = importlib.import_module(name)",
            "from importlib import import_module as load\nload(f'plugins.{name}')",
            "import runpy\nrunpy.run_path(path)",
        ),
        good=_of(
            "import re\npattern = re.compile(text)",
            "program = environment.compile(source)",
            "program.eval(activation)",
            "import importlib\nimportlib.import_module('sparkops.runtime.llm.wire')",
            "from core.cel import compile\ncompile(source)",
        ),
    ),
    "unpickling": Samples(
        bad=_of(
            "import pickle",
            "from pickle import loads",
            "import marshal as m",
            "import shelve",
            "from joblib import load",
            "app.conf.accept_content = ['json', 'pickle']",
        ),
        good=_of("import json\njson.loads(text)", '"""Celery warns because of pickle."""\nserializer = "json"'),
    ),
    "yaml-load": Samples(
        bad=_of(
            "import yaml",
            "import yaml\nyaml.load(text)",
            "from ruamel import yaml\nyaml.YAML(typ='unsafe')",
            "from ruamel.yaml import YAML\nYAML(kind)",
            "from yaml import safe_load",
        ),
        good=_of(
            "from ruamel.yaml import YAML\nreader = YAML(typ='safe')", "from ruamel.yaml.events import AliasEvent"
        ),
    ),
    "shell": Samples(
        bad=_of(
            "import os\nos.system(line)",
            "import os\nos.popen(line)",
            "import subprocess\nsubprocess.run(line, shell=True)",
            "import subprocess\nsubprocess.run(line, shell=wanted)",
            "from subprocess import getoutput\ngetoutput(line)",
            "import asyncio\nasync def f():\n    await asyncio.create_subprocess_shell(line)",
            "import subprocess\nsubprocess.Popen(['/bin/sh', '-c', line])",
            "import subprocess as sp\nsp.run(['bash', '-c', line])",
            place="local/process.py",
        ),
        good=_of(
            "import subprocess\nsubprocess.run([program, '--version'])",
            "import subprocess\nsubprocess.run([program], shell=False)",
            place="local/process.py",
        ),
    ),
    "programs": Samples(
        bad=[
            *_of(
                "import subprocess",
                "from subprocess import Popen",
                "import multiprocessing",
                "import os\nos.execve(program, arguments, {})",
                "import os\nos.fork()",
                "import asyncio\nasync def f():\n    await asyncio.create_subprocess_exec(program)",
                "import ctypes\nctypes.CDLL(path)",
            ),
            Sample("import subprocess", "runtime/tools/run.py"),
        ],
        good=[
            *_of("import os\nos.environ.get('HOME')"),
            Sample("import subprocess\nsubprocess.Popen([program])", "worker/helper.py"),
            Sample("import subprocess", "local/binaries.py"),
        ],
    ),
    "outgoing": Samples(
        bad=_of(
            "import requests",
            "import urllib.request",
            "from urllib.request import urlopen",
            "from http import client",
            "import smtplib",
            "from aiohttp import ClientSession",
            "import httpx2\nclient = httpx2.AsyncClient()",
            "import httpx2 as h\nh.get(address)",
            "from httpx2 import AsyncClient\nAsyncClient(trust_env=False)",
            "import socket\nsocket.create_connection((host, 80))",
            "import asyncio\nasync def f():\n    await asyncio.open_connection(host, 80)",
            "from openai import AsyncOpenAI\nAsyncOpenAI(api_key=key)",
            "import jwt\njwt.PyJWKClient(address)",
            "import asyncpg\nasync def f():\n    await asyncpg.connect(address)",
            "async def f():\n    await loop.create_connection(protocol, host, 80)",
            place="runtime/tools/http.py",
        ),
        good=[
            *_of(
                "import httpx2\ndef f(client: httpx2.AsyncClient) -> None: ...",
                "from urllib.parse import urlsplit",
                "import socket\nname = socket.gethostname()",
                "from openai import AsyncOpenAI\nAsyncOpenAI(api_key=key, http_client=client)",
                place="runtime/llm/wire.py",
            ),
            Sample("import httpx2\nclient = httpx2.AsyncClient()", "core/client.py"),
            Sample("import smtplib", "core/mail.py"),
            Sample("import httpx2\nclient = httpx2.AsyncClient(transport=guarded)", "runtime/egress.py"),
        ],
    ),
    "compare": Samples(
        bad=_of(
            "ok = token == given",
            "if session.ticket != body.ticket:\n    raise Refused",
            "same = expected_signature == signature",
            "known = settings.secret == password",
            place="api/tokens.py",
        ),
        good=[
            *_of(
                "import hmac\nok = hmac.compare_digest(token, given)",
                "found = Session.token_hash == token_hash",
                "missing = token == ''",
                "if password is None:\n    raise Refused",
                "kind = step.kind == other.kind",
                place="api/tokens.py",
            ),
            Sample("again = claim.token == lease.token", "worker/loop.py"),
        ],
    ),
    "sql-place": Samples(
        bad=_of(
            "_RUNS = 'SELECT id FROM runs'",
            "async def f(pool):\n    await pool.execute('DELETE FROM runs WHERE id = $1', x)",
            "_BOTH = 'WITH a AS (SELECT 1) ' + 'SELECT * FROM a'",
            "_SET = f'UPDATE runs SET status = {value}'",
        ),
        good=[
            *_of('"""SELECT is what this speaks of."""\nword = "select a project"', "from sqlalchemy import select"),
            Sample("_RUNS = 'SELECT id FROM runs WHERE project_id = $1'", "domains/runs/queries.py"),
            Sample("_RUNS = 'SELECT id FROM runs WHERE project_id = $1'", "api/run_rows.py"),
        ],
    ),
    "sql-text": Samples(
        bad=_of(
            "async def f(pool, name):\n    await pool.fetch(f'SELECT id FROM {name}')",
            "async def f(pool, name):\n    await pool.fetch('SELECT id FROM runs WHERE name = ' + name)",
            "async def f(pool, name):\n    await pool.fetch('SELECT id FROM runs WHERE name = %s' % name)",
            "async def f(pool, name):\n    await pool.fetch('SELECT id FROM runs WHERE name = {}'.format(name))",
            "async def f(pool, names):\n    await pool.fetch('SELECT id FROM runs WHERE name IN (' + ','.join(names) + ')')",
            "def f(order):\n    statement = f'SELECT id FROM runs ORDER BY {order}'\n    return statement",
            "def f(order):\n    tail = f' ORDER BY {order}'\n    return f'SELECT id FROM runs {tail}'",
            "from sqlalchemy import text\ndef f(session, x):\n    session.execute(text(f'id = {x}'))",
            "def f(connection, x):\n    connection.exec_driver_sql(f'vacuum {x}')",
            place="domains/runs/queries.py",
        ),
        good=_of(
            "_COLUMNS = 'id, name'\n_RUNS = f'SELECT {_COLUMNS} FROM runs WHERE id = $1'",
            "from sparkops.core.db import ROLE\n_GRANT = f'GRANT SELECT ON runs TO {ROLE}'",
            "_ALL = ('a', 'b')\n_RUNS = 'SELECT ' + ', '.join(_ALL) + ' FROM runs'",
            "_RUNS = 'SELECT {more} FROM runs'\n_LONG = _RUNS.format(more='a, b')",
            "async def f(pool, id_):\n    await pool.fetch('SELECT id FROM runs WHERE id = $1', id_)",
            "def f(values):\n    return f'SELECT id FROM runs WHERE id = ${len(values)}'",
            "def f(mark, where):\n    return f'SELECT id FROM runs WHERE id = {mark(where.id)}'",
            "def f(where):\n    return f'SELECT id FROM runs WHERE id = {where.mark(1)}'",
            "def f(deep):\n    order = 'id' if deep else 'name'\n    return f'SELECT id FROM runs ORDER BY {order}'",
            "def f(name):\n    return f'The run {name} was selected from the list.'",
            place="domains/runs/queries.py",
        ),
    ),
    "sql-scope": Samples(
        bad=_of(
            "_RUN = 'SELECT r.id FROM runs r WHERE r.id = $1'",
            "_ALL = 'SELECT count(*) FROM projects p JOIN approvals a ON a.run_id = p.id'",
            place="api/run_rows.py",
        ),
        good=[
            *_of(
                "_RUN = 'SELECT r.id FROM runs r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2'",
                "_RUN = 'SELECT r.id FROM runs r WHERE r.project_id = ANY ($2)'",
                "_USERS = 'SELECT u.name FROM users u'",
                "_PART = ' AND m.project_id = $1'\n_RUN = f'SELECT r.id FROM runs r WHERE true {_PART}'",
                place="api/run_rows.py",
            ),
            Sample("_RUN = 'SELECT r.id FROM runs r WHERE r.id = $1'", "engine/wait.py"),
        ],
    ),
    "unscoped-query": Samples(
        bad=_of(
            _QUERY_HEAD + "async def run(session: AsyncSession, run_id):\n"
            "    return await session.scalar(select(Run).where(Run.id == run_id))",
            _QUERY_HEAD + "async def close(session: AsyncSession, run_id):\n"
            "    await session.execute(update(Run).where(Run.id == run_id).values(status='x'))",
            _QUERY_HEAD + "def _newest(statement):\n    return statement.limit(1)\n"
            "async def run(session: AsyncSession, principal):\n    return await session.scalar(_newest(select(Run.id)))",
            place="domains/runs/queries.py",
        ),
        good=_of(
            _QUERY_HEAD + "async def run(session: AsyncSession, principal, run_id):\n"
            "    return await session.scalar(select(Run).where(Run.id == run_id, visible_to(principal, Run.project_id)))",
            _QUERY_HEAD + "def _own(principal):\n    return visible_to(principal, Run.project_id)\n"
            "async def run(session: AsyncSession, principal):\n    return await session.scalar(select(Run).where(_own(principal)))",
            _QUERY_HEAD + "async def runs(session: AsyncSession, project_id):\n"
            "    return await session.scalars(select(Run).where(Run.project_id == project_id))",
            _QUERY_HEAD + "async def mark(session: AsyncSession, run: Run):\n"
            "    await session.execute(update(Run).where(Run.id == run.id).values(status='x'))",
            _QUERY_HEAD
            + "async def workers(session: AsyncSession):\n    return await session.scalars(select(WorkerSession))",
            place="domains/runs/queries.py",
        ),
    ),
    "await-in-transaction": Samples(
        bad=_of(
            "async def f(pool, client):\n    async with pool.acquire() as c, c.transaction():\n        await client.get(address)",
            "async def f(sessions, blobs):\n    async with sessions.begin() as session:\n        await blobs.put(data)",
            "import asyncio\nasync def f(pool):\n    async with pool.acquire() as c, c.transaction():\n"
            "        await asyncio.sleep(1)",
            "import asyncio\nasync def f(pool):\n    async with pool.acquire() as c, c.transaction():\n"
            "        await asyncio.wait_for(c.fetch(text), 5)",
            "async def f(session: AsyncSession, model):\n    await model.ask(question)",
            "async def f(connection: 'asyncpg.Connection[asyncpg.Record]', redis):\n    await redis.publish(ring)",
            "async def f(session: SessionDep, door):\n    run = await find(session, 1)\n    await door.blobs.put(data)",
            "async def f(project: NamedProject, session: SessionDep, door):\n    await door.blobs.put(data)",
        ),
        good=_of(
            "async def f(pool, client):\n    async with pool.acquire() as c, c.transaction():\n        await c.fetch(text)\n"
            "    await client.get(address)",
            "async def f(session: AsyncSession):\n    rows = await session.execute(statement)\n    await rows.all()",
            "async def f(pool, engine):\n    async with pool.acquire() as c, c.transaction():\n"
            "        desk = Advancing(engine, c)\n        await advance(desk)",
            "async def f(session: SessionDep, door):\n    text = await aside(parse)\n    await find(session, text)",
            "@router.get('/x')\nasync def f(session: SessionDep, door):\n    await find(session, 1)\n    await door.blobs.get(key)",
            "async def f(session: AsyncSession):\n    async def later():\n        await elsewhere()\n    await session.execute(s)",
        ),
    ),
}

PAGES: Final = Samples(
    bad=_of(
        "<div dangerouslySetInnerHTML={{ __html: text }} />",
        "node.innerHTML = text",
        "eval(text)",
        "const f = new Function('x', body)",
        "<a href={'javascript:' + text}>x</a>",
        "localStorage.setItem('token', token)",
        "sessionStorage.token = token",
        "window.parent.postMessage(token, '*')",
        "fetch('https://elsewhere.example/x')",
        '<img src="https://elsewhere.example/x.png" />',
        '<a target="_blank" href={address}>x</a>',
    ),
    good=_of(
        "<p>{text}</p>",
        "node.textContent = text",
        "// dangerouslySetInnerHTML is never used",
        "fetch('/api/v1/runs')",
        "const page = await import('./page')",
        '<a target="_blank" rel="noreferrer" href={address}>x</a>',
    ),
)
