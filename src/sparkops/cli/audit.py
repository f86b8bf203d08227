"""Commands about the audit trail."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import asyncpg

    from sparkops.core.config import Settings
    from sparkops.domains.audit.seals import Anchor, SealKeys
    from sparkops.domains.audit.verify import Report

PAGE = 1_000


@click.group()
def audit() -> None:
    """Check the audit trail."""


@audit.command()
@click.option(
    "--root",
    "roots",
    type=click.Path(path_type=Path),
    help="A file of roots that was kept elsewhere; without it, the one that the workers write.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
@click.option(
    "--timeout", type=click.FloatRange(1, 86_400), default=600.0, help="Seconds that one look may take (600)."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def verify(roots: Path | None, as_json: bool, timeout: float, data_dir: Path | None) -> None:
    """Check every line of the audit trail and every seal: nothing changed, deleted, added, moved or cut off.

    The exit code is 1 if something is wrong. It only reads, and may be asked while the platform works.
    """
    with refusals():
        report = asyncio.run(_verify(data_dir, roots, timeout))
    if as_json:
        from sparkops.core.json import dumps

        click.echo(dumps(_document(report)))
    else:
        for line in _lines(report):
            click.echo(line)
    sys.exit(0 if report.ok else 1)


@audit.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Only the roots of seals that come after this one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def roots(after: int, data_dir: Path | None) -> None:
    """Print the root of every seal, one JSON line each: what `verify --root` compares the database with.

    Keep them where nobody who administers the database can write.
    """
    with refusals():
        asyncio.run(_print_roots(data_dir, after))


async def _verify(data_dir: Path | None, named: Path | None, seconds: float) -> "Report":
    from sparkops.cli.target import find_settings, open_target
    from sparkops.core.db import PLANNED_FOR_MANY
    from sparkops.domains.audit.verify import verify

    settings = find_settings(data_dir)
    keys, anchors = _keys(settings), _kept(settings, named)
    async with open_target(settings) as database, database.pool.acquire() as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(
                f"SET LOCAL statement_timeout = {int(seconds * 1000)}; "
                f"SET LOCAL idle_in_transaction_session_timeout = 0; {PLANNED_FOR_MANY}"
            )
            return await verify(_Patient(connection, seconds), keys, anchors)


class _Patient:
    """A connection whose answers may take longer than those of the platform at work."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    async def fetch(self, query: str, *args: object) -> "list[asyncpg.Record]":
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *args, timeout=self._seconds)
        return rows


def _keys(settings: "Settings") -> "SealKeys":
    from pydantic import SecretStr

    from sparkops.core.errors import ConfigError
    from sparkops.domains.audit.seals import SealKeys

    made = settings.data_dir / "secrets" / "audit.key"
    setting = settings.audit_key
    if setting is None and made.exists():
        setting = SecretStr(made.read_text(encoding="ascii").strip())
    keys = SealKeys.of(setting)
    if keys is None:
        raise ConfigError("SPARKOPS_AUDIT_KEY is missing: without the key nobody can tell whether a seal is genuine.")
    return keys


def _kept(settings: "Settings", named: Path | None) -> "Sequence[Anchor]":
    from sparkops.domains.audit.roots import read_roots

    path = named or settings.audit_roots or settings.data_dir / "audit-roots.jsonl"
    return read_roots(path) if named or path.exists() else []


async def _print_roots(data_dir: Path | None, after: int) -> None:
    from sparkops.cli.target import find_settings, open_target
    from sparkops.engine.context import Engine, SilentBell
    from sparkops.engine.seals import anchors_after

    async with open_target(find_settings(data_dir)) as database:
        engine = Engine(database, SilentBell())
        while anchors := await anchors_after(engine, after, PAGE):
            for anchor in anchors:
                click.echo(anchor.as_line())
            after = anchors[-1].number


def _document(report: "Report") -> dict[str, object]:
    return {
        "ok": report.ok,
        "lines": report.lines,
        "seals": report.seals,
        "waiting": report.waiting,
        "roots": report.anchors,
        "last": {"number": report.last.number, "at": report.last.at, "mac": report.last.mac} if report.last else None,
        "counts": {str(kind): count for kind, count in report.counts.items()},
        "findings": [{"kind": str(one.kind), "subject": one.subject, "detail": one.detail} for one in report.findings],
    }


def _lines(report: "Report") -> "Iterator[str]":
    for one in report.findings:
        yield f"BROKEN   {one.kind} {one.subject}: {one.detail}"
    if (more := report.counts.total() - len(report.findings)) > 0:
        yield f"           … {more} more"
    yield f"{report.lines} lines under {report.seals} seals, {report.waiting} wait for theirs."
    if report.anchors:
        yield f"{report.anchors} roots were kept outside of the database."
    else:
        yield "No roots were kept outside of the database, so that a trail cut off at its end would look whole."
    if report.last:
        yield f"The last seal is {report.last.number} of {report.last.at.isoformat()}, {report.last.mac}."
    yield "Nothing is wrong." if report.ok else f"{report.counts.total()} things are wrong."
