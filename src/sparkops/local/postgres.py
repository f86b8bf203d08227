"""A PostgreSQL of our own: its data made by initdb, its roles and database, and how it is started."""

import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from sparkops.core.db import API_ROLE, APP_ROLE
from sparkops.local.binaries import find_postgres, major
from sparkops.local.child import ChildPlan
from sparkops.local.errors import StartError, disk_errors, full_disk
from sparkops.local.ownership import give
from sparkops.local.paths import DataDir
from sparkops.local.ports import LOOPBACK, free_port
from sparkops.local.process import Confinement, Launch, confinement, run_to_end

DATABASE = "sparkops"
SUPERUSER = "postgres"
OWNER_ROLE = "sparkops_owner"

_SETTINGS: Mapping[str, str] = {
    "cluster_name": "sparkops",
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",  # enough for a team's runs; a bigger installation brings its own server
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_DURABLE: Mapping[str, str] = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_FORGETFUL: Mapping[str, str] = dict.fromkeys(_DURABLE, "off")

_STOP = ((signal.SIGINT, 1.5), (signal.SIGQUIT, 0.5))
"""Fast shutdown; then the immediate one, from which the next start recovers."""


@dataclass
class Postgres:
    """One cluster below a data directory. `durable=False` is for throw-away data only."""

    data: DataDir
    keep_open: tuple[int, ...] = ()
    durable: bool = True
    port: int = field(default_factory=free_port)
    binaries: Path = field(default_factory=find_postgres)
    confinement: Confinement = field(default_factory=confinement)

    def url(self, role: str = OWNER_ROLE, database: str = DATABASE) -> str:
        """Return the URL under which a role reaches a database."""
        return f"postgresql://{role}:{self._password(role)}@{LOOPBACK}:{self.port}/{database}"

    def _password(self, role: str) -> str:
        return self.data.secret(f"{role}.password")

    async def initialise(self) -> None:
        """Make the cluster if there is none. Interrupted, it leaves nothing that a repeat would trip over.

        Raises:
            StartError: the disk is full, initdb failed, or the data belong to another major version.
        """
        version = self.data.postgres / "PG_VERSION"
        if version.exists():
            found, ours = version.read_text(encoding="ascii").strip(), major(self.binaries / "postgres")
            if found != str(ours):
                raise StartError(
                    f"The data in {self.data.root} were written by PostgreSQL {found}, but the server here is {ours}; "
                    f"install PostgreSQL {found}, or choose another directory with --data-dir."
                )
            with disk_errors(self.data.root):
                give(self.data.postgres, self.confinement, self.binaries / "postgres")
                # We hold the lock of the directory, so the process named in this file is gone; its number may be
                # another's by now, which PostgreSQL would take for a living server.
                (self.data.postgres / "postmaster.pid").unlink(missing_ok=True)
            return
        await self._initdb()

    async def _initdb(self) -> None:
        fresh = self.data.root / "postgres.new"
        with disk_errors(self.data.root):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            give(fresh, self.confinement, self.binaries / "initdb")
        options = ("--locale=C.UTF-8", "--encoding=UTF8", "--auth=scram-sha-256", f"--username={SUPERUSER}")
        sync = () if self.durable else ("--no-sync",)
        launch = self._launch(
            "initdb", *options, *sync, "--pwfile=/dev/stdin", "-D", str(fresh), stdin=self._password(SUPERUSER).encode()
        )
        with disk_errors(self.data.root):
            start = launch.log.stat().st_size if launch.log.exists() else 0
            code = await run_to_end(launch)
        if code != 0:
            said = launch.log.read_bytes()[start:].decode("utf-8", "replace")
            shutil.rmtree(fresh, ignore_errors=True)
            if "No space left on device" in said:
                raise full_disk(self.data.root)
            raise StartError(f"initdb could not make the database: {_reason(said)} (log: {launch.log}).")
        fresh.rename(self.data.postgres)

    def _launch(
        self, program: str, *arguments: str, stdin: bytes = b"", death_signal: signal.Signals = signal.SIGKILL
    ) -> Launch:
        return Launch(
            argv=(str(self.binaries / program), *arguments),
            log=self.data.log("postgres" if program == "postgres" else program),
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            death_signal=death_signal,
            confinement=self.confinement,
            keep_open=self.keep_open,
            stdin=stdin,
            cwd=Path("/"),
        )

    def launch(self) -> Launch:
        """Return how the server is started, on the same port each time."""
        settings = {**_SETTINGS, **(_DURABLE if self.durable else _FORGETFUL), "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is PostgreSQL's fast shutdown: when we are killed it still closes its files in order.
        return self._launch("postgres", "-D", str(self.data.postgres), *options, death_signal=signal.SIGINT)

    async def answers(self) -> bool:
        """Return whether the server takes a query.

        Raises:
            StartError: it refuses the password that is kept in the data directory.
        """
        try:
            connection = await asyncpg.connect(self.url(SUPERUSER, "postgres"), timeout=2)
        except asyncpg.InvalidPasswordError:
            raise StartError(
                f"The passwords in {self.data.root / 'secrets'} do not fit the database beside them; "
                "put back the secrets that were made with it."
            ) from None
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def bootstrap(self) -> None:
        """Make the roles and the database, with the passwords that are kept; repeats change nothing."""
        connection = await asyncpg.connect(self.url(SUPERUSER, "postgres"), timeout=5)
        try:
            for role in (OWNER_ROLE, APP_ROLE):
                await self._ensure_role(connection, role)
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", API_ROLE):
                await connection.execute(f"CREATE ROLE {API_ROLE} NOLOGIN")
            await connection.execute(f"GRANT {API_ROLE} TO {APP_ROLE}; GRANT {APP_ROLE} TO {OWNER_ROLE}")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")
            # Roles made for other databases here, such as one that a tool reads, must not get into this one.
            await connection.execute(
                f"REVOKE CONNECT, TEMPORARY ON DATABASE {DATABASE}, {SUPERUSER}, template1 FROM PUBLIC;"
                f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}"
            )
        finally:
            await connection.close()

    async def _ensure_role(self, connection: "asyncpg.Connection[asyncpg.Record]", role: str) -> None:
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        verb = "ALTER" if exists else "CREATE"
        # The password is ours, hexadecimal; neither word could end the literal.
        # lint: allow sql-text -- roles stand in the code; the password is ours, hexadecimal
        await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{self._password(role)}'")

    def plan(self) -> ChildPlan:
        """Return the child that is this server."""
        return ChildPlan(name="PostgreSQL", launch=self.launch, answers=self.answers, stop=_STOP)


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if "error:" in line or "FATAL" in line]
    return (lines[-1] if lines else said.strip().rpartition("\n")[2]).rstrip(".")
