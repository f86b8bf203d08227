"""Large values over HTTP: shown as references, downloaded whole, and only by who may see the run."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from sparkops.api.deps import Door
from sparkops.core.json import canonical, digest
from sparkops.core.payloads import INLINE_BYTES, MAX_INPUT_BYTES
from sparkops.domains.approvals.models import Approval
from sparkops.domains.effects.models import Call
from sparkops.domains.runs.models import Frame, Run, Step
from tests.api.conftest import Person
from tests.api.things import Things, make_things

LARGE = "ä" * INLINE_BYTES
SOURCE = """\
version: 1
name: bulky
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: first, type: tool, tool: noop, with: {text: "${{ input.text }}"}}
"""


async def start(ann: Person, text: str) -> dict[str, Any]:
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": SOURCE})
    body = {"project": "weather", "workflow": "bulky", "input": {"text": text}}
    answer = await ann.client.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    return run


def address(run: dict[str, Any] | UUID, sha256: str) -> str:
    return f"/api/v1/runs/{run['id'] if isinstance(run, dict) else run}/values/{sha256}"


async def test_a_large_input_is_shown_as_a_reference_and_downloaded_whole(ann: Person) -> None:
    run = await start(ann, LARGE)
    data = canonical({"text": LARGE})
    shown = run["input"]["$blob"]
    assert shown == {
        "sha256": digest({"text": LARGE}),
        "bytes": len(data),
        "type": "object",
        "preview": data[:120].decode(errors="ignore"),
    }
    answer = await ann.client.get(address(run, shown["sha256"]))
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{shown['sha256'][:12]}.json"
    assert answer.headers["content-security-policy"].startswith("sandbox")


async def test_an_input_of_ten_mebibytes_is_taken_and_a_byte_more_is_not(ann: Person) -> None:
    envelope = len(canonical({"text": ""}))
    run = await start(ann, "x" * (MAX_INPUT_BYTES - envelope))
    assert run["input"]["$blob"]["bytes"] == MAX_INPUT_BYTES
    body = {"project": "weather", "workflow": "bulky", "input": {"text": "x" * (MAX_INPUT_BYTES - envelope + 1)}}
    answer = await ann.client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:sparkops:problem:input-too-large")
    assert answer.json()["limit_bytes"] == MAX_INPUT_BYTES


async def test_a_run_is_made_again_with_a_large_input(ann: Person) -> None:
    run = await start(ann, "small")
    assert (await ann.client.post(f"/api/v1/runs/{run['id']}/cancel")).status_code < 300
    text = "x" * (3 << 20)
    answer = await ann.client.post(f"/api/v1/runs/{run['id']}/rerun", json={"input": {"text": text}})
    assert answer.status_code == 201, answer.text
    assert answer.json()["input"]["$blob"]["sha256"] == digest({"text": text})


@pytest.fixture
async def things(ann: Person, door: Door) -> Things:
    return await make_things(ann, door)


@pytest.mark.parametrize("place", ["run", "step", "frame", "request", "response", "question"])
async def test_values_lie_wherever_a_run_refers_to_them(ann: Person, door: Door, things: Things, place: str) -> None:
    project = UUID((await ann.client.get("/api/v1/projects/weather")).json()["id"])
    stored = {"deep": [(await door.engine.payloads.store(project, [LARGE])).value]}
    change: Any = {
        "run": update(Run).where(Run.id == things.run_id).values(output=stored),
        "step": update(Step).where(Step.id == things.step_id).values(output=stored),
        "request": update(Call).where(Call.id == things.call_id).values(request=stored),
        "response": update(Call).where(Call.id == things.call_id).values(response=stored),
        "question": update(Approval).where(Approval.id == things.approval_id).values(proposed_request=stored),
        "frame": insert(Frame).values(
            parent_id=things.step_id, frame_no=0, run_id=things.run_id, project_id=project, value=stored
        ),
    }[place]
    async with door.database.sessions.begin() as session:
        await session.execute(change)
    answer = await ann.client.get(address(things.run_id, digest([LARGE])))
    assert (answer.status_code, answer.json()) == (200, [LARGE])


async def test_only_members_and_only_values_of_the_run(ann: Person, eve: Person, door: Door, things: Things) -> None:
    run = await start(ann, LARGE)
    sha256 = run["input"]["$blob"]["sha256"]
    assert (await eve.client.get(address(run, sha256))).status_code == 404
    for other in (address(things.run_id, sha256), address(run, "0" * 64)):
        assert (await ann.client.get(other)).json()["type"] == "urn:sparkops:problem:not-found"
    assert (await ann.client.get(address(run, "../../etc/passwd"))).status_code == 404
    assert (await ann.client.get(address(run, "A" * 64))).status_code == 422


async def test_data_that_names_a_digest_does_not_refer_to_it(ann: Person, door: Door) -> None:
    run = await start(ann, LARGE)
    sha256 = run["input"]["$blob"]["sha256"]
    inner = {"sha256": sha256, "bytes": 1, "type": "string", "preview": ""}
    other = await start(ann, f'{{"$blob": {inner}}} {sha256}')
    assert (await ann.client.get(address(other, sha256))).status_code == 404


async def test_a_damaged_value_never_arrives_whole(ann: Person, door: Door) -> None:
    run = await start(ann, LARGE)
    (file,) = (path for path in door.settings.blob_dir.rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    answer = await ann.client.get(address(run, run["input"]["$blob"]["sha256"]))
    assert len(answer.content) < file.stat().st_size, "the connection is cut before the end"


async def test_a_value_that_is_gone_is_not_found(ann: Person, door: Door) -> None:
    run = await start(ann, LARGE)
    (file,) = (path for path in door.settings.blob_dir.rglob("*") if path.is_file())
    file.unlink()
    answer = await ann.client.get(address(run, run["input"]["$blob"]["sha256"]))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:sparkops:problem:not-found")
