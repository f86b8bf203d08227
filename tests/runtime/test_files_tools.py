"""`files.read` and `files.write`: named, versioned, content-addressed, and written once per call."""

import asyncio
import csv
import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.schemas import schema_errors
from sparkops.domains.artifacts.files import NewFile, record_file
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import ToolContext
from sparkops.runtime.tools.files import FILES_READ, FILES_WRITE, MAX_READ_BYTES, to_csv


@pytest.fixture
async def run_context(database: Database, tmp_path: Path) -> ToolContext:
    project_id = new_id()
    await database.pool.execute(
        "INSERT INTO projects (id, slug, name) VALUES ($1, $2, 'A project')", project_id, f"p-{project_id}"
    )
    blobs = Blobs.in_directory(tmp_path)
    return ToolContext(project_id, new_id(), new_id(), new_id(), database, blobs, Settings())


def another_call(context: ToolContext) -> ToolContext:
    return replace(context, call_id=new_id())


async def write(context: ToolContext, **arguments: Any) -> dict[str, Any]:
    assert schema_errors(FILES_WRITE.validator, arguments) == []
    return cast(dict[str, Any], (await FILES_WRITE.run(arguments, context)).output)


async def read(context: ToolContext, **arguments: Any) -> dict[str, Any]:
    assert schema_errors(FILES_READ.validator, arguments) == []
    return cast(dict[str, Any], (await FILES_READ.run(arguments, context)).output)


async def test_a_text_is_written_and_read_back(run_context: ToolContext) -> None:
    written = await write(run_context, name="report.md", content="# Rain\n")
    assert written["sha256"] == hashlib.sha256(b"# Rain\n").hexdigest()
    assert (written["version"], written["size_bytes"], written["media_type"]) == (1, 7, "text/markdown")
    assert await read(run_context, name="report.md") == {**written, "content": "# Rain\n"}


async def test_writing_a_name_again_makes_a_version_and_the_latest_is_read(run_context: ToolContext) -> None:
    await write(run_context, name="a.txt", content="one")
    second = await write(another_call(run_context), name="a.txt", content="two")
    assert second["version"] == 2
    assert (await read(run_context, name="a.txt"))["content"] == "two"
    assert (await read(run_context, name="a.txt", version=1))["content"] == "one"


async def test_the_same_call_writes_once_however_often_it_is_sent(run_context: ToolContext) -> None:
    first = await write(run_context, name="a.txt", content="one")
    assert await write(run_context, name="a.txt", content="one") == first
    assert await run_context.database.pool.fetchval("SELECT count(*) FROM artifacts") == 1


async def test_calls_that_write_one_name_at_once_get_versions_of_their_own(run_context: ToolContext) -> None:
    contexts = [another_call(run_context) for _ in range(6)]
    found = await asyncio.gather(*(write(each, name="a.txt", content="x") for each in contexts))
    assert sorted(written["version"] for written in found) == [1, 2, 3, 4, 5, 6]


async def test_rows_become_a_table(run_context: ToolContext) -> None:
    rows = [{"month": 1, "rain": 12.5, "note": 'wet, "very"'}, {"month": 2, "rain": None, "tags": ["a"]}]
    written = await write(run_context, name="data/rows.csv", rows=rows)
    assert written["media_type"] == "text/csv"
    content = (await read(run_context, name="data/rows.csv"))["content"]
    assert list(csv.reader(io.StringIO(content))) == [
        ["month", "rain", "note", "tags"],
        ["1", "12.5", 'wet, "very"', ""],
        ["2", "", "", '["a"]'],
    ]


@pytest.mark.parametrize("name", ["../up.md", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", "a/../../b", "x\0"])
async def test_names_that_lead_elsewhere_are_refused(run_context: ToolContext, name: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await write(run_context, name=name, content="x")
    assert (failed.value.code, failed.value.retryable) == ("invalid-arguments", False)


async def test_another_run_and_another_project_do_not_see_the_file(run_context: ToolContext) -> None:
    await write(run_context, name="a.txt", content="one")
    for other in (replace(run_context, run_id=new_id()), replace(run_context, project_id=new_id())):
        with pytest.raises(CallFailed, match=r"no file a\.txt") as failed:
            await read(other, name="a.txt")
        assert failed.value.code == "file-not-found"


async def test_what_is_no_text_or_too_long_is_not_read(run_context: ToolContext) -> None:
    await write(run_context, name="long.txt", content="x" * (MAX_READ_BYTES + 1))
    with pytest.raises(CallFailed, match="at most") as too_large:
        await read(run_context, name="long.txt")
    assert too_large.value.code == "file-too-large"
    no_text = NewFile(
        project_id=run_context.project_id,
        run_id=run_context.run_id,
        step_id=run_context.step_id,
        call_id=new_id(),
        name="b.bin",
        media_type="application/octet-stream",
        size_bytes=2,
        sha256=await run_context.blobs.put(b"\xff\xfe"),
    )
    async with run_context.database.pool.acquire() as connection, connection.transaction():
        await record_file(connection, no_text)
    with pytest.raises(CallFailed, match="not a text") as failed:
        await read(run_context, name="b.bin")
    assert failed.value.code == "file-not-text"


@pytest.mark.parametrize("arguments", [{"name": "a"}, {"name": "a", "content": "x", "rows": []}, {"content": "x"}])
def test_either_content_or_rows_is_asked_for(arguments: dict[str, Any]) -> None:
    assert schema_errors(FILES_WRITE.validator, arguments)


def test_a_text_that_a_spreadsheet_would_run_is_quoted() -> None:
    assert to_csv([{"a": "=1+1", "b": -1, "c": "-1+1"}], None).splitlines()[1] == "'=1+1,-1,'-1+1"


def test_columns_choose_and_order() -> None:
    assert to_csv([{"a": 1, "b": 2}], ["b", "c"]).splitlines() == ["b,c", "2,"]
