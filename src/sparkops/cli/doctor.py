"""The command `doctor`: is everything in order? It only reads, and may be asked while the platform works."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from sparkops.core.db import Database
    from sparkops.engine.diagnosis import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, help="Seconds that one check may take (60).")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data directory of the running `sparkops up`.")
def doctor(as_json: bool, timeout: float, data_dir: Path | None) -> None:
    """Check a running installation against every rule that must hold, and change nothing.

    The exit code is 1 if something is wrong.
    """
    with refusals():
        epoch, findings = asyncio.run(_examine(data_dir, timeout))
    if as_json:
        from sparkops.core.json import dumps

        click.echo(dumps({"epoch": epoch, "ok": _all_ok(findings), "checks": [_document(one) for one in findings]}))
    else:
        for line in _lines(epoch, findings):
            click.echo(line)
    sys.exit(0 if _all_ok(findings) else 1)


async def _examine(data_dir: Path | None, seconds: float) -> tuple[str, "Sequence[Finding]"]:
    from sparkops.cli.target import find_settings, open_target
    from sparkops.engine.diagnosis import examine

    async with open_target(find_settings(data_dir)) as database:
        schema = await _schema(database)
        if not schema.ok:  # then the other questions mean nothing
            return "unknown", [schema]
        epoch = await database.pool.fetchval("SELECT epoch FROM system")
        return str(epoch), [schema, *await examine(database, seconds=seconds)]


async def _schema(database: "Database") -> "Finding":
    """Check that tables and functions are those of this program."""
    import asyncpg

    from sparkops.engine.diagnosis import Finding
    from sparkops.migrations import runner
    from sparkops.migrations.functions import INSTALLED, functions_mark

    rule = "The schema and its functions are those of this release; `sparkops migrate` brings them there."
    try:
        revision = await database.pool.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    rows = []
    if revision != runner.head():
        rows.append({"subject": "revision", "found": revision, "expected": runner.head()})
    elif (mark := await database.pool.fetchval(INSTALLED)) != functions_mark():
        rows.append({"subject": "functions", "found": mark, "expected": functions_mark()})
    return Finding("schema", rule, rows, len(rows))


def _all_ok(findings: "Sequence[Finding]") -> bool:
    return all(finding.ok for finding in findings)


def _document(finding: "Finding") -> dict[str, object]:
    return {"ok": finding.ok, **asdict(finding)}


def _lines(epoch: str, findings: "Sequence[Finding]") -> "Sequence[str]":
    from sparkops.core.json import dumps

    lines = []
    for finding in findings:
        if finding.ok:
            lines.append(f"ok       {finding.name}")
        elif finding.unknown is not None:
            lines.append(f"unknown  {finding.name}: {finding.unknown}")
        else:
            lines.append(f"BROKEN   {finding.name}: {finding.rule}")
            lines += [f"           {dumps(row).decode()}" for row in finding.rows]
            if finding.total > len(finding.rows):
                lines.append(f"           … {finding.total} in all")
    bad = sum(not finding.ok for finding in findings)
    lines.append(
        f"Epoch {epoch}. " + (f"{bad} of {len(findings)} checks failed." if bad else "Everything is in order.")
    )
    return lines
