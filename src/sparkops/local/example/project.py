"""The example's project, made through the public API: agent, workflow and policy."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sparkops.core.client import ApiClient
from sparkops.local.example import PROJECT, example_dir
from sparkops.local.example.people import Login, administrator, ensure_approver
from sparkops.local.supervisor import Supervisor

WORKFLOW = "weather-report"
AGENT = "weather-analyst"


@asynccontextmanager
async def example_on(stack: Supervisor, *, refresh: bool = False) -> AsyncIterator[tuple[ApiClient, ApiClient, Login]]:
    """Set the example up on a running stack; hand over both people, signed in, and the second one's login.

    Raises:
        StartError, ApiRefused: a login does not work, or the API refuses something.
    """
    settings, data = stack.settings, stack.data
    first = administrator(settings, data)
    second = await ensure_approver(stack.endpoints.app_database_url or stack.endpoints.database_url, data)
    url = stack.endpoints.api_url
    async with ApiClient(url) as owner, ApiClient(url) as approver:
        await owner.sign_in(first.email, first.password)
        await approver.sign_in(second.email, second.password)
        model_configured = "default" in settings.models
        await install(owner, approver=second.email, model_configured=model_configured, refresh=refresh)
        yield owner, approver, second


async def install(owner: ApiClient, *, approver: str, model_configured: bool, refresh: bool) -> None:
    """Make the project as the signed-in person, with `approver` as a member.

    A project that exists is left as people have made it, but for `refresh`, which brings it up to date.
    """
    if await owner.exists(f"/projects/{PROJECT}"):
        if not refresh:
            return
    else:
        await owner.post("/projects", {"slug": PROJECT, "name": "Weather"})
    await owner.post(f"/projects/{PROJECT}/members", {"email": approver, "role": "operator"})
    await owner.put(f"/projects/{PROJECT}/policy", _yaml("policy.yaml"))
    await _put(
        owner, "agents", AGENT, {"definition": agent_definition(model_configured=model_configured)}, {"name": AGENT}
    )
    await _put(owner, "workflows", WORKFLOW, {"source": _text("workflow.yaml")}, {})


def agent_definition(*, model_configured: bool) -> dict[str, Any]:
    """Return the analyst; with a configured model it asks that one, else its script answers."""
    definition = dict(_yaml("agent.yaml"))
    if model_configured:
        del definition["script"]
        definition["model"] = "default"
    return definition


async def _put(owner: ApiClient, kind: str, name: str, body: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Create the thing of this name, or add a version to it where its content has changed."""
    page = await owner.get(f"/{kind}", project=PROJECT, limit="200")
    known = next((item for item in page["items"] if item["name"] == name), None)
    if known is None:
        await owner.post(f"/{kind}", {"project": PROJECT, **new, **body})
    else:
        await owner.post(f"/{kind}/{known['id']}/versions", body)


def _text(name: str) -> str:
    return Path(example_dir() / name).read_text(encoding="utf-8")


def _yaml(name: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = YAML(typ="safe", pure=True).load(_text(name))
    return document
