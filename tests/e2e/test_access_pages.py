"""Keys, secrets, roles, the audit log and the end of a project in a real Chromium, and every page on two screens."""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from sparkops.core.client import ApiClient, ApiRefused
from tests.e2e.conftest import Platform
from tests.e2e.test_engine_pages import PROJECT, ended, seen, start
from tests.e2e.test_engine_pages import row as step_row
from tests.e2e.test_kills import until
from tests.e2e.test_pages import DESKTOP, PHONE, SLOW_MS, fits, picture, visitor

pytestmark = pytest.mark.xdist_group("platform")

FIRST, SECOND = "a canary that sings alone", "another canary, which sings louder"
LETTER = """
version: 1
name: send-letter
steps:
  - {id: send, type: tool, tool: noop, with: {token: "secret://mailer"}}
"""


def row(page: Page, table: str, text: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row").filter(has_text=text)


async def test_a_key_is_made_used_seen_and_revoked(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto("/api-keys")
        await page.get_by_role("button", name="New key").first.click()
        form = page.get_by_role("dialog", name="New key")
        await form.get_by_role("button", name="Make key").click()
        await seen(form.get_by_text("Choose what it may do."))
        await form.get_by_label("Name").fill("nightly")
        await form.get_by_role("button", name="Only to read").click()
        await expect(form.get_by_label(re.compile("See runs"))).to_be_checked()
        await expect(form.get_by_label(re.compile("Start runs"))).not_to_be_checked()
        await picture(page, "key-new-light")
        await form.get_by_role("button", name="Make key").click()
        shown = page.get_by_role("dialog", name="Key nightly")
        await seen(shown.get_by_text("cannot be shown again"))
        key = await shown.locator("code").first.inner_text()
        await picture(page, "key-shown-light")
        await shown.get_by_role("button", name="I have kept it").click()
        await seen(row(page, "API keys", "nightly").get_by_text("Never").first)
        assert key not in await page.content()

        async with ApiClient(platform.url, token=key) as program:
            assert (await program.get("/runs", project=PROJECT))["items"] is not None
            with pytest.raises(ApiRefused) as refused:
                await program.post("/runs", {"project": PROJECT, "workflow": "weather-report", "input": {}})
            assert refused.value.status == 403
            await page.reload()
            await seen(row(page, "API keys", "nightly").get_by_text("127.0.0."))
            await picture(page, "keys-light")

            await page.get_by_role("button", name="Revoke nightly").click()
            await page.get_by_role("dialog", name="Revoke this key?").get_by_role("button", name="Revoke key").click()
            await seen(row(page, "API keys", "nightly").get_by_text("Revoked"))
            with pytest.raises(ApiRefused) as gone:
                await program.get("/runs", project=PROJECT)
            assert gone.value.status == 401


async def test_a_secret_is_kept_given_to_calls_and_never_shown(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login, scheme="dark") as page:
        await page.goto(f"/p/{PROJECT}/secrets")
        await page.get_by_role("button", name="New secret").first.click()
        form = page.get_by_role("dialog", name="New secret")
        await form.get_by_label("Name").fill("mailer")
        await form.get_by_label("Value").fill(FIRST)
        await form.get_by_label("What it is for").fill("Letters")
        await picture(page, "secret-new-dark")
        await form.get_by_role("button", name="Keep secret").click()
        await seen(page.get_by_role("heading", name=re.compile("mailer")))
        await seen(page.get_by_text("No call was given it yet."))

        await ended(platform, await start(platform, LETTER), "succeeded")
        await page.get_by_role("button", name="New version").click()
        form = page.get_by_role("dialog", name="New version of mailer")
        await form.get_by_label("Value").fill(SECOND)
        await form.get_by_role("button", name="Put version 2").click()
        await seen(row(page, "Versions", re.compile("^2")))
        run_id = await start(platform, LETTER)
        await ended(platform, run_id, "succeeded")

        await page.reload()
        uses = page.get_by_role("table", name="Uses").get_by_role("row")
        await expect(uses).to_have_count(3, timeout=SLOW_MS)
        await seen(page.get_by_role("region", name="Workflows that refer to it").get_by_text("send-letter"))
        await picture(page, "secret-dark")
        await uses.nth(1).get_by_role("link").click()
        await expect(page).to_have_url(re.compile(run_id), timeout=SLOW_MS)
        await step_row(page, "^send").click()
        step = page.get_by_role("complementary", name="Step send")
        await expect(step).to_contain_text("secret://mailer", timeout=SLOW_MS)
        await picture(page, "run-with-secret-dark")
        for value in (FIRST, SECOND):
            assert value not in await page.content()


async def test_the_pages_are_seen_as_a_role_and_a_changed_role_acts_at_once(
    browser: Browser, platform: Platform
) -> None:
    async with (
        visitor(browser, platform, platform.owner_login) as owner,
        visitor(browser, platform, platform.approver_login) as approver,
    ):
        await approver.goto(f"/p/{PROJECT}/service-accounts")
        new_account = approver.get_by_role("button", name="New service account")
        await expect(new_account).to_have_attribute("aria-disabled", "true", timeout=SLOW_MS)
        await expect(new_account).to_have_accessible_description(re.compile("your role here is operator"))
        refused = {"name": "robot", "role": "viewer"}
        with pytest.raises(ApiRefused):
            await platform.approver.post(f"/projects/{PROJECT}/service-accounts", refused)

        await owner.goto(f"/p/{PROJECT}/members")
        matrix = owner.get_by_role("table", name="Permissions by role")
        await expect(matrix.get_by_role("row", name=re.compile("project:delete")).get_by_role("img")).to_have_count(1)
        await owner.get_by_role("button", name="View as viewer").click()
        await seen(owner.get_by_text(re.compile("You see this project as")))
        await owner.get_by_role("link", name="Audit log").click()
        await seen(owner.get_by_role("heading", name="Not for your role"))
        await owner.get_by_role("link", name="Settings").click()
        await expect(owner.get_by_role("button", name="Delete project")).to_have_attribute("aria-disabled", "true")
        await expect(owner.get_by_role("textbox", name="Runs", exact=True)).to_be_disabled()
        await picture(owner, "settings-as-viewer-light")
        await owner.get_by_role("button", name="Stop the preview").click()
        await expect(owner.get_by_role("textbox", name="Runs", exact=True)).to_be_enabled()

        await owner.get_by_role("link", name="Users and roles").click()
        role = owner.get_by_label("Role of Approver")
        try:
            await role.select_option(label="Admin")
            await seen(owner.get_by_text("Approver is admin now"))
            await picture(owner, "members-light")
            await platform.approver.get("/audit", project=PROJECT)
            await approver.reload()
            await expect(new_account).to_be_enabled(timeout=SLOW_MS)
        finally:
            await role.select_option(label="Operator")
            await seen(owner.get_by_text("Approver is operator now"))
        with pytest.raises(ApiRefused):
            await platform.approver.get("/audit", project=PROJECT)


async def test_the_audit_log_is_filtered_opened_and_exported(browser: Browser, platform: Platform) -> None:
    path = f"/projects/{PROJECT}"
    for limit in (7, 8, None):
        await platform.owner.patch(path, {"max_running_runs": limit})
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/audit")
        await seen(page.get_by_text("Sealed"))
        lines = page.get_by_role("table", name="Audit log").get_by_role("row")
        await seen(lines.filter(has_text="project.create"))
        await page.get_by_label("Action", exact=True).select_option("project.limits")
        await expect(lines.filter(has_text="project.create")).to_have_count(0, timeout=SLOW_MS)
        await lines.filter(has_text="project.limits").nth(1).get_by_role("link").click()
        detail = page.get_by_role("complementary", name=re.compile(r"^Line \d+"))
        change = detail.get_by_role("region", name="What was changed")
        await seen(change.get_by_text('"max_running_runs": 7'))
        await seen(change.get_by_text('"max_running_runs": 8'))
        await seen(detail.get_by_text(re.compile(r"^\d+, .*ago|^\d+, just now")))
        await picture(page, "audit-line-light")

        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Export as CSV").click()
        rows = read_csv(await (await saving.value).path())
        assert {one["action"] for one in rows} == {"project.limits"}
        assert len(rows) >= 3
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Export as JSON lines").click()
        text = (await (await saving.value).path()).read_text(encoding="utf-8")
        assert len([json.loads(line) for line in text.splitlines()]) == len(rows)

        await detail.get_by_role("button", name="Close").click()
        await page.get_by_label("Object").fill("nothing-of-the-kind")
        await seen(page.get_by_role("heading", name="No such lines"))
        await page.get_by_role("button", name="Clear filters").first.click()
        await seen(lines.filter(has_text="project.create"))
        await mistyped(platform)
        await page.get_by_role("link", name="Security events").click()
        await page.get_by_label("Of what").select_option("installation")
        await seen(row(page, "Security events", "sign-in.failed"))
        await picture(page, "security-events-light")


async def mistyped(platform: Platform) -> None:
    """Somebody mistypes a password."""
    async with ApiClient(platform.url) as stranger:
        with pytest.raises(ApiRefused):
            await stranger.sign_in(platform.approver_login.email, "not this one")


def read_csv(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_the_deletion_of_a_project_is_asked_for_and_taken_back(browser: Browser, platform: Platform) -> None:
    async with visitor(browser, platform, platform.owner_login) as page:
        await page.goto(f"/p/{PROJECT}/settings")
        await page.get_by_role("button", name="Delete project").click()
        form = page.get_by_role("dialog", name=f"Delete {PROJECT}?")
        await form.get_by_label("Reason").fill("The trial is over.")
        await form.get_by_label(re.compile("to confirm")).fill("wether")
        await form.get_by_role("button", name="Delete project").click()
        await seen(form.get_by_text(f"This must be exactly: {PROJECT}"))
        await picture(page, "project-delete-light")
        await form.get_by_label(re.compile("to confirm")).fill(PROJECT)
        try:
            await form.get_by_role("button", name="Delete project").click()
            await seen(page.get_by_text("The trial is over."))
            await seen(page.get_by_text(re.compile("All data is removed")))
            halts = (await platform.owner.get("/halts", project=PROJECT, in_force="true"))["items"]
            assert [one["kind"] for one in halts] == ["stop"]
            await picture(page, "project-to-be-deleted-light")
        finally:
            await page.get_by_role("button", name="Keep the project").click()
        await expect(page.get_by_role("button", name="Delete project")).to_be_enabled(timeout=SLOW_MS)

        async def released() -> bool:
            return not (await platform.owner.get("/halts", project=PROJECT, in_force="true"))["items"]

        await until(released)


PLACES = (
    *("/projects", "/me", "/api-keys", "/admin/users"),
    *(
        f"/p/{PROJECT}/{name}"
        for name in (
            *("runs", "approvals", "uncertain", "control", "workflows", "agents", "tools"),
            *("policies", "decisions", "violations", "budgets"),
            *("members", "service-accounts", "secrets", "settings", "audit/lines", "audit/security"),
        )
    ),
)


TABS = ("timeline", "messages", "calls", "policy", "cost", "artifacts", "io", "events")


async def places_of_things(platform: Platform) -> list[str]:
    """The pages of one of each: of a run with all its tabs, of a workflow, an agent, a tool, and what could be done
    again."""
    run = (await platform.owner.post("/runs", {"project": PROJECT, "workflow": "weather-report", "input": {}}))["id"]
    await platform.owner.post(f"/runs/{run}/cancel")
    await ended(platform, run, "cancelled")
    places = [f"runs/{run}/{tab}" for tab in TABS] + [f"runs/{run}/again/rerun"]
    for kind in ("workflows", "agents", "tools"):
        (first, *_) = (await platform.owner.get(f"/{kind}", project=PROJECT))["items"]
        places.append(f"{kind}/{first['id']}")
    return [f"/p/{PROJECT}/{place}" for place in places]


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
async def test_every_page_stands_on_its_screen_and_needs_nothing_its_policy_refuses(
    browser: Browser, platform: Platform, scheme: Literal["light", "dark"], size: tuple[int, int]
) -> None:
    async with visitor(browser, platform, platform.owner_login, scheme=scheme, size=size) as page:
        for place in (*PLACES, *await places_of_things(platform)):
            await page.goto(place)
            await seen(page.get_by_role("heading", level=1))
            await expect(page.get_by_role("status", name="Loading")).to_have_count(0, timeout=SLOW_MS)
            await picture(page, f"page{place.replace('/', '-')}-{scheme}")
            await fits(page, place)
