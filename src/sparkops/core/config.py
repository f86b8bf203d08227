"""Settings: read once by a door, validated at start, passed down as arguments.

They come from `SPARKOPS_*` variables, or from one TOML file named by `SPARKOPS_CONFIG`; a variable wins.
Secrets may also be read from a file: `SPARKOPS_SECRET_KEY_FILE` fills `SPARKOPS_SECRET_KEY`.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from sparkops.core.db import APP_ROLE, STATEMENT_TIMEOUT_MS
from sparkops.core.errors import ConfigError
from sparkops.core.labels import LabelList
from sparkops.core.leases import HEARTBEATS, MARGIN
from sparkops.core.log import LogFormat
from sparkops.core.permissions import Role

PREFIX = "SPARKOPS_"
CONFIG_FILE = "SPARKOPS_CONFIG"
DEFAULT_RUN_BUDGET_MICROS = 5_000_000
"""Five dollars: enough for any example, little enough that a loop gone wild is cheap."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _reaching(value: str) -> str:
    if value != EVERY_PROJECT and not _SLUG.fullmatch(value):
        raise ValueError(f"must be the slug of a project, or {EVERY_PROJECT} for all of them")
    return value


EVERY_PROJECT = "*"
_SLUG = re.compile(r"[a-z][a-z0-9-]{1,62}")
Reaching = tuple[Annotated[str, AfterValidator(_reaching)], ...]
"""Slugs of the projects whose runs may use something; `*` stands for all, also those that come later."""


class ModelEndpoint(_Closed):
    """An OpenAI-compatible endpoint that agents name; `model` is what is asked of it.

    Without prices the library of known prices decides, and an unknown model is refused, unless `unknown_price` says
    that it costs nothing. Cached input and reasoning cost what is stated for them, else what other tokens do.
    """

    base_url: str
    model: str
    api_key: SecretStr = SecretStr("")
    timeout_seconds: float = Field(default=120.0, gt=0, le=600)
    input_usd_per_million: Decimal | None = Field(default=None, ge=0)
    output_usd_per_million: Decimal | None = Field(default=None, ge=0)
    cached_input_usd_per_million: Decimal | None = Field(default=None, ge=0)
    cache_write_usd_per_million: Decimal | None = Field(default=None, ge=0)
    reasoning_usd_per_million: Decimal | None = Field(default=None, ge=0)
    unknown_price: Literal["refuse", "free"] = "refuse"
    projects: Reaching = (EVERY_PROJECT,)


class Connection(_Closed):
    """A PostgreSQL database that the tool `sql.query` may read, under a role without any right to write; or, where
    `write` says so, one that `sql.execute` may write, under a role that may write tables and nothing more. For projects
    that are not named it does not exist."""

    url: SecretStr
    projects: Reaching = ()
    write: bool = False
    statement_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    max_rows: int = Field(default=1_000, ge=1, le=10_000)
    """How many rows one statement may give back, or change: one that changes more is rolled back."""
    max_bytes: int = Field(default=1_000_000, ge=1_000, le=10_000_000)
    labels: LabelList = ()
    """Of whatever is read there, such as `private:customer`."""


class Oidc(_Closed):
    """An OpenID provider where people sign in, with what their groups there give them here."""

    issuer: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    """Exactly as the provider writes it; its discovery document lies below. `http` is for trying things out."""
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr = SecretStr("")
    """Also `SPARKOPS_OIDC_CLIENT_SECRET`, or a file that `SPARKOPS_OIDC_CLIENT_SECRET_FILE` names."""
    label: Annotated[str, Field(min_length=1, max_length=60)] = "single sign-on"
    """What the button on the sign-in page says after "Sign in with"."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    admin_groups: tuple[str, ...] = ()
    """Who is in one of them administers the installation."""
    groups: Mapping[str, Mapping[str, Role]] = Field(default_factory=dict)
    """By group, the role that it gives in projects, by slug. Owners are made by people."""
    new_users: Literal["refuse", "in_groups", "anybody"] = "in_groups"
    """Who may come in that nobody has added before."""
    session_hours: float = Field(default=12.0, gt=0, le=168)
    """How long a session lasts that was begun there; what groups give is looked at anew when the next one begins."""

    end_session: bool = True
    """Whether who signs out here is led to the provider to sign out there, where it offers that."""

    @model_validator(mode="after")
    def _owners_are_people(self) -> Self:
        if any(role is Role.OWNER for roles in self.groups.values() for role in roles.values()):
            raise ValueError("no group makes owners; an owner adds others")
        return self


class Vault(_Closed):
    """HashiCorp Vault, or what speaks its KV version 2. Secrets lie at `<mount>/<prefix>/<project>/<name>`."""

    address: str
    mount: str = "secret"
    prefix: str = "sparkops"
    field: str = "value"
    """Under which key of an entry the secret lies."""
    token: SecretStr | None = None
    token_file: Path | None = None
    """Read at each use: an agent of Vault renews it."""
    namespace: str | None = None
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)


def _postgres_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must look like redis://:password@host:6379/0")
    return value


class RateLimits(_Closed):
    """How many requests are answered in a second, on average over ten of them; beyond that they are refused."""

    reads: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    writes: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    runs: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Runs started, and events sent from outside."""
    sign_ins: Annotated[int, Field(ge=1, le=1_000_000)] = 3
    """From one address: each costs a quarter second of a processor."""
    address_factor: Annotated[int, Field(ge=1, le=1_000)] = 4
    """So many times what one caller may, all callers of one address may together."""


_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
_HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("must be an exact origin as browsers send it, such as https://ops.example.com")
    return value


def _host_name(value: str) -> str:
    if not _HOST_NAME.fullmatch(value):
        raise ValueError("must be a name in lower case without port or wildcard, such as ops.example.com")
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value)
    return value


Origin = Annotated[str, AfterValidator(_origin)]
HostName = Annotated[str, AfterValidator(_host_name)]
Network = Annotated[str, AfterValidator(_network)]


def _public_url(value: str | None) -> str | None:
    if value is None:
        return None
    if not _PUBLIC_URL.fullmatch(value):
        raise ValueError("must look like https://ops.example.com")
    return value.rstrip("/")


_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+/?")
PublicUrl = Annotated[str | None, AfterValidator(_public_url)]
PostgresUrl = Annotated[SecretStr | None, AfterValidator(_postgres_url)]
RedisUrl = Annotated[SecretStr | None, AfterValidator(_redis_url)]


SHORTEST_LEASE_SECONDS = STATEMENT_TIMEOUT_MS / 1000 / (1 - 1 / HEARTBEATS - MARGIN)


def _lease(value: float) -> float:
    """While the database still answers at all, a heartbeat that comes last and takes longest is in time."""
    if value <= SHORTEST_LEASE_SECONDS:
        raise ValueError(
            f"must be more than {SHORTEST_LEASE_SECONDS:.2f}: a statement may take {STATEMENT_TIMEOUT_MS // 1000} s, a "
            f"heartbeat comes {HEARTBEATS} times in a lease, and the last {MARGIN:.0%} of it are not trusted"
        )
    return value


def _reaches(projects: Reaching, project: str) -> bool:
    return EVERY_PROJECT in projects or project in projects


def default_data_dir() -> Path:
    """Return the user's data directory for Spark-Ops, by the XDG convention."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "sparkops"


class Settings(_Closed):
    """Everything an operator may set. `database_url` and `redis_url` of None mean: start the embedded servers."""

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: PostgresUrl = None
    """Owns the schema and migrates it."""
    app_database_url: PostgresUrl = None
    """What API and workers use; None: `database_url`, under the role `sparkops_app`."""
    redis_url: RedisUrl = None
    require_durable: bool = True
    """API and workers refuse a database that may lose what it has confirmed. Off: for development and tests."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs access tokens. `sparkops up` makes one in the data directory."""
    audit_key: SecretStr | None = None
    """Seals the audit trail; without one it is not sealed. Several, separated by commas: the first seals, the others
    still check. `sparkops up` makes one in the data directory."""
    audit_roots: Path | None = None
    """A file to which workers add the root of every seal; best on another disk, or one that is read elsewhere. With
    `sparkops up` it is `audit-roots.jsonl` in the data directory."""

    secrets_key: SecretStr | None = None
    """Under which secrets are encrypted: keys of 64 hexadecimal digits, separated by space; the first one is in use,
    the others still open what they encrypted."""
    secrets_key_file: Path | None = None
    """A file with these keys, read again when it changes. `sparkops up` makes one in the data directory."""
    secrets_source: Literal["database", "vault", "files"] = "database"
    """Where secrets lie: in the platform's database, in `vault`, or in files below `secrets_dir`."""
    secrets_dir: Path = Path("/run/secrets")
    vault: Vault | None = None

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free port."""
    workers: int = Field(default=2, ge=0, le=64)
    slots: int = Field(default=100, ge=1, le=5_000)
    """Steps that one worker process may hold at once."""
    drain_seconds: float = Field(default=5.0, ge=0, le=600)
    lease_seconds: Annotated[float, AfterValidator(_lease)] = Field(default=15.0, le=600)
    cors_origins: tuple[Origin, ...] = ()
    """Pages of these origins may use the API too. There is no wildcard."""
    secure_cookies: bool = False
    """Set when the pages are served over HTTPS."""
    allowed_hosts: tuple[HostName, ...] = ()
    """Names under which the server is reached. It answers to its addresses and `localhost` too, to nothing else."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or networks of reverse proxies; only what these say of where a request comes from is believed."""
    rate_limits: RateLimits = RateLimits()
    max_connections: int = Field(default=4_000, ge=10, le=100_000)
    """Of one API process; beyond it requests are answered 503."""
    max_connections_per_address: int = Field(default=500, ge=1, le=100_000)
    """Trusted proxies may have more."""
    public_url: PublicUrl = None
    """Under which address people reach the pages, such as `https://ops.example.com`: for links in mails."""
    smtp_url: SecretStr | None = None
    """The mail server: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; None: no mails."""
    mail_from: str | None = Field(default=None, pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")
    """The sender of mails."""
    egress_allow: tuple[str, ...] = ()
    """`host:port` pairs that may be reached although their address is private or loopback."""

    """Where people open the pages, such as https://ops.example.com."""
    oidc: Oidc | None = None

    second_factor: Literal["off", "administrators", "everybody"] = "off"
    """Who has to have a second factor besides the password; off: it is for each to decide. Whoever signs in at an
    OpenID provider is not asked for ours."""

    admin_email: str = "admin@example.com"
    admin_password: SecretStr | None = None
    """With it the first administrator is made at the first start; without, `sparkops up` prints a link to do so."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "json"
    event_log: Literal["off", "file", "stdout"] = "off"
    """Where workers write every event of every run as a JSON line: `file` is `logs/events.jsonl` below `data_dir`."""

    run_budget_micros: int = Field(default=DEFAULT_RUN_BUDGET_MICROS, ge=0)
    """What a run may spend when neither the request nor the workflow says."""
    tool_prices: Mapping[str, Annotated[Decimal, Field(ge=0, le=1_000_000)]] = Field(default_factory=dict)
    """What a call of a tool costs that is answered, in dollars, by the name of the tool."""
    models: Mapping[str, ModelEndpoint] = Field(default_factory=dict)
    """Model endpoints by name; `SPARKOPS_MODEL_BASE_URL`, `_NAME` and `_API_KEY` make the one called `default`."""
    object_storage_url: str | None = None
    """Where files and large values lie, such as `s3://bucket/prefix`; None: a directory of `data_dir`."""
    object_storage_options: Mapping[str, SecretStr] = Field(default_factory=dict)
    """For S3: `endpoint`, `region`, `access_key_id`, `secret_access_key`."""
    object_grace_hours: float = Field(default=24.0, ge=1, le=8_760)
    """How long an object that nothing refers to is left alone, and then lies aside, before it is removed."""
    session_idle_hours: float = Field(default=12.0, ge=0.5, le=168)
    """How long a session lasts that nobody uses: no page is open that goes on with it."""
    keep_security_events_days: int = Field(default=365, ge=1, le=36_500)
    keep_secret_uses_days: int = Field(default=365, ge=1, le=36_500)
    """The last use of each secret stays."""
    project_creators: Literal["administrators", "everybody"] = "administrators"
    """Who may create projects: administrators of the installation, or whoever is signed in."""
    deletion_delay_days: float = Field(default=7.0, ge=0, le=365)
    """How long a project that is to be deleted is stopped before its data is removed."""
    connections: Mapping[str, Connection] = Field(default_factory=dict)

    def demands_second_factor(self, *, is_admin: bool) -> bool:
        """Say whether a person has to have a second factor."""
        return self.second_factor == "everybody" or (self.second_factor == "administrators" and is_admin)

    def connections_of(self, project: str) -> Mapping[str, Connection]:
        """Return the databases that runs of a project, by its slug, may reach; others do not exist for it."""
        return {name: one for name, one in self.connections.items() if _reaches(one.projects, project)}

    def models_of(self, project: str) -> Mapping[str, ModelEndpoint]:
        """Return the model endpoints that a project, by its slug, may name; others do not exist for it."""
        return {name: one for name, one in self.models.items() if _reaches(one.projects, project)}

    @property
    def named_projects(self) -> frozenset[str]:
        """The slugs to which something is given here: roles, databases, models."""
        roles = [slug for given in (self.oidc.groups.values() if self.oidc else ()) for slug in given]
        databases = [slug for one in self.connections.values() for slug in one.projects]
        models = [slug for one in self.models.values() for slug in one.projects]
        return frozenset(roles + databases + models) - {EVERY_PROJECT}

    @property
    def lease(self) -> timedelta:
        """How long a worker holds a step without a word."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def object_grace(self) -> timedelta:
        """How long an object that nothing refers to is kept, twice."""
        return timedelta(hours=self.object_grace_hours)

    @property
    def session_idle(self) -> timedelta:
        """How long a session lasts that nobody uses."""
        return timedelta(hours=self.session_idle_hours)

    @property
    def deletion_delay(self) -> timedelta:
        """How long a project that is to be deleted can be restored."""
        return timedelta(days=self.deletion_delay_days)

    @property
    def blob_dir(self) -> Path:
        """Where the bytes of files and large values lie, by their digest, if no `object_storage_url` is set."""
        return self.data_dir / "objects"

    @property
    def event_log_file(self) -> Path:
        """Where the events of runs are written, if the setting says so."""
        return self.data_dir / "logs" / "events.jsonl"

    @property
    def app_login(self) -> tuple[str, str | None]:
        """The URL that API and workers connect to, and the role to take on there (None: the login's own)."""
        if self.app_database_url is not None:
            return self.app_database_url.get_secret_value(), None
        if self.database_url is None:
            raise ConfigError("SPARKOPS_DATABASE_URL is missing; `sparkops up` starts a database of its own.")
        return self.database_url.get_secret_value(), APP_ROLE

    @property
    def broker_url(self) -> str:
        """The URL of Redis."""
        if self.redis_url is None:
            raise ConfigError("SPARKOPS_REDIS_URL is missing; `sparkops up` starts a Redis of its own.")
        return self.redis_url.get_secret_value()


_MODEL_SHORTHAND = {
    "model_base_url": "base_url",
    "model_name": "model",
    "model_api_key": "api_key",
    "model_timeout_seconds": "timeout_seconds",
    "model_input_usd_per_million": "input_usd_per_million",
    "model_output_usd_per_million": "output_usd_per_million",
    "model_cached_input_usd_per_million": "cached_input_usd_per_million",
    "model_unknown_price": "unknown_price",
}
_STRUCTURED = (
    "vault",
    "models",
    "tool_prices",
    "connections",
    "object_storage_options",
    "cors_origins",
    "egress_allow",
    "oidc",
    "allowed_hosts",
    "trusted_proxies",
    "rate_limits",
)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read and check the settings; `overrides` (command-line options) win over variables, those over the file.

    Raises:
        ConfigError: a setting is unknown, missing or malformed; the sentence names it.
    """
    env = os.environ if environ is None else environ
    values: dict[str, Any] = _file_values(env.get(CONFIG_FILE))
    values.update(_env_values(env))
    values.update({key: value for key, value in overrides.items() if value is not None})
    shorthand = {field: values.pop(name) for name, field in _MODEL_SHORTHAND.items() if name in values}
    if shorthand:
        values["models"] = {**values.get("models", {}), "default": shorthand}
    secret = values.pop("oidc_client_secret", None)
    if secret is not None:
        values["oidc"] = {**values.get("oidc", {}), "client_secret": secret}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None


def _file_values(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{CONFIG_FILE} names {path}, which cannot be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None


_NAMES_OF_FILES = frozenset({"secrets_key_file"})
"""Settings that are the names of files, not what is in them."""
_NOT_SETTINGS = frozenset({CONFIG_FILE, "SPARKOPS_FAILPOINTS"})


def _env_values(env: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in env.items():
        if not key.startswith(PREFIX) or key in _NOT_SETTINGS:
            continue
        name = key.removeprefix(PREFIX).lower()
        if name.endswith("_file") and name not in _NAMES_OF_FILES:
            try:
                values[name.removesuffix("_file")] = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{key} names {text}, which cannot be read: {error.strerror}.") from None
        elif name in _STRUCTURED:
            values[name] = _structured(key, text)
        else:
            values[name] = text
    return values


def _structured(key: str, text: str) -> Any:
    """Read a list as comma-separated words, a table as an inline TOML value."""
    if not text.lstrip().startswith(("{", "[")):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{key} is not a valid inline TOML value: {error}.") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    name = PREFIX + path.upper().replace(".", "_", 1) if "." not in path else f"the setting {path}"
    if first["type"] == "extra_forbidden":
        return f"{name} is not a setting that Spark-Ops knows; check its spelling."
    if first["type"] == "missing":
        return f"{name} is missing."
    return f"{name} is not valid: {first['msg'].removeprefix('Value error, ')}."
