"""`sparkops apply`: a project kept as files, brought up to them through the public API.

    project.yaml            name (of a new one), default_effect, time_zone, max_running_runs
    agents/<name>.yaml      an agent's definition
    policies/*.yaml         a policy each; the name stands in the text
    workflows/*.yaml        a workflow each; the name stands in the text
    budgets/*.yaml          a budget each; the name stands in the text, and `target` names whom it is for
    installation/policies/*.yaml, installation/budgets/*.yaml
                            what holds for the whole installation, which administrators alone apply

What is not among the files is left as it is.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from sparkops.cli.refusals import refusals

if TYPE_CHECKING:
    from sparkops.core.client import ApiClient

INSTALLATION = "installation/"
FOLDERS = (f"{INSTALLATION}policies", "agents", "policies", "workflows", "budgets", f"{INSTALLATION}budgets")
"""In the order in which they are applied: what a workflow or a budget names is there before it."""
FIXED = ("scope", "target", "period", "time_zone")
"""What makes a budget another one: whom it is for, and for how long."""
MAX_BYTES = 1_048_576


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--project", required=True, help="The short name of the project; it is created if there is none.")
@click.option("--url", help="Where the API is; that of the running `sparkops up` if left out.")
@click.option("--email", envvar="SPARK_EMAIL", help="Who you are (SPARK_EMAIL), if you have no API key.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not SPARK_PASSWORD.")
@click.option("--publish/--no-publish", default=True, help="Put policies in force, or only save them (put in force).")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be created, changed or left.")
def apply(
    folder: Path, project: str, url: str | None, email: str | None, password_stdin: bool, publish: bool, dry_run: bool
) -> None:
    """Bring a project up to the files of FOLDER; says what was created, changed or left. Safe to repeat.

    It acts with the API key in SPARK_API_KEY, or in the name of a person with their password.

    FOLDER has project.yaml and the folders agents, policies, workflows and budgets, as far as they are wanted, and for
    administrators of the installation installation/policies and installation/budgets. A file that is not accepted stops
    it there, with every mistake and its place; what was applied before stays.
    With --dry-run files are compared with what there is, and not checked.
    """
    import httpx2

    with refusals():
        login = _login(email, password_stdin=password_stdin)
        files = read_folder(folder)
        try:
            asyncio.run(_apply(files, project, url or _running_url(), login, How(publish, dry_run)))
        except httpx2.TransportError as error:
            raise click.ClickException(f"The API cannot be reached: {error}") from None


@dataclass(frozen=True, slots=True)
class How:
    """Whether policies are put in force; whether nothing is written, and only said what would be."""

    publish: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """Whose things are applied: those of the project, or the installation's, which are listed from the project, too.

    `project` None: there is none to look at them from.
    """

    project: str | None
    whole: bool

    @property
    def owner(self) -> str | None:
        return None if self.whole else self.project

    def name(self, name: str) -> str:
        """Return a name as people are told it."""
        return f"{name} of the installation" if self.whole else name


@dataclass(frozen=True, slots=True)
class File:
    """One file of a project: its place, its text, and the text read as YAML."""

    path: Path
    source: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """A project as files; `project` None: there is no project.yaml."""

    project: File | None
    of: Mapping[str, Sequence[File]]


def read_folder(folder: Path) -> Files:
    """Read a project's files, those of a kind in the order of their names.

    Raises:
        Invalid: there is nothing to apply, or a file cannot be read as a YAML map.
    """
    from sparkops.core.errors import Invalid

    own = folder / "project.yaml"
    listed = {
        kind: [_read(path) for path in sorted((folder / kind).glob("*.y*ml")) if path.suffix in (".yaml", ".yml")]
        for kind in FOLDERS
    }
    files = Files(_read(own) if own.is_file() else None, listed)
    if files.project is None and not any(listed.values()):
        raise Invalid(f"{folder} has neither project.yaml nor any YAML file in {', '.join(FOLDERS)}.")
    return files


def _read(path: Path) -> File:
    from sparkops.core.document import DefinitionInvalid, read_document
    from sparkops.core.errors import Invalid

    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise Invalid(f"{path} is larger than {MAX_BYTES:,} bytes.")
        source = data.decode("utf-8")
        document = read_document(source).value
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no text in UTF-8.") from None
    except DefinitionInvalid as error:
        raise Invalid(f"{path}: {error.detail}") from None
    if not isinstance(document, dict):
        raise Invalid(f"{path} must be a map.")
    return File(path, source, document)


async def _apply(files: Files, project: str, url: str, login: tuple[str, str] | str, how: How) -> None:
    from sparkops.core.client import ApiClient

    async with ApiClient(url, token=login if isinstance(login, str) else None) as client:
        if not isinstance(login, str):
            await client.sign_in(*login)
        await apply_files(client, files, project, how)


async def apply_files(client: "ApiClient", files: Files, project: str, how: How) -> None:
    """Bring a project up to its files, and say what was done, or would be.

    Raises:
        ApiRefused: a file was not accepted; the sentence begins with its path. What came before it is applied. Or there
            is something of the installation, and whoever applies it is no administrator: nothing is applied then.
    """
    places = await _check_administrator(client, files)
    if how.dry_run:
        click.echo("Nothing is written. This is what would be:")
    there = await _apply_project(client, project, files.project, how)
    for folder in FOLDERS:
        kind, whole = folder.removeprefix(INSTALLATION), folder.startswith(INSTALLATION)
        where = Where(project if there else next(iter(places), None) if whole else None, whole)
        known = await _known(client, kind, where) if files.of[folder] else {}
        for file in files.of[folder]:
            async with _told(file):
                await _KINDS[kind](client, where, file, known, how)


async def _check_administrator(client: "ApiClient", files: Files) -> Sequence[str]:
    """Return the projects of whoever applies what is of the installation; none, where nothing is.

    Raises:
        ApiRefused: they are no administrator.
    """
    from sparkops.core.client import ApiRefused

    own = [file for folder in FOLDERS if folder.startswith(INSTALLATION) for file in files.of[folder]]
    if not own:
        return []
    me = await client.get("/me")
    if not me["user"]["is_admin"]:
        raise ApiRefused(
            f"{own[0].path}: what holds for the whole installation is applied by its administrators, with their "
            "password and not with an API key. Nothing was applied."
        )
    return [project["slug"] for project in me["projects"]]


async def _apply_project(client: "ApiClient", slug: str, file: File | None, how: How) -> bool:
    """Say afterwards whether there is the project."""
    stated = dict(file.document) if file is not None else {}
    name = stated.pop("name", slug)
    if not await client.exists(f"/projects/{slug}"):
        click.echo(f"created    project {slug}")
        if how.dry_run:
            return False
        await client.post("/projects", {"slug": slug, "name": name})
    if stated and file is not None:
        async with _told(file):
            before = await client.get(f"/projects/{slug}")
            after = {**before, **stated}
            if after != before and not how.dry_run:
                after = await client.patch(f"/projects/{slug}", stated)
            click.echo(f"{'unchanged' if after == before else 'changed':<10} project {slug}")
    return True


async def _apply_agent(client: "ApiClient", where: Where, file: File, known: Mapping[str, Any], how: How) -> None:
    from sparkops.core.json import digest

    name, definition = file.path.stem, dict(file.document)
    before = known[name]["latest"] if name in known else None
    after = _next(before, same=before is not None and before["digest"] == digest(definition))
    if after is not before and not how.dry_run:
        if before is None:
            await client.post("/agents", {"project": where.owner, "name": name, "definition": definition})
        else:
            after = await client.post(f"/agents/{known[name]['id']}/versions", {"definition": definition})
    _say("agent", name, before, after)


async def _apply_workflow(client: "ApiClient", where: Where, file: File, known: Mapping[str, Any], how: How) -> None:
    name = str(file.document.get("name"))
    before = await _latest(client, "workflows", known.get(name))
    after = _next(before, same=before is not None and before["source"] == file.source)
    if after is not before and not how.dry_run:
        if before is None:
            await client.post("/workflows", {"project": where.owner, "source": file.source})
        else:
            after = await client.post(f"/workflows/{known[name]['id']}/versions", {"source": file.source})
    _say("workflow", name, before, after)


async def _apply_policy(client: "ApiClient", where: Where, file: File, known: Mapping[str, Any], how: How) -> None:
    name = str(file.document.get("name"))
    before = await _latest(client, "policies", known.get(name))
    policy = known.get(name, {"active_version": None})
    after = _next(before, same=before is not None and before["source"] == file.source)
    if after is not before and not how.dry_run:
        if before is None:
            saved = await client.post("/policies", {"project": where.owner, "source": file.source})
        else:
            saved = await client.post(f"/policies/{policy['id']}/versions", {"source": file.source})
        after, policy = saved["version"], saved["policy"]
    put = how.publish and policy["active_version"] != after["version"]
    if put and not how.dry_run:
        await client.post(f"/policies/{policy['id']}/publish", {"version": after["version"]})
    _say("policy", where.name(name), before, after, "now in force" if put else "")


async def _apply_budget(client: "ApiClient", where: Where, file: File, known: Mapping[str, Any], how: How) -> None:
    from sparkops.core.client import ApiRefused

    name, stated = str(file.document.get("name")), dict(file.document)
    if name not in known:
        if not how.dry_run:
            await client.post("/budgets", {"project": where.owner, **stated, **await _target(client, where, stated)})
        click.echo(f"created    budget {where.name(name)}")
        return
    stated |= await _target(client, where, stated)
    terms = {key: value for key, value in stated.items() if key not in FIXED}
    before = known[name]
    is_now = {**before, "target": before["target"] and before["target"]["id"]}
    if fixed := [key for key in FIXED if stated.get(key, is_now[key]) != is_now[key]]:
        raise ApiRefused(f"{', '.join(fixed)} of the budget {name} cannot change; give the file's budget another name.")
    same = _same_terms(before, terms)
    if not same and not how.dry_run:
        await client.put(f"/budgets/{before['id']}", terms)
    click.echo(f"{'unchanged' if same else 'changed':<10} budget {where.name(name)}")


async def _target(client: "ApiClient", where: Where, budget: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the target of a budget by its id, if the file names one; an id may stand there as well.

    Raises:
        ApiRefused: there is none of that name, or more than one.
    """
    from sparkops.core.client import ApiRefused

    named, scope = budget.get("target"), budget.get("scope")
    if not isinstance(named, str) or scope not in _TARGETS or _is_id(named):
        return {}  # what is wrong with it the API says
    what, find = _TARGETS[scope]
    found = await find(client, where, named)
    if len(found) != 1:
        many = f"{len(found)} {what}s {named}; write the id of the one that is meant" if found else f"no {what} {named}"
        raise ApiRefused(
            f"The budget {budget.get('name')} cannot be for it alone: there {'are' if found else 'is'} {many}."
        )
    return {"target": found[0]}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


async def _workflows(client: "ApiClient", where: Where, name: str) -> Sequence[str]:
    found = (await _known(client, "workflows", where)).get(name)
    return [found["id"]] if found else []


async def _agents(client: "ApiClient", where: Where, name: str) -> Sequence[str]:
    found = (await _known(client, "agents", where)).get(name)
    return [found["id"]] if found else []


async def _users(client: "ApiClient", where: Where, email: str) -> Sequence[str]:
    """Return who has this address: of the project's members or, for the installation, of all people."""
    if where.whole:
        people = [(one["email"], one["id"]) for one in await client.every("/users", q=email)]
    else:
        members = (await client.get(f"/projects/{where.project}/members"))["items"]
        people = [(one["email"], one["user_id"]) for one in members]
    return [user_id for address, user_id in people if address.casefold() == email.casefold()]


async def _keys(client: "ApiClient", where: Where, name: str) -> Sequence[str]:
    """Return the active keys of this name: one's own and those of the project's accounts; others' nobody sees."""
    keys = await _seen(client, "/api-keys")
    if where.project is not None:
        accounts = f"/projects/{where.project}/service-accounts"
        for account in await _seen(client, accounts):
            keys += await _seen(client, f"{accounts}/{account['id']}/keys")
    return [
        key["id"]
        for key in keys
        if key["name"] == name and key["status"] == "active" and (where.whole or where.project in key["projects"])
    ]


async def _seen(client: "ApiClient", path: str) -> list[Any]:
    """Return a list as far as it may be seen: not at all, where that is refused."""
    from sparkops.core.client import ApiRefused

    try:
        return await client.every(path)
    except ApiRefused as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return []


_TARGETS = {
    "workflow": ("workflow", _workflows),
    "agent": ("agent", _agents),
    "user": ("user", _users),
    "api_key": ("API key", _keys),
}


def _same_terms(before: Mapping[str, Any], stated: Mapping[str, Any]) -> bool:
    """Say whether a budget allows what is stated already; not, if that is no budget: the API says what is wrong."""
    from pydantic import ValidationError

    from sparkops.domains.budgets.definition import Terms

    limits = {f"limit_{kind.removeprefix('money_')}": most for kind, most in before["limits"].items()}
    kept = {part: before[part] for part in ("name", "thresholds", "admission", "admission_by")}
    try:
        return Terms.model_validate({**limits, **kept}) == Terms.model_validate(stated)
    except ValidationError:
        return False


_KINDS = {
    "agents": _apply_agent,
    "policies": _apply_policy,
    "budgets": _apply_budget,
    "workflows": _apply_workflow,
}


async def _known(client: "ApiClient", kind: str, where: Where) -> Mapping[str, Any]:
    """Return what the project has of a kind, or the installation, by name: neither has what is the other's."""
    if where.project is None:
        return {}
    items = await client.every(f"/{kind}", project=where.project)
    return {item["name"]: item for item in items if item.get("project") == where.owner}


@asynccontextmanager
async def _told(file: File) -> AsyncIterator[None]:
    """Say of which file it is that something was refused."""
    from sparkops.core.client import ApiRefused

    try:
        yield
    except ApiRefused as error:
        raise ApiRefused(f"{file.path}: {error.detail}", error.status) from None


async def _latest(client: "ApiClient", kind: str, known: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the latest version of a workflow or policy, with its text."""
    if known is None:
        return None
    found: Mapping[str, Any] = (await client.get(f"/{kind}/{known['id']}"))["latest"]
    return found


def _next(before: Mapping[str, Any] | None, *, same: bool) -> Mapping[str, Any]:
    """Return the version that there would be."""
    if before is None:
        return {"version": 1}
    return before if same else {"version": before["version"] + 1}


def _say(kind: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], more: str = "") -> None:
    what = "created" if before is None else "unchanged" if before["version"] == after["version"] else "changed"
    click.echo(f"{what:<10} {kind} {name}, version {after['version']}{', ' + more if more else ''}")


def _login(email: str | None, *, password_stdin: bool) -> tuple[str, str] | str:
    """Return address and password, or the API key of the environment where no address is given."""
    key = os.environ.get("SPARK_API_KEY")
    if email is None and key:
        return key
    if email is None:
        raise click.UsageError("Say who you are: an API key in SPARK_API_KEY, or your address with --email.")
    return email, sys.stdin.readline().rstrip("\r\n") if password_stdin else _password()


def _password() -> str:
    given = os.environ.get("SPARK_PASSWORD")
    if given is not None:
        return given
    typed: str = click.prompt("Password", hide_input=True)
    return typed


def _running_url() -> str:
    """Return where the API of the running stack is.

    Raises:
        ConfigError: nothing runs here.
    """
    from sparkops.core.config import load_settings
    from sparkops.core.endpoints import running
    from sparkops.core.errors import ConfigError

    data_dir = load_settings().data_dir
    endpoints = running(data_dir)
    if endpoints is None:
        raise ConfigError(f"No Spark-Ops runs on {data_dir}. Start one with `sparkops up`, or name its API with --url.")
    return endpoints.api_url
