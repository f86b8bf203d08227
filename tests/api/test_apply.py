"""`sparkops apply`: a project kept as files, through the real API."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport

from sparkops.api.deps import Door
from sparkops.cli.apply import How, apply_files, read_folder
from sparkops.core.client import ApiClient, ApiRefused
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.core.errors import Invalid
from sparkops.core.permissions import Permission
from sparkops.domains.identity import service
from sparkops.domains.identity.keys import GRANTABLE
from tests.api.conftest import ORIGIN, Person, add_user
from tests.api.serving import app_of, serving

FILES = {
    "project.yaml": "name: Orchard\ntime_zone: Europe/Vienna\ndefault_effect: deny\n",
    "agents/scout.yaml": "model: scripted\ninstructions: Look around.\n"
    "script:\n  turns:\n    - {text: Nothing to see.}\n",
    "policies/calm.yaml": "version: 1\nname: calm\nrules:\n"
    "  - {name: tools, on: [tool.call], effect: allow}\n  - {name: models, on: [llm.call], effect: allow}\n",
    "budgets/month.yaml": "name: Month\nscope: project\nperiod: month\nlimit_micros: 5000000\n",
    "workflows/walk.yaml": "version: 1\nname: walk\nsteps: [{id: only, type: tool, tool: noop}]\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
async def client(app: FastAPI, ann: Person) -> AsyncIterator[ApiClient]:
    async with ApiClient(ORIGIN, token=ann.token, transport=ASGITransport(app)) as client:
        yield client


async def apply(client: ApiClient, folder: Path, capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    await apply_files(client, read_folder(folder), "orchard", How(**how))
    return capsys.readouterr().out


async def test_a_project_is_made_of_its_files_and_applying_them_again_changes_nothing(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "files", FILES)
    assert (await apply(client, folder, capsys)).splitlines() == [
        "created    project orchard",
        "changed    project orchard",
        "created    agent scout, version 1",
        "created    policy calm, version 1, now in force",
        "created    workflow walk, version 1",
        "created    budget Month",
    ]
    project = await client.get("/projects/orchard")
    assert (project["name"], project["time_zone"], project["default_effect"]) == ("Orchard", "Europe/Vienna", "deny")
    assert (await apply(client, folder, capsys)).splitlines() == [
        "unchanged  project orchard",
        "unchanged  agent scout, version 1",
        "unchanged  policy calm, version 1",
        "unchanged  workflow walk, version 1",
        "unchanged  budget Month",
    ]


async def test_what_has_changed_in_the_files_changes_and_policies_may_wait_to_be_published(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "files", FILES)
    await apply(client, folder, capsys)
    write(
        folder,
        {
            "policies/calm.yaml": FILES["policies/calm.yaml"].replace("effect: allow", "effect: deny", 1),
            "budgets/month.yaml": FILES["budgets/month.yaml"].replace("5000000", "6000000"),
        },
    )
    said = (await apply(client, folder, capsys, publish=False)).splitlines()
    assert [said[2], said[4]] == ["changed    policy calm, version 2", "changed    budget Month"]
    (policy,) = [one for one in await client.every("/policies", project="orchard") if one["project"]]
    assert (policy["latest_version"], policy["active_version"]) == (2, 1)


def budget(name: str, scope: str, target: str) -> dict[str, str]:
    text = f"name: {name}\nscope: {scope}\nperiod: month\nlimit_micros: 5000000\ntarget: {target}\n"
    return {f"budgets/{name}.yaml": text}


async def test_a_budget_names_whom_it_is_for_and_may_be_for_what_the_same_files_bring(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.post("/projects", {"slug": "orchard", "name": "Orchard"})
    account = await client.post("/projects/orchard/service-accounts", {"name": "robot", "role": "operator"})
    theirs = {"name": "nightly", "scopes": ["run:read"]}
    path = f"/projects/orchard/service-accounts/{account['id']}/keys"
    revoked, kept = await client.post(path, theirs), await client.post(path, theirs)
    await client.post(f"{path}/{revoked['id']}/revoke")
    own = await client.post("/api-keys", {"name": "laptop", "scopes": ["run:read"], "projects": ["orchard"]})
    named = {
        **budget("walks", "workflow", "walk"),
        **budget("scouts", "agent", "scout"),
        **budget("anns", "user", "Ann@example.com"),
        **budget("nights", "api_key", "nightly"),
        **budget("laptops", "api_key", own["id"]),
    }
    folder = write(tmp_path / "files", FILES | named)
    await apply(client, folder, capsys)
    budgets = {one["name"]: one["target"] for one in await client.every("/budgets", project="orchard")}
    assert {name: target and target["name"] for name, target in budgets.items()} == {
        "Month": None,
        "walks": "walk",
        "scouts": "scout",
        "anns": "ann",
        "nights": "nightly",
        "laptops": "laptop",
    }
    assert budgets["nights"]["id"] == kept["id"], "the one that has ended is nobody's any more"
    assert {line.split()[0] for line in (await apply(client, folder, capsys)).splitlines()} == {"unchanged"}


async def test_a_name_that_is_nobodys_or_of_several_is_refused_with_its_file(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.post("/projects", {"slug": "orchard", "name": "Orchard"})
    for _ in range(2):
        await client.post("/api-keys", {"name": "laptop", "scopes": ["run:read"], "projects": ["orchard"]})
    for scope, target, said in (
        ("workflow", "run", "no workflow run"),
        ("user", "ben@example.com", "no user ben@example.com"),
        ("api_key", "laptop", "2 API keys laptop"),
    ):
        folder = write(tmp_path / scope, budget("it", scope, target))
        with pytest.raises(ApiRefused, match=rf"budgets/it\.yaml: .*{said}"):
            await apply(client, folder, capsys)
    await apply(client, write(tmp_path / "fine", FILES | budget("it", "workflow", "walk")), capsys)
    other = FILES["workflows/walk.yaml"].replace("name: walk", "name: run")
    folder = write(tmp_path / "moved", {"workflows/run.yaml": other} | budget("it", "workflow", "run"))
    with pytest.raises(ApiRefused, match="target of the budget it cannot change"):
        await apply(client, folder, capsys)


INSTALLATION = {
    "installation/policies/calm.yaml": FILES["policies/calm.yaml"],
    "installation/budgets/all.yaml": "name: Month\nscope: installation\nperiod: month\nlimit_micros: 9000000\n",
    "installation/budgets/ann.yaml": "name: Ann\nscope: user\ntarget: ann@example.com\nperiod: day\nlimit_calls: 90\n",
}


async def test_an_administrator_applies_what_holds_for_the_installation_around_the_project(
    client: ApiClient, ann: Person, door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    folder = write(tmp_path / "files", FILES | INSTALLATION)
    expected = [
        "created    policy calm of the installation, version 1, now in force",
        "created    agent scout, version 1",
        "created    policy calm, version 1, now in force",
        "created    workflow walk, version 1",
        "created    budget Month",
        "created    budget Month of the installation",
        "created    budget Ann of the installation",
    ]
    assert (await apply(client, folder, capsys, dry_run=True)).splitlines()[2:] == expected
    assert (await apply(client, folder, capsys)).splitlines()[2:] == expected
    assert {line.split()[0] for line in (await apply(client, folder, capsys)).splitlines()} == {"unchanged"}
    owned = await client.every("/budgets", project="orchard") + await client.every("/policies", project="orchard")
    assert {("Month", None), ("Ann", None), ("calm", None), ("Month", "orchard"), ("calm", "orchard")} <= {
        (one["name"], one["project"]) for one in owned
    }
    write(folder, {"installation/budgets/all.yaml": INSTALLATION["installation/budgets/all.yaml"].replace("9", "8")})
    for project in ("orchard", "not-there-yet"):
        await apply_files(client, read_folder(folder), project, How(dry_run=True))
        assert "changed    budget Month of the installation" in capsys.readouterr().out.splitlines()


async def test_what_is_of_the_installation_is_refused_to_others_before_anything_is_written(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "files", FILES | INSTALLATION)
    for dry_run in (True, False):
        with pytest.raises(ApiRefused, match="administrator"):
            await apply(client, folder, capsys, dry_run=dry_run)
    assert not await client.exists("/projects/orchard")


async def trace(door: Door) -> Mapping[str, Any]:
    """What whoever writes leaves behind: audit lines, and the stamps under which all is judged."""
    row = await door.database.pool.fetchrow(
        "SELECT (SELECT count(*) FROM audit) AS lines, engine.policy_stamp(id) AS stamp"
        "  FROM projects WHERE slug = 'orchard'"
    )
    return dict(row)


async def test_what_is_as_the_files_say_is_not_written_again(
    client: ApiClient, door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thresholds = "thresholds: [{percent: 80, action: notify}]\nadmission: ask\n"
    folder = write(tmp_path / "files", {**FILES, "budgets/month.yaml": FILES["budgets/month.yaml"] + thresholds})
    await apply(client, folder, capsys)
    before = await trace(door)
    said = await apply(client, folder, capsys)
    assert {line.split()[0] for line in said.splitlines()} == {"unchanged"}
    assert await trace(door) == before
    write(folder, {"budgets/month.yaml": FILES["budgets/month.yaml"]})
    assert "changed    budget Month" in (await apply(client, folder, capsys)).splitlines(), "what is left out is undone"


async def test_a_dry_run_says_what_would_be_and_writes_nothing(
    client: ApiClient, door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "files", FILES)
    assert (await apply(client, folder, capsys, dry_run=True)).splitlines() == [
        "Nothing is written. This is what would be:",
        "created    project orchard",
        "created    agent scout, version 1",
        "created    policy calm, version 1, now in force",
        "created    workflow walk, version 1",
        "created    budget Month",
    ]
    assert not await client.exists("/projects/orchard")
    await apply(client, folder, capsys)
    changed = {
        "project.yaml": "name: Orchard\ntime_zone: Europe/Vienna\ndefault_effect: allow\n",
        "agents/scout.yaml": FILES["agents/scout.yaml"].replace("Look around", "Look up"),
        "policies/calm.yaml": FILES["policies/calm.yaml"].replace("effect: allow", "effect: deny", 1),
        "budgets/week.yaml": "name: Week\nscope: project\nperiod: week\nlimit_micros: 5000000\n",
        "budgets/month.yaml": FILES["budgets/month.yaml"].replace("5000000", "6000000"),
    }
    write(folder, changed)
    before = await trace(door)
    would = (await apply(client, folder, capsys, dry_run=True)).splitlines()
    assert await trace(door) == before
    assert would[1:] == [
        "changed    project orchard",
        "changed    agent scout, version 2",
        "changed    policy calm, version 2, now in force",
        "unchanged  workflow walk, version 1",
        "changed    budget Month",
        "created    budget Week",
    ]
    assert (await apply(client, folder, capsys)).splitlines() == would[1:], "and so it is"


async def test_a_mistake_is_told_with_its_file_and_stops_there(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {**FILES, "policies/calm.yaml": "version: 1\nname: calm\nrules: [{name: a, on: [nothing]}]\n"}
    folder = write(tmp_path / "files", broken)
    with pytest.raises(ApiRefused, match=r"policies/calm\.yaml: .*rules\[0\]"):
        await apply(client, folder, capsys)
    assert await client.every("/agents", project="orchard")
    assert not await client.every("/workflows", project="orchard")


async def test_what_cannot_change_of_a_budget_is_refused_and_not_passed_over(
    client: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "files", FILES)
    await apply(client, folder, capsys)
    write(folder, {"budgets/month.yaml": FILES["budgets/month.yaml"].replace("period: month", "period: day")})
    with pytest.raises(ApiRefused, match=r"budgets/month\.yaml: period of the budget Month cannot change"):
        await apply(client, folder, capsys)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"notes.txt": "hello"}, "neither project.yaml nor any YAML file"),
        ({"agents/a.yaml": "[1, 2]"}, r"agents/a\.yaml must be a map"),
        ({"workflows/w.yaml": "a: [1"}, r"workflows/w\.yaml: "),
    ],
)
def test_files_that_cannot_be_read_are_refused_before_anything_is_sent(
    tmp_path: Path, files: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        read_folder(write(tmp_path / "files", files))


async def sparkops_apply(folder: Path, url: str, key: str, *more: str) -> subprocess.CompletedProcess[str]:
    """The command as it is typed, in a process of its own."""
    command = [sys.executable, "-c", "from sparkops.cli import main; main(prog_name='sparkops')", "apply", str(folder)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARK")} | {"SPARK_API_KEY": key}
    return await asyncio.to_thread(
        subprocess.run,
        [*command, "--project", "weather", "--url", url, *more],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_the_command_acts_with_an_api_key_on_a_server_and_no_further_than_the_key_goes(
    settings: Settings, tmp_path: Path
) -> None:
    folder = write(tmp_path / "files", FILES)
    async with serving(settings.model_copy(update={"allowed_hosts": ("127.0.0.1",)})) as (address, server):
        door: Door = app_of(server).state.door
        async with door.database.sessions.begin() as session:
            user = await add_user(session, "ann@example.com", "ann")
            opened = await service.open_session(session, user=user, now=utc_now())
        url = f"http://{address}"
        async with ApiClient(
            url, token=door.signer.issue(user_id=user.id, session_id=opened.session_id, now=utc_now())
        ) as ann:
            keys = {}
            for slug in ("weather", "garden"):
                await ann.post("/projects", {"slug": slug, "name": slug})
                keys[slug] = await ann.post(
                    "/api-keys", {"name": slug, "scopes": sorted(GRANTABLE), "projects": [slug]}
                )
            narrow = sorted(GRANTABLE - {Permission.POLICY_PUBLISH})
            keys["narrow"] = await ann.post("/api-keys", {"name": "narrow", "scopes": narrow, "projects": ["weather"]})

            foreign = await sparkops_apply(folder, url, keys["garden"]["key"])
            assert foreign.returncode == 1
            assert "weather" in foreign.stderr or "people" in foreign.stderr, foreign.stderr
            dry = await sparkops_apply(folder, url, keys["weather"]["key"], "--dry-run")
            assert (dry.returncode, "created    agent scout, version 1" in dry.stdout) == (0, True), dry.stderr
            assert not await ann.every("/agents", project="weather"), "nothing was written"
            refused = await sparkops_apply(folder, url, keys["narrow"]["key"])
            assert refused.returncode == 1
            assert "policy:publish" in refused.stderr
            assert not await ann.every("/workflows", project="weather"), "it stopped there"

            done = await sparkops_apply(folder, url, keys["weather"]["key"])
            assert done.returncode == 0, done.stderr
            assert "created    workflow walk, version 1" in done.stdout
            again = await sparkops_apply(folder, url, keys["weather"]["key"])
            assert (again.returncode, {line.split()[0] for line in again.stdout.splitlines()}) == (0, {"unchanged"})
            assert not await ann.every("/agents", project="garden")
        assert all(key["key"] not in text for key in keys.values() for text in (done.stdout, refused.stderr))
