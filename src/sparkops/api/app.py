"""The application: every route, what surrounds them, and what one process opens and closes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute

from sparkops import __version__
from sparkops.api import problems, schema
from sparkops.api.access import check_routes, must_enrol
from sparkops.api.denials import Denials
from sparkops.api.deps import Door, get_principal
from sparkops.api.errands import Errands
from sparkops.api.live import Hub, complain
from sparkops.api.middleware import REQUEST_ID, BodyMiddleware, GateMiddleware, RequestMiddleware
from sparkops.api.oidc import check_oidc, open_oidc
from sparkops.api.once import REPLAYED, guard
from sparkops.api.pages import PAGES, pages_router
from sparkops.api.rates import Rates
from sparkops.api.responses import problems as documented
from sparkops.api.routes import (
    agents,
    approvals,
    audit,
    auth,
    backtests,
    budgets,
    decisions,
    events,
    factor,
    halts,
    health,
    keys,
    live,
    me,
    oidc,
    outbox,
    people,
    permissions,
    policies,
    projects,
    reruns,
    run_parts,
    runs,
    secrets,
    tools,
    uncertain,
    users,
    workflows,
)
from sparkops.api.tasks import stop
from sparkops.api.throttle import SignInThrottle
from sparkops.api.tokens import Signer
from sparkops.core.blobs import open_blobs
from sparkops.core.config import Settings
from sparkops.core.db import open_database
from sparkops.core.errors import ConfigError
from sparkops.core.mail import Mailer
from sparkops.core.payloads import Payloads
from sparkops.engine.context import Engine
from sparkops.messenger.app import make_app
from sparkops.messenger.bell import RedisBell
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.secrets.sources import keys_of

GZIP_BYTES = 1_024
REDIS_CONNECTIONS = 32
REDIS_TIMEOUT_SECONDS = 1.0
PREFIX = "/api/v1"


def operation_id(route: APIRoute) -> str:
    """Return the name of a route for generated clients: `list_runs` becomes `listRuns`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def create_app(settings: Settings, *, pages: Path = PAGES) -> FastAPI:
    """Return the application; nothing is opened before it starts."""
    app = FastAPI(
        routes=list(routes()),
        title="Spark-Ops",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings),
        generate_unique_id_function=operation_id,
    )
    app.include_router(pages_router(pages))
    problems.install(app)
    add_middleware(app, settings)
    schema.install(app)
    return app


@cache
def routes() -> tuple[BaseRoute, ...]:
    """Return the routes of every application, put together and checked once in a process.

    Everything under the prefix asks who is there, but for the two ways to become somebody.
    """
    served = APIRouter(generate_unique_id_function=operation_id)
    # Routes are tried in this order, and each level of routers once more: first what is asked most, and one level.
    for router in (
        runs.router,
        run_parts.router,
        auth.router,
        me.router,
        factor.router,
        people.router,
        projects.router,
        agents.router,
        tools.router,
        workflows.router,
        workflows.schemas,
        run_parts.files,
        reruns.router,
        approvals.router,
        policies.router,
        policies.schemas,
        decisions.router,
        decisions.violations,
        backtests.router,
        budgets.router,
        secrets.router,
        events.router,
        outbox.router,
        audit.router,
        audit.installation,
        halts.router,
        uncertain.router,
        keys.router,
        keys.of_project,
        live.router,
        permissions.router,
        users.router,
    ):
        guard(router)
        served.include_router(
            router, prefix=PREFIX, dependencies=[Depends(get_principal)], responses=documented(401, 403, 422)
        )
    served.include_router(auth.public, prefix=PREFIX, responses=documented(422))
    served.include_router(oidc.public, prefix=PREFIX)
    served.include_router(live.sockets, prefix=PREFIX)
    served.include_router(health.router)
    check_routes(served)
    return tuple(served.routes)


def add_middleware(app: Starlette, settings: Settings) -> None:
    """Put in front of the routes what every request meets. The last one added is the outermost."""
    app.add_middleware(BodyMiddleware)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES)
    app.add_middleware(GateMiddleware, hosts=settings.allowed_hosts)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", REQUEST_ID],
            allow_credentials=True,
            expose_headers=[REQUEST_ID, "Retry-After", "RateLimit", "RateLimit-Policy", REPLAYED],
        )
    app.add_middleware(RequestMiddleware, hsts=settings.secure_cookies)


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_door(settings) as door:
            app.state.door = door
            yield

    return lifespan


def key_of(settings: Settings) -> str:
    """Return the key that signs access tokens.

    Raises:
        ConfigError: there is none.
    """
    if settings.secret_key is None:
        raise ConfigError("SPARKOPS_SECRET_KEY is missing; `sparkops up` makes one of its own.")
    return settings.secret_key.get_secret_value()


def check_settings(settings: Settings) -> None:
    """See to it that what the API needs is there, before anything is opened.

    Raises:
        ConfigError: a setting is missing or too weak; the sentence names it.
    """
    Signer(key_of(settings))
    _ = settings.app_login, settings.broker_url
    check_oidc(settings)
    if settings.smtp_url is None:
        return
    if settings.mail_from is None or settings.public_url is None:
        raise ConfigError("SPARKOPS_SMTP_URL also needs SPARKOPS_MAIL_FROM and, for links, SPARKOPS_PUBLIC_URL.")
    Mailer.of(settings.smtp_url.get_secret_value(), settings.mail_from)


@asynccontextmanager
async def open_door(settings: Settings) -> AsyncIterator[Door]:
    """Open what one API process needs, and close it at the end.

    Raises:
        ConfigError: a setting that this door needs is missing.
    """
    signer = Signer(key_of(settings))
    url, role = settings.app_login
    blobs = open_blobs(settings)
    payloads = Payloads(blobs)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, role=role, name="sparkops api"))
        redis = open_redis(settings.broker_url)
        stack.push_async_callback(redis.aclose)
        bell = RedisBell(make_app(settings.broker_url), redis)
        stack.push_async_callback(bell.close)
        hub = Hub(database, redis, refuses=partial(must_enrol, settings))
        provider = open_oidc(settings, key_of(settings))
        if provider is not None:
            stack.push_async_callback(provider.close)
        rates = Rates(settings.rate_limits, redis)
        tasks = [asyncio.create_task(job) for job in (hub.listen(), hub.look_after(), rates.run())]
        for task in tasks:
            task.add_done_callback(complain)
        stack.push_async_callback(stop, tasks)
        errands = Errands()
        stack.push_async_callback(errands.close)
        yield Door(
            settings=settings,
            database=database,
            engine=Engine(
                database,
                bell,
                settings.lease,
                settings.run_budget_micros,
                payloads=payloads,
                policies=PolicyCache(database),
            ),
            redis=redis,
            blobs=blobs,
            signer=signer,
            throttle=SignInThrottle(database, signer),
            rates=rates,
            errands=errands,
            hub=hub,
            oidc=provider,
            denials=Denials(database),
            keys=keys_of(settings),
        )


def open_redis(url: str) -> Redis:
    """Return a client that waits for a free connection instead of failing, and gives up on a silent server.

    It tries again once, on a fresh connection; more would make callers wait for what they can do without.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)
